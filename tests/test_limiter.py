"""The limiter, its peaks measured by other means than its own."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from material import RATE, distance, joined, noise

from deepmersion.sound.limiter import REACH_S, Limiter

CEILING_DBTP = -1.0
N = RATE // 2
TIME = np.arange(N)


def limited(samples: np.ndarray, cuts: list[int] | None = None) -> np.ndarray:
    limiter = Limiter(CEILING_DBTP, RATE)
    silence = np.zeros((RATE, 2), np.float32)  # pushes out what the limiter has yet to give
    blocks = [*np.split(samples, cuts or []), silence]
    return joined(limiter.process(block) for block in blocks)[: len(samples)]


def true_peaks_db(samples: np.ndarray) -> list[float]:
    """Return the true peak at eight times the rate, by three ways of interpolation."""
    import scipy.signal  # takes half a second

    padded = np.pad(samples.astype(np.float64), ((2048, 2048), (0, 0)))
    oversampled = [
        scipy.signal.resample(padded, 8 * len(padded), axis=0),
        scipy.signal.resample_poly(padded, 8, 1, axis=0),
        soxr.resample(padded, RATE, 8 * RATE, "VHQ"),
    ]
    return [float(20 * np.log10(np.abs(x).max())) for x in oversampled]


def impulses() -> np.ndarray:
    rng = np.random.default_rng(0)
    samples = np.zeros(N)
    samples[rng.integers(0, N, 30)] = 3 * rng.normal(size=30)
    return samples


def impulses_between_samples() -> np.ndarray:
    centres = np.arange(1000, N - 1000, 1500) + np.linspace(0, 1, len(range(1000, N - 1000, 1500)))
    return np.asarray(2 * np.sinc(TIME[:, None] - centres).sum(axis=1))


def square_bursts() -> np.ndarray:
    bursts = np.sin(2 * np.pi * 5 * TIME / RATE) > 0.6
    return np.asarray(2 * np.sign(np.sin(2 * np.pi * 1000 * TIME / RATE)) * bursts)


def tone(frequency_hz: float, phase: float) -> np.ndarray:
    return np.asarray(2 * np.sin(2 * np.pi * frequency_hz / RATE * TIME + phase))


def beeps_at_16_khz() -> np.ndarray:
    swell = np.maximum(0, np.sin(2 * np.pi * 200 * TIME / RATE)) ** 40
    return np.asarray(tone(16_000, 0.3) * swell)


def white_noise() -> np.ndarray:
    return np.random.default_rng(0).normal(size=N)


HARD = {
    "impulses": impulses(),
    "impulses between samples": impulses_between_samples(),
    "square bursts": square_bursts(),
    # At a quarter of the rate, 45 degrees off, every sample is 3 dB below the crest.
    "crests between samples": tone(RATE / 4, np.pi / 4),
    "crests beside a finer grid": tone(RATE / 3, np.pi / 12),
    "11 kHz": tone(11_000, 0.1),
    "20 kHz": tone(20_000, 0.1),
    "beeps at 16 kHz": beeps_at_16_khz(),
    "white noise": white_noise(),
}


@pytest.mark.parametrize("name", HARD)
def test_true_peaks_stay_below_the_ceiling(name: str) -> None:
    samples = np.stack([HARD[name], 0.3 * HARD[name]], axis=1).astype(np.float32)
    assert max(true_peaks_db(samples)) > 5, "not hard at all"
    peaks = true_peaks_db(limited(samples))
    assert max(peaks) < CEILING_DBTP
    assert max(peaks) > CEILING_DBTP - 1.5, "far quieter than need be"


@pytest.mark.parametrize("peak", [0.1, 0.5, 0.75])
def test_below_the_ceiling_nothing_is_touched(peak: float) -> None:
    samples = noise(1.0, slope=1)
    samples *= peak / np.abs(samples).max()
    assert np.array_equal(limited(samples), samples)


def test_only_the_surroundings_of_a_peak_are_touched() -> None:
    samples = noise(1.0)
    samples[N] = 3.0
    touched = np.flatnonzero((limited(samples) != samples).any(axis=1))
    reach = 2 * round(REACH_S * RATE) + 1
    assert N in touched
    assert touched.min() >= N - reach
    assert touched.max() <= N + reach


def test_both_channels_get_the_same_gain() -> None:
    samples = noise(1.0)
    samples[N, 0] = 3.0
    ratio = limited(samples) / samples
    assert distance(ratio[:, 0], ratio[:, 1]) < 1e-5


def test_the_gain_moves_smoothly() -> None:
    samples = np.full((RATE, 2), 0.5, np.float32)
    samples[N] = 3.0
    gain = (limited(samples) / samples)[:, 0]
    assert gain.min() < 0.35
    assert np.abs(np.diff(gain)).max() < 3 / (REACH_S * RATE)


CUT = np.stack([HARD["impulses"], HARD["white noise"] / 4], axis=1).astype(np.float32)
UNCUT_LIMITED = limited(CUT)


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, N), max_size=12))
def test_how_the_stream_is_cut_into_blocks_does_not_matter(cuts: list[int]) -> None:
    found = limited(CUT, sorted(cuts))
    assert found.shape == CUT.shape
    assert distance(found, UNCUT_LIMITED) < 1e-6


def test_tiny_blocks_and_a_tiny_stream_come_out_whole() -> None:
    samples = noise(0.01)
    cuts = list(range(1, len(samples)))
    assert np.array_equal(limited(samples, cuts), samples)
    assert limited(samples[:0]).shape == (0, 2)
