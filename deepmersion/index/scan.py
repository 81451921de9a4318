"""The lowest scores of an index in one pass, in memory that does not grow with the index.

A divergence from a fixed photo is linear in the log-probabilities of the mixes, so what mixes are
ranked by is, for each photo,

    score(entry) = offset(entry) + Σ weight(class) log q(entry, class)

over the classes of one label set or more, and a pass over the index is a product of a large
matrix and one vector a photo. Classes may be added up before the logarithm; such a group is one
more column of the matrix, made on the way. To bring probabilities over fewer classes back to a
sum of 1 divides by another such group, that of all that are kept. Its logarithm counts by the sum
of the weights, and so not at all for a centred divergence, whose weights' sum is zero.

What is found here is found in single precision. The entries whose scores are too near to the
lowest to be told from them are found as well, so that who asked can rank them exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from deepmersion.index.file import PRECISION_NATS, SoundIndex

CHUNK_ENTRIES = 4096
"""Entries whose scores are looked at together."""

BLOCK_ENTRIES = 128
"""Entries read and multiplied at once: a processor core's own cache holds them, as they are stored
and as floating-point numbers (0.8 MB), and the product is too small to be shared out to threads,
which would wait more than work."""

MARGIN_NATS = 1e-3
"""Scores this near to each other count as equal here. Single precision leaves some 1e-5."""

MAX_NEAR = 1024
"""Entries found at most because they are near to the lowest: an index of equal mixes is searched
in bounded memory too."""

NO_WEIGHT = 1e-9
"""A sum of weights this small is zero but for rounding."""


Offsets = Callable[[int, int], np.ndarray]
"""From a range of entries to what is added to their scores for each photo, [entries, photos];
infinity for an entry that is not to be found."""


@dataclass(frozen=True)
class LinearForm:
    """The share of one label set in the scores: weights of log-probabilities over some columns.

    Attributes
    ----------
    head : {"objects", "scenes"}
        The label set of the index that the columns are made of.
    mapping : ndarray, shape = (classes,), int
        The column of each of its classes, -1 for none. The probabilities of classes of the same
        column are added up; those of all columns are then brought to a sum of 1.
    weights : ndarray, shape = (photos, columns), float64
        Of the columns' log-probabilities.
    """

    head: str
    mapping: np.ndarray
    weights: np.ndarray


class _Pass:
    """A linear form as a product with the classes' own log-probabilities and those of groups."""

    def __init__(self, form: LinearForm) -> None:
        self.head = form.head
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
        """Return the form's values, float32 [entries, photos]."""
        scores = np.empty((stop - start, len(self._weights)), np.float32)
        grouped = np.empty((len(self._members), stop - start), np.float32)
        for first in range(start, stop, BLOCK_ENTRIES):
            part = slice(first - start, min(first + BLOCK_ENTRIES, stop) - start)
            codes = self._codes[: part.stop - part.start]
            index.read_codes(self.head, first, codes)
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
    """The entries that may have the `n` lowest scores of those seen so far."""

    n: int
    entries: np.ndarray = field(default_factory=lambda: np.array([], np.int64))
    scores: np.ndarray = field(default_factory=lambda: np.array([], np.float64))

    def add(self, start: int, scores: np.ndarray) -> None:
        """See the scores of the entries from `start` on."""
        near = np.flatnonzero(scores <= self._bound())
        self.entries = np.concatenate([self.entries, start + near])
        self.scores = np.concatenate([self.scores, scores[near]])
        # Stable, so that of equal entries the earlier ones stay.
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
    """Return for each photo the entries among which its `n` lowest scores are.

    Parameters
    ----------
    index : SoundIndex
    forms : sequence of LinearForm
        At least one; the same photos in each.
    offsets : callable
        See `Offsets`.
    n : int
        How many are wanted, at least 1.

    Returns
    -------
    list of ndarray of int64
        One array a photo, about the lowest first: `n` entries or, where scores are nearer to
        each other than `MARGIN_NATS`, up to `MAX_NEAR` more; all of an index of fewer.
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
