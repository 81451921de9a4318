"""Distant gulls: calls of a few harmonics that rise and fall, over water and roofs."""

from __future__ import annotations

import numpy as np

from synthesis import dsp, events

CALLS_A_MINUTE = 7
"""Phrases of a gull per minute: enough for a harbour, too few for a quarrel."""

PITCH_HZ = (620.0, 900.0)
"""Highest pitch of a gull's fundamental."""

HARMONICS = np.array([0.45, 1.0, 0.75, 0.35, 0.18, 0.08])
"""Amplitudes from the fundamental up: a gull's throat favours the second and third."""

FAR_HZ = 2300.0
"""Cutoff by distance."""


def flock(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the gulls of a loop, float64 [n, 2]: about 1 at the peak of the nearest call."""
    direct = np.zeros((n, 2))
    count = round(CALLS_A_MINUTE / 60 * n / dsp.SAMPLE_RATE)
    for k in range(count):
        now = int((k + rng.uniform(0.0, 1.0)) / count * n)
        position, pitch_hz = rng.uniform(-0.9, 0.9), rng.uniform(*PITCH_HZ)
        near = rng.uniform(0.35, 1.0)
        drift = rng.uniform(-0.04, 0.04)
        for i in range(int(rng.integers(2, 7))):
            event = near * call(rng, pitch_hz * (1 - 0.03 * i)) * (1 - 0.1 * i)
            place = float(np.clip(position + drift * i, -1, 1))
            dsp.add_event(direct, now, events.pan_level(event, place))
            now += int(event.size + rng.uniform(0.08, 0.3) * dsp.SAMPLE_RATE)
    direct = dsp.filter_ring(direct, dsp.band(400, FAR_HZ, order=1))
    return np.asarray(0.6 * direct + dsp.reverb(rng, direct, rt60_s=1.8, damping_hz=2000.0))


def call(rng: np.random.Generator, pitch_hz: float) -> np.ndarray:
    """Return one call, [samples]: a quick rise, then a long fall, slightly rough."""
    seconds = rng.uniform(0.28, 0.6)
    size = int(seconds * dsp.SAMPLE_RATE)
    x = np.linspace(0, 1, size)
    knots = np.array([0.78, 1.0, 0.95, 0.8, 0.62]) * rng.normal(1.0, 0.02, 5)
    pitch = pitch_hz * np.interp(x, [0.0, 0.18, 0.4, 0.75, 1.0], knots)
    smooth = np.hanning(size // 8)
    pitch = np.convolve(
        np.pad(pitch, smooth.size // 2, mode="edge"), smooth / smooth.sum(), "valid"
    )
    phase = 2 * np.pi * np.cumsum(pitch[:size]) / dsp.SAMPLE_RATE
    rough = 1 + 0.15 * np.interp(x, np.linspace(0, 1, 30), rng.standard_normal(30))
    partials = (a * np.sin(k * phase) for k, a in enumerate(HARMONICS, start=1))
    course = np.sin(np.pi * np.minimum(1.0, x + 0.02) ** 0.7) ** 0.8 * rough
    return events.fade(0.5 * course * sum(partials), 0.03, 0.08)
