"""Which mix belongs to a photo: the lowest centred KL divergence.

Let p be what the image networks see in a photo and q what SoundNet hears in a mix, over the
classes both know. SoundNet was trained by minimising KL(p ‖ q) (Aytar et al. 2016, section 3.1),

    KL(p ‖ q) = Σ p log p - Σ p log q,

and the mix that fits best would be the one with the least. But some mixes are near to every
photo (hubs): those of which SoundNet has no clear opinion, whose q is flat. What such a mix has
in common with all photos says nothing about this one. So its divergence from a photo of which
nothing is known, the uniform distribution u, is subtracted:

    centred(p, q) = KL(p ‖ q) - KL(u ‖ q) = Σ (u - p) log q + constant of p.

What is left compares what is special about the photo with what is special about the mix. Objects
and scenes are two such figures; they are added up. Each sound beyond the first costs a little, for
a mix of many sounds suggests a little of everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepmersion.index import SoundIndex
from deepmersion.labels import SharedClasses, project
from deepmersion.searching import LinearForm, lowest

HEADS = ("objects", "scenes")
"""The two label sets: ImageNet's objects and the Places networks' scenes."""

LAYER_PENALTY_NATS = 0.4
"""What each sound beyond the first has to gain in divergence to be worth adding."""

SMALLEST_PROB = 1e-14
"""Probabilities below this are taken as this before their logarithm; those of an index are not."""


@dataclass(frozen=True)
class Match:
    """A mix that was chosen for a photo.

    Attributes
    ----------
    entry : int
        Its number in the index.
    gains : ndarray, shape = (sounds,), float32
        Linear gains of the base sounds.
    kl : float
        Sum of the divergences KL(photo ‖ mix) of the label sets in use, in nats.
    kl_by_head : mapping of str to float
        The divergence of each label set in use, in nats.
    score : float
        What mixes are ranked by, lowest first: the centred divergence and the cost of layers,
        in nats. Comparable between mixes for one photo, not between photos.
    """

    entry: int
    gains: np.ndarray
    kl: float
    kl_by_head: Mapping[str, float]
    score: float


@dataclass(frozen=True)
class Evidence:
    """What is seen in some photos, over the classes of one label set that SoundNet knows too.

    Attributes
    ----------
    classes : SharedClasses
    probs : ndarray, shape = (photos, shared classes), float64
        Rows sum to 1.
    """

    classes: SharedClasses
    probs: np.ndarray

    @classmethod
    def of(cls, probs: np.ndarray, classes: SharedClasses) -> Evidence:
        """Return the evidence in an image network's probabilities [photos, classes]."""
        return cls(classes, project(probs, classes.image, len(classes.names)))


def log_project(log_probs: np.ndarray, classes: SharedClasses) -> np.ndarray:
    """Return SoundNet's log-probabilities over shared classes, float32 [entries, shared]."""
    if classes.identical:
        return log_probs
    shared = project(np.exp(log_probs), classes.sound, len(classes.names))
    return np.asarray(np.log(np.maximum(shared, SMALLEST_PROB)), dtype=np.float32)


def kl_divergence(p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Return KL(p ‖ q) in nats of every photo from every entry, [entries, photos].

    Parameters
    ----------
    p : ndarray, shape = (photos, classes)
        Probabilities; zero counts as zero (0 log 0 = 0).
    log_q : ndarray, shape = (entries, classes)
        Log-probabilities in nats.
    """
    negative_entropy = np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=1)
    return np.asarray(negative_entropy[None, :] - log_q @ p.T)


def centred_kl_divergence(p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Return KL(p ‖ q) - KL(u ‖ q) in nats, u being uniform, [entries, photos]."""
    uniform = np.full((1, p.shape[1]), 1 / p.shape[1])
    return np.asarray(kl_divergence(p, log_q) - kl_divergence(uniform, log_q))


def search(
    index: SoundIndex,
    evidence: Mapping[str, Evidence],
    top: int = 1,
    layer_penalty_nats: float = LAYER_PENALTY_NATS,
) -> list[list[Match]]:
    """Return the best mixes of an index for each photo, the best first.

    Parameters
    ----------
    index : SoundIndex
    evidence : mapping of str to Evidence
        By label set (`HEADS`), one or both; the same photos in each.
    top : int
        How many mixes.
    layer_penalty_nats : float
        See `LAYER_PENALTY_NATS`.
    """
    penalties = layer_penalty_nats * (np.count_nonzero(index.gains, axis=1) - 1)
    forms = [
        LinearForm(head, seen.classes.sound, centred_weights(seen.probs))
        for head, seen in evidence.items()
    ]
    return [
        _ranked(index, evidence, photo, entries, penalties)[:top]
        for photo, entries in enumerate(lowest(index, forms, penalties, top))
    ]


def centred_weights(p: np.ndarray) -> np.ndarray:
    """Return u - p, what log q counts by in the centred divergence from photos, as `p`."""
    return np.asarray(1 / p.shape[1] - p)


def _ranked(
    index: SoundIndex,
    evidence: Mapping[str, Evidence],
    photo: int,
    entries: np.ndarray,
    penalties: np.ndarray,
) -> list[Match]:
    """Return entries as matches for one photo, ranked by the definition in double precision."""
    matches = []
    for entry in sorted(map(int, entries)):
        kl: dict[str, float] = {}
        score = float(penalties[entry])
        for head, seen in evidence.items():
            log_q = log_project(index.log_probs(head, entry, entry + 1), seen.classes)
            p = seen.probs[photo : photo + 1]
            kl[head] = float(kl_divergence(p, log_q)[0, 0])
            score += float(centred_kl_divergence(p, log_q)[0, 0])
        matches.append(Match(entry, index.gains[entry], sum(kl.values()), kl, score))
    # The sort is stable: between equal mixes the earlier wins.
    return sorted(matches, key=lambda match: match.score)
