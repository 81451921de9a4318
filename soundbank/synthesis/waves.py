"""Waves: a swell in sets that breaks along the shore, washes up and leaves foam.

Each breaker is heard at five places along the shore in succession, because crests arrive at an
angle. At each place it has four phases with their own spectrum and envelope: the low rumble of the
approaching crest, the break, the wash up the beach, and the hiss of the foam. Breaking water
flutters, for it falls in lumps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from synthesis import dsp, events
from synthesis.lengths import N_SAMPLES

TITLE = "Waves"
MADE = (
    "Breakers of an irregular swell in sets, each with rumble, break, wash and foam, at five "
    "places along the shore one after the other, over distant surf; foam is single bubbles too."
)

PERIODS_S = (5.0, 15.0)
"""Shortest and longest time between two breakers."""

PACES = (0.6, 1.9)
"""Duration of the quickest and of the slowest breaker, relative to `PHASES`: on one beach some
plunge and some spill. Quicker ones slam, which startles."""

BALANCE_DB = 2.5
"""Deviation of each phase's level from breaker to breaker: one rumbles, another hisses."""

SMALL_HEIGHTS = (0.4, 0.75)
"""Heights of the wavelets between the breakers, relative to the tallest."""

PLACES = (-0.7, -0.35, 0.0, 0.35, 0.7)
"""Places along the shore where a breaker is heard, from left to right."""

CONTROL_HZ = 50
CENTRES_HZ = 62.5 * 2.0 ** np.arange(9)


class Phase(NamedTuple):
    """One phase of a breaker."""

    delay_s: float
    """Start of its rise in level, relative to the moment the crest breaks."""

    rise_s: float
    decay_s: float
    levels_db: tuple[float, ...]
    """Level in each of `CENTRES_HZ` for the tallest waves."""

    growth: float
    """Its amplitude grows with the wave's height to this power."""


PHASES = (
    Phase(-1.9, 1.7, 0.7, (-17, -14, -11, -13, -19, -28, -38, -50, -62), 1.6),
    Phase(-0.6, 0.8, 0.6, (-20, -14, -4, 1, 1, -2, -6, -13, -22), 1.8),
    Phase(0.0, 0.8, 1.3, (-32, -25, -13, -5, -3, -5, -8, -14, -24), 1.2),
    Phase(0.6, 1.0, 2.2, (-50, -40, -30, -20, -17, -19, -22, -27, -36), 1.0),
)
"""Approach, break, wash, foam. Brighter foam sounds like rain, also to the ear."""

FAR_DB = (-29, -26, -20, -17, -17, -20, -24, -31, -42)
"""Distant surf in each of `CENTRES_HZ`, relative to the tallest breaker."""

FOAM_BUBBLES = 150_000
FOAM_DB = -33.0

TURBULENCE_DB = 3.5
LUMP_S, SHORTEST_LUMPS_S = 0.3, (0.3, 0.08)
"""Deviation of the flutter of breaking water, its longest period, and its shortest in the lowest
and in the highest band: water falls and foam collapses in lumps, about 2 to 12 per second, and
large ones sound lower. Less flutter would sound smooth like a machine."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return the sound, float64 [samples, 2] at 44.1 kHz."""
    n = N_SAMPLES["waves"]
    seconds = n / dsp.SAMPLE_RATE
    points = int(seconds * CONTROL_HZ)
    times, heights = _swell(rng, seconds)
    slants = rng.normal(0.6, 0.5, len(times))
    slowest, fastest = np.log(PACES)
    paces = np.exp(rng.uniform(slowest, fastest, len(times)))
    balances = 10 ** (rng.normal(0.0, BALANCE_DB, (len(PHASES), len(times))) / 20)
    out = _far(rng, n, points)
    for place in PLACES:
        late = slants * place + rng.normal(0.0, 0.25, len(times))
        here = heights * rng.lognormal(0.0, 0.15, len(times))
        courses = [
            _course(phase, times + late, here * balance, paces, points, seconds)
            for phase, balance in zip(PHASES, balances, strict=True)
        ]
        levels = [10 ** (np.array(phase.levels_db)[:, None] / 10) for phase in PHASES]
        power = sum(a * b for a, b in zip(courses, levels, strict=True))
        power *= 10 ** (_turbulence(rng, points, seconds) / 10)
        shore = dsp.shape_ring(dsp.noise(rng, n, dsp.tilt(-3.0)), CENTRES_HZ, np.sqrt(power))
        shore += _bubbles(rng, n, courses[-1]) * dsp.db(FOAM_DB)
        out += events.pan_level(shore, place)
    return dsp.join_bass(dsp.filter_ring(out, dsp.band(low_hz=45)))


