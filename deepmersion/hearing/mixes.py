"""Superimpositions: the gains of base sounds that play together."""

from __future__ import annotations

import itertools
import math

import numpy as np

from deepmersion.errors import RequestError

MAX_PAIRED_SOUNDS = 200
"""The most sounds whose pairs are heard unless max_layers says more: 20,100 mixes, a quarter of an
hour on two cores. What SoundNet hears in a pair counts 5 % of its score, and without it as many
photos are matched well (docs/scale.md); 500 sounds would take well over an hour."""

NEIGHBOURHOOD = 8
"""Sounds in a group: the pairs of two groups are 64 mixes of 16 sounds (see `neighbours`)."""


def count_superimpositions(n_sounds: int, max_layers: int | None = None) -> int:
    """Return the number of mixes of one to `max_layers` out of `n_sounds` sounds."""
    if max_layers is None or max_layers >= n_sounds:
        return (1 << n_sounds) - 1
    return sum(math.comb(n_sounds, k) for k in range(1, max_layers + 1))


def superimpositions(n_sounds: int, max_layers: int | None = None) -> np.ndarray:
    """Return the gains of every mix of one to `max_layers` sounds, each sound at full level.

    Parameters
    ----------
    n_sounds : int
        Number of base sounds.
    max_layers : int or None
        Maximum number of sounds in one mix; None for no limit.

    Returns
    -------
    ndarray, shape = (entries, n_sounds), float32
        Linear gains, 0 or 1, single sounds first, in a fixed order.

    Raises
    ------
    RequestError
        When `max_layers` is below 1.
    """
    if max_layers is not None and max_layers < 1:
        raise RequestError("the most sounds in a mix (--max-layers) must be at least 1")
    layers = range(1, min(max_layers or n_sounds, n_sounds) + 1)
    subsets = itertools.chain.from_iterable(
        itertools.combinations(range(n_sounds), k) for k in layers
    )
    gains = np.zeros((count_superimpositions(n_sounds, max_layers), n_sounds), dtype=np.float32)
    for entry, subset in enumerate(subsets):
        gains[entry, list(subset)] = 1.0
    return gains


def neighbours(gains: np.ndarray) -> np.ndarray:
    """Return an order of mixes in which those that share sounds are near each other.

    SoundNet's first layer then responds to few sounds for many mixes (`hearing.fast_soundnet`).
    Sounds are divided into groups; mixes of the same groups come together.

    Parameters
    ----------
    gains : ndarray, shape = (mixes, sounds)

    Returns
    -------
    ndarray, shape = (mixes,), int64
        Indices of the mixes; those of few sounds first.
    """
    heard = gains != 0
    starts = np.arange(0, gains.shape[1], NEIGHBOURHOOD)
    # Inverted, for groups of the first sounds to come first.
    groups = np.packbits(~np.logical_or.reduceat(heard, starts, axis=1), axis=1)
    return np.lexsort([*groups.T[::-1], heard.sum(axis=1)])
