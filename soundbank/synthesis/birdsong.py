"""Birdsong: syllables as pitch curves, performed slightly differently each time.

A syllable is one breath of a syrinx: an almost pure tone whose pitch follows a smooth curve,
sometimes with harmonics, a vibrato so fast that it buzzes, or a pitch so unsteady that it rasps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from synthesis.dsp import SAMPLE_RATE
from synthesis.events import fade


@dataclass(frozen=True)
class Syllable:
    """One tone of a song.

    Parameters
    ----------
    pitches_hz : tuple of float
        Pitches that the curve passes through at even spacing.
    duration_s, gap_s : float
        Length, and the silence after it.
    level : float
        Amplitude.
    vibrato_hz, vibrato_depth : float
        Rate of a fast vibrato and its depth as a share of the pitch.
    harmonics : tuple of float
        Amplitudes of the second harmonic and those above.
    roughness : float
        Deviation of the pitch from one millisecond to the next, as a share: some hundredths
        rasp, some tenths leave hardly a tone.
    """

    pitches_hz: tuple[float, ...]
    duration_s: float
    gap_s: float = 0.03
    level: float = 1.0
    vibrato_hz: float = 0.0
    vibrato_depth: float = 0.0
    harmonics: tuple[float, ...] = ()
    roughness: float = 0.0


TUNE, TEMPO, GAPS, LEVELS = 0.01, 0.03, 0.14, 0.15
"""Variation of a phrase's notes: deviations of pitch and tempo, as shares, and of the logarithms of
pauses and levels. Birds are precise, but do not produce identical notes."""

SWELLING = 5.0
"""Part of a phrase after which it has its full level: 5 is a fifth."""

Phrase = list[Syllable]
Species = Callable[[np.random.Generator], Phrase]


def sing_syllable(
    rng: np.random.Generator, syllable: Syllable, absorb_db: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return a syllable as sound [samples], after absorption by air and leaves.

    Parameters
    ----------
    absorb_db : callable
        Absorption along the path, in dB, as a function of frequencies in Hz.
    """
    from scipy.interpolate import PchipInterpolator

    n = max(64, int(syllable.duration_s * SAMPLE_RATE))
    x = np.linspace(0, 1, n)
    knots = np.log(np.array(syllable.pitches_hz)) + rng.normal(0, 0.006, len(syllable.pitches_hz))
    pitch = np.exp(PchipInterpolator(np.linspace(0, 1, knots.size), knots)(x))
    vibrato = np.sin(2 * np.pi * syllable.vibrato_hz * x * syllable.duration_s + rng.uniform(0, 6))
    pitch = pitch * (1 + syllable.vibrato_depth * vibrato)
    if syllable.roughness:
        pitch = pitch * (1 + syllable.roughness * uneven(rng, n, 1000.0))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    tone = np.zeros(n)
    for k, amplitude in enumerate((1.0, *syllable.harmonics), start=1):
        tone += amplitude * 10 ** (-absorb_db(k * pitch) / 20) * np.sin(k * phase)
    swell = np.sin(np.pi * x ** rng.uniform(0.6, 1.2)) ** 0.6
    return fade(syllable.level * swell * tone, 0.004, 0.006)


def uneven(rng: np.random.Generator, n: int, rate_hz: float) -> np.ndarray:
    """Return a random course [n] of zero mean and unit deviation at `rate_hz` points a second."""
    points = rng.standard_normal(int(n * rate_hz / SAMPLE_RATE) + 2)
    return np.asarray(
        np.interp(np.arange(n) * rate_hz / SAMPLE_RATE, np.arange(points.size), points)
    )


def varied(rng: np.random.Generator, phrase: Phrase) -> Phrase:
    """Return a variation of a phrase: every note a little different, the first ones softer."""
    tempo, tune = rng.normal(1, TEMPO), rng.normal(1, TUNE)
    swelling = np.linspace(0, SWELLING, len(phrase)).clip(max=1) ** 0.7
    return [
        replace(
            note,
            pitches_hz=tuple(tune * f * rng.normal(1, TUNE) for f in note.pitches_hz),
            duration_s=note.duration_s * tempo * rng.normal(1, 2 * TEMPO),
            gap_s=note.gap_s * tempo * rng.lognormal(0, GAPS),
            level=note.level * (0.35 + 0.65 * swell) * rng.lognormal(0, LEVELS),
        )
        for note, swell in zip(phrase, swelling, strict=True)
    ]