def _swell(rng: np.random.Generator, duration_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the times [s] and heights [0..1] of the breakers, evenly spread around the ring."""
    count = round(duration_s / np.mean(PERIODS_S))
    gaps = rng.uniform(*PERIODS_S, count)
    times = np.cumsum(gaps) * duration_s / gaps.sum()
    # Two swells of similar periods beat, which makes sets: some tall waves, then some small ones.
    beat = 0.5 + 0.5 * np.cos(2 * np.pi * 2 * times / duration_s + rng.uniform(0, 2 * np.pi))
    tall = (0.75 + 0.25 * beat) * rng.lognormal(0.0, 0.08, count)
    between = times + rng.uniform(0.35, 0.65, count) * np.roll(gaps, -1)
    small = rng.uniform(*SMALL_HEIGHTS, count)
    return np.append(times, between), np.append(tall / tall.max(), small)


def _course(
    phase: Phase,
    times: np.ndarray,
    heights: np.ndarray,
    paces: np.ndarray,
    points: int,
    duration_s: float,
) -> np.ndarray:
    """Return the power [points] of one phase of all breakers over time."""
    t = np.arange(points) * duration_s / points
    power = np.zeros(points)
    for moment, height, pace in zip(times, heights, paces, strict=True):
        since = (t - moment - phase.delay_s * pace) % duration_s / pace
        rise = np.sin(np.pi / 2 * np.clip(since / phase.rise_s, 0, 1)) ** 4
        fall = np.exp(-2 * np.maximum(since - phase.rise_s, 0) / phase.decay_s)
        power += height ** (2 * phase.growth) * rise * fall
    return power


def _turbulence(rng: np.random.Generator, points: int, duration_s: float) -> np.ndarray:
    """Return the turbulence [bands, points] of breaking water, in dB; high bands move faster."""
    return np.array(
        [
            TURBULENCE_DB * dsp.gust_curve(rng, points, duration_s, LUMP_S, shortest_s)
            for shortest_s in np.geomspace(*SHORTEST_LUMPS_S, len(CENTRES_HZ))
        ]
    )


def _bubbles(rng: np.random.Generator, n: int, foam: np.ndarray) -> np.ndarray:
    """Return the bubbles that burst in the foam, [n], of unit RMS."""
    t = np.arange(int(0.006 * dsp.SAMPLE_RATE)) / dsp.SAMPLE_RATE
    out = np.zeros(n)
    starts = dsp.draw_times(rng, FOAM_BUBBLES // len(PLACES), foam, n)
    for chunk in np.array_split(starts, 8):
        pitch = np.clip(rng.lognormal(np.log(2800), 0.45, len(chunk)), 1000, 9000)[:, None]
        loud = rng.lognormal(0.0, 0.5, len(chunk))[:, None]
        ring = np.exp(-t * np.pi * pitch / 6) * np.sin(2 * np.pi * pitch * t)
        dsp.scatter(out, chunk, loud * ring)
    return np.asarray(out / np.sqrt(np.mean(out**2)))


def _far(rng: np.random.Generator, n: int, points: int) -> np.ndarray:
    """Return the distant surf, [n, 2]: many breakers at once, so it hardly swells."""
    swell = dsp.slow_curve(rng, n, 4.0)[:, None]
    noise = dsp.diffuse_noise(rng, n, dsp.tilt(-3.0))
    gains = np.repeat(10 ** (np.array(FAR_DB)[:, None] / 20), points, axis=1)
    sides = [dsp.shape_ring(noise[:, c], CENTRES_HZ, gains) for c in range(2)]
    return np.stack(sides, axis=1) * 10 ** (1.5 * swell / 20)
