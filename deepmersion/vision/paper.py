"""The image networks of the paper: VGG-16 for objects, Places365's ResNet-18 for scenes.

VGG-16 (Simonyan and Zisserman 2014) uses torchvision's ``VGG16_Weights.IMAGENET1K_V1``, the
ResNet-18 (He et al. 2015) the weights published with Places365 (Zhou et al. 2017). SoundNet was
trained to predict what an ImageNet network and a Places network see. Neither knows conditions,
which are left to the embedded network (`lite`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms
from torchvision.models import VGG16_Weights, resnet18, vgg16

from deepmersion.errors import WeightsError
from deepmersion.labels import condition_labels, object_labels, places365_labels
from deepmersion.vision.checkpoints import fill, read_state_dict
from deepmersion.vision.grad_cam import grad_cam, over_photo
from deepmersion.vision.lite import Lite
from deepmersion.vision.lite_network import N_TEXTURES
from deepmersion.vision.lite_session import N_FEATURES
from deepmersion.vision.lite_views import VIEWS
from deepmersion.vision.networks import Distributions
from deepmersion.weights.store import SPECS, WeightsSpec, verify

BATCH_SIZE = 4
"""Photos per batch. VGG-16's first layers take about 50 MB per photo, and larger batches are hardly
faster."""

CROP_SIDE = 224
"""Side in pixels of the input that both networks were trained on."""

OBJECTS_SIDE = 256
"""Shorter side in pixels to which torchvision resizes a photo for VGG-16 before cropping."""

PLACES_SIDE = 256
"""Side in pixels to which Places365's script squashes a photo before cropping."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's red, green and blue in [0, 1]; both networks were
trained on pixels standardised by them."""

LITE_PARTS = ("EfficientNet-Lite0", "lite conditions")
"""Those of the embedded networks' weights that decide conditions."""

Preparation = Callable[[Image.Image], Tensor]


def object_preparation() -> Preparation:
    """Return the preparation published with VGG-16's weights.

    The shorter side is resized to 256 pixels (bilinear, antialiased), the centre 224 × 224 are
    cropped, and `IMAGENET_MEAN` and `IMAGENET_DEVIATION` applied. This is torchvision's own
    ``VGG16_Weights.IMAGENET1K_V1.transforms``.
    """
    preset: Preparation = VGG16_Weights.IMAGENET1K_V1.transforms()
    return preset


def scene_preparation() -> Preparation:
    """Return the preparation published with Places365's weights.

    The whole photo is squashed to 256 × 256 pixels (bilinear, antialiased), the centre 224 × 224
    are cropped, and `IMAGENET_MEAN` and `IMAGENET_DEVIATION` applied. Source:
    ``run_placesCNN_basic.py`` in CSAILVision/places365, the script published with the weights.
    """
    steps: Preparation = transforms.Compose(
        [
            transforms.Resize((PLACES_SIDE, PLACES_SIDE)),
            transforms.CenterCrop(CROP_SIDE),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_DEVIATION),
        ]
    )
    return steps


