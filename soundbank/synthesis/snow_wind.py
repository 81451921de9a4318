"""Cold wind over open snow: it swells over many seconds, whistles softly, and carries grains.

The wind's speed follows the slow part of the spectrum of turbulence, because there are no obstacles
nearby to make it flutter. It drives three things: the broad noise of the air, brighter in a
stronger wind; a few edges (a wire, a ridge, a post) that sing at the right wind, narrow noise whose
pitch follows the speed (Strouhal 1878); and grains of snow that drift above a certain speed
(Bagnold 1941) and hiss over the crust in streamers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from synthesis import dsp
from synthesis.air import CENTRES_HZ, breath
from synthesis.lengths import N_SAMPLES

TITLE = "Wind over snow"
MADE = (
    "Turbulent air that swells over five to twenty seconds, edges that whistle softly at pitches "
    "that follow its speed, and drifting grains of snow that hiss over the crust in streamers."
)

PLACES = (-0.75, -0.25, 0.25, 0.75)
"""Places where the wind is heard, from left to right."""

CROSSING_S = 2.0
"""Time that a gust takes from the first place to the last."""

CONTROL_HZ = 25

GUSTS_S, GUST_DEPTH = (26.0, 3.0), 0.32
"""Periods of the gusts and the deviation of the speed's logarithm: faster ones flutter, which makes
a wind restless."""

SQUALL = 1.5
"""Deviations at which the strongest and the weakest gusts level off, to avoid startling."""

EDDIES_S, EDDY_DEPTH = (3.0, 0.4), 0.07
"""The same for the independent eddies at each place."""

BREATH_DB = 1.6
"""Deviation with which each band breathes on its own, as the wind turns."""

LEVELS_DB = (-4, 0, 0, -6, -15, -23, -30, -38, -50)
"""Level in each of `CENTRES_HZ` at the mean speed: the rumble of open land, little hiss."""

POWERS = (1.2, 1.4, 1.6, 1.9, 2.2, 2.4, 2.6, 2.8, 3.0)
"""The amplitude of each band grows with the speed to this power."""

SNOW_DB, GRAINS_A_SECOND = -35.0, 5000
"""Level of the drifting snow relative to the air, and the number of audible grains."""

DRIFT_SPEED, DRIFT_POWER = 0.75, 2.0
"""Share of the mean speed at which grains start to drift, and the growth of their number above
it."""

STREAMERS_S, STREAMER_DEPTH = (9.0, 1.5), 0.45
"""Periods and depth of the streamers in which grains drift."""

GRAIN_HZ = (3000.0, 7000.0)
"""Frequency range of the grains: higher sounds like loudspeaker hiss, lower like sand."""


class Edge(NamedTuple):
    """An edge at which the wind sings."""

    pitch_hz: float
    """Middle of its tone at the mean speed."""

    width_hz: float
    """Width of the tone: broader sounds like a breath, narrower like an annoying whistle."""

    level_db: float
    position: float


EDGES = (
    Edge(395.0, 28.0, -18.0, -0.45),
    Edge(560.0, 36.0, -21.0, 0.35),
    Edge(830.0, 50.0, -27.0, 0.0),
)

PITCH_POWER, SINGING_POWER = 0.55, 2.2
"""A tone's pitch and its amplitude grow with the speed to these powers."""

