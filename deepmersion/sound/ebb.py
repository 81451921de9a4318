"""The ebb and swell of a layer: a slow, smooth random course of its level."""

from __future__ import annotations

import math
from collections import deque
from functools import lru_cache
from itertools import pairwise

import numpy as np

from deepmersion.sound.recording import SAMPLE_RATE

MOST_DB = 8.0
"""Largest change of level in either direction, at an ebb of 1; two thirds of the time it stays
within a third of that."""

EBB = 0.3
"""Default ebb, 2.4 dB either way: heard as breathing, without losing a layer, and five minutes of
gusty wind still have the common loudness within some half a LU."""

KNOT_S = 15.0
"""Time between the random numbers that the course is drawn through: it swells within half a minute
and comes back within about a minute, too slowly to sound like a fader."""

_HIGHEST = 2 / 3
"""Maximum of the spline through halved differences of numbers from -1 to 1."""


def _weights(share: float) -> list[float]:
    """Return the weights of the last five random numbers, `share` of the way between two knots.

    The course is a cubic B-spline over the knots, smooth to its curvature, so it never changes
    faster than they do. Each knot is the difference of two successive numbers: their sum stays near
    zero over any time, and with it the mean level of a minute near that of an hour.
    """
    x, y = share, 1 - share
    knots = [y**3, 4 - 6 * x**2 + 3 * x**3, 4 - 6 * y**2 + 3 * y**3, x**3]
    edged = [0.0, *(weight / 6 for weight in knots), 0.0]
    return [(before - after) / (2 * _HIGHEST) for before, after in pairwise(edged)]


def mean_power_db(most_db: float) -> float:
    """Return by how much a course that goes `most_db` up and down raises the mean power, in dB."""
    weights = np.array([_weights(share) for share in np.linspace(0, 1, 33)[:-1]])
    exponents = most_db * math.log(10) / 10 * weights
    # The mean of exp(a u) over u from -1 to 1 is sinh(a) / a; the numbers are independent.
    safe = np.where(np.abs(exponents) < 1e-9, 1e-9, exponents)
    return float(10 * np.log10((np.sinh(safe) / safe).prod(axis=1).mean()))


@lru_cache(maxsize=1)
def _shares(n_samples: int) -> np.ndarray:
    return np.arange(n_samples, dtype=np.float32) / n_samples


class Ebb:
    """The course of one layer's gain, whose mean power is 1.

    Parameters
    ----------
    ebb : float
        From 0, which leaves the level as it is, to 1: up to `MOST_DB` either way.
    random : numpy.random.Generator
    """

    def __init__(self, ebb: float, random: np.random.Generator) -> None:
        self._most_db = ebb * MOST_DB
        self._mean_db = mean_power_db(self._most_db)
        self._random = random
        self._numbers = deque(random.uniform(-1, 1, 5).tolist(), maxlen=5)
        self._position = 0
        self._gain = self._gain_here()

    def gains(self, n_samples: int) -> np.ndarray:
        """Return the linear gains of the next samples, [samples] float32."""
        self._position += n_samples
        while self._position >= KNOT_S * SAMPLE_RATE:
            self._position -= round(KNOT_S * SAMPLE_RATE)
            self._numbers.append(self._random.uniform(-1, 1))
        start, self._gain = self._gain, self._gain_here()
        # Linear within a block: in a fifth of a second the course hardly bends.
        if not self._most_db:
            return np.ones(n_samples, dtype=np.float32)
        return np.asarray(np.float32(start) + np.float32(self._gain - start) * _shares(n_samples))

    def _gain_here(self) -> float:
        weights = _weights(self._position / (KNOT_S * SAMPLE_RATE))
        course = sum(weight * number for weight, number in zip(weights, self._numbers, strict=True))
        return math.exp((self._most_db * course - self._mean_db) * math.log(10) / 20)
