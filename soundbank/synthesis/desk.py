"""Other sounds of a desk: a turned page, a pencil, and a mouse."""

from __future__ import annotations

import numpy as np

from synthesis import dsp, events

CREASES = 220
"""Number of audible small bends while a sheet is turned."""


def paper(rng: np.random.Generator) -> np.ndarray:
    """Return a sheet turned and laid down, [samples]: a swish full of small bends."""
    seconds = rng.uniform(0.6, 1.1)
    size = int(seconds * dsp.SAMPLE_RATE)
    x = np.linspace(0, 1, size)
    course = np.sin(np.pi * x**0.8) ** 1.5 * (
        1 + 0.35 * np.sin(2 * np.pi * (1.7 * x + rng.random()))
    )
    swish = dsp.noise(
        rng, size, dsp.curve({300: -14, 900: -4, 2000: 0, 4500: -5, 9000: -16, 16000: -45})
    )
    bends = np.zeros(size + dsp.SAMPLE_RATE // 50)
    t = np.arange(int(0.004 * dsp.SAMPLE_RATE)) / dsp.SAMPLE_RATE
    for start in dsp.draw_times(rng, CREASES, course[::64], size):
        pitch = rng.uniform(900, 4200)
        bend = np.sin(2 * np.pi * pitch * t) * np.exp(-t / rng.uniform(0.0004, 0.0012))
        bends[start : start + t.size] += rng.lognormal(-0.6, 0.6) * bend
    event = 0.3 * swish * course + 0.55 * bends[:size]
    return events.filter_event(events.fade(event, 0.08, 0.15), dsp.band(250, 5000, order=1))


def pencil(rng: np.random.Generator) -> np.ndarray:
    """Return a few words in pencil, [samples]: short strokes on paper over a desk."""
    size = int(rng.uniform(2.0, 4.0) * dsp.SAMPLE_RATE)
    course, at = np.zeros(size), 0
    while at < size:
        length = int(rng.uniform(0.06, 0.2) * dsp.SAMPLE_RATE)
        x = np.linspace(0, 1, min(length, size - at))
        course[at : at + x.size] = rng.uniform(0.4, 1.0) * np.sin(np.pi * x) ** 1.2
        at += length + int(rng.exponential(0.04) * dsp.SAMPLE_RATE)
    scratch = dsp.noise(
        rng, size, dsp.curve({200: -12, 700: -6, 1800: 0, 3500: -3, 8000: -20, 16000: -45})
    )
    return events.fade(scratch * course, 0.05, 0.05)


def mouse(rng: np.random.Generator) -> np.ndarray:
    """Return a mouse being moved and clicked, or scrolled, [samples]."""
    moved = int(rng.uniform(0.3, 0.7) * dsp.SAMPLE_RATE)
    rub = dsp.noise(rng, moved, dsp.curve({100: -6, 300: 0, 1000: -8, 4000: -22, 16000: -60}))
    event = np.pad(0.12 * rub * np.sin(np.pi * np.linspace(0, 1, moved)) ** 2, (0, moved))
    if rng.random() < 0.4:
        times = moved + np.cumsum(rng.uniform(0.06, 0.1, rng.integers(3, 7))) * dsp.SAMPLE_RATE
        levels = np.full(times.size, 0.3)
    else:
        times = moved + np.array([0.0, rng.uniform(0.08, 0.13)]) * dsp.SAMPLE_RATE
        levels = np.array([1.0, 0.55])
    event = np.pad(event, (0, dsp.SAMPLE_RATE))
    for start, level in zip(times.astype(int), levels, strict=True):
        modes = rng.uniform([420, 1500, 2400], [560, 1900, 3100])
        click = events.damped_modes(
            modes, np.array([0.03, 0.018, 0.012]), level * np.array([0.5, 0.7, 0.4]), 0.0012
        )
        event[start : start + click.size] += click
    return event
