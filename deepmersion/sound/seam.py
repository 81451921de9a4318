"""Compares a loop's seam with every other place of the loop.

Two figures are measured at the loop point and throughout the loop: the step in level, which reveals
a fade or a jump in loudness, and the spectral flux, which reveals a click or a change of sound.
Rain is rougher than a bowl, so their absolute values mean little: what counts is the rank of the
loop point among all places of the same sound.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import NamedTuple

import numpy as np

from deepmersion.sound.analysis import FRAME_HOPS, HOP_SAMPLES, SMALLEST, spectrogram

LEVEL_S = 0.1
"""Time on either side over which a level is averaged: about the ear's integration time for
loudness."""


class Seam(NamedTuple):
    """The loop point, compared with the rest of the loop.

    Attributes
    ----------
    step_db : float
        Difference in level between the 0.1 s before it and the 0.1 s after, in dB.
    step_rank : float
        Share of the other places with a smaller step, from 0 to 1.
    flux_db : float
        Spectral flux, in dB; see `Spectrogram.flux`.
    flux_rank : float
        Share of the other places with less flux, from 0 to 1.
    """

    step_db: float
    step_rank: float
    flux_db: float
    flux_rank: float

    @property
    def rank(self) -> float:
        """The higher rank of the two."""
        return max(self.step_rank, self.flux_rank)


def measure_seam(loop: np.ndarray, sample_rate: int) -> Seam:
    """Compare the loop point with the other places of a loop.

    Parameters
    ----------
    loop : ndarray, shape = (samples, channels), float32 or float64
        One round; at least half a second.
    sample_rate : int
        In Hz.
    """
    steps, fluxes = level_steps(loop, sample_rate), place_fluxes(loop, sample_rate)
    return Seam(*_ranked(steps), *_ranked(fluxes))


def _ranked(values: np.ndarray) -> tuple[float, float]:
    return float(values[0]), float(np.mean(values[1:] < values[0]))


def level_steps(loop: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the step in level at the loop point, then at every HOP_SAMPLES after it.

    Returns
    -------
    ndarray, shape = (places,), float64
        Magnitudes, in dB; silence counts as -100 dB. Places too close to the loop point to be
        independent of it are left out.
    """
    n = round(LEVEL_S * sample_rate)
    # numpy's own mean is slow along so short an axis.
    power = reduce(np.add, np.square(loop, dtype=np.float64).T) / loop.shape[1]
    total = np.concatenate([[0.0], np.cumsum(np.concatenate([power[-n:], power, power[:n]]))])
    places = np.r_[0, np.arange(n, len(loop) - n, HOP_SAMPLES)]
    sums = np.diff(total[places[:, None] + [0, n, 2 * n]])
    # Differences of a running total are not exact, and may lie just below zero.
    levels = 10 * np.log10(np.maximum(sums / n, SMALLEST))
    return np.asarray(np.abs(np.diff(levels)[:, 0]))


def place_fluxes(loop: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the spectral flux at the loop point, then at every HOP_SAMPLES after it.

    Returns
    -------
    ndarray, shape = (places,), float64
        In dB: the largest of the frames that touch the place. Places that share frames with the
        loop point are left out.
    """
    # The flux ignores what precedes the ring's first frames, so the loop point is moved away from
    # them.
    middle = len(loop) // (2 * HOP_SAMPLES)
    found = spectrogram(np.roll(loop, middle * HOP_SAMPLES, axis=0), sample_rate)
    # Flux finds onsets; backwards, it finds endings.
    backwards = replace(found, bands=found.bands[:, ::-1])
    flux = np.maximum(found.flux, backwards.flux[::-1])[FRAME_HOPS:-FRAME_HOPS]
    largest = np.lib.stride_tricks.sliding_window_view(flux, FRAME_HOPS + 1).max(axis=1)
    at = middle - FRAME_HOPS - FRAME_HOPS // 2
    others = np.r_[largest[: at - FRAME_HOPS], largest[at + FRAME_HOPS + 1 :]]
    return np.asarray(np.r_[largest[at], others], dtype=np.float64)
