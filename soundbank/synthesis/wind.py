"""Wind: turbulent air over open ground, in dry grass, and round an edge that sings faintly.

The speed of the wind is a random curve with the spectrum of turbulence. Everything follows from
it: broadband noise whose bands grow with their own power of the speed (a stronger wind is louder
and brighter), the rustle of grass, and faint Aeolian tones whose pitch rises with it (Strouhal
1878). A gust travels past the listener, so the left hears it before the right.
"""

from __future__ import annotations

import numpy as np

from synthesis import dsp
from synthesis.lengths import N_SAMPLES

TITLE = "Wind"
MADE = (
    "Turbulent noise whose spectrum brightens with the speed of wandering gusts, with the rustle "
    "of dry grass and faint Aeolian tones that follow the same gusts from left to right."
)

PLACES = (-0.7, -0.25, 0.25, 0.7)
"""Where the wind is heard, from left to right."""

CROSSING_S = 1.2
"""Time a gust takes from the first place to the last."""

CONTROL_HZ = 50

GUSTS_S, GUST_DEPTH = (4.5, 0.3), 0.33
"""Periods of the gusts and the deviation of the speed's logarithm: shallower is the hum of a
ventilator, deeper and slower is heard as surf."""

EDDIES_S, EDDY_DEPTH = (0.8, 0.1), 0.125
"""The same for the eddies at each place by itself."""

CENTRES_HZ = 62.5 * 2.0 ** np.arange(9)
LEVELS_DB = (-4, 0, 0, -8, -16, -20.5, -23, -28, -36)
"""Level in each of `CENTRES_HZ` at the mean speed: the rumble of the air, then the hiss of the
ground it blows over. Recorded wind falls by 6 dB an octave and more; a hiss as loud as the rumble
is a wall of noise."""

POWERS = (1.2, 1.45, 1.7, 1.95, 2.2, 2.45, 2.7, 2.95, 3.2)
"""The amplitude of each band grows with the speed to this power."""

TONES_HZ, TONE_WIDTH_HZ, TONE_DB = (370.0, 560.0), 110.0, -30.0
"""Pitches at the mean speed, band width and level of the Aeolian tones. Narrower or louder ones
would be heard as a whistle, and a whistle all day is a nuisance."""

RUSTLES_A_SECOND, RUSTLE_DB = 4000, -25.0
"""How many blades of grass are heard touching, and their level at each place."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return the sound, float64 [samples, 2] at 44.1 kHz."""
    n = N_SAMPLES["wind"]
    seconds = n / dsp.SAMPLE_RATE
    points = int(seconds * CONTROL_HZ)
    gusts = GUST_DEPTH * dsp.gust_curve(rng, points, seconds, *GUSTS_S)
    out = np.zeros((n, 2))
    for place in PLACES:
        eddies = EDDY_DEPTH * dsp.gust_curve(rng, points, seconds, *EDDIES_S)
        speed = np.exp(np.roll(gusts, _delay(place)) + eddies)
        here = _air(rng, n, speed) + _rustle(rng, n, speed) * dsp.db(RUSTLE_DB)
        out += dsp.pan(here, place)[:n]
    for pitch_hz, place in zip(TONES_HZ, PLACES[1:3], strict=True):
        speed = np.exp(np.roll(gusts, _delay(place)))
        out += dsp.pan(_tone(rng, n, pitch_hz, speed), place)[:n] * dsp.db(TONE_DB)
    return dsp.join_bass(dsp.filter_ring(out, dsp.band(low_hz=35)))


def _delay(place: float) -> int:
    """Return when a gust arrives at a place, in control points."""
    return round((place - PLACES[0]) / (PLACES[-1] - PLACES[0]) * CROSSING_S * CONTROL_HZ)


def _air(rng: np.random.Generator, n: int, speed: np.ndarray) -> np.ndarray:
    """Return the noise of the moving air, [n]."""
    levels = np.array(LEVELS_DB)[:, None] + 20 * np.array(POWERS)[:, None] * np.log10(speed)
    return dsp.shape_ring(dsp.noise(rng, n, dsp.tilt(-3.0)), CENTRES_HZ, 10 ** (levels / 20))


def _rustle(rng: np.random.Generator, n: int, speed: np.ndarray) -> np.ndarray:
    """Return the ticks of grass blades, [n], of unit RMS: more of them in a gust."""
    t = np.arange(int(0.006 * dsp.SAMPLE_RATE)) / dsp.SAMPLE_RATE
    out = np.zeros(n)
    count = int(RUSTLES_A_SECOND / len(PLACES) * n / dsp.SAMPLE_RATE)
    for chunk in np.array_split(dsp.draw_times(rng, count, speed**2.5, n), 20):
        decay = rng.lognormal(np.log(0.0012), 0.4, len(chunk))[:, None]
        loud = rng.lognormal(0.0, 0.5, len(chunk))[:, None]
        burst = rng.standard_normal((len(chunk), len(t))) * (1 - np.exp(-t / 0.0004))
        dsp.scatter(out, chunk, loud * burst * np.exp(-t / decay))
    out = dsp.filter_ring(out, dsp.band(1800, 7000, order=1))
    return np.asarray(out / np.sqrt(np.mean(out**2)))


def _tone(rng: np.random.Generator, n: int, pitch_hz: float, speed: np.ndarray) -> np.ndarray:
    """Return an Aeolian tone, [n]: narrow noise about a pitch that follows the speed."""
    speed = speed / speed.mean()
    turns = np.cumsum(dsp.stretch(pitch_hz * speed**0.6, n)) / dsp.SAMPLE_RATE
    turns *= round(turns[-1]) / turns[-1]  # so that the ring closes at a whole turn
    real, imaginary = (dsp.slow_curve(rng, n, 2 / TONE_WIDTH_HZ, 0.0) for _ in range(2))
    angle = 2 * np.pi * turns
    loud = dsp.stretch(speed**2.0, n)
    return np.asarray(loud * (real * np.cos(angle) + imaginary * np.sin(angle)) / np.sqrt(2))
