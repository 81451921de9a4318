"""The rule of the first prototype (2018), kept for comparison.

It chose the mix with the lowest

    KL(q ‖ p) = Σ q log q - Σ q log p,

summed over objects and scenes, where q is what SoundNet hears in the mix and p what the image
networks see. That is the reverse of the direction in which SoundNet was trained, and does nothing
against hubs. The prototype took the minimum over short windows of time. An index holds the average
over time, so this version lacks the original's bias towards long and varied sounds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from deepmersion.index.file import SoundIndex
from deepmersion.matching.rule import Evidence, Match, kl_divergence, log_project

CHUNK_ENTRIES = 2048
"""Entries compared at once: 12 MB of log-probabilities."""

SMALLEST_PROB = 1e-9
"""Lower bound on the photo's probabilities: a class that the network rules out and the mix does not
would otherwise rule out the mix."""


def search_as_in_2018(
    index: SoundIndex, evidence: Mapping[str, Evidence], top: int = 1
) -> list[list[Match]]:
    """Return an index's best mixes for each photo by the rule of 2018, the best first.

    Parameters
    ----------
    index : SoundIndex
    evidence : mapping of str to Evidence
        By label set, one or both; the same photos in each.
    top : int
        Number of mixes.

    Raises
    ------
    IndexFileError
        When the index is damaged.
    """
    n_photos = len(next(iter(evidence.values())).probs)
    best: list[list[Match]] = [[] for _ in range(n_photos)]
    for start in range(0, len(index), CHUNK_ENTRIES):
        stop = min(start + CHUNK_ENTRIES, len(index))
        kl, scores = {}, np.zeros((stop - start, n_photos))
        for label_set, seen in evidence.items():
            log_q = log_project(index.log_probs(label_set, start, stop), seen.classes)
            kl[label_set] = kl_divergence(seen.probs, log_q)
            scores += reversed_kl_divergence(seen.probs, log_q)
        for photo, matches in enumerate(best):
            for i in np.argsort(scores[:, photo], kind="stable")[:top]:
                by_label_set = {
                    label_set: float(values[i, photo]) for label_set, values in kl.items()
                }
                total, score = sum(by_label_set.values()), float(scores[i, photo])
                matches.append(
                    Match(start + int(i), index.gains[start + i], total, by_label_set, score)
                )
            best[photo] = sorted(matches, key=lambda match: match.score)[:top]
    return best


def reversed_kl_divergence(p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Return KL(q ‖ p) in nats of every entry from every photo, [entries, photos].

    Parameters
    ----------
    p : ndarray, shape = (photos, classes)
        Probabilities.
    log_q : ndarray, shape = (entries, classes)
        Log-probabilities in nats.
    """
    q = np.exp(log_q.astype(np.float64))
    negative_entropy = np.sum(q * log_q, axis=1, keepdims=True)
    return np.asarray(negative_entropy - q @ np.log(np.maximum(p, SMALLEST_PROB)).T)
