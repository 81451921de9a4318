"""The embedded image networks: EfficientNet-Lite0 and, on its features, two heads.

EfficientNet-Lite0 is EfficientNet-B0 (Tan and Le 2019) without the parts that small devices
run badly; its published ImageNet weights know objects. The heads for scenes and for conditions are
trained by ``tools/train_scenes.py`` and ``tools/train_conditions.py``; their model cards are
``data/lite-scenes.md`` and ``data/lite-conditions.md``. One pass over a photo gives all three
distributions.

On a CPU the networks run without PyTorch (`lite_session`), on other devices with it
(`lite_network`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from deepmersion.labels import miniplaces_labels
from deepmersion.vision.class_maps import class_maps, head_gradient, odds_gradient
from deepmersion.vision.lite_session import HEADS, OUTPUTS, PROBABILITIES, Run, open_session
from deepmersion.vision.lite_views import (
    CANVAS_SIDE,
    INPUT_SIDE,
    VIEW_WEIGHTS,
    over_photo,
    prepare,
    squash,
    views,
)
from deepmersion.vision.networks import Distributions
from deepmersion.weights.lite_weights import CONDITION_HEAD, PUBLISHED_SHA256, SCENE_HEAD, sha256_of

BATCH_SIZE = 16
"""Pictures that go through the network at once; a bound on memory, some 300 MB."""


DEVICE_BATCH_SIZE = 96
"""The same on a GPU, which needs more at once to be busy: 16 photos, some 1.8 GB."""


class Lite:
    """The embedded networks; see `deepmersion.vision.networks.ImageNetworks` for the attributes.

    Parameters
    ----------
    run : callable
        Takes pictures as `prepare` returns them to the probabilities of objects, scenes and
        conditions.
    weights : dict
    batch_size : int
        Pictures to give to it at once.
    """

    name = "lite"
    min_side = 2 * INPUT_SIDE
    canvas_side = CANVAS_SIDE

    def __init__(self, run: Run, weights: dict[str, str], batch_size: int = BATCH_SIZE) -> None:
        self.scene_labels = miniplaces_labels()
        self.weights = weights
        self._run = run
        self._batch_size = batch_size

    @classmethod
    def load(cls, device: str = "cpu") -> Lite:
        """Return the networks, ready to classify.

        Parameters
        ----------
        device : str
            Where they run, as PyTorch names it.

        Raises
        ------
        WeightsError
            When weights are missing or are not those that belong to this version.
        """
        weights = {
            "EfficientNet-Lite0": PUBLISHED_SHA256,
            "lite scenes": sha256_of(SCENE_HEAD),
            "lite conditions": sha256_of(CONDITION_HEAD),
        }
        if device == "cpu":
            return cls(open_session(), weights)
        return cls(_on(device), weights, DEVICE_BATCH_SIZE)

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
        step = max(1, self._batch_size // len(VIEW_WEIGHTS))
        parts = [self._see(images[i : i + step]) for i in range(0, len(images), step)]
        return Distributions(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def _see(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Return the fields of `Distributions` for some photos, in their order."""
        pictures = prepare(np.concatenate([views(image) for image in images]))
        *probabilities, features = (
            found.reshape(len(images), len(VIEW_WEIGHTS), -1)
            for found in self._run(pictures, (*PROBABILITIES, "features"))
        )
        return (*(np.einsum("v,pvc->pc", VIEW_WEIGHTS, p) for p in probabilities), features)

    def maps(
        self, image: np.ndarray, classes: Mapping[str, Sequence[int]]
    ) -> dict[str, np.ndarray]:
        """Return where in a photo classes are seen; see `networks.ImageNetworks`.

        The objects' maps are exact. Scenes and conditions are judged by the textures of earlier
        layers too, which have no place in these maps. Each view counts by its share in the
        probability of the class.
        """
        found = self._run(prepare(views(image)), OUTPUTS)
        seen = dict(zip(OUTPUTS, found, strict=True))
        return {
            label_set: over_photo(_maps(seen, label_set, numbers))
            for label_set, numbers in classes.items()
        }


def _maps(seen: Mapping[str, np.ndarray], label_set: str, numbers: Sequence[int]) -> np.ndarray:
    """Return maps of the views, float32 [6, classes, rows, columns]."""
    probs, cells = seen[label_set], seen["cells"]
    gradient = odds_gradient(probs, numbers)
    if label_set == "objects":
        gradient = gradient @ seen["object weights"]
    else:
        gradient = head_gradient(HEADS[label_set], label_set, seen["features"], gradient)
    of_views = probs[:, list(numbers)]
    counts = of_views / np.maximum(VIEW_WEIGHTS @ of_views, np.finfo(np.float32).tiny)
    maps = class_maps(cells, gradient[..., : cells.shape[1]])
    return np.asarray(maps * counts[..., None, None])


def _on(device: str) -> Run:
    """Return what runs the networks with PyTorch."""
    from deepmersion.vision.lite_network import LiteNetwork, runner

    return runner(LiteNetwork.load(), device)
