"""A summer night: crickets near and far over quiet air.

A cricket draws one wing over the other; each stroke is a pulse of almost pure tone, three to
six strokes make a chirp, and a chirp comes about twice a second for as long as the insect is left
in peace. Others trill without pause. Every individual keeps its own pitch, tempo
and place; neighbours of one species drift in and out of step because their tempos differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthesis import dsp, events
from synthesis.lengths import N_SAMPLES

TITLE = "Crickets on a summer night"
MADE = (
    "Chirping and trilling crickets as trains of short tone pulses, each insect with its own "
    "pitch, tempo, pauses and place, over quiet night air."
)


@dataclass(frozen=True)
class Species:
    """The song of a kind of cricket; ranges cover the differences between individuals."""

    carrier_hz: tuple[float, float]
    chirps_hz: tuple[float, float]
    pulses: tuple[int, int]
    pulse_s: float
    pulse_period_s: float
    second_harmonic: float


FIELD = Species((4100, 4650), (1.8, 2.6), (3, 6), 0.017, 0.026, 0.07)
TREE = Species((2900, 3400), (1.4, 2.0), (5, 8), 0.011, 0.020, 0.03)
TRILLER = Species((4600, 5200), (0.12, 0.3), (70, 160), 0.010, 0.018, 0.03)
GROUND = Species((6400, 7600), (0.5, 0.9), (12, 30), 0.009, 0.022, 0.01)

CHORUS: list[tuple[Species, int, tuple[float, float]]] = [
    (FIELD, 1, (1.8, 2.2)),
    (FIELD, 2, (5.0, 10.0)),
    (FIELD, 8, (16.0, 40.0)),
    (FIELD, 24, (40.0, 90.0)),
    (TREE, 5, (50.0, 90.0)),
    (TRILLER, 5, (40.0, 90.0)),
    (GROUND, 4, (40.0, 65.0)),
]
"""The singers: species, number, and range of distances in metres."""

AIR_DB_PER_M = 0.07
"""Absorption of a tone at 4.5 kHz by air and grass, in dB per metre."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return one loop of the night, float64 [samples, 2], at an arbitrary level."""
    n = N_SAMPLES["crickets"]
    direct, far = np.zeros((n, 2)), np.zeros((n, 2))
    for species, count, distances_m in CHORUS:
        for _ in range(count):
            distance_m = float(np.exp(rng.uniform(*np.log(distances_m))))
            sing(rng, species, distance_m, direct, far)
    meadow = dsp.reverb(rng, far, rt60_s=0.9, damping_hz=5000.0)
    return np.asarray(direct + meadow + night_air(rng, n))


def night_air(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the air of the night [n, 2]: a low, slow, very quiet noise."""
    response = dsp.curve(
        {
            20: -30,
            45: -6,
            80: 0,
            160: -8,
            315: -14,
            630: -13,
            1600: -22,
            3000: -30,
            6000: -36,
            16000: -46,
        }
    )
    air = dsp.diffuse_noise(rng, n, response)
    return np.asarray(0.025 * air * np.exp(0.25 * dsp.slow_curve(rng, n, 3.0))[:, None])


def sing(
    rng: np.random.Generator,
    species: Species,
    distance_m: float,
    direct: np.ndarray,
    far: np.ndarray,
) -> None:
    """Add one insect's song to the direct and the scattered sound."""
    n = direct.shape[0]
    carrier_hz = rng.uniform(*species.carrier_hz)
    n_pulses = int(rng.integers(species.pulses[0], species.pulses[1] + 1))
    absorbed = AIR_DB_PER_M * distance_m * (carrier_hz / 4500) ** 1.5
    level = dsp.db(-absorbed) / distance_m * rng.uniform(0.7, 1.3)
    position = rng.uniform(-0.9, 0.9) * min(1.0, 0.35 + distance_m / 30)
    mood = dsp.slow_curve(rng, n, 4.0, slope=1.0) + rng.uniform(0.6, 1.8)
    for start in chirp_times(rng, n, rng.uniform(*species.chirps_hz)):
        if mood[start] < 0:
            continue
        vigour = min(1.0, 0.45 + 0.8 * mood[start]) * rng.uniform(0.85, 1.1)
        extra = int(rng.integers(-1, 2)) if n_pulses > 4 else -int(rng.random() < 0.12)
        event = chirp(rng, species, carrier_hz, max(2, n_pulses + extra))
        event = events.pan_level(level * vigour * event, position)
        dsp.add_event(direct, int(start), event)
        dsp.add_event(far, int(start), event * (0.12 + 0.012 * distance_m))


def chirp_times(rng: np.random.Generator, n: int, rate_hz: float) -> np.ndarray:
    """Return the sample positions of chirps whose tempo drifts periodically with the ring."""
    count = max(1, round(rate_hz * n / dsp.SAMPLE_RATE))
    drift = np.cumsum(1 + 0.06 * dsp.slow_curve(rng, n, 2.0, slope=1.0))
    beats = (np.arange(count) + rng.random() + rng.normal(0, 0.035, count)) / count
    return np.asarray(np.searchsorted(drift, (beats % 1.0) * drift[-1]).clip(0, n - 1))


def chirp(
    rng: np.random.Generator, species: Species, carrier_hz: float, n_pulses: int
) -> np.ndarray:
    """Return one chirp: wing strokes that grow slightly, each a pulse of falling pitch."""
    length = int(species.pulse_s * dsp.SAMPLE_RATE)
    period = species.pulse_period_s * dsp.SAMPLE_RATE
    x = np.linspace(0, 1, length)
    envelope = np.sin(np.pi * x**0.75) ** 1.5
    event = np.zeros(int(period * n_pulses) + 2 * length)
    for k in range(n_pulses):
        f = carrier_hz * (1.012 - 0.03 * x + rng.normal(0, 0.002))
        phase = 2 * np.pi * np.cumsum(f) / dsp.SAMPLE_RATE + rng.uniform(0, 2 * np.pi)
        pulse = np.sin(phase) + species.second_harmonic * np.sin(2 * phase)
        growth = min(1.0, 0.55 + 0.2 * k) * rng.uniform(0.9, 1.05)
        start = int(period * k * rng.uniform(0.995, 1.005))
        event[start : start + length] += growth * envelope * pulse
    return event
