"""Temple bells and bamboo chimes: two large bells struck at long intervals, bamboo in a breeze.

A Japanese temple bell is heard in three phases: the stroke, a dense clang of high modes that is
over within a second or two; the boom of the middle modes, some ten seconds; and the hum, which
lasts most of a minute and beats slowly, because bells are not perfectly round and each mode is two.
It is struck softly with the end of a hanging log. The chimes are free tubes of bamboo: bars with
modes at 1, 2.76 and 5.4, which wood damps within half a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthesis import dsp, events
from synthesis.air import breathing_air
from synthesis.lengths import N_SAMPLES

TITLE = "Temple bells"
MADE = (
    "Two great bells struck softly some ten seconds apart: a clang, a boom and a hum of "
    "slowly beating modes that lasts most of a minute, with tubes of bamboo that a breeze stirs."
)

RATIOS = np.array([1.0, 2.02, 2.71, 3.6, 4.15, 5.12, 6.28, 7.4])
"""Frequencies of a bell's long modes relative to the hum."""

T60_S = np.array([46.0, 40.0, 36.0, 30.0, 24.0, 18.0, 12.0, 8.0])
"""Time in which each falls by 60 dB, for the greater bell."""

LEVELS_DB = np.array([-3.0, 0.0, -5.0, -7.0, -12.0, -15.0, -20.0, -25.0])
"""Level of each just after a stroke: the ear is more sensitive at the second than at the hum."""

BEATS_HZ = (0.25, 0.6)
"""Distance of the hum's two modes; those of higher modes are farther apart."""

CLANG_MODES, CLANG_RATIOS, CLANG_T60_S, CLANG_DB = 18, (8.0, 24.0), (0.5, 2.2), -19.0
"""Number of the clang's modes, their range relative to the hum, their decay, and the clang's level:
a louder one would startle."""

ATTACK_S = 0.025
"""Contact time of log and bell."""

SPACING_S = (7.5, 11.5)
"""Shortest and longest time between two strokes: the boom is over before the next one."""

TUBES_HZ = (330.0, 371.3, 440.0, 495.0, 556.9, 660.0)
"""The lowest modes of the bamboo tubes, nearly a scale of five tones on the greater bell."""

TUBE_RATIOS = np.array([1.0, 2.76, 5.4, 8.9])
TUBE_T60_S = np.array([0.42, 0.17, 0.08, 0.04])
TUBE_DB = np.array([0.0, -8.0, -17.0, -27.0])

KNOCKS_A_SECOND, KNOCK = 2.3, 0.22
"""Mean rate of bamboo knocks, and their level relative to a bell's stroke."""

BREEZE_S, BREEZE_DEPTH = (14.0, 1.0), 0.55
"""Periods of the breeze, and the deviation of its speed's logarithm."""

KNOCK_POWER = 3.2
"""The rate of knocks grows with this power of the breeze: it stirs the chimes, then they rest."""

AIR_DB: dict[float, float] = {
    30: -22, 60: -5, 120: 0, 250: -5, 500: -10, 1000: -14, 2000: -18, 4000: -23, 8000: -34,
    16000: -55,
}  # fmt: skip
AIR, AIR_DEPTH_DB = 0.022, 1.5
"""The air of the garden, with leaves in it: its spectrum, its RMS, and the depth of its breathing
on top of the breeze."""


@dataclass(frozen=True)
class Bell:
    """One bell: both modes of each pair, those of the clang, its loudness and position."""

    lower_hz: np.ndarray
    upper_hz: np.ndarray
    t60_s: np.ndarray
    clang_hz: np.ndarray
    clang_t60_s: np.ndarray
    loudness: float
    position: float


BELLS = ((82.5, 1.0, -0.3), (110.0, 0.62, 0.4))
"""Hum in Hz, loudness and position of the larger bell, and of the smaller one farther off."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return one loop of the temple garden, float64 [samples, 2], at an arbitrary level."""
    n = N_SAMPLES["bells"]
    bells = [make_bell(rng, *bell) for bell in BELLS]
    rung = np.zeros((n, 2))
    for i, start in enumerate(strokes(rng, n)):
        bell = bells[1] if i % 3 == 2 else bells[0]
        for event in stroke(rng, bell, force=rng.uniform(0.75, 1.0)):
            dsp.add_event(rung, int(start), event)
    seconds = n / dsp.SAMPLE_RATE
    breeze = np.exp(BREEZE_DEPTH * dsp.gust_curve(rng, int(20 * seconds), seconds, *BREEZE_S))
    bamboo = np.zeros((n, 2))
    add_chimes(rng, bamboo, breeze)
    garden = dsp.reverb(rng, rung + bamboo, rt60_s=2.2, damping_hz=1800.0)
    air = breathing_air(rng, n, AIR_DB, AIR_DEPTH_DB) * dsp.stretch(breeze, n)[:, None]
    return dsp.join_bass(rung + bamboo + 0.3 * garden + AIR * air)


