"""Wind: turbulent air over open ground, in dry grass, and around a faintly singing edge.

The speed of the wind is a random curve with the spectrum of turbulence. Everything follows from it:
broadband noise, each band of which grows with its own power of the speed (a stronger wind is louder
and brighter), the rustle of grass, and faint Aeolian tones whose pitch rises with it (Strouhal
1878). The rumble is air at the ear and follows every eddy there. Hiss and rustle come from a wide
stretch of ground, on which small eddies average out, so they swell only with whole gusts. A gust
travels past the listener, and the left hears it before the right.
"""

from __future__ import annotations

import numpy as np

from synthesis import dsp, events
from synthesis.lengths import N_SAMPLES

TITLE = "Wind"
MADE = (
    "Turbulent noise whose spectrum brightens with gusts that swell over five to ten seconds, with "
    "the rustle of dry grass and faint Aeolian tones that follow the same gusts from left to right."
)

PLACES = (-0.7, -0.25, 0.25, 0.7)
"""Places where the wind is heard, from left to right."""

CROSSING_S = 2.0
"""Time that a gust takes from the first place to the last: about 20 m in a fresh breeze."""

CONTROL_HZ = 50

GUSTS_S, GUST_DEPTH = (20.0, 3.0), 0.32
"""Periods of the gusts and the deviation of the speed's logarithm. A gust is as long as the audible
ground is wide: shorter ones would flutter, regular ones would sound like surf."""

EDDIES_S, EDDY_DEPTH = (2.5, 0.1), 0.2
"""The same for the independent eddies at each place."""

CENTRES_HZ = 62.5 * 2.0 ** np.arange(9)
LEVELS_DB = (-2, 0, 0, -8, -17, -24, -29, -36, -46)
"""Level in each of `CENTRES_HZ` at the mean speed: the rumble of the air, then the hiss of the
ground. Recorded wind falls by 6 dB an octave or more; a hiss as loud as the rumble would be a wall
of noise."""

POWERS = (1.2, 1.45, 1.7, 1.95, 2.2, 2.45, 2.6, 2.7, 2.8)
"""The amplitude of each band grows with the speed of the gusts to this power."""

EDDY_POWERS = (1.2, 1.2, 1.0, 0.6, 0.3, 0.1, 0.0, 0.0, 0.0)
"""The same for the eddies: the higher a band, the wider the ground it comes from."""

TONES_HZ, TONE_WIDTH_HZ, TONE_DB = (370.0, 560.0), 110.0, -30.0
"""Pitches at the mean speed, bandwidth and level of the Aeolian tones. Narrower or louder ones
would whistle, which is a nuisance after a while."""

RUSTLES_A_SECOND, RUSTLE_DB = 4000, -31.0
"""Audible touches of blades of grass, and their level at each place."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return the sound, float64 [samples, 2] at 44.1 kHz."""
    n = N_SAMPLES["wind"]
    seconds = n / dsp.SAMPLE_RATE
    points = int(seconds * CONTROL_HZ)
    gusts = GUST_DEPTH * dsp.gust_curve(rng, points, seconds, *GUSTS_S)
    out = np.zeros((n, 2))
    for place in PLACES:
        gust = np.exp(np.roll(gusts, _delay(place)))
        eddies = np.exp(EDDY_DEPTH * dsp.gust_curve(rng, points, seconds, *EDDIES_S))
        here = _air(rng, n, gust, eddies) + _rustle(rng, n, gust) * dsp.db(RUSTLE_DB)
        out += events.pan_level(here, place)
    for pitch_hz, place in zip(TONES_HZ, PLACES[1:3], strict=True):
        gust = np.exp(np.roll(gusts, _delay(place)))
        out += events.pan_level(_tone(rng, n, pitch_hz, gust), place) * dsp.db(TONE_DB)
    return dsp.join_bass(dsp.filter_ring(out, dsp.band(low_hz=35)))


def _delay(place: float) -> int:
    """Return the arrival time of a gust at a place, in control points."""
    return round((place - PLACES[0]) / (PLACES[-1] - PLACES[0]) * CROSSING_S * CONTROL_HZ)


def _air(rng: np.random.Generator, n: int, gust: np.ndarray, eddies: np.ndarray) -> np.ndarray:
    """Return the noise of the moving air, [n], at speeds [points] of gusts and eddies."""
    levels = 20 * np.outer(POWERS, np.log10(gust)) + 20 * np.outer(EDDY_POWERS, np.log10(eddies))
    levels += np.array(LEVELS_DB)[:, None]
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
    turns *= round(turns[-1]) / turns[-1]  # a whole turn closes the ring
    real, imaginary = (dsp.slow_curve(rng, n, 2 / TONE_WIDTH_HZ, 0.0) for _ in range(2))
    angle = 2 * np.pi * turns
    loud = dsp.stretch(speed**2.0, n)
    return np.asarray(loud * (real * np.cos(angle) + imaginary * np.sin(angle)) / np.sqrt(2))