class Paper:
    """VGG-16 and Places365's ResNet-18, loaded; see `networks.ImageNetworks`.

    Parameters
    ----------
    objects : Module
        Takes [photos, 3, 224, 224] and returns the logits of 1000 objects.
    scenes : Module
        The same for 365 scenes.
    lite : Lite
        Classifies the conditions.
    weights : mapping of str to str
        The weights' identities by network.
    device : torch.device
        Device of both networks.
    """

    name: ClassVar[str] = "paper"

    min_side: ClassVar[int] = sys.maxsize
    """Photos are decoded at full size: decoding at a reduced size would give slightly different
    pixels from the published preparations."""

    canvas_side: ClassVar[None] = None

    def __init__(
        self,
        objects: nn.Module,
        scenes: nn.Module,
        lite: Lite,
        weights: Mapping[str, str],
        device: torch.device,
    ) -> None:
        self.scene_labels = places365_labels()
        self.weights: Mapping[str, str] = MappingProxyType(dict(weights))
        self._networks = ((objects, object_preparation()), (scenes, scene_preparation()))
        self._lite = lite
        self._device = device

    @classmethod
    def load(
        cls, device: str | torch.device = "cpu", specs: Mapping[str, WeightsSpec] = SPECS
    ) -> Paper:
        """Return the networks with their published weights.

        Parameters
        ----------
        device : str or torch.device
            Device for the networks.
        specs : mapping of str to WeightsSpec
            The specs of ``vgg16`` and ``places365``.

        Raises
        ------
        WeightsError
            When weights are missing, damaged, or not the published ones.
        """
        require([specs["vgg16"], specs["places365"]])
        place = torch.device(device)
        objects = _load_objects(specs["vgg16"]).to(place)
        scenes = _load_scenes(specs["places365"]).to(place)
        lite = Lite.load(str(place))
        weights = {name: str(specs[name].identity) for name in ("vgg16", "places365")}
        weights |= {name: lite.weights[name] for name in LITE_PARTS}
        return cls(objects, scenes, lite, weights, place)

    def reduced(self, image: np.ndarray) -> np.ndarray:
        """Return the photo unchanged: the two networks see it at different sizes."""
        return image

    @torch.inference_mode()
    def classify(self, images: Sequence[np.ndarray]) -> Distributions:
        """Return what the networks see in photos.

        Parameters
        ----------
        images : sequence of ndarray, shape = (height, width, 3), uint8
            RGB, each of its own size.

        Returns
        -------
        Distributions
            Objects [photos, 1000], scenes [photos, 365], conditions [photos, 14] and features.
        """
        batches = [
            [self._probabilities(batch, *network) for network in self._networks]
            for batch in _batches(images)
        ]
        if not batches:
            n_classes = len(object_labels()), len(self.scene_labels), len(condition_labels())
            shapes = [*((0, n) for n in n_classes), (0, len(VIEWS), N_FEATURES + N_TEXTURES)]
            return Distributions(*(np.empty(shape, np.float32) for shape in shapes))
        objects, scenes = zip(*batches, strict=True)
        seen = self._lite.classify(images)
        return Distributions(
            np.concatenate(objects), np.concatenate(scenes), seen.conditions, seen.features
        )

    def maps(
        self, image: np.ndarray, classes: Mapping[str, Sequence[int]]
    ) -> dict[str, np.ndarray]:
        """Return maps of where in a photo classes are seen; see `networks.ImageNetworks`.

        The networks see only the middle of a photo; the maps are 0 elsewhere.
        """
        height, width = image.shape[:2]
        seen = CROP_SIDE / OBJECTS_SIDE * min(height, width)
        places = CROP_SIDE / PLACES_SIDE
        shares = {"objects": (seen / height, seen / width), "scenes": (places, places)}
        found = {}
        for label_set, network in zip(shares, self._networks, strict=True):
            if label_set in classes:
                maps = self._grad_cam(image, classes[label_set], *network)
                found[label_set] = over_photo(maps, *shares[label_set])
        if "conditions" in classes:
            found |= self._lite.maps(image, {"conditions": classes["conditions"]})
        return found

    def _grad_cam(
        self,
        image: np.ndarray,
        classes: Sequence[int],
        network: nn.Module,
        prepare: Preparation,
    ) -> np.ndarray:
        pixels = prepare(Image.fromarray(image))[None].to(self._device)
        return grad_cam(network, pixels, classes)

    def _probabilities(
        self, photos: Sequence[Image.Image], network: nn.Module, prepare: Preparation
    ) -> np.ndarray:
        pixels = torch.stack([prepare(photo) for photo in photos]).to(self._device)
        probabilities: np.ndarray = torch.softmax(network(pixels), dim=1).cpu().numpy()
        return probabilities


def _batches(images: Sequence[np.ndarray]) -> Iterator[list[Image.Image]]:
    for start in range(0, len(images), BATCH_SIZE):
        yield [Image.fromarray(image) for image in images[start : start + BATCH_SIZE]]


def require(specs: Sequence[WeightsSpec]) -> None:
    """Raise WeightsError, with what to do, if a file of the paper's weights is missing."""
    missing = [spec for spec in specs if spec.is_missing]
    if missing:
        names = " and ".join(spec.name for spec in missing)
        files = " and ".join(str(spec.url) for spec in missing)
        raise WeightsError(
            f"the weights {names} are not here: run `deepmersion weights fetch paper`, or on an "
            f"offline machine copy {files} over and run `deepmersion weights import FILE...`"
        )


def _load_objects(spec: WeightsSpec) -> nn.Module:
    state = read_state_dict(verify(spec))
    with torch.device("meta"):
        network = vgg16()
    return fill(network, state, spec.name)


def _load_scenes(spec: WeightsSpec) -> nn.Module:
    # Saved by Places365's training script: a dict with the epoch, the accuracy and the weights
    # of a network inside DataParallel.
    state = read_state_dict(verify(spec), entry="state_dict", prefix="module.")
    with torch.device("meta"):
        network = resnet18(num_classes=len(places365_labels()))
    return fill(network, state, spec.name)
