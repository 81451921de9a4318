"""A city from an open window above a side street: near, distant and diffuse traffic.

Vehicles drive past on three roads, each with its own time, speed and weight. The power of a vehicle
falls with the square of its distance, the air absorbs its high frequencies, and it moves from one
side to the other. Tyre noise peaks near 1 kHz (Sandberg & Ejsmont 2002); the side street is still
wet, so there tyres hiss as well. Engines are low noise and a soft note that falls as a car recedes.
A distant tram hums up and down. Under it all lies the hum of the city, the sum of all roads too far
away to distinguish.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from synthesis import dsp, events
from synthesis.lengths import N_SAMPLES

TITLE = "City"
MADE = (
    "Vehicles driving past on three roads, tyres on wet and on dry asphalt and engines, each with "
    "its distance and course from side to side, over a tram far off and the hum of the city."
)


class Road(NamedTuple):
    """A road within earshot of the window."""

    away_m: float
    """Its smallest distance."""

    speed_ms: float
    """Mean speed on it."""

    vehicles_a_minute: float
    """Number of vehicles."""

    wet: float
    """Share of the noise of wet asphalt: 0 is dry."""

    heavy: float
    """Share of vans and buses, which have more bass."""


ROADS = (
    Road(42.0, 8.0, 4.5, 1.0, 0.0),
    Road(120.0, 12.0, 22.0, 0.15, 0.2),
    Road(350.0, 20.0, 60.0, 0.0, 0.2),
)
"""The side street, the avenue that it leads to, and the ring road. If the side street were any
nearer, every car on it would stand out."""

LIGHTS_S, GREEN = 22.0, 0.4
"""Time from green to green at the avenue's traffic lights, and the share of it that is green:
vehicles come in platoons."""

TRAM = Road(230.0, 9.0, 1.4, 0.0, 1.0)

CENTRES_HZ = 62.5 * 2.0 ** np.arange(9)
DRY_DB = (-18, -13, -10, -5, 0, -3, -11, -20, -32)
WET_DB = (-40, -36, -28, -18, -10, -8, -9, -15, -25)
ENGINE_DB = (0, -1, -5, -9, -14, -20, -28, -38, -48)
TRAM_DB = (-8, -3, 0, -1, -5, -12, -20, -30, -42)
"""Levels in each of `CENTRES_HZ`: tyres on dry asphalt, the addition of wet asphalt, an engine, and
a tram's wheels."""

LIGHT_DB, HEAVY_DB, WHEELS_DB = -1.0, 7.0, 15.0
"""Levels of a car's and a heavy vehicle's engine, and of a tram's wheels, relative to a tyre."""

AIR_DB_100M = (0.0, 0.0, 0.1, 0.2, 0.5, 1.0, 2.6, 8.0, 20.0)
"""Absorption in each of `CENTRES_HZ` by 100 m of air (ISO 9613-1, 10 degrees, 70 % humidity)."""

HOUSES_DB_100M = 3.0
"""Attenuation by the houses in between, per 100 m."""

VEHICLE_DB = 2.0
"""Deviation of the level among vehicles of one kind."""

FADE_S = 4.0
"""Fade of a vehicle in and out, half a loop from its nearest point."""

PLACES = (-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9)
"""Places where the noise of traffic is heard, from left to right."""

FLUTTER_S, FLUTTER_DB = (3.0, 0.08), 1.2
"""Periods and deviation of the variations of road and air at each place."""

ENGINE_HZ, ENGINE_NOTES, NOTE_DB = (38.0, 56.0), 12, -7.0
"""Lowest and highest pitch of the cars' engines, the multiples heard, and their level."""

WHINE_HZ, WHINE_NOTES, WHINE_DB = (320.0, 360.0), 3, -3.0
"""The same of the trams' gears at full speed."""

THUMP_HZ, THUMP_MODES, THUMP_S, THUMP_DB = (55.0, 420.0), 7, (0.05, 0.12), 0.0
"""Modes of a wheel over a manhole cover: range, number, times to fall by 60 dB from the highest to
the lowest, and level."""

