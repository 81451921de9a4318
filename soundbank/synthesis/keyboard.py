"""A quiet office: two people type now and then, pages turn, a mouse clicks, the room hums.

A key sounds three times: when the finger lands, when the key reaches its bottom and makes the desk
ring, and, a tenth of a second later, when it springs back. Writing comes in words and sentences
with pauses for thought. Everything is metres away in a furnished room, to avoid clicks close to the
ear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from synthesis import dsp, events
from synthesis.air import breathing_air
from synthesis.desk import mouse, paper, pencil
from synthesis.lengths import N_SAMPLES

TITLE = "Keyboards in an office"
MADE = (
    "Two people type in bursts on keyboards whose keys land, make the desk ring and spring back; "
    "between them paper, a pencil and a mouse, in a furnished room with soft ventilation."
)

ROOM_DB: dict[float, float] = {
    30: -16, 60: -3, 120: 0, 250: -4, 500: -10, 1000: -16, 2000: -23, 4000: -31, 8000: -41,
    16000: -56,
}  # fmt: skip
ROOM, ROOM_DEPTH_DB = 0.025, 1.3
"""The empty room: spectrum of its ventilation, RMS, and depth of its breathing."""

RT60_S, REVERBERANT = 0.45, 0.16
"""Reverberation time of a furnished office, and its level at a distance of one metre."""

WORDS, LETTERS = (4, 14), (2, 9)
"""Words in a burst of typing, and letters in a word."""

THOUGHT_S = (3.0, 13.0)
"""Pauses between bursts."""

SLOWEST, UNEVENNESS = 0.06, 0.28
"""Shortest time between two keys in seconds, and the deviation of its logarithm."""

STROKE_S, RELEASE_S = 0.3, (0.07, 0.13)
"""Length of a key's sound, and the time for which it is held down."""


class Touch(NamedTuple):
    """The noise of a finger or a spring: its level, length and frequency range."""

    level: float
    seconds: float
    band_hz: tuple[float, float]


LANDING, SPRINGING = Touch(0.12, 0.006, (900, 3500)), Touch(0.05, 0.005, (1500, 5000))

HIT_S = 0.0012
"""Rise time of a hit: a faster one would be a click."""

DESK_MODES = np.array([(1.0, 0.05, 0.55), (2.3, 0.04, 0.3)])
KEY_MODES = np.array([(0.55, 0.03, 0.35), (1.0, 0.022, 0.4), (2.1, 0.014, 0.16)])
BACK_MODES = np.array([(1.3, 0.02, 0.13), (2.6, 0.012, 0.08)])
"""Modes of the desk, of a key, and of a key springing back: frequency relative to that of the
typist's desk or key, T60 in seconds, amplitude."""

PAPER_S, PENCIL_S, MOUSE_S = 13.0, 21.0, 9.0
"""Mean time between sheets, between pencil notes, and between moves of the mouse."""

PAPER, PENCIL, MOUSE = 0.26, 0.06, 0.20
"""Their amplitudes, relative to a key's."""


@dataclass(frozen=True)
class Typist:
    """A person at a keyboard: position, speed, and the sound of the keys and the desk."""

    position: float
    distance_m: float
    pace_s: float
    desk_hz: float
    key_hz: float
    top_hz: float


TYPISTS = (
    Typist(-0.4, 1.9, 0.150, 172.0, 1450.0, 4200.0),
    Typist(0.5, 3.4, 0.195, 215.0, 1150.0, 3200.0),
)


def render(rng: np.random.Generator) -> np.ndarray:
    """Return one loop of the office, float64 [samples, 2], at an arbitrary level."""
    n = N_SAMPLES["keyboard"]
    direct, send = np.zeros((n, 2)), np.zeros((n, 2))
    for typist in TYPISTS:
        add_typing(rng, typist, direct, send)
    for make, amplitude, apart_s in (
        (paper, PAPER, PAPER_S),
        (pencil, PENCIL, PENCIL_S),
        (mouse, MOUSE, MOUSE_S),
    ):
        add_now_and_then(rng, make, amplitude, apart_s, direct, send)
    room = dsp.reverb(rng, send, RT60_S, damping_hz=2200.0)
    air = breathing_air(rng, n, ROOM_DB, ROOM_DEPTH_DB)
    return dsp.join_bass(direct + REVERBERANT * room + ROOM * air)


