"""Rules by which mixes could be ranked for a photo: the one in use, and variants of it.

They work on a small index that is wholly in memory, and on arrays; what the product ranks by, and
why, is in `deepmersion.matching.rule`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hits import Photos

from deepmersion.index.file import SoundIndex
from deepmersion.labels import SharedClasses, miniplaces_labels, shared_objects, shared_scenes
from deepmersion.matching.rule import (
    CHOICE_TEMPERATURE_NATS,
    HEADS,
    MAX_SOUNDS,
    SOUNDS_SHARE,
    Evidence,
    choice_entropy,
    kl_divergence,
    log_project,
    power_shares,
    single_entries,
)
from deepmersion.matching.rule_2018 import reversed_kl_divergence

NEIGHBOURS = 100
"""Photos of the bank that an entry is nearest to, for the correction of hubs (CSLS)."""

LIKENESS_SCALE = 0.1
"""How fast a class's weight for another falls with their correlation."""


@dataclass(frozen=True)
class Variant:
    """A rule: the one in use unless said otherwise.

    Attributes
    ----------
    name : str
    weights : tuple of float
        What objects and scenes count.
    reversed : bool
        KL(mix ‖ photo) instead of KL(photo ‖ mix), as in 2018; nothing else then applies.
    centring : float
        How much of KL(u ‖ q) is subtracted.
    sounds_share, temperature_nats, max_sounds
        α, τ and the most sounds in a mix, as in `deepmersion.matching.rule`.
    penalty_nats : float
        What each sound beyond the first costs.
    sharpness : float
        Exponent of the photo's probabilities.
    levelling : float
        From 0 to 1: how far all entries are brought to one spread of log-probabilities.
    smoothing : float
        Share of the photo's probabilities that goes to classes which rise and fall together in
        the index.
    hubs : float
        How much of an entry's mean score for the nearest photos of the bank is subtracted (CSLS,
        Conneau et al. 2017).
    """

    name: str
    weights: tuple[float, float] = (1.0, 1.0)
    reversed: bool = False
    centring: float = 1.0
    sounds_share: float = SOUNDS_SHARE
    temperature_nats: float = CHOICE_TEMPERATURE_NATS
    max_sounds: int = MAX_SOUNDS
    penalty_nats: float = 0.0
    sharpness: float = 1.0
    levelling: float = 0.0
    smoothing: float = 0.0
    hubs: float = 0.0


@dataclass(frozen=True)
class Sounds:
    """A small index, all of it in memory, over the classes it shares with the networks."""

    names: tuple[str, ...]
    gains: np.ndarray
    singles: np.ndarray
    log_q: dict[str, np.ndarray]
    classes: dict[str, SharedClasses]

    @classmethod
    def of(cls, index: SoundIndex) -> Sounds:
        """Return what an index holds."""
        classes = {"objects": shared_objects(), "scenes": shared_scenes(miniplaces_labels())}
        return cls(
            index.sounds,
            index.gains,
            single_entries(index),
            {h: log_project(index.log_probs(h), classes[h]).astype(float) for h in HEADS},
            classes,
        )

    def evidence(self, photos: Photos) -> dict[str, np.ndarray]:
        """Return the photos' probabilities over the shared classes."""
        return {h: Evidence.of(getattr(photos.seen, h), self.classes[h]).probs for h in HEADS}

    def mixes(self, entries: np.ndarray) -> list[frozenset[str]]:
        """Return the names of the sounds in some entries."""
        return [
            frozenset(self.names[i] for i in np.flatnonzero(self.gains[entry])) for entry in entries
        ]


def scores(
    variant: Variant, sounds: Sounds, photos: Photos, bank: Photos | None = None
) -> np.ndarray:
    """Return what a variant ranks entries by, the lowest best, [entries, photos]."""
    total = _scores(variant, sounds, photos)
    if variant.hubs and bank is not None:
        allowed = np.isfinite(total[:, 0])
        nearest = np.sort(_scores(variant, sounds, bank)[allowed], axis=1)[:, :NEIGHBOURS]
        total[allowed] -= variant.hubs * nearest.mean(axis=1, keepdims=True)
    return total


def _scores(variant: Variant, sounds: Sounds, photos: Photos) -> np.ndarray:
    evidence = sounds.evidence(photos)
    divergences = [
        weight * _divergence(variant, evidence[head], sounds.log_q[head])
        for head, weight in zip(HEADS, variant.weights, strict=True)
    ]
    total = np.sum(divergences, axis=0)
    if variant.reversed:
        return np.asarray(total)
    shares, n_sounds = power_shares(sounds.gains), np.count_nonzero(sounds.gains, axis=1)
    total = (1 - variant.sounds_share) * total + variant.sounds_share * (
        shares @ total[sounds.singles]
    )
    own = variant.penalty_nats * (n_sounds - 1) - variant.temperature_nats * choice_entropy(shares)
    return np.where(n_sounds[:, None] <= variant.max_sounds, total + own[:, None], np.inf)


def _divergence(variant: Variant, p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    if variant.reversed:
        return reversed_kl_divergence(p, log_q)
    p = p**variant.sharpness / (p**variant.sharpness).sum(axis=1, keepdims=True)
    if variant.smoothing:
        p = (1 - variant.smoothing) * p + variant.smoothing * p @ _likeness(log_q)
    if variant.levelling:
        spread = log_q.std(axis=1, keepdims=True)
        log_q = log_q * (spread.mean() / spread) ** variant.levelling
    kl = kl_divergence(p, log_q)
    return kl - variant.centring * kl_divergence(np.full((1, p.shape[1]), 1 / p.shape[1]), log_q)


def _likeness(log_q: np.ndarray) -> np.ndarray:
    """Return for each class a distribution over those that rise and fall with it in an index."""
    centred = log_q - log_q.mean(axis=1, keepdims=True)
    correlation = np.corrcoef(centred.T)
    weight = np.exp(correlation / LIKENESS_SCALE)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
