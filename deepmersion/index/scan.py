"""Finds the lowest scores in an index in one pass and constant memory.

The divergence of a mix from a fixed photo is linear in the mix's log-probabilities. So for each
photo, mixes are ranked by

    score(entry) = offset(entry) + Σ weight(class) log q(entry, class)

over the classes of one or more label sets, and a pass over the index is the product of a large
matrix and one vector per photo. Classes may be added up before the logarithm; each such group
becomes one more column of the matrix. Renormalising probabilities over fewer classes divides by
another such group, the sum of all kept classes. Its logarithm is weighted by the sum of the
weights, so it vanishes for a centred divergence, whose weights sum to zero.

The pass is computed in single precision. Entries whose scores are too close to the lowest to be
distinguished are returned as well, for the caller to rank exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from deepmersion.index.file import PRECISION_NATS, SoundIndex

CHUNK_ENTRIES = 4096
"""Entries whose scores are ranked together."""

BLOCK_ENTRIES = 128
"""Entries read and multiplied at once: they fit in a core's own cache, both as stored and as
floating-point numbers (0.8 MB), and the product is too small to be split between threads, which
would wait more than work."""

MARGIN_NATS = 1e-3
"""Scores this close count as equal here. The error of single precision is about 1e-5."""

MAX_NEAR = 1024
"""Most entries returned for being close to the lowest: bounds the memory for an index of equal
mixes."""

NO_WEIGHT = 1e-9
"""A sum of weights this small is zero except for rounding."""


Offsets = Callable[[int, int], np.ndarray]
"""Maps a range of entries to the offsets of their scores for each photo, [entries, photos];
infinity excludes an entry."""


@dataclass(frozen=True)
class LinearForm:
    """The part of the scores from one label set: weights for log-probabilities of some columns.

    Attributes
    ----------
    label_set : {"objects", "scenes"}
        The label set of the index that the columns are formed from.
    mapping : ndarray, shape = (classes,), int
        The column of each of its classes, -1 for none. The probabilities of classes in the same
        column are added up; the columns are then renormalised to a sum of 1.
    weights : ndarray, shape = (photos, columns), float64
        Weights of the columns' log-probabilities.
    """

    label_set: str
    mapping: np.ndarray
    weights: np.ndarray


class _Pass:
    """A linear form, prepared for products with log-probabilities of classes and of groups."""

    def __init__(self, form: LinearForm) -> None:
        self.label_set = form.label_set
        n_photos, n_columns = form.weights.shape
        kept = form.mapping >= 0
        sizes = np.bincount(form.mapping[kept], minlength=n_columns)
        alone = np.flatnonzero(kept & (sizes[form.mapping] == 1))
        weights = np.zeros((n_photos, len(form.mapping)))
        weights[:, alone] = form.weights[:, form.mapping[alone]]
        groups = [np.flatnonzero(form.mapping == column) for column in np.flatnonzero(sizes > 1)]
        group_weights = [form.weights[:, form.mapping[group[0]]] for group in groups]
        total = form.weights.sum(axis=1)
        if not kept.all() and (abs(total) > NO_WEIGHT).any():
            groups.append(np.flatnonzero(kept))
            group_weights.append(-total)
        self._weights = (-PRECISION_NATS * weights).astype(np.float32)
        self._codes = np.empty((BLOCK_ENTRIES, len(form.mapping)), "<u2")
        self._log_q = np.empty((BLOCK_ENTRIES, len(form.mapping)), np.float32)
        self._members = np.concatenate([*groups, np.array([], int)]).astype(int)
        self._ends = np.cumsum([len(group) for group in groups])
        self._group_weights = np.array(group_weights).reshape(-1, n_photos).astype(np.float32)

    def scores(self, index: SoundIndex, start: int, stop: int) -> np.ndarray:
        """Return the values of the form, float32 [entries, photos]."""
        scores = np.empty((stop - start, len(self._weights)), np.float32)
        grouped = np.empty((len(self._members), stop - start), np.float32)
        for first in range(start, stop, BLOCK_ENTRIES):
            part = slice(first - start, min(first + BLOCK_ENTRIES, stop) - start)
            codes = self._codes[: part.stop - part.start]
            index.read_codes(self.label_set, first, codes)
            log_q = self._log_q[: len(codes)]
            np.copyto(log_q, codes)
            for photo, weights in enumerate(self._weights):
                scores[part, photo] = log_q @ weights
            grouped[:, part] = codes.T[self._members]
        if len(self._members):
            q = np.exp(grouped * np.float32(-PRECISION_NATS))
            added = np.stack([part.sum(axis=0) for part in np.split(q, self._ends[:-1])])
            scores += np.log(added).T @ self._group_weights
        return scores


@dataclass
class _Lowest:
    """Candidates for the `n` lowest scores among the entries seen so far."""

    n: int
    entries: np.ndarray = field(default_factory=lambda: np.array([], np.int64))
    scores: np.ndarray = field(default_factory=lambda: np.array([], np.float64))

    def add(self, start: int, scores: np.ndarray) -> None:
        """Consider the scores of the entries from `start` on."""
        near = np.flatnonzero(scores <= self._bound())
        self.entries = np.concatenate([self.entries, start + near])
        self.scores = np.concatenate([self.scores, scores[near]])
        # Stable: of equal entries, the earlier ones stay.
        order = np.argsort(self.scores, kind="stable")[: self.n + MAX_NEAR]
        self.entries, self.scores = self.entries[order], self.scores[order]
        n_kept = np.searchsorted(self.scores, self._bound(), side="right")
        self.entries, self.scores = self.entries[:n_kept], self.scores[:n_kept]

    def _bound(self) -> float:
        return (
            float(self.scores[self.n - 1]) + MARGIN_NATS
            if len(self.scores) >= self.n
            else np.finfo(np.float64).max
        )


def lowest(
    index: SoundIndex, forms: Sequence[LinearForm], offsets: Offsets, n: int
) -> list[np.ndarray]:
    """Return for each photo a set of entries that contains its `n` lowest scores.

    Parameters
    ----------
    index : SoundIndex
    forms : sequence of LinearForm
        At least one; the same photos in each.
    offsets : callable
        See `Offsets`.
    n : int
        Number of scores, at least 1.

    Returns
    -------
    list of ndarray of int64
        One array per photo, roughly sorted by score: `n` entries or, if scores lie within
        `MARGIN_NATS`, up to `MAX_NEAR` more; all entries of a smaller index.
    """
    passes = [_Pass(form) for form in forms]
    found = [_Lowest(n) for _ in forms[0].weights]
    for start in range(0, len(index), CHUNK_ENTRIES):
        stop = min(start + CHUNK_ENTRIES, len(index))
        scores = [each.scores(index, start, stop) for each in passes]
        others = offsets(start, stop)
        for photo, best in enumerate(found):
            best.add(start, others[:, photo] + sum(part[:, photo] for part in scores))
    return [best.entries for best in found]
