"""The embedded image networks: EfficientNet-Lite0 for objects and, on its features, scenes.

EfficientNet-Lite0 is EfficientNet-B0 (Tan and Le 2019) without the parts that small devices
run badly; it comes with its published ImageNet weights as a dependency. The scene head on the
same features is trained by ``tools/train_scenes.py``; its model card is
``data/lite-scenes.md``. One pass over a photo gives both distributions.

The networks are written in PyTorch (`deepmersion.lite_network`), which takes seconds to import.
On a CPU they are therefore compiled at their first use, and PyTorch is not needed again (see
`deepmersion.compiled`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deepmersion import compiled
from deepmersion.errors import WeightsError
from deepmersion.identity import identity_of
from deepmersion.labels import miniplaces_labels
from deepmersion.resources import DATA
from deepmersion.vision import Distributions

INPUT_SIDE = 224
"""Pixels on each side of the pictures that the backbone was trained on."""

PIXEL_ZERO, PIXEL_SCALE = 127.0, 128.0
"""The backbone's weights expect (pixel - 127) / 128, as their original training had it."""

BATCH_SIZE = 16
"""Pictures that go through the network at once; a bound on memory, some 300 MB."""

BACKBONE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Identity of ``efficientnet-lite0-57934424.pth``, whose name carries the first eight digits."""

SCENE_HEAD = DATA / "lite-scenes.safetensors"


def squash(image: np.ndarray) -> np.ndarray:
    """Return a photo squashed to the square that the backbone takes, uint8 [224, 224, 3].

    As the scene photos of the training set were: nothing is cut off, for what stands at the edge
    of a place belongs to it too.

    Parameters
    ----------
    image : ndarray, shape = (height, width, 3), uint8
        RGB.
    """
    from PIL import Image

    size = (INPUT_SIDE, INPUT_SIDE)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def prepare(images: Sequence[np.ndarray]) -> np.ndarray:
    """Return photos as the backbone takes them: [photos, 3, 224, 224] float32 in about [-1, 1].

    Parameters
    ----------
    images : sequence of ndarray, shape = (height, width, 3), uint8
        RGB, of any size; see `squash`.
    """
    pixels = np.stack([squash(image) for image in images]).transpose(0, 3, 1, 2)
    return np.ascontiguousarray((pixels.astype(np.float32) - PIXEL_ZERO) / PIXEL_SCALE)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file of weights that comes with the package or a dependency.

    Raises
    ------
    WeightsError
        When it cannot be read.
    """
    try:
        return identity_of(path, "sha256").digest
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read; reinstall deepmersion") from error


class Lite:
    """The embedded networks; see `deepmersion.vision.ImageNetworks` for the attributes.

    Parameters
    ----------
    run : callable
        Takes pictures as `prepare` returns them to the probabilities of objects and scenes.
    weights : dict
    """

    name = "lite"
    min_side = 2 * INPUT_SIDE

    def __init__(self, run: compiled.Run, weights: dict[str, str]) -> None:
        self.scene_labels = miniplaces_labels()
        self.weights = weights
        self._run = run

    @classmethod
    def load(cls, device: str = "cpu") -> Lite:
        """Return the networks, ready to classify.

        Parameters
        ----------
        device : str
            Where they run, as PyTorch names it. On the CPU they run compiled.

        Raises
        ------
        WeightsError
            When weights are missing or are not those that belong to this version.
        """
        weights = {"EfficientNet-Lite0": BACKBONE_SHA256, "lite scenes": sha256_of(SCENE_HEAD)}
        entry = compiled.entry("lite", weights) if device == "cpu" else None
        return cls((entry and compiled.load(entry)) or _from_torch(entry, device), weights)

    def reduced(self, image: np.ndarray) -> np.ndarray:
        """Return a photo as small as the network sees it."""
        return squash(image)

    def classify(self, images: Sequence[np.ndarray]) -> Distributions:
        """Return what is seen in photos, each uint8 [height, width, 3] RGB of any size.

        Raises
        ------
        ValueError
            When there is no image, or one is not of that shape and type.
        """
        if not len(images):
            raise ValueError("there is no image to classify")
        for image in images:
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
                raise ValueError(
                    f"an image must be uint8 [height, width, 3], not {image.dtype} {image.shape}"
                )
        step = BATCH_SIZE // 2  # each photo is two pictures
        parts = [self._run(prepare(images[i : i + step])) for i in range(0, len(images), step)]
        return Distributions(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _from_torch(entry: Path | None, device: str) -> compiled.Run:
    """Return the network compiled for the next time, or if that cannot be, run by PyTorch."""
    from deepmersion.lite_network import LiteNetwork, example, runner

    network = LiteNetwork.load()
    return (entry and compiled.make(entry, network, example())) or runner(network, device)
