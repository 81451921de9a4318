"""SoundNet, the network that predicts objects and scenes from sound.

The eight-layer network of Aytar, Vondrick and Torralba, *SoundNet: Learning Sound Representations
from Unlabeled Video* (NIPS 2016), section 3 and table 1, with both of its heads. It was trained to
predict, from raw sound alone, what image networks see in the accompanying video, by minimising
KL(image network ‖ SoundNet).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from deepmersion.hearing.rate import SAMPLE_RATE as SAMPLE_RATE
from deepmersion.labels import CLASSES

INPUT_SCALE = 256.0
"""SoundNet was trained on samples in [-256, 256], not [-1, 1]."""

MIN_SAMPLES = 20 * SAMPLE_RATE
"""Shorter waveforms are looped up to the length of the paper's clips: it gives four predictions,
none dominated by the padding that seven layers add at the edges."""

N_EDGE_COLUMNS = 1
"""Columns at the end of conv7 that predictions ignore. Half of what the last one sees is padding,
which gives all the probability to classes that the training never covered (parking garages,
hangars)."""

MIN_FEATURE_SAMPLES = 10 * SAMPLE_RATE
"""The features of pool5 see less context, so shorter waveforms suffice."""

N_OBJECTS, N_SCENES = CLASSES["objects"], CLASSES["scenes"]

BATCH_NORM_EPSILON = 1e-5
"""Torch7's default, with which SoundNet was trained."""


class Predictions(NamedTuple):
    """SoundNet's predictions: log-probabilities in nats, over ImageNet's objects and its scenes.

    Attributes
    ----------
    objects : ndarray, shape = (..., 1000), float32
    scenes : ndarray, shape = (..., 401), float32
        The other axes are the batch and, before averaging, the windows of time.
    """

    objects: np.ndarray
    scenes: np.ndarray


def _layer(n_in: int, n_out: int, kernel: int, padding: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(n_in, n_out, kernel, stride=2, padding=padding),
        nn.BatchNorm1d(n_out, eps=BATCH_NORM_EPSILON),
        nn.ReLU(inplace=True),
    )


