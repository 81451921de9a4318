"""The air of a place: wide, quiet, slowly changing noise."""

from __future__ import annotations

import numpy as np

from synthesis import dsp

CENTRES_HZ = 62.5 * 2.0 ** np.arange(9)
"""Bands that ebb and swell independently."""

TOGETHER = 0.7
"""Share of the breathing common to all bands; the rest is each band's own."""

PERIODS_S = (50.0, 9.0)
"""Range of the periods in which the air breathes: slower than a breath, so it does not invite
counting."""

CONTROL_HZ = 10


def breathing_air(
    rng: np.random.Generator, n: int, spectrum_db: dict[float, float], depth_db: float
) -> np.ndarray:
    """Return the air of a place as stereo noise, float64 [n, 2], of about unit RMS.

    Parameters
    ----------
    spectrum_db : dict of float to float
        Spectral density in dB at frequencies in Hz, linear on a log axis between them.
    depth_db : float
        Deviation of the level of each band, in dB.
    """
    noise = dsp.diffuse_noise(rng, n, dsp.curve(spectrum_db))
    gains = 10 ** (breath(rng, n, depth_db) / 20)
    sides = [dsp.shape_ring(noise[:, c], CENTRES_HZ, gains) for c in range(2)]
    return np.stack(sides, axis=1)


def breath(rng: np.random.Generator, n: int, depth_db: float) -> np.ndarray:
    """Return slow curves [bands, points] in dB: the bands of `CENTRES_HZ` move mostly together."""
    seconds = n / dsp.SAMPLE_RATE
    curves = np.array(
        [
            dsp.gust_curve(rng, int(seconds * CONTROL_HZ), seconds, *PERIODS_S)
            for _ in range(len(CENTRES_HZ) + 1)
        ]
    )
    own = np.sqrt(1 - TOGETHER**2)
    return np.asarray(depth_db * (TOGETHER * curves[0] + own * curves[1:]))