WHIMS_S, WHIM_DEPTH = (18.0, 4.0), 0.6
"""Periods and depth with which an edge falls silent and sings again, as the wind turns."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return the sound, float64 [samples, 2] at 44.1 kHz."""
    n = N_SAMPLES["snow-wind"]
    seconds = n / dsp.SAMPLE_RATE
    points = int(seconds * CONTROL_HZ)
    gusts = dsp.gust_curve(rng, points, seconds, *GUSTS_S)
    gusts = GUST_DEPTH * SQUALL * np.tanh(gusts / SQUALL)
    turning = np.array([dsp.stretch(band, points) for band in breath(rng, n, BREATH_DB)])
    out = np.zeros((n, 2))
    for place in PLACES:
        eddies = EDDY_DEPTH * dsp.gust_curve(rng, points, seconds, *EDDIES_S)
        speed = np.exp(np.roll(gusts, _delay(place)) + eddies)
        here = _air(rng, n, speed, turning) + _snow(rng, n, speed) * dsp.db(SNOW_DB)
        out += dsp.pan(here, place)[:n]
    for edge in EDGES:
        speed = np.exp(np.roll(gusts, _delay(edge.position)))
        out += dsp.pan(_tone(rng, n, edge, speed), edge.position)[:n] * dsp.db(edge.level_db)
    return dsp.join_bass(dsp.filter_ring(out, dsp.band(low_hz=35)))


def _delay(place: float) -> int:
    """Return the arrival time of a gust at a place, in control points."""
    return round((place - PLACES[0]) / (PLACES[-1] - PLACES[0]) * CROSSING_S * CONTROL_HZ)


def _air(rng: np.random.Generator, n: int, speed: np.ndarray, turning_db: np.ndarray) -> np.ndarray:
    """Return the noise of the moving air, [n]."""
    levels = np.array(LEVELS_DB)[:, None] + 20 * np.array(POWERS)[:, None] * np.log10(speed)
    gains = 10 ** ((levels + turning_db) / 20)
    return dsp.shape_ring(dsp.noise(rng, n, dsp.tilt(-3.0)), CENTRES_HZ, gains)


def _snow(rng: np.random.Generator, n: int, speed: np.ndarray) -> np.ndarray:
    """Return the grains, [n], of unit RMS: none in a lull, streams of them in a gust."""
    seconds = n / dsp.SAMPLE_RATE
    streamers = np.exp(STREAMER_DEPTH * dsp.gust_curve(rng, len(speed), seconds, *STREAMERS_S))
    drift = np.maximum(speed - DRIFT_SPEED, 0.02) ** DRIFT_POWER * streamers
    t = np.arange(int(0.003 * dsp.SAMPLE_RATE)) / dsp.SAMPLE_RATE
    out = np.zeros(n)
    count = int(GRAINS_A_SECOND / len(PLACES) * seconds)
    for chunk in np.array_split(dsp.draw_times(rng, count, drift, n), 20):
        decay = rng.lognormal(np.log(0.0005), 0.4, len(chunk))[:, None]
        loud = rng.lognormal(0.0, 0.5, len(chunk))[:, None]
        burst = rng.standard_normal((len(chunk), len(t))) * (1 - np.exp(-t / 0.0002))
        dsp.scatter(out, chunk, loud * burst * np.exp(-t / decay))
    out = dsp.filter_ring(out, dsp.band(*GRAIN_HZ))
    return np.asarray(out / np.sqrt(np.mean(out**2)))


def _tone(rng: np.random.Generator, n: int, edge: Edge, speed: np.ndarray) -> np.ndarray:
    """Return the tone of an edge, [n]: narrow noise around a pitch that follows the speed."""
    speed = speed / speed.mean()
    turns = np.cumsum(dsp.stretch(edge.pitch_hz * speed**PITCH_POWER, n)) / dsp.SAMPLE_RATE
    turns *= round(turns[-1]) / turns[-1]  # a whole turn closes the ring
    real, imaginary = (dsp.slow_curve(rng, n, 2 / edge.width_hz, 0.0) for _ in range(2))
    whim = dsp.gust_curve(rng, len(speed), n / dsp.SAMPLE_RATE, *WHIMS_S)
    loud = dsp.stretch(speed**SINGING_POWER * np.exp(WHIM_DEPTH * whim), n)
    angle = 2 * np.pi * turns
    return np.asarray(loud * (real * np.cos(angle) + imaginary * np.sin(angle)) / np.sqrt(2))