COVER_M, WHEELBASE_M = 25.0, 2.7
"""Distance of a road's covers from its nearest point, either way, and the wheelbase of the vehicles
that roll over them."""

STEADY, ROUGH = 0.04, 0.006
"""Deviation of an engine's speed, by its driver and between firings."""

HUM: dict[float, float] = {
    30: -9, 60: -3, 125: 0, 250: -1, 500: -4, 1000: -7, 2000: -13, 4000: -23, 8000: -38,
}  # fmt: skip
"""Level of the city's hum in dB in bands of equal width on a log axis."""

HUM_DB, HUM_S, HUM_WANDER_DB = -7.0, 5.0, 0.9
"""Level of the hum relative to the vehicles, its shortest period in seconds, and its deviation."""

STREET_S, STREET_DB = 1.3, -8.0
"""Reverberation between the houses, and its level."""

CONTROL_HZ = 25


class Pass(NamedTuple):
    """A vehicle's course past the window, as points evenly spaced around the ring."""

    position: np.ndarray
    """Its position from -1 to 1, [points]."""

    power: np.ndarray
    """Share of each band's power left by distance, air and houses, [bands, points]."""

    pitch: np.ndarray
    """Doppler factor of its pitches, [points]."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return the sound, float64 [samples, 2] at 44.1 kHz."""
    n = N_SAMPLES["city"]
    traffic = _traffic(rng, n)
    traffic /= np.sqrt(np.mean(traffic**2))
    street = dsp.reverb(rng, traffic, STREET_S, damping_hz=1500.0) * dsp.db(STREET_DB)
    hum = dsp.diffuse_noise(rng, n, lambda f: dsp.curve(HUM)(f) * dsp.tilt(-3.0)(f))
    hum *= 10 ** ((HUM_DB + HUM_WANDER_DB * dsp.slow_curve(rng, n, HUM_S)) / 20)[:, None]
    return dsp.join_bass(dsp.filter_ring(traffic + street + hum, dsp.band(low_hz=35)))


