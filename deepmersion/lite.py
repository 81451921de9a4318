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

CANVAS_SIDE = 298
"""Pixels on each side of the square that a photo is squashed to, and views are taken from: a view
of a corner shows three quarters of the width and of the height."""

VIEW_WEIGHTS = np.array([1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 8, 1 / 8], dtype=np.float32)
"""How much each of `views` counts: the whole photo as much as all its corners."""

PIXEL_ZERO, PIXEL_SCALE = 127.0, 128.0
"""The backbone's weights expect (pixel - 127) / 128, as their original training had it."""

BATCH_SIZE = 16
"""Pictures that go through the network at once; a bound on memory, some 300 MB."""

BACKBONE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Identity of ``efficientnet-lite0-57934424.pth``, whose name carries the first eight digits."""

SCENE_HEAD = DATA / "lite-scenes.safetensors"


def squash(image: np.ndarray, side: int) -> np.ndarray:
    """Return a photo squashed to a square, uint8 [side, side, 3].

    As the scene photos of the training set were: nothing is cut off, for what stands at the edge
    of a place belongs to it too.

    Parameters
    ----------
    image : ndarray, shape = (height, width, 3), uint8
        RGB.
    side : int
        In pixels.
    """
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


def views(image: np.ndarray) -> np.ndarray:
    """Return the pictures that a photo is looked at as, uint8 [6, 224, 224, 3].

    The whole photo and its mirror image, then its four corners, in which things are larger, the
    right ones mirrored. Averaging what is seen in such crops is an old remedy for what a network
    makes of one picture (Krizhevsky et al. 2012, section 4.1). A photo and its mirror image have
    the same six views.

    Parameters
    ----------
    image : ndarray, shape = (height, width, 3), uint8
        RGB, of any size.
    """
    canvas = squash(image, CANVAS_SIDE)
    whole = squash(canvas, INPUT_SIDE)
    mirrored = canvas[:, ::-1]
    near, far = slice(INPUT_SIDE), slice(CANVAS_SIDE - INPUT_SIDE, None)
    corners = [side[rows, near] for side in (canvas, mirrored) for rows in (near, far)]
    return np.stack([whole, whole[:, ::-1], *corners])


def prepare(pictures: np.ndarray) -> np.ndarray:
    """Return pictures as the backbone takes them: [pictures, 3, 224, 224], float32 in [-1, 1].

    Parameters
    ----------
    pictures : ndarray, shape = (pictures, 224, 224, 3), uint8
        RGB.
    """
    pixels = pictures.transpose(0, 3, 1, 2).astype(np.float32)
    return np.ascontiguousarray((pixels - PIXEL_ZERO) / PIXEL_SCALE)


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
        """Return a photo as small as its views are taken from."""
        return squash(image, CANVAS_SIDE)

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
        step = BATCH_SIZE // len(VIEW_WEIGHTS)
        parts = [self._see(images[i : i + step]) for i in range(0, len(images), step)]
        return Distributions(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def _see(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the probabilities of objects and scenes, [photos, classes] each."""
        pictures = np.concatenate([views(image) for image in images])
        objects, scenes = (
            np.einsum("v,pvc->pc", VIEW_WEIGHTS, probs.reshape(len(images), -1, probs.shape[1]))
            for probs in self._run(prepare(pictures))
        )
        return objects, scenes


def _from_torch(entry: Path | None, device: str) -> compiled.Run:
    """Return the network compiled for the next time, or if that cannot be, run by PyTorch."""
    from deepmersion.lite_network import LiteNetwork, example, runner

    network = LiteNetwork.load()
    return (entry and compiled.make(entry, network, example())) or runner(network, device)