class SoundNet(nn.Module):
    """The network, with its layers named as in the paper.

    Every convolution has stride 2. ``conv8_objs`` and ``conv8_scns`` are the two heads: one
    prediction about every five seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _layer(1, 16, kernel=64, padding=32)
        self.pool1 = nn.MaxPool1d(8)
        self.conv2 = _layer(16, 32, kernel=32, padding=16)
        self.pool2 = nn.MaxPool1d(8)
        self.conv3 = _layer(32, 64, kernel=16, padding=8)
        self.conv4 = _layer(64, 128, kernel=8, padding=4)
        self.conv5 = _layer(128, 256, kernel=4, padding=2)
        self.pool5 = nn.MaxPool1d(4)
        self.conv6 = _layer(256, 512, kernel=4, padding=2)
        self.conv7 = _layer(512, 1024, kernel=4, padding=2)
        self.conv8_objs = nn.Conv1d(1024, N_OBJECTS, 8, stride=2)
        self.conv8_scns = nn.Conv1d(1024, N_SCENES, 8, stride=2)

    @classmethod
    def load(cls, path: Path, device: str | torch.device = "cpu") -> SoundNet:
        """Return the network with the weights of a safetensors file, ready to predict.

        Parameters
        ----------
        path : Path
            Weights as `deepmersion.weights.store.ensure_soundnet` writes them.
        device : str or torch.device
            Device for the network.

        Raises
        ------
        OSError
            When the file cannot be read.
        SafetensorError, RuntimeError
            When it holds other weights; `deepmersion.weights.store` checks that before.
        """
        from safetensors.torch import load_file

        network = cls()
        network.load_state_dict(load_file(path), strict=True)
        return network.eval().to(device)

    def trunk(self, waveforms: Tensor) -> dict[str, Tensor]:
        """Return the output of every hidden layer by its name, each [batch, channels, time].

        Parameters
        ----------
        waveforms : Tensor, shape = (batch, 1, samples), float32
            Samples at 22,050 Hz, already multiplied by `INPUT_SCALE`.
        """
        outputs: dict[str, Tensor] = {}
        x = waveforms
        for name, layer in self.named_children():
            if not name.startswith("conv8"):
                x = outputs[name] = layer(x)
        return outputs

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of objects [batch, 1000, time] and scenes [batch, 401, time]."""
        return self.heads(self.trunk(waveforms)["conv7"])

    def heads(self, conv7: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of objects and scenes from the output of conv7 [batch, 1024, time]."""
        return self.conv8_objs(conv7), self.conv8_scns(conv7)


def loop_up(waveform: np.ndarray, n_samples: int = MIN_SAMPLES) -> np.ndarray:
    """Return a waveform repeated to at least `n_samples`; a longer one is returned unchanged.

    It is not padded with silence, which SoundNet would hear.

    Parameters
    ----------
    waveform : ndarray, shape = (..., samples)
    n_samples : int
    """
    have = waveform.shape[-1]
    if have >= n_samples:
        return waveform
    repeats = -(-n_samples // have)
    return np.tile(waveform, (1,) * (waveform.ndim - 1) + (repeats,))[..., :n_samples]


def _prepare(waveforms: np.ndarray, network: SoundNet, n_samples: int) -> Tensor:
    if waveforms.ndim != 2 or waveforms.shape[1] == 0:
        raise ValueError(f"waveforms must be [batch, samples], not {waveforms.shape}")
    if not np.isfinite(waveforms).all():
        raise ValueError("waveforms hold values that are not finite")
    device = next(network.parameters()).device
    looped = loop_up(np.asarray(waveforms, dtype=np.float32), n_samples)
    return torch.from_numpy(looped).to(device)[:, None, :] * INPUT_SCALE


@torch.inference_mode()
def predict_windows(network: SoundNet, waveforms: np.ndarray) -> Predictions:
    """Return SoundNet's predictions for every window of time.

    Parameters
    ----------
    network : SoundNet
    waveforms : ndarray, shape = (batch, samples), float32 in [-1, 1]
        Mono at 22,050 Hz; looped up when shorter than `MIN_SAMPLES`.

    Returns
    -------
    Predictions
        Log-probabilities in nats, float32: objects [batch, windows, 1000] and scenes
        [batch, windows, 401]. Twenty seconds give four windows.

    Raises
    ------
    ValueError
        When the waveforms are not [batch, samples], are empty, or hold values that are not finite.
    """
    conv7 = network.trunk(_prepare(waveforms, network, MIN_SAMPLES))["conv7"]
    objects, scenes = network.heads(conv7[:, :, :-N_EDGE_COLUMNS])
    return Predictions(
        *(torch.log_softmax(x, dim=1).transpose(1, 2).cpu().numpy() for x in (objects, scenes))
    )


def predict(network: SoundNet, waveforms: np.ndarray) -> Predictions:
    """Return SoundNet's predictions averaged over time: objects [batch, 1000], scenes [batch, 401].

    Probabilities are averaged, which gives a distribution again; see `predict_windows` for the
    parameters.
    """
    return Predictions(*(log_mean_probability(x) for x in predict_windows(network, waveforms)))


def log_mean_probability(log_probs: np.ndarray) -> np.ndarray:
    """Return the logarithm of the mean probability over the last axis but one.

    Parameters
    ----------
    log_probs : ndarray, shape = (..., windows, classes)
        In nats.

    Returns
    -------
    ndarray, shape = (..., classes), float32
        In nats.
    """
    peak = log_probs.max(axis=-2, keepdims=True)
    mean = np.exp(log_probs - peak).mean(axis=-2)
    return np.asarray(np.log(mean) + peak[..., 0, :], dtype=np.float32)


@torch.inference_mode()
def pool5_features(network: SoundNet, waveforms: np.ndarray) -> np.ndarray:
    """Return the features used to classify recordings in section 5.1 of the paper.

    Parameters
    ----------
    network : SoundNet
    waveforms : ndarray, shape = (batch, samples), float32 in [-1, 1]
        Mono at 22,050 Hz; looped up when shorter than `MIN_FEATURE_SAMPLES`.

    Returns
    -------
    ndarray, shape = (batch, 512), float32
        Mean and maximum over time of layer pool5 (256 channels each).

    Raises
    ------
    ValueError
        As `predict_windows` raises it.
    """
    pool5 = network.trunk(_prepare(waveforms, network, MIN_FEATURE_SAMPLES))["pool5"]
    features: np.ndarray = torch.cat([pool5.mean(dim=2), pool5.amax(dim=2)], dim=1).cpu().numpy()
    return features
