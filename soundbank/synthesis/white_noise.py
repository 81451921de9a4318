"""White noise: an even, steady hiss in which nothing ever happens."""

from __future__ import annotations

import numpy as np

from synthesis import dsp
from synthesis.lengths import N_SAMPLES

TITLE = "White noise"
MADE = (
    "Noise whose long-term spectrum is flat within about a decibel from 35 Hz to 12 kHz, drawn "
    "independently for left and right up to 3 kHz and narrower above."
)

LOW_HZ = 30.0
"""Half power at the bottom (-1 dB at 35 Hz): lower frequencies are inaudible and only strain
loudspeakers."""

HIGH_HZ = 14_000.0
"""Half power at the top (-1 dB at 12 kHz): the highest octave tires the ear."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return the sound, float64 [samples, 2] at 44.1 kHz."""
    n = N_SAMPLES["white-noise"]
    # Every frequency of the ring gets the same power and a random phase. Gaussian noise would be
    # flat only on average, with random differences between octaves.
    phases = rng.uniform(0.0, 2 * np.pi, (n // 2 + 1, 2))
    phases[0] = 0.0
    x = np.fft.irfft(np.exp(1j * phases), n, axis=0)
    return dsp.join_treble(dsp.filter_ring(x, dsp.band(LOW_HZ, HIGH_HZ, order=4)))
