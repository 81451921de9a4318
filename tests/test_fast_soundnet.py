"""The fast way over many mixes, against SoundNet hearing each mix from its samples."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from material import distance, noise

from deepmersion.hearing.fast_soundnet import TILE_MIXES, SuperimposedSoundNet
from deepmersion.hearing.mixes import superimpositions
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
    network: SoundNet, sounds: np.ndarray, gains: np.ndarray, level_rms: float = LEVEL_RMS
) -> None:
    found = SuperimposedSoundNet(network, sounds, level_rms).predict(gains)
    for i in range(len(gains)):
        expected = predict(network, at_level(gains[i : i + 1] @ sounds, level_rms))
        assert distance(found.objects[i], expected.objects[0]) < TOLERANCE_NATS
        assert distance(found.scenes[i], expected.scenes[0]) < TOLERANCE_NATS


def test_mixes_of_ten_sounds(network: SoundNet, loops: list[np.ndarray]) -> None:
    gains = superimpositions(len(loops))
    some = np.random.default_rng(0).choice(len(gains), TILE_MIXES + 3, replace=False)
    assert_as_from_samples(network, heard(loops, 30.0), gains[some])


# The ends fall differently on poolings, paddings and tiles; short sounds are looped up.
@pytest.mark.parametrize("duration_s", [1.3, 20.0, 20.001, 23.77, 37.155])
def test_any_length(network: SoundNet, loops: list[np.ndarray], duration_s: float) -> None:
    gains = superimpositions(3)[[0, 4, 6]]
    assert_as_from_samples(network, heard(loops[:3], duration_s), gains)


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
