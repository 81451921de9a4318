"""Rules for ranking mixes: the one in use, and variants of it.

They work on arrays and on a small index in memory. The rule in use is explained in
`deepmersion.matching.rule` and `deepmersion.matching.witnesses`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from hits import Photos

from deepmersion.index.file import SoundIndex
from deepmersion.labels import (
    SharedClasses,
    condition_labels,
    miniplaces_labels,
    object_labels,
    shared_objects,
    shared_scenes,
)
from deepmersion.matching.rule import (
    CHOICE_TEMPERATURE_NATS,
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
from deepmersion.matching.witnesses import HOME_NATS, homes
from deepmersion.request import LABEL_SETS
from deepmersion.sound.bank import SoundBank


@dataclass(frozen=True)
class Variant:
    """A rule; by default the one in use.

    Attributes
    ----------
    name : str
    soundnet : float
        Weight of SoundNet's predictions.
    home_nats : mapping of str to float
        L by label set; one that is left out has no say.
    reversed : bool
        KL(mix ‖ photo) instead of KL(photo ‖ mix), as in 2018; the other parameters then do not
        apply.
    centring : float
        Share of KL(u ‖ q) to subtract.
    sounds_share, temperature_nats, max_sounds
        α, τ and the maximum number of sounds in a mix.
    """

    name: str
    soundnet: float = 1.0
    home_nats: Mapping[str, float] = field(default_factory=lambda: HOME_NATS)
    reversed: bool = False
    centring: float = 1.0
    sounds_share: float = SOUNDS_SHARE
    temperature_nats: float = CHOICE_TEMPERATURE_NATS
    max_sounds: int = MAX_SOUNDS


@dataclass(frozen=True)
class Sounds:
    """A small index in memory, over the classes that it shares with the networks.

    Attributes
    ----------
    names : tuple of str
    gains : ndarray, shape = (entries, sounds), float32
    singles : ndarray, shape = (sounds,), int
        The entry of each sound alone.
    log_q : dict of str to ndarray, shape = (entries, shared classes)
        By label set, in nats.
    classes : dict of str to SharedClasses
    home : dict of str to ndarray, shape = (sounds, classes), bool
        Homes of the sounds, by label set.
    """

    names: tuple[str, ...]
    gains: np.ndarray
    singles: np.ndarray
    log_q: dict[str, np.ndarray]
    classes: dict[str, SharedClasses]
    home: dict[str, np.ndarray]

    @classmethod
    def of(cls, index: SoundIndex, bank: SoundBank) -> Sounds:
        """Return the contents of an index, with the homes of the bank's sounds."""
        classes = {"objects": shared_objects(), "scenes": shared_scenes(miniplaces_labels())}
        labels = {
            "objects": object_labels(),
            "scenes": miniplaces_labels(),
            "conditions": condition_labels(),
        }
        return cls(
            index.sounds,
            index.gains,
            single_entries(index),
            {n: log_project(index.log_probs(n), classes[n]).astype(float) for n in LABEL_SETS},
            classes,
            homes([sound.known_kind for sound in bank.sounds], labels),
        )

    def mixes(self, entries: np.ndarray) -> list[frozenset[str]]:
        """Return the names of the sounds in some entries."""
        return [
            frozenset(self.names[i] for i in np.flatnonzero(self.gains[entry])) for entry in entries
        ]


def scores(variant: Variant, sounds: Sounds, photos: Photos) -> np.ndarray:
    """Return a variant's scores of entries, the lowest best, [entries, photos]."""
    seen = photos.seen.by_label_set
    heard = np.sum(
        [
            _divergence(
                variant, Evidence.of(seen[name], sounds.classes[name]).probs, sounds.log_q[name]
            )
            for name in LABEL_SETS
        ],
        axis=0,
    )
    if variant.reversed:
        return np.asarray(heard)
    known = np.zeros((len(sounds.names), heard.shape[1]))
    for name, nats in variant.home_nats.items():
        home = sounds.home[name].astype(float)
        known += nats * (home.mean(axis=1)[:, None] - home @ seen[name].T)
    shares, n_sounds = power_shares(sounds.gains), np.count_nonzero(sounds.gains, axis=1)
    alone = variant.sounds_share * variant.soundnet * heard[sounds.singles] + known
    total = (1 - variant.sounds_share) * variant.soundnet * heard + shares @ alone
    total -= variant.temperature_nats * choice_entropy(shares)[:, None]
    return np.where(n_sounds[:, None] <= variant.max_sounds, total, np.inf)


def _divergence(variant: Variant, p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    if variant.reversed:
        return reversed_kl_divergence(p, log_q)
    uniform = np.full((1, p.shape[1]), 1 / p.shape[1])
    return kl_divergence(p, log_q) - variant.centring * kl_divergence(uniform, log_q)
