"""Thunder: long-rolling distant strikes, over the low air of a coming storm.

A lightning channel is a tortuous line several kilometres long. All pieces of it emit a short
pressure wave at the same moment, and these arrive in the order of their distance (Few 1974; Ribner
& Roy 1982): that is the rolling. Distance removes high frequencies, turbulent air scatters every
peal into a tail, and hills and clouds echo the sound for a long time. All strikes are too far away
to be sudden, and each has nearly decayed before the next one.
"""

from __future__ import annotations

import numpy as np

from synthesis import dsp
from synthesis.lengths import N_SAMPLES

TITLE = "Thunder"
MADE = (
    "Strikes some kilometres off, each the sum of a thousand pressure waves from a random "
    "tortuous channel, low-passed by distance, scattered by turbulent air and echoed by hills, "
    "over low air and far rain."
)

STRIKES_KM = (3.2, 7.0, 4.0, 8.5, 5.0, 6.0, 3.6, 7.5, 4.6, 9.0)
"""Distance of each strike in kilometres, in order. None is near enough to scare."""

IRREGULAR = 0.2
"""Largest deviation of a strike from even spacing, as a share of it: more would leave too little
time for the previous one to decay."""

STEP_M = 6.0
"""Length of a straight piece of a channel."""

STRAIGHT_M = 150.0
"""Length over which a channel keeps its direction: parts across the line of sight arrive at once,
as a peal; parts along it arrive drawn out, as a rumble."""

WAVES_S = (0.0012, 0.010)
"""Shortest and longest pressure wave: its spectrum peaks at about 0.7 / length."""

STROKES_M, STROKE_DEPTH = (250.0, 70.0), 0.8
"""Lengths over which a channel is brighter and darker, and the deviation of the logarithm of its
strength, which makes the single peals within the rolling."""

N_WAVES = 24
FADING_M = 3000.0
"""Sound from this much farther than the first arrival is absorbed by clouds and hills to 1 / e."""

THINNING = 0.5
"""Last part of a channel, in the cloud, over which it thins out into branches: an end at full
strength would be audible."""

SOFT_S = 2.5
"""Rise time of the first arrivals, to avoid startling."""

CLEAR_HZ_KM = 10_000.0
"""Cutoff by air and turbulence over one kilometre; lower for longer distances."""

LEVEL_POWER = 0.35
"""A strike's level falls with this power of its distance. In nature it is 1 or more, but then near
strikes would be too loud for an ambient sound, or far ones inaudible."""

SCATTERED_S, SCATTERED_HZ, SCATTERED_DB = 1.5, 900.0, -16.0
"""Scattering of a peal by turbulent air: the time to fall by 60 dB, the frequency above which it
falls sooner, and its level relative to the peal."""

ECHO_S, ECHO_HZ, ECHO_DB = 7.0, 600.0, -8.0
"""The same for the echoes of hills and clouds."""

AIR_DB, RAIN_DB = -19.0, -29.0
"""Levels of low air and far rain relative to the strikes' RMS."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return the sound, float64 [samples, 2] at 44.1 kHz."""
    n = N_SAMPLES["thunder"]
    dry = np.zeros((n, 2))
    gap = n / len(STRIKES_KM)
    for i, distance in enumerate(STRIKES_KM):
        start = int((i + rng.uniform(-IRREGULAR, IRREGULAR)) * gap)
        dsp.add_event(dry, start, _strike(rng, distance))
    scattered = dsp.db(SCATTERED_DB) * dsp.reverb(rng, dry, SCATTERED_S, SCATTERED_HZ)
    echo = dsp.db(ECHO_DB) * dsp.reverb(rng, dry + scattered, ECHO_S, ECHO_HZ)
    rolling = dsp.filter_ring(dry + scattered + echo, dsp.band(low_hz=35, order=3))
    rolling /= np.sqrt(np.mean(rolling**2))
    return dsp.join_bass(rolling + _bed(rng, n))