def add_now_and_then(
    rng: np.random.Generator,
    make: Callable[[np.random.Generator], np.ndarray],
    amplitude: float,
    apart_s: float,
    direct: np.ndarray,
    send: np.ndarray,
) -> None:
    """Add something that happens about every `apart_s` seconds, somewhere in the room, in place."""
    count = round(direct.shape[0] / dsp.SAMPLE_RATE / apart_s)
    for k in range(count):
        start = int((k + rng.uniform(0.1, 0.9)) / count * direct.shape[0])
        event = dsp.pan(amplitude * rng.uniform(0.7, 1.1) * make(rng), rng.uniform(-0.6, 0.6))
        dsp.add_event(direct, start, event / rng.uniform(1.8, 3.2))
        dsp.add_event(send, start, event)


def add_typing(
    rng: np.random.Generator, typist: Typist, direct: np.ndarray, send: np.ndarray
) -> None:
    """Add one person's typing to the direct sound and to the reverberation's input."""
    n = direct.shape[0]
    keys = typist.key_hz * rng.lognormal(0.0, 0.16, 26)
    far = dsp.band(90, typist.top_hz, order=1)
    now_s = rng.uniform(*THOUGHT_S)
    while now_s < n / dsp.SAMPLE_RATE - THOUGHT_S[0]:
        vigour = rng.uniform(0.75, 1.0)
        for late_s, is_space in burst(rng, typist.pace_s):
            key_hz = 0.62 * typist.key_hz if is_space else float(rng.choice(keys))
            event = events.filter_event(stroke(rng, typist.desk_hz, key_hz), far)
            loud = vigour * rng.lognormal(0.0, 0.18) * (1.25 if is_space else 1.0)
            side = typist.position + rng.uniform(-0.06, 0.06)
            panned = dsp.pan(loud * event, side)
            start = int((now_s + late_s) * dsp.SAMPLE_RATE)
            dsp.add_event(direct, start, panned / typist.distance_m)
            dsp.add_event(send, start, panned)
        now_s += late_s + rng.uniform(*THOUGHT_S)


def burst(rng: np.random.Generator, pace_s: float) -> list[tuple[float, bool]]:
    """Return the times of the keystrokes of some words, in seconds, and which are the space bar."""
    strokes, now_s = [], 0.0
    for _ in range(int(rng.integers(*WORDS))):
        letters = int(rng.integers(*LETTERS))
        for k in range(letters + 1):
            strokes.append((now_s, k == letters))
            now_s += max(SLOWEST, pace_s * rng.lognormal(0.0, UNEVENNESS))
        if rng.random() < 0.25:
            now_s += rng.uniform(0.2, 0.9)
    return strokes


def stroke(rng: np.random.Generator, desk_hz: float, key_hz: float) -> np.ndarray:
    """Return one key, [samples]: it lands, reaches its bottom and springs back."""
    sound = np.zeros(int(STROKE_S * dsp.SAMPLE_RATE))
    down = np.concatenate([DESK_MODES * (desk_hz, 1, 1), KEY_MODES * (key_hz, 1, 1)])
    hit(rng, sound, 0.0, down, LANDING)
    hit(rng, sound, rng.uniform(*RELEASE_S), BACK_MODES * (key_hz, 1, 1), SPRINGING)
    return sound


def hit(
    rng: np.random.Generator, sound: np.ndarray, at_s: float, modes: np.ndarray, touch: Touch
) -> None:
    """Add modes [k, 3] (frequency in Hz, T60 in seconds, amplitude) and a touch, in place."""
    frequencies_hz, t60_s, levels = (modes * rng.normal(1.0, 0.06, modes.shape)).T
    ring = events.damped_modes(frequencies_hz, t60_s, levels, HIT_S)
    noise = dsp.noise(rng, int(touch.seconds * dsp.SAMPLE_RATE), dsp.band(*touch.band_hz, order=1))
    ring[: noise.size] += touch.level * events.fade(noise, HIT_S, touch.seconds - HIT_S)
    start = int(at_s * dsp.SAMPLE_RATE)
    sound[start : start + ring.size] += ring
