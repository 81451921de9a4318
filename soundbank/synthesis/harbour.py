"""A small harbour on a calm day: lapping water, clinking rigging, creaking ropes, distant gulls.

Everything afloat moves with the swell that gets in past the mole. Each wavelet slaps along a hull
and entrains air, whose bubbles ring (Minnaert 1933), small ones in the splash and large ones under
the overhang. Halyards touch their masts while the breeze lasts, and mooring ropes creak as boats
pull at them: the fibres stick and slip dozens of times a second.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from synthesis import dsp, events
from synthesis.air import breathing_air
from synthesis.gulls import flock
from synthesis.lengths import N_SAMPLES

TITLE = "Harbour"
MADE = (
    "Wavelets that lap at hulls, each a splash and dozens of ringing bubbles; halyards that clink "
    "on masts, mooring ropes that creak as boats pull at them, and gulls far off over low air."
)

HULLS = (-0.7, -0.25, 0.3, 0.75)
"""Positions of the boats, from left to right."""

SWELL_S, SWELL_DEPTH = (11.0, 2.5), 0.45
"""Periods of the swell in the harbour, and the deviation of its logarithm."""

LAPS_A_SECOND, BUBBLES = 1.3, 24
"""Wavelets per second that reach a hull, all hulls together, and the bubbles of an average one."""

HIGHEST = 1.4
"""Highest wavelet, to avoid startling."""

BUBBLE_HZ, BUBBLE_SPREAD = 820.0, 0.5
"""Middle pitch of the bubbles and the deviation of its logarithm: a brook's are higher."""

GULPS_HZ = (170.0, 380.0)
"""Pitches of the great bubbles under a hull."""

LAP_DB: dict[float, float] = {
    60: -22, 150: -8, 350: 0, 800: -2, 1800: -8, 4000: -17, 9000: -32, 16000: -60,
}  # fmt: skip
"""Spectral density of the water that runs along a hull."""

MASTS = ((1180.0, -0.55, 0.5), (1420.0, 0.65, 0.8), (1730.0, 0.15, 0.35), (980.0, -0.9, 0.4))
"""Lowest loud mode in Hz, position and loudness of each mast, at various distances."""

MAST_RATIOS = np.array([1.0, 1.63, 2.41, 3.3])
MAST_T60_S = np.array([0.5, 0.38, 0.24, 0.14])
MAST_DB = np.array([0.0, -3.0, -9.0, -16.0])

CLINKS_A_MINUTE, CLINK = 42, 0.15
"""Clinks per minute, all masts together, and their amplitude: distant enough not to be sharp."""

CREAKS_A_MINUTE, CREAK = 8, 0.42
SLIPS_HZ = (24.0, 46.0)
"""Slips of a rope per second, at the ends of a creak and in its middle."""

ROPE_T60_S = np.array([0.06, 0.045, 0.03, 0.02])
ROPE_LEVELS = np.array([0.5, 0.6, 0.35, 0.16])
"""Decay time of each mode of a rope and its cleat after a slip, and its level."""

GULL = 0.08

AIR_DB: dict[float, float] = {
    30: -12, 60: -3, 120: 0, 250: -4, 500: -11, 1000: -17, 2000: -25, 4000: -33, 8000: -42,
    16000: -55,
}  # fmt: skip
AIR, AIR_DEPTH_DB = 0.04, 1.8
"""The open air of the place, and the town beyond it."""


class Rope(NamedTuple):
    """A mooring rope: its position, and the modes that it excites."""

    position: float
    modes_hz: tuple[float, ...]


ROPES = (
    Rope(-0.35, (310.0, 560.0, 940.0, 1500.0)),
    Rope(0.4, (255.0, 470.0, 810.0, 1270.0)),
)


def render(rng: np.random.Generator) -> np.ndarray:
    """Return one loop of the harbour, float64 [samples, 2], at an arbitrary level."""
    n = N_SAMPLES["harbour"]
    seconds = n / dsp.SAMPLE_RATE
    swell = np.exp(SWELL_DEPTH * dsp.gust_curve(rng, int(20 * seconds), seconds, *SWELL_S))
    water, things = np.zeros((n, 2)), np.zeros((n, 2))
    add_laps(rng, water, swell)
    add_clinks(rng, things, np.roll(swell, 17))
    add_creaks(rng, things, swell)
    quay = dsp.reverb(rng, water + things, rt60_s=0.9, damping_hz=2500.0)
    sky = GULL * flock(rng, n)
    air = breathing_air(rng, n, AIR_DB, AIR_DEPTH_DB)
    return dsp.join_bass(water + things + 0.2 * quay + sky + AIR * air)


def add_laps(rng: np.random.Generator, ring: np.ndarray, swell: np.ndarray) -> None:
    """Add the water at the hulls to a stereo ring in place."""
    n = ring.shape[0]
    count = int(LAPS_A_SECOND * n / dsp.SAMPLE_RATE)
    for start in dsp.draw_times(rng, count, swell, n):
        height = swell[int(start * len(swell) / n)] * rng.lognormal(-0.2, 0.25)
        event = lap(rng, min(height, HIGHEST))
        dsp.add_event(ring, int(start), dsp.pan(event, rng.choice(HULLS) + rng.normal(0, 0.06)))


