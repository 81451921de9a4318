"""Single sound events: their times, ringing, fades and stereo position."""

from __future__ import annotations

import numpy as np

from synthesis.dsp import SAMPLE_RATE, Response, fast_length, filter_ring


def poisson_times(rng: np.random.Generator, n: int, rate_hz: float) -> np.ndarray:
    """Return the sample positions, in order, of independent events on a ring of n samples."""
    count = int(rng.poisson(rate_hz * n / SAMPLE_RATE))
    return np.sort(rng.integers(0, n, count))


def damped_modes(
    frequencies_hz: np.ndarray, t60_s: np.ndarray, amplitudes: np.ndarray, attack_s: float = 0.0
) -> np.ndarray:
    """Return the sound of a struck body: a sum of sinusoids, each with its own decay.

    Parameters
    ----------
    frequencies_hz, t60_s, amplitudes : ndarray, shape = (modes,)
        Frequency, time to fall by 60 dB (in seconds) and amplitude of each mode.
    attack_s : float
        Length of the blow, in seconds: about 10 ms for a soft mallet, almost zero for a spoon.

    Returns
    -------
    ndarray, shape = (samples,)
        As long as the longest mode takes to fall by 72 dB; every mode fades out at its end.
    """
    event = np.zeros(max(8, int(1.2 * np.max(t60_s) * SAMPLE_RATE)))
    for f, t60, amplitude in zip(frequencies_hz, t60_s, amplitudes, strict=True):
        t = np.arange(max(8, int(1.2 * t60 * SAMPLE_RATE))) / SAMPLE_RATE
        mode = amplitude * 10 ** (-3 * t / t60) * np.sin(2 * np.pi * f * t)
        event[: t.size] += fade(mode, attack_s, 0.1 * t60)
    return event


def fade(x: np.ndarray, in_s: float, out_s: float) -> np.ndarray:
    """Return an event [samples] with raised-cosine fades of `in_s` and `out_s` seconds."""
    y = np.array(x, dtype=float)
    n_in, n_out = (min(x.shape[0], int(s * SAMPLE_RATE)) for s in (in_s, out_s))
    if n_in:
        y[:n_in] *= 0.5 - 0.5 * np.cos(np.pi * (np.arange(n_in) + 0.5) / n_in)
    if n_out:
        y[-n_out:] *= 0.5 + 0.5 * np.cos(np.pi * (np.arange(n_out) + 0.5) / n_out)
    return y


def filter_event(x: np.ndarray, response: Response, tail_s: float = 0.05) -> np.ndarray:
    """Return an event [samples] filtered with silence around it, longer by `tail_s` seconds."""
    tail = int(tail_s * SAMPLE_RATE)
    padded = np.pad(x, (0, fast_length(x.shape[0] + 2 * tail) - x.shape[0]))
    return filter_ring(padded, response)[: x.shape[0] + tail]


def pan_level(x: np.ndarray, position: float) -> np.ndarray:
    """Return a mono event in stereo with equal power and no delay between the ears.

    For steady tones: with a delay, a tone may cancel itself when both sides are added up.

    Parameters
    ----------
    position : float
        -1 is left, 1 is right.
    """
    angle = (position + 1) * np.pi / 4
    return np.stack([x * np.cos(angle), x * np.sin(angle)], axis=1)