def make_bell(rng: np.random.Generator, hum_hz: float, loudness: float, position: float) -> Bell:
    """Return a bell; smaller ones ring shorter and beat faster."""
    size = BELLS[0][0] / hum_hz
    centre = hum_hz * RATIOS * (1 + rng.normal(0, 0.006, RATIOS.size))
    centre[0] = hum_hz
    split = rng.uniform(*BEATS_HZ) / size * (1 + 0.5 * np.arange(RATIOS.size))
    split *= rng.uniform(0.8, 1.2, RATIOS.size)
    lowest, highest = CLANG_RATIOS
    clang_hz = hum_hz * lowest * (highest / lowest) ** rng.random(CLANG_MODES)
    clang_t60_s = rng.uniform(*CLANG_T60_S, CLANG_MODES) * lowest * hum_hz / clang_hz
    t60_s = T60_S * size**0.5
    return Bell(
        centre - split / 2, centre + split / 2, t60_s, clang_hz, clang_t60_s, loudness, position
    )


def strokes(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return sample positions of strokes about `SPACING_S` apart, including across the seam."""
    count = 3 * round(n / dsp.SAMPLE_RATE / np.mean(SPACING_S) / 3)
    gaps = rng.uniform(*SPACING_S, count)
    return np.asarray(np.cumsum(gaps) * n / gaps.sum()).astype(np.int64) % n


def stroke(rng: np.random.Generator, bell: Bell, force: float) -> list[np.ndarray]:
    """Return one stroke as events [samples, 2]: lower modes, upper modes, the clang.

    The log always strikes the same place, so a pair of modes shares the energy nearly evenly. A
    firmer stroke emphasises the upper modes.
    """
    levels = 10 ** (LEVELS_DB * (1.3 - 0.3 * force) / 20) * rng.uniform(0.85, 1.15, RATIOS.size)
    angle = np.pi / 4 + rng.normal(0, 0.15, RATIOS.size)
    lower = events.damped_modes(bell.lower_hz, bell.t60_s, levels * np.cos(angle), ATTACK_S)
    upper = events.damped_modes(bell.upper_hz, bell.t60_s, levels * np.sin(angle), ATTACK_S)
    share = rng.normal(0, 1, CLANG_MODES) / bell.clang_hz
    share *= dsp.db(CLANG_DB) * force / np.sqrt(np.sum(share**2))
    clang = events.damped_modes(bell.clang_hz, bell.clang_t60_s, share, ATTACK_S / 2)
    loud = bell.loudness * force
    return [
        loud * events.pan_level(lower, bell.position - 0.2),
        loud * events.pan_level(upper, bell.position + 0.2),
        loud * dsp.pan(clang, bell.position),
    ]


def add_chimes(rng: np.random.Generator, ring: np.ndarray, breeze: np.ndarray) -> None:
    """Add the knocks of bamboo tubes in a row, stirred by a breeze [points], to a ring in place."""
    n = ring.shape[0]
    count = int(KNOCKS_A_SECOND * n / dsp.SAMPLE_RATE)
    for start in dsp.draw_times(rng, count, breeze**KNOCK_POWER, n):
        first = int(rng.integers(len(TUBES_HZ)))
        swing = min(1.6, breeze[int(start * len(breeze) / n)]) * rng.lognormal(-0.3, 0.35)
        for tube in {first, min(first + 1, len(TUBES_HZ) - 1)}:
            position = 0.15 + 0.6 * tube / len(TUBES_HZ)
            level = KNOCK * min(swing, 1.8) * rng.uniform(0.5, 1.0)
            dsp.add_event(ring, int(start), dsp.pan(level * knock(rng, TUBES_HZ[tube]), position))


def knock(rng: np.random.Generator, tube_hz: float) -> np.ndarray:
    """Return the knock of a bamboo tube against its neighbour, [samples]."""
    levels = 10 ** (TUBE_DB / 20) * rng.uniform(0.5, 1.2, TUBE_RATIOS.size)
    t60_s = TUBE_T60_S * (TUBES_HZ[0] / tube_hz) ** 0.5 * rng.uniform(0.9, 1.1)
    ring = events.damped_modes(tube_hz * TUBE_RATIOS, t60_s, levels, 0.003)
    touch = dsp.noise(rng, int(0.02 * dsp.SAMPLE_RATE), dsp.band(400, 1600, order=2))
    touch = 0.1 * events.fade(touch, 0.003, 0.016)
    ring[: touch.size] += touch
    return ring
