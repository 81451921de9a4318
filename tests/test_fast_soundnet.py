"""The fast way over many mixes, against SoundNet hearing each mix from its samples."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from material import distance, noise

from deepmersion.hearing.fast_soundnet import SuperimposedSoundNet
from deepmersion.hearing.layout import (
    DEVICE_MIXES,
    MIX_BYTES,
    POOL2_BYTES,
    PROCESSOR,
    SOUND_BYTES,
    SOUNDS_TOGETHER,
    batches,
    device_layout,
)
from deepmersion.hearing.mixes import neighbours, superimpositions
from deepmersion.hearing.soundnet import SAMPLE_RATE, SoundNet, predict
from deepmersion.sound.recording import at_level, ring_window

TOLERANCE_NATS = 1e-3
"""Far below what differs between mixes; single precision leaves about 1e-5."""

LEVEL_RMS = 0.01


@pytest.fixture(scope="module")
def network(soundnet_weights: Path) -> SoundNet:
    return SoundNet.load(soundnet_weights)


@pytest.fixture(scope="module")
def loops() -> list[np.ndarray]:
    """Ten noises, from hissing to rumbling, mono: none is as long as another, or as loud."""
    return [
        (1 + i) / 10 * noise(3 + 0.7 * i, rate=SAMPLE_RATE, channels=1, slope=i / 4, seed=i)[:, 0]
        for i in range(10)
    ]


def heard(loops: list[np.ndarray], duration_s: float) -> np.ndarray:
    n_samples = round(duration_s * SAMPLE_RATE)
    return np.stack([ring_window(loop, 0, n_samples) for loop in loops])


def assert_as_from_samples(
    network: SoundNet,
    sounds: np.ndarray,
    gains: np.ndarray,
    level_rms: float = LEVEL_RMS,
) -> None:
    superimposed = SuperimposedSoundNet(network, sounds, level_rms)
    assert_hears_as_from_samples(superimposed, network, sounds, gains, level_rms)


def assert_hears_as_from_samples(
    superimposed: SuperimposedSoundNet,
    network: SoundNet,
    sounds: np.ndarray,
    gains: np.ndarray,
    level_rms: float = LEVEL_RMS,
) -> None:
    found = superimposed.predict(gains)
    expected = predict(network, at_level(gains @ sounds, level_rms))
    for i in range(len(gains)):
        assert distance(found.objects[i], expected.objects[i]) < TOLERANCE_NATS
        assert distance(found.scenes[i], expected.scenes[i]) < TOLERANCE_NATS


def test_mixes_of_ten_sounds(network: SoundNet, loops: list[np.ndarray]) -> None:
    gains = superimpositions(len(loops))
    some = np.random.default_rng(0).choice(len(gains), PROCESSOR.mixes + 3, replace=False)
    assert_as_from_samples(network, heard(loops, 22.31), gains[some])


# The ends fall differently on poolings, paddings and tiles; short sounds are looped up.
@pytest.mark.parametrize("duration_s", [1.3, 20.001, 23.77, 26.01])
def test_any_length(network: SoundNet, loops: list[np.ndarray], duration_s: float) -> None:
    gains = superimpositions(3)[[0, 4, 6]]
    assert_as_from_samples(network, heard(loops[:3], duration_s), gains)


# The layout for a GPU, on the CPU, in memory for: all sounds; all but three, whose places others
# take in turn; a part of the length.
@pytest.mark.parametrize(
    ("duration_s", "n_sounds", "n_bytes", "kept", "in_one"),
    [
        (23.77, 6, 10**9, 6, True),
        (1.3, 1, 10**9, 1, True),
        (20.0, 28, 67 * 10**7, 25, True),
        (22.31, 6, 4 * 10**7, 0, False),
        (20.0, 10, 2 * 10**6, 0, False),
    ],
)
def test_the_layout_for_a_device(
    network: SoundNet,
    loops: list[np.ndarray],
    duration_s: float,
    n_sounds: int,
    n_bytes: int,
    kept: int,
    in_one: bool,
) -> None:
    sounds = np.concatenate([heard(loops[:6], duration_s)] * 5)[:n_sounds]
    sounds += 0.01 * np.random.default_rng(2).standard_normal(sounds.shape, np.float32)
    superimposed = SuperimposedSoundNet(network, sounds, LEVEL_RMS, n_bytes)
    layout = superimposed._layout
    assert layout.kept == kept
    assert (layout.columns == superimposed._n_pool2) == in_one
    if kept < n_sounds and in_one:
        superimposed.predict(superimpositions(n_sounds, 1))
    gains = superimpositions(n_sounds, 2)
    gains = gains[:: -(-len(gains) // 5)]
    assert_hears_as_from_samples(superimposed, network, sounds, gains)


@given(
    n_columns=st.integers(1, 10**6), n_sounds=st.integers(1, 2000), megabytes=st.integers(1, 10**5)
)
def test_a_devices_layout_stays_within_its_memory(
    n_columns: int, n_sounds: int, megabytes: int
) -> None:
    n_bytes = megabytes * 10**6
    layout = device_layout(n_columns, n_sounds, n_bytes)
    n_rows = (layout.kept or min(n_sounds, SOUNDS_TOGETHER)) + 1
    of_a_column = n_rows * SOUND_BYTES + layout.mixes * MIX_BYTES
    needed = layout.columns * of_a_column + layout.batch * n_columns * POOL2_BYTES
    least = of_a_column + n_columns * POOL2_BYTES
    assert needed <= n_bytes or (layout.columns == 1 and needed <= least)
    assert 1 <= layout.columns <= n_columns
    assert 1 <= layout.mixes <= DEVICE_MIXES
    if layout.kept:
        assert layout.columns == n_columns
        assert min(n_sounds, SOUNDS_TOGETHER) <= layout.kept <= n_sounds


@pytest.mark.parametrize(("n_sounds", "layers"), [(1, 1), (7, 7), (100, 1), (60, 2), (20, 3)])
def test_batches_are_of_few_sounds(n_sounds: int, layers: int) -> None:
    mixes = superimpositions(n_sounds, layers)
    order = neighbours(mixes)
    assert sorted(order.tolist()) == list(range(len(mixes)))
    assert order[:n_sounds].tolist() == list(range(n_sounds))
    gains = mixes[order]
    parts = list(batches(gains, 64))
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(len(gains)))
    for part in parts:
        assert part.stop - part.start <= 64
        assert np.count_nonzero(gains[part].any(axis=0)) <= SOUNDS_TOGETHER
    assert len(parts) < 2 + len(gains) / 20, "sounds are hardly shared"


@pytest.mark.parametrize("level_rms", [0.001, 0.1])
def test_any_gains_and_level(network: SoundNet, loops: list[np.ndarray], level_rms: float) -> None:
    gains = np.random.default_rng(1).uniform(0, 2, (3, 4)).astype(np.float32)
    assert_as_from_samples(network, heard(loops[:4], 20.0), gains, level_rms)


def test_mixes_do_not_influence_each_other(network: SoundNet, loops: list[np.ndarray]) -> None:
    superimposed = SuperimposedSoundNet(network, heard(loops[:4], 20.0), LEVEL_RMS)
    gains = superimpositions(4)
    together = superimposed.predict(gains)
    alone = superimposed.predict(gains[7:8])
    assert distance(together.objects[7], alone.objects[0]) < TOLERANCE_NATS
    assert distance(together.scenes[7], alone.scenes[0]) < TOLERANCE_NATS
    assert len(np.unique(together.scenes.round(2), axis=0)) == len(gains), "all heard alike"


def test_torch_keeps_its_number_of_threads(network: SoundNet, loops: list[np.ndarray]) -> None:
    before = torch.get_num_threads()
    SuperimposedSoundNet(network, heard(loops[:1], 20.0), LEVEL_RMS).predict(np.ones((1, 1)))
    assert torch.get_num_threads() == before
    in_new_thread: list[int] = []
    thread = threading.Thread(target=lambda: in_new_thread.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert in_new_thread == [before]


def test_what_cannot_be_heard_is_refused(network: SoundNet) -> None:
    hiss = np.random.default_rng(0).normal(size=20 * SAMPLE_RATE).astype(np.float32)
    superimposed = SuperimposedSoundNet(network, np.stack([hiss, -hiss]), LEVEL_RMS)
    with pytest.raises(ValueError, match="silent"):
        superimposed.predict(np.ones((1, 2)))
    hiss[7] = np.nan
    with pytest.raises(ValueError, match="finite"):
        SuperimposedSoundNet(network, hiss[None], LEVEL_RMS)
