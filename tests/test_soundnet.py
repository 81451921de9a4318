"""SoundNet against an independent forward pass in plain numpy, with the published weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from deepmersion.hearing.soundnet import (
    INPUT_SCALE,
    MIN_SAMPLES,
    SAMPLE_RATE,
    SoundNet,
    log_mean_probability,
    loop_up,
    pool5_features,
    predict,
    predict_windows,
)

# name: kernel, padding, pooling; every stride is 2.
LAYERS = {
    "conv1": (64, 32, 8),
    "conv2": (32, 16, 8),
    "conv3": (16, 8, None),
    "conv4": (8, 4, None),
    "conv5": (4, 2, 4),
    "conv6": (4, 2, None),
    "conv7": (4, 2, None),
}
N_CHANNELS = (16, 32, 64, 128, 256, 512, 1024)
HEADS = {"conv8_objs": 1000, "conv8_scns": 401}

TOLERANCE = 1e-4
"""Of a layer's largest magnitude: what single precision leaves of agreement after eight layers."""


@pytest.fixture(scope="module")
def network(soundnet_weights: Path) -> SoundNet:
    return SoundNet.load(soundnet_weights)


@pytest.fixture(scope="module")
def waveform() -> np.ndarray:
    """Ten seconds in [-1, 1]: a rising chirp that swells and ebbs, and noise."""
    time = np.arange(MIN_SAMPLES) / SAMPLE_RATE
    chirp = np.sin(2 * np.pi * (200 + 300 * time) * time) * np.sin(2 * np.pi * 0.3 * time) ** 2
    hiss = np.random.default_rng(1).normal(size=len(time))
    return np.asarray(0.02 * chirp + 0.004 * hiss, dtype=np.float32)