def _channel(rng: np.random.Generator, distance_km: float) -> np.ndarray:
    """Return the places [pieces, 3] of a channel in metres, the listener at the origin.

    It climbs from the ground to the cloud, then continues horizontally inside it.
    """
    bearing = rng.uniform(-1.0, 1.0)
    heading = bearing + rng.uniform(-1.0, 1.0)  # away from the listener: it rolls away
    foot = 1000 * distance_km * np.array([np.sin(bearing), np.cos(bearing), 0.0])
    climb = foot + _walk(rng, int(3500 / STEP_M), np.array([0.0, 0.0, 1.0]))
    level = np.array([np.sin(heading), np.cos(heading), 0.0])
    run = climb[-1] + _walk(rng, int(rng.uniform(4000, 7500) / STEP_M), level)
    return np.concatenate([climb, run])


def _walk(rng: np.random.Generator, pieces: int, drift: np.ndarray) -> np.ndarray:
    """Return a tortuous walk [pieces, 3] that follows a drift on the whole."""
    ways = np.empty((pieces, 3))
    way = rng.standard_normal(3)
    keep = np.exp(-STEP_M / STRAIGHT_M)
    for i in range(pieces):
        way = keep * way + np.sqrt(1 - keep**2) * rng.standard_normal(3)
        ways[i] = drift + 0.9 * way + 0.5 * rng.standard_normal(3)
    return np.cumsum(STEP_M * ways / np.linalg.norm(ways, axis=1, keepdims=True), axis=0)


def _strike(rng: np.random.Generator, distance_km: float) -> np.ndarray:
    """Return one strike in stereo, [length, 2]."""
    places = _channel(rng, distance_km)
    away = np.linalg.norm(places, axis=1)
    late = away - away.min()
    at = (late / dsp.SPEED_OF_SOUND * dsp.SAMPLE_RATE).astype(int)
    strokes = dsp.gust_curve(rng, len(away), len(away) * STEP_M, *STROKES_M)
    left = np.linspace(1.0, 0.0, len(away)) / THINNING
    strength = np.exp(STROKE_DEPTH * strokes - late / FADING_M) / away * np.minimum(left, 1.0)
    angle = (np.clip(places[:, 0] / away, -1, 1) + 1) * np.pi / 4
    kind = rng.integers(0, N_WAVES, len(away))
    out = np.zeros((at.max() + dsp.SAMPLE_RATE, 2))
    for k, length_s in enumerate(np.geomspace(*WAVES_S, N_WAVES)):
        of_kind = kind == k
        for side, gain in enumerate((np.cos(angle), np.sin(angle))):
            arrivals = np.zeros(len(out))
            np.add.at(arrivals, at[of_kind], (strength * gain)[of_kind])
            out[:, side] += dsp.convolve_ring(arrivals, _pressure_wave(length_s))
    out = dsp.filter_ring(out, dsp.band(high_hz=CLEAR_HZ_KM / distance_km, order=1))
    soft = np.clip(np.arange(len(out)) / (SOFT_S * dsp.SAMPLE_RATE), 0, 1)
    out *= np.sin(np.pi / 2 * soft)[:, None] ** 2
    return np.asarray(out / np.sqrt(np.sum(out**2)) * distance_km**-LEVEL_POWER)


def _pressure_wave(length_s: float) -> np.ndarray:
    """Return an N-wave: pressure jumps up, falls steadily below zero and jumps back."""
    return np.linspace(1.0, -1.0, int(length_s * dsp.SAMPLE_RATE))


def _bed(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the storm's low air and far rain, [n, 2], which keep it from falling silent."""
    seconds = n / dsp.SAMPLE_RATE
    gust = dsp.stretch(dsp.gust_curve(rng, int(20 * seconds), seconds, 10.0, 0.5), n)[:, None]
    air = dsp.diffuse_noise(
        rng, n, dsp.curve({30: -10, 60: -1, 120: 0, 300: -6, 600: -14, 1200: -25, 5000: -48})
    )
    rain = dsp.diffuse_noise(rng, n, dsp.curve({150: -30, 400: -4, 1000: 0, 3000: -5, 8000: -16}))
    return air * dsp.db(AIR_DB) * 10 ** (2.5 * gust / 20) + rain * dsp.db(RAIN_DB)