def _traffic(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the direct sound of all vehicles, [n, 2], at an arbitrary level."""
    points = int(CONTROL_HZ * n / dsp.SAMPLE_RATE)
    power = np.zeros((len(PLACES), len(CENTRES_HZ), points))
    notes = np.zeros((n, 2))
    for road in (*ROADS, TRAM):
        count = round(road.vehicles_a_minute / 60 * n / dsp.SAMPLE_RATE)
        for turn in _turns(rng, road, count, n / dsp.SAMPLE_RATE):
            passing = _pass(rng, road, turn * n / dsp.SAMPLE_RATE, n, points)
            near = np.array([np.interp(passing.position, PLACES, one) for one in np.eye(7)])
            power += near[:, None] * (passing.power * _source(rng, road)[:, None])
            if road is TRAM:
                notes += _note(rng, passing, n, WHINE_HZ, WHINE_NOTES, WHINE_DB)
            elif road is ROADS[0]:
                notes += _note(rng, passing, n, ENGINE_HZ, ENGINE_NOTES, NOTE_DB)
            if road in ROADS[:2]:
                _thump(rng, passing, road, turn, notes)
    for place, here in zip(PLACES, power, strict=True):
        flutter = FLUTTER_DB * dsp.gust_curve(rng, points, n / dsp.SAMPLE_RATE, *FLUTTER_S)
        gains = np.sqrt(here) * 10 ** (flutter / 20)
        noise = dsp.shape_ring(dsp.noise(rng, n, dsp.tilt(-3.0)), CENTRES_HZ, gains)
        notes += dsp.pan_ring(noise, place)
    return notes


def _turns(rng: np.random.Generator, road: Road, count: int, duration_s: float) -> np.ndarray:
    """Return the places on the ring [count], from 0 to 1, where a road's vehicles are nearest."""
    if road is not ROADS[1]:
        # Almost evenly spread: a cluster would be a conspicuous moment of the loop.
        return np.asarray((np.arange(count) + rng.uniform(0.15, 0.85, count)) / count)
    greens = round(duration_s / LIGHTS_S)
    return np.asarray((rng.integers(0, greens, count) + GREEN * rng.random(count)) / greens)


def _pass(rng: np.random.Generator, road: Road, nearest_s: float, n: int, points: int) -> Pass:
    """Return the course of a vehicle that is nearest at a given time."""
    half_s = n / dsp.SAMPLE_RATE / 2
    t = (np.arange(points) * 2 * half_s / points - nearest_s + half_s) % (2 * half_s) - half_s
    speed = road.speed_ms * rng.lognormal(0.0, 0.12)
    along = speed * t
    away = np.hypot(along, road.away_m)
    lost = np.array(AIR_DB_100M)[:, None] * away / 100 + HOUSES_DB_100M * away / 100
    power = 10 ** (-lost / 10) / (away / 100) ** 2 * np.clip((half_s - abs(t)) / FADE_S, 0, 1)
    way = rng.choice((-1.0, 1.0))
    doppler = 1 / (1 + speed * along / away / dsp.SPEED_OF_SOUND)
    return Pass(0.9 * way * along / away, power, doppler)


def _source(rng: np.random.Generator, road: Road) -> np.ndarray:
    """Return the power [bands] that a vehicle on a road emits."""
    dry, wet, engine, wheels = (
        10 ** (np.array(levels_db) / 10) for levels_db in (DRY_DB, WET_DB, ENGINE_DB, TRAM_DB)
    )
    loud = 10 ** (rng.normal(0.0, VEHICLE_DB) / 10)
    if road is TRAM:
        return np.asarray(loud * wheels * 10 ** (WHEELS_DB / 10))
    engine_db = HEAVY_DB if rng.random() < road.heavy else LIGHT_DB
    return np.asarray(loud * (dry + road.wet * wet + engine * 10 ** (engine_db / 10)))


def _thump(
    rng: np.random.Generator, passing: Pass, road: Road, turn: float, out: np.ndarray
) -> None:
    """Add the two dull blows of a vehicle's wheels over a cover near where it passes."""
    n = len(out)
    at_s = turn * n / dsp.SAMPLE_RATE + rng.uniform(-1, 1) * COVER_M / road.speed_ms
    point = int(at_s * CONTROL_HZ) % len(passing.position)
    level = np.sqrt(passing.power[1, point]) * dsp.db(THUMP_DB + rng.normal(0.0, VEHICLE_DB))
    pitches = np.geomspace(*THUMP_HZ, THUMP_MODES) * rng.lognormal(0.0, 0.08, THUMP_MODES)
    for wheels_s in (0.0, WHEELBASE_M / road.speed_ms):
        blow = events.damped_modes(
            pitches,
            np.geomspace(THUMP_S[1], THUMP_S[0], THUMP_MODES),
            level * rng.normal(0.0, 0.5, THUMP_MODES),
            attack_s=0.008,
        )
        start = int((at_s + wheels_s) * dsp.SAMPLE_RATE)
        dsp.add_event(out, start, events.pan_level(blow, float(passing.position[point])))


def _note(
    rng: np.random.Generator,
    passing: Pass,
    n: int,
    range_hz: tuple[float, float],
    multiples: int,
    level_db: float,
) -> np.ndarray:
    """Return the note of an engine or of gears as it passes, [n, 2]."""
    points, seconds = len(passing.pitch), n / dsp.SAMPLE_RATE
    slow = STEADY * dsp.gust_curve(rng, points, seconds, 20.0, 2.0)
    pitch = dsp.stretch(rng.uniform(*range_hz) * (1 + slow) * passing.pitch, n)
    pitch *= 1 + ROUGH * dsp.slow_curve(rng, n, 0.08, slope=0.5)
    cycles = np.cumsum(pitch) / dsp.SAMPLE_RATE
    note = np.zeros(n)
    for k in range(1, multiples + 1):
        note += rng.uniform(0.4, 1.0) / k**0.5 * np.sin(2 * np.pi * (k * cycles + rng.random()))
    heard = np.sqrt(passing.power[2]) * dsp.db(level_db)
    angle = (passing.position + 1) * np.pi / 4
    sides = [dsp.stretch(heard * side, n) for side in (np.cos(angle), np.sin(angle))]
    return np.stack([note * side for side in sides], axis=1)