def lap(rng: np.random.Generator, height: float) -> np.ndarray:
    """Return a wavelet running along a hull, [samples]: a splash, bubbles, sometimes a gulp."""
    seconds = rng.uniform(0.7, 1.5)
    size = int(seconds * dsp.SAMPLE_RATE)
    x = np.linspace(0, 1, size)
    course = np.sin(np.pi * x ** rng.uniform(0.5, 0.8)) ** 2
    event = 0.03 * height * course * dsp.noise(rng, size, dsp.curve(LAP_DB))
    event = np.pad(event, (0, dsp.SAMPLE_RATE // 2))
    for start in dsp.draw_times(rng, int(BUBBLES * height), course[::64], size):
        pitch = float(np.clip(rng.lognormal(np.log(BUBBLE_HZ), BUBBLE_SPREAD), 300, 3200))
        sound = rng.lognormal(-2.6, 0.6) * height**0.5 * bubble(rng, pitch)
        event[start : start + sound.size] += sound
    for _ in range(rng.poisson(0.7 * height)):
        start = int(rng.uniform(0.2, 0.7) * size)
        sound = 0.16 * height * bubble(rng, rng.uniform(*GULPS_HZ))
        event[start : start + sound.size] += sound
    return event


def bubble(rng: np.random.Generator, pitch_hz: float) -> np.ndarray:
    """Return the ring of one bubble, [samples], whose pitch rises as it nears the surface."""
    decay_s = min(0.05, 20 / (np.pi * pitch_hz)) * rng.uniform(0.7, 1.3)
    t = np.arange(int(7 * decay_s * dsp.SAMPLE_RATE)) / dsp.SAMPLE_RATE
    rising = rng.uniform(0.0, 0.25) / (7 * decay_s)
    sound = np.exp(-t / decay_s) * np.sin(2 * np.pi * pitch_hz * (t + rising * t**2))
    return events.fade(sound, 1.5 / pitch_hz, decay_s)


def add_clinks(rng: np.random.Generator, ring: np.ndarray, breeze: np.ndarray) -> None:
    """Add halyards touching their masts, two or three times as a boat rolls, in place."""
    n = ring.shape[0]
    count = int(CLINKS_A_MINUTE / 60 * n / dsp.SAMPLE_RATE / 2)
    for start in dsp.draw_times(rng, count, breeze**2, n):
        pitch_hz, position, loud = MASTS[int(rng.integers(len(MASTS)))]
        for _ in range(int(rng.integers(1, 4))):
            levels = 10 ** (MAST_DB / 20) * rng.uniform(0.5, 1.2, MAST_DB.size)
            sound = events.damped_modes(pitch_hz * MAST_RATIOS, MAST_T60_S, levels, 0.002)
            force = CLINK * loud * rng.uniform(0.5, 1.0)
            dsp.add_event(ring, int(start), events.pan_level(force * sound, position))
            start += int(rng.uniform(0.22, 0.7) * dsp.SAMPLE_RATE)


def add_creaks(rng: np.random.Generator, ring: np.ndarray, swell: np.ndarray) -> None:
    """Add ropes creaking as they stretch and, a moment later, slacken, in place."""
    n = ring.shape[0]
    count = round(CREAKS_A_MINUTE / 60 * n / dsp.SAMPLE_RATE)
    for k in range(count):
        start = int((k + rng.uniform(0.1, 0.9)) / count * n)
        rope = ROPES[k % len(ROPES)]
        pull = CREAK * min(1.2, swell[int(start * len(swell) / n)]) * rng.uniform(0.5, 0.9)
        late = start + int(rng.uniform(1.0, 1.6) * dsp.SAMPLE_RATE)
        dsp.add_event(ring, start, events.pan_level(pull * creak(rng, rope), rope.position))
        dsp.add_event(ring, late, events.pan_level(0.6 * pull * creak(rng, rope), rope.position))


def creak(rng: np.random.Generator, rope: Rope) -> np.ndarray:
    """Return one creak, [samples]: slips that quicken and slow down, ringing in rope and cleat."""
    seconds = rng.uniform(0.5, 1.0)
    event = np.zeros(int((seconds + 0.3) * dsp.SAMPLE_RATE))
    modes = np.array(rope.modes_hz) * rng.normal(1.0, 0.03)
    levels = ROPE_LEVELS * rng.uniform(0.6, 1.2, ROPE_LEVELS.size)
    now_s = 0.0
    while now_s < seconds:
        pull = np.sin(np.pi * now_s / seconds)
        slip = events.damped_modes(modes, ROPE_T60_S, levels, 0.0015)
        slip *= pull**1.3 * rng.uniform(0.6, 1.0)
        start = int(now_s * dsp.SAMPLE_RATE)
        event[start : start + slip.size] += slip
        rate_hz = SLIPS_HZ[0] + (SLIPS_HZ[1] - SLIPS_HZ[0]) * pull
        now_s += rng.lognormal(0.0, 0.22) / rate_hz
    return event
