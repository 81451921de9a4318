"""A fan in a quiet room: air streaming through blades, and the room's response.

A fan sounds of the turbulence behind its blades, strongest in the lower midrange, with a soft hum
at the blade-passing frequency (the number of blades times the turns per second) and its multiples.
The room adds its reverberation, which differs at the two ears, and the resonances of its length,
width and height. Draughts and the mains vary all of it slowly.
"""

from __future__ import annotations

import numpy as np

from synthesis import dsp, events
from synthesis.lengths import N_SAMPLES

TITLE = "Fan in a quiet room"
MADE = (
    "The turbulence behind the blades of a ventilator and the soft hum with which they pass, "
    "in the resonances and the reverberation of a quiet room; draughts move both slowly."
)

CENTRES_HZ = 62.5 * 2.0 ** np.arange(9)
LEVELS_DB = (-6, -2, 0, -2, -5.5, -10.5, -17, -26, -38)
"""Level of the air stream in each of `CENTRES_HZ`. A brighter one hisses, which is tiring."""

WANDER_DB = (1.2, 1.2, 1.2, 1.2, 1.3, 1.5, 1.7, 2.0, 2.2)
"""Deviation of each band as draughts move the air: they affect the top most."""

WANDER_S = (40.0, 4.0)
"""Longest and shortest periods of that motion. A second or less would be heard as wind."""

CONTROL_HZ = 8

TURNS_HZ, BLADES = 18.4, 5
"""Turns per second of a large fan at low speed: the blades pass at 92 Hz."""

DRIFT, DRIFT_S = 0.004, 6.0
"""Deviation of the speed as a share of it, and the fastest of that motion in seconds."""

HUM_DB = (-11.0, -17.0, -23.0, -27.0, -32.0, -37.0)
"""Levels of the hum and its multiples relative to the air. More would drone; less would be
nondescript noise."""

HUM_WANDER_DB = 1.5
"""Deviation of each multiple's level, which depends on how the air meets the blades."""

BEAT_DB = 0.35
"""Modulation depth once per turn, because the blades are not identical."""

ROOM_M = (4.9, 3.7, 2.55)
"""Length, width and height of the room; its lowest resonances lie at 35, 46 and 67 Hz."""

MODE_GAIN, MODE_Q, HIGHEST_MODE = 0.5, 12.0, 4
"""Prominence of a resonance, its sharpness in a furnished room, and the last order used."""

RT60_S, DAMPING_HZ, WALLS_DB = 0.45, 2500.0, -4.0
"""Reverberation of the room, and its level relative to the direct sound of the fan."""

BASS_HZ = 400.0
"""Below this, both ears hear the same: the walls of a small room are near."""

PLACE = 0.25
"""The fan stands a little to the right."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return the sound, float64 [samples, 2] at 44.1 kHz."""
    n = N_SAMPLES["fan"]
    angle = _angle(rng, n)
    beat = np.cos(angle) + 0.5 * np.cos(2 * angle + 1)
    fan = _air(rng, n) * 10 ** (BEAT_DB * beat / 20) + _hum(rng, angle)
    walls = dsp.reverb(rng, fan, RT60_S, DAMPING_HZ) * dsp.db(WALLS_DB)
    heard = dsp.filter_ring(events.pan_level(fan, PLACE) + walls, _room)
    return dsp.join_bass(dsp.filter_ring(heard, dsp.band(low_hz=35)), below_hz=BASS_HZ)


def _angle(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the angle of the blades [n] in radians, a whole number of turns in all."""
    turns = round(TURNS_HZ * n / dsp.SAMPLE_RATE)
    speed = 1 + DRIFT * dsp.slow_curve(rng, n, DRIFT_S, slope=2.0)
    return np.asarray(2 * np.pi * turns * np.cumsum(speed / speed.sum()))


def _air(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the turbulence behind the blades [n], of unit RMS."""
    points = int(CONTROL_HZ * n / dsp.SAMPLE_RATE)
    seconds = n / dsp.SAMPLE_RATE
    draught = dsp.gust_curve(rng, points, seconds, *WANDER_S)
    levels = [
        level_db + wander_db * (draught + dsp.gust_curve(rng, points, seconds, *WANDER_S)) / 2**0.5
        for level_db, wander_db in zip(LEVELS_DB, WANDER_DB, strict=True)
    ]
    air = dsp.noise(rng, n, dsp.tilt(-3.0))
    air = dsp.shape_ring(air, CENTRES_HZ, 10 ** (np.array(levels) / 20))
    return np.asarray(air / np.sqrt(np.mean(air**2)))


def _hum(rng: np.random.Generator, angle: np.ndarray) -> np.ndarray:
    """Return the hum of the passing blades [n], relative to air of unit RMS."""
    hum = np.zeros_like(angle)
    for k, level_db in enumerate(HUM_DB, 1):
        level = level_db + HUM_WANDER_DB * dsp.slow_curve(rng, len(angle), WANDER_S[1])
        hum += 10 ** (level / 20) * np.sin(k * BLADES * angle + rng.uniform(0, 2 * np.pi))
    return np.asarray(hum * np.sqrt(2))


def _room(f: np.ndarray) -> np.ndarray:
    """Return the resonances between opposite walls as gains [bins] at frequencies in Hz."""
    modes = [dsp.SPEED_OF_SOUND / (2 * m) * k for m in ROOM_M for k in range(1, HIGHEST_MODE + 1)]
    f = np.maximum(f, 1.0)[:, None]
    detuned = MODE_Q * (f / np.array(modes) - np.array(modes) / f)
    return np.asarray(1 + MODE_GAIN * (1 / np.sqrt(1 + detuned**2)).sum(axis=1))
