"""How far the point where a loop starts again can be told from any other place in it.

Two figures are taken at the loop point and at many other places: how much the level steps, which
finds a change of loudness, and how much the spectrum changes at once, which finds a click or
another sound. Neither means much by itself, for rain is rougher than a bowl. What counts is its
rank among those of the same sound.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LEVEL_S = 0.1
"""Time on either side over which a level is taken: about what the ear takes to judge loudness."""

FRAME_SAMPLES = 1024
"""23 ms at 44.1 kHz: a click fills the spectrum of a frame this short, and tones are still told
apart."""

HOP_SAMPLES = FRAME_SAMPLES // 4

MASKED_DB = 60.0
"""Frequencies so far below the loudest one are not heard beside it. What lossy codecs leave of them
differs from end to beginning, and must not count."""

_MASKED = 10 ** (-MASKED_DB / 20)

AUDIBLE_HZ = 16_000.0
"""Frequencies above this are not looked at, for the same reason: few adults hear them, and lossy
codecs keep little of them."""

SMALLEST = 1e-12
"""Powers and magnitudes below this are taken as this before a logarithm or a division. As a power
it is -120 dB, far below the rounding of 16 bits."""

N_PLACES = 500
"""Places that the loop point is compared with: ranks are then true to a per cent or two."""

PLACES_AT_ONCE = 50
"""Bounds the memory to some ten megabytes."""


class Seam(NamedTuple):
    """The loop point, compared with the rest of the loop.

    Attributes
    ----------
    step_db : float
        How much the level differs between the time before it and after, in dB.
    step_rank : float
        Share of the other places that have a smaller step, from 0 to 1.
    flux : float
        Spectral flux: how much of a frame's spectrum is new, each frequency relative to what it
        is in this loop on average, so that treble counts beside loud bass. No unit.
    flux_rank : float
        Share of the other places that have less of it, from 0 to 1.
    """

    step_db: float
    step_rank: float
    flux: float
    flux_rank: float


def measure_seam(loop: np.ndarray, sample_rate: int) -> Seam:
    """Return how the loop point of a loop compares with other places in it.

    Parameters
    ----------
    loop : ndarray, shape = (samples, channels), float32
        One round; at least a second.
    sample_rate : int
        In Hz.
    """
    n_level = round(LEVEL_S * sample_rate)
    # Places far enough from the loop point not to hear it, the same ones each time.
    margin = n_level + FRAME_SAMPLES
    random = np.random.default_rng(0)
    others = np.sort(random.integers(margin, len(loop) - margin, N_PLACES))
    places = np.concatenate([[0], others])
    steps = level_steps(loop, places, n_level)
    fluxes = spectral_fluxes(loop, places, sample_rate)
    return Seam(
        step_db=float(steps[0]),
        step_rank=float(np.mean(steps[1:] < steps[0])),
        flux=float(fluxes[0]),
        flux_rank=float(np.mean(fluxes[1:] < fluxes[0])),
    )


def level_steps(loop: np.ndarray, places: np.ndarray, n_samples: int) -> np.ndarray:
    """Return the difference in level between the times before and after places in a loop.

    Parameters
    ----------
    loop : ndarray, shape = (samples, channels)
    places : ndarray, shape = (places,), int
        Samples of the loop.
    n_samples : int
        Length of the time on either side, in samples.

    Returns
    -------
    ndarray, shape = (places,), float64
        Magnitudes, in dB; silence counts as -120 dB.
    """
    power = np.square(loop, dtype=np.float64).mean(axis=1)
    ring = np.concatenate([power[-n_samples:], power, power[:n_samples]])
    total = np.concatenate([[0.0], np.cumsum(ring)])
    before = total[places + n_samples] - total[places]
    after = total[places + 2 * n_samples] - total[places + n_samples]
    # Sums of a running total are not exact: differences may lie just below zero.
    levels = [10 * np.log10(np.maximum(x / n_samples, SMALLEST)) for x in (before, after)]
    return np.asarray(np.abs(levels[1] - levels[0]))


def spectral_fluxes(loop: np.ndarray, places: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the largest spectral flux around places in a loop.

    Frames overlap by three quarters, so that what happens at a place is in the middle of one.

    Parameters
    ----------
    loop : ndarray, shape = (samples, channels)
    places : ndarray, shape = (places,), int
        Samples of the loop.
    sample_rate : int
        In Hz.

    Returns
    -------
    ndarray, shape = (places,), float64
        Mean over the audible frequencies of what a frame has more than the one before it, each
        frequency relative to its mean; the largest for the frames that touch the place.
    """
    parts = np.array_split(places, -(-len(places) // PLACES_AT_ONCE))
    n_audible = int(AUDIBLE_HZ * FRAME_SAMPLES / sample_rate)
    spectra = np.concatenate([_spectra(loop, part)[..., :n_audible] for part in parts])
    # Beside the loudest frequency of the same place, or of the sound on average.
    spectra = np.maximum(spectra, spectra.max(axis=(1, 2), keepdims=True) * _MASKED)
    usual = spectra.mean(axis=(0, 1))
    usual = np.maximum(usual, max(SMALLEST, usual.max() * _MASKED))
    rises = np.maximum(np.diff(spectra / usual, axis=1), 0)
    return np.asarray(rises.mean(axis=2).max(axis=1), dtype=np.float64)


def _spectra(loop: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return magnitudes [places, frames, frequencies] of the frames around some places."""
    starts = np.arange(-FRAME_SAMPLES - HOP_SAMPLES, HOP_SAMPLES + 1, HOP_SAMPLES)
    offsets = starts[:, None] + np.arange(FRAME_SAMPLES)
    frames = np.take(loop, places[:, None, None] + offsets, axis=0, mode="wrap")
    window = np.hanning(FRAME_SAMPLES).astype(np.float32)[:, None]
    spectra = np.abs(np.fft.rfft(frames * window, axis=2))
    return np.asarray(spectra.mean(axis=3), dtype=np.float32)
