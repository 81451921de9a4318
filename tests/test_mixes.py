from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepmersion.errors import RequestError
from deepmersion.hearing.mixes import count_superimpositions, superimpositions
from deepmersion.sound.recording import at_level, ring_window


@given(n_sounds=st.integers(1, 10), max_layers=st.none() | st.integers(1, 12))
def test_there_are_as_many_mixes_as_subsets(n_sounds: int, max_layers: int | None) -> None:
    gains = superimpositions(n_sounds, max_layers)
    most = n_sounds if max_layers is None else min(max_layers, n_sounds)
    n_expected = sum(math.comb(n_sounds, k) for k in range(1, most + 1))
    assert gains.shape == (n_expected, n_sounds)
    assert gains.dtype == np.float32
    assert count_superimpositions(n_sounds, max_layers) == n_expected
    assert len({row.tobytes() for row in gains}) == n_expected, "a mix stands twice"
    assert set(np.unique(gains)) <= {0.0, 1.0}
    layers = gains.sum(axis=1)
    assert layers.min() == 1
    assert layers.max() == most
    assert (np.diff(layers) >= 0).all(), "more layers come later"
    assert np.array_equal(gains[:n_sounds], np.eye(n_sounds))


def test_ten_sounds_make_1023_mixes() -> None:
    assert len(superimpositions(10)) == 1023


def test_the_order_is_fixed() -> None:
    assert superimpositions(3).tolist() == [
        [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1],
    ]  # fmt: skip


@pytest.mark.parametrize("max_layers", [0, -1])
def test_a_mix_has_at_least_one_sound(max_layers: int) -> None:
    with pytest.raises(RequestError, match="at least 1"):
        superimpositions(3, max_layers)


@given(level=st.floats(1e-4, 1.0), scale=st.floats(1e-5, 100.0), seed=st.integers(0, 100))
def test_at_level_sets_the_rms_of_each_waveform(level: float, scale: float, seed: int) -> None:
    waveforms = np.random.default_rng(seed).normal(size=(3, 500)) * [[scale], [1.0], [0.01]]
    scaled = at_level(waveforms.astype(np.float32), level)
    assert scaled.dtype == np.float32
    assert np.sqrt((scaled.astype(float) ** 2).mean(axis=1)) == pytest.approx(level, rel=1e-4)
    for before, after in zip(waveforms, scaled, strict=True):
        assert np.corrcoef(before, after)[0, 1] == pytest.approx(1)


def test_silence_has_no_level() -> None:
    with pytest.raises(ValueError, match="silent"):
        at_level(np.stack([np.ones(10), np.zeros(10)]), 0.1)


@given(length=st.integers(1, 30), start=st.integers(0, 100), n_samples=st.integers(0, 100))
def test_a_ring_window_goes_round(length: int, start: int, n_samples: int) -> None:
    loop = np.arange(2 * length).reshape(length, 2)
    window = ring_window(loop, start, n_samples)
    assert window.shape == (n_samples, 2)
    for i in range(n_samples):
        assert np.array_equal(window[i], loop[(start + i) % length])
