"""The loop point: how it ranks among all other places of a sound, and where to put it.

A ring has no seam by itself, but its file has a first and a last sample. An encoder knows nothing
of what lies beyond them, and a file that happens to begin with an event seems to have a seam.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from synthesis.dsp import SAMPLE_RATE

HIGHEST_PERCENTILE = 95.0
"""A seam that ranks at or below this cannot be told from other places."""

FRAME = 1024
"""Length of a short-time spectrum, in samples: about the time that an ear resolves."""

HEARD_HZ = (40.0, 16_000.0)
HEARD_DB = 60.0
"""The flux is of lines in this range that are at most this far below their frame's highest."""

STEP_S = 0.1
"""The level step is between two stretches of this length, one before and one after."""

HOP_S = 0.05
"""How far apart the places are that a loop point is compared with."""

N_TURNS = 20
"""Places that are tried for a loop point; one in ten fails by chance alone."""


class Seam(NamedTuple):
    """How a place in a sound ranks among all others, in percent of them."""

    flux: float
    level_step: float

    @property
    def inaudible(self) -> bool:
        """Whether the place cannot be told from others."""
        return max(self) <= HIGHEST_PERCENTILE


def measure(x: np.ndarray, place: int = 0) -> Seam:
    """Return how a place in a ring [samples, channels] ranks; by default, its loop point."""
    places = np.append(place, np.arange(FRAME, x.shape[0], round(HOP_S * SAMPLE_RATE)))
    measures = (_fluxes(x, places), _level_steps(x, places))
    return Seam(*(float(100 * np.mean(values[1:] < values[0])) for values in measures))


def turns(x: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a ring [samples, channels] as it is, then begun at other places, far from each other.

    Each place is the golden ratio of the ring further on than the one before.
    """
    golden = (5**0.5 - 1) / 2
    for turn in range(N_TURNS):
        yield np.roll(x, -int((turn * golden) % 1.0 * x.shape[0]), axis=0)


def _frames(x: np.ndarray, starts: np.ndarray, size: int) -> np.ndarray:
    """Return stretches of a ring, [starts, size, channels]."""
    return np.take(x, starts[:, None] + np.arange(size), axis=0, mode="wrap")


def _fluxes(x: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the distance [places] in dB of the spectra just before and just after each place."""
    f = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE)
    heard = (f >= HEARD_HZ[0]) & (f <= HEARD_HZ[1])
    window = np.hanning(FRAME)[:, None]
    levels = []
    for starts in (places - FRAME, places):
        power = np.abs(np.fft.rfft(_frames(x, starts, FRAME) * window, axis=1)[:, heard]) ** 2
        floor = power.max(axis=1, keepdims=True) * 10 ** (-HEARD_DB / 10) + 1e-15
        levels.append(10 * np.log10(power + floor))
    return np.asarray(np.sqrt(np.mean((levels[1] - levels[0]) ** 2, axis=(1, 2))))


def _level_steps(x: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the change of level [places] in dB from just before to just after each place."""
    size = round(STEP_S * SAMPLE_RATE)
    ring = np.take(x, np.arange(-size, x.shape[0] + size), axis=0, mode="wrap")
    totals = np.concatenate([[0.0], np.cumsum(np.sum(ring**2, axis=1))])
    before = totals[places + size] - totals[places]
    after = totals[places + 2 * size] - totals[places + size]
    return np.asarray(np.abs(10 * np.log10((after + 1e-12) / (before + 1e-12))))