def convolve(x: np.ndarray, weights: np.ndarray, bias: np.ndarray, padding: int) -> np.ndarray:
    padded = np.pad(x, ((0, 0), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weights.shape[2], axis=1)[:, ::2]
    return np.asarray(np.einsum("ctk,ock->ot", windows, weights, optimize=True) + bias[:, None])


def reference(arrays: dict[str, np.ndarray], x: np.ndarray) -> dict[str, np.ndarray]:
    """Return every layer's output [channels, time] for samples in [-256, 256]."""
    outputs: dict[str, np.ndarray] = {}
    x = x[None].astype(np.float64)
    for (name, (kernel, padding, pooling)), n_out in zip(LAYERS.items(), N_CHANNELS, strict=True):
        weights = arrays[f"{name}.0.weight"].astype(np.float64)
        assert weights.shape == (n_out, len(x), kernel)
        x = convolve(x, weights, arrays[f"{name}.0.bias"], padding)
        scale = arrays[f"{name}.1.weight"] / np.sqrt(
            arrays[f"{name}.1.running_var"].astype(np.float64) + 1e-5
        )
        x = (x - arrays[f"{name}.1.running_mean"][:, None]) * scale[:, None]
        x = outputs[name] = np.maximum(x + arrays[f"{name}.1.bias"][:, None], 0)
        if pooling:
            whole = x[:, : x.shape[1] // pooling * pooling]
            x = outputs[f"pool{name[-1]}"] = whole.reshape(len(x), -1, pooling).max(axis=2)
    for name, n_classes in HEADS.items():
        weights = arrays[f"{name}.weight"].astype(np.float64)
        assert weights.shape == (n_classes, 1024, 8)
        outputs[name] = convolve(x, weights, arrays[f"{name}.bias"], 0)
    return outputs


@pytest.fixture(scope="module")
def expected(soundnet_weights: Path, waveform: np.ndarray) -> dict[str, np.ndarray]:
    return reference(load_file(soundnet_weights), waveform.astype(np.float64) * 256)


def test_every_layer_agrees_with_plain_numpy(
    network: SoundNet, waveform: np.ndarray, expected: dict[str, np.ndarray]
) -> None:
    batch = torch.from_numpy(waveform)[None, None] * INPUT_SCALE
    with torch.inference_mode():
        outputs = network.trunk(batch)
        outputs["conv8_objs"], outputs["conv8_scns"] = network(batch)
    assert set(outputs) == set(expected)
    for name, output in outputs.items():
        layer = output[0].numpy()
        assert layer.shape == expected[name].shape
        worst = np.abs(layer - expected[name]).max() / np.abs(expected[name]).max()
        assert worst < TOLERANCE, name


def test_predictions_are_the_heads_softmax(
    network: SoundNet, waveform: np.ndarray, expected: dict[str, np.ndarray]
) -> None:
    windows = predict_windows(network, waveform[None])
    for found, head in zip(windows, HEADS, strict=True):
        exponentials = np.exp(expected[head] - expected[head].max(axis=0))
        softmax = (exponentials / exponentials.sum(axis=0)).T
        assert np.abs(np.exp(found[0]) - softmax).max() < TOLERANCE  # absolute, of probabilities


def test_predictions_are_distributions_and_the_mean_of_their_windows(
    network: SoundNet, waveform: np.ndarray
) -> None:
    long = np.tile(waveform, 2)[None]
    for mean, windows in zip(predict(network, long), predict_windows(network, long), strict=True):
        assert mean.dtype == np.float32
        assert (mean <= 0).all()
        assert np.exp(mean, dtype=np.float64).sum() == pytest.approx(1, abs=1e-5)
        assert np.exp(mean) == pytest.approx(np.exp(windows).mean(axis=1), rel=1e-4)


def test_twenty_seconds_give_four_windows(network: SoundNet) -> None:
    objects, scenes = predict_windows(network, np.full((3, 20 * SAMPLE_RATE), 0.01, np.float32))
    assert objects.shape == (3, 4, 1000)
    assert scenes.shape == (3, 4, 401)


def test_each_waveform_of_a_batch_is_heard_by_itself(
    network: SoundNet, waveform: np.ndarray
) -> None:
    batch = np.stack([waveform, waveform[::-1], 0.1 * waveform])
    together = predict(network, batch)
    for i in range(len(batch)):
        alone = predict(network, batch[i : i + 1])
        assert np.abs(together.scenes[i] - alone.scenes[0]).max() < 1e-3  # nats
        assert np.abs(together.objects[i] - alone.objects[0]).max() < 1e-3
    assert np.abs(together.scenes[0] - together.scenes[1]).max() > 0.1, "all heard alike"


@pytest.mark.parametrize("duration_s", [2.0, 3.0, 0.01])
def test_a_short_clip_is_looped_up_and_never_padded(
    network: SoundNet, waveform: np.ndarray, duration_s: float
) -> None:
    clip = waveform[: round(duration_s * SAMPLE_RATE)]
    tiled = np.tile(clip, 1 + MIN_SAMPLES // len(clip))[:MIN_SAMPLES]
    padded = np.pad(clip, (0, MIN_SAMPLES - len(clip)))
    short = predict(network, clip[None])
    assert np.array_equal(short.scenes, predict(network, tiled[None]).scenes)
    assert np.array_equal(short.objects, predict(network, tiled[None]).objects)
    assert np.abs(short.scenes - predict(network, padded[None]).scenes).max() > 0.1


def test_a_long_clip_is_not_cut() -> None:
    long = np.arange(2.0 * MIN_SAMPLES)[None]
    assert loop_up(long) is long


def test_pool5_features_are_mean_and_maximum_over_time(
    network: SoundNet, waveform: np.ndarray, expected: dict[str, np.ndarray]
) -> None:
    pool5 = expected["pool5"]
    features = np.concatenate([pool5.mean(axis=1), pool5.max(axis=1)])
    found = pool5_features(network, waveform[None])
    assert found.shape == (1, 512)
    assert np.abs(found[0] - features).max() < TOLERANCE * features.max()


def test_mean_of_windows_survives_probabilities_beyond_float_range() -> None:
    log_probs = np.array([[-2000.0, 0.0], [-2000.0, -1000.0]], dtype=np.float32)
    assert log_mean_probability(log_probs) == pytest.approx([-2000, -np.log(2)], abs=1e-3)


@pytest.mark.parametrize(
    "waveforms",
    [
        np.zeros(MIN_SAMPLES, np.float32),
        np.zeros((1, 1, MIN_SAMPLES), np.float32),
        np.zeros((1, 0), np.float32),
        np.full((1, 100), np.nan, np.float32),
        np.array([[0.0, np.inf]], np.float32),
    ],
    ids=["no batch", "three axes", "empty", "NaN", "infinite"],
)
def test_bad_waveforms_are_refused(network: SoundNet, waveforms: np.ndarray) -> None:
    for hear in (predict, predict_windows, pool5_features):
        with pytest.raises(ValueError, match="waveforms"):
            hear(network, waveforms)
