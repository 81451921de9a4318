"""The published weights: their sources, identities and licences."""

from __future__ import annotations

from dataclasses import dataclass

from deepmersion.errors import RequestError
from deepmersion.fetching.digests import Identity
from deepmersion.fetching.published import PublishedFile
from deepmersion.weights import soundnet_weights

BY_HAND = "bring the file and use `deepmersion weights import FILE`"


@dataclass(frozen=True, kw_only=True)
class WeightsSpec(PublishedFile):
    """One network's weights; `url` is None when they come through pip.

    Attributes
    ----------
    name : str
        How commands and errors call them.
    purpose : str
    licence : str
    labels : tuple of str
        The lists of classes that the network's outputs follow, as in ``data/labels``.
    citation : str
    """

    by_hand: str = BY_HAND
    name: str
    purpose: str
    licence: str
    labels: tuple[str, ...]
    citation: str


SOUNDNET_SHA256 = soundnet_weights.ARRAY.digest
"""SHA-256 of SoundNet's weights as published (``sound8.npy``), whatever they are converted to."""

SPECS: dict[str, WeightsSpec] = {
    spec.name: spec
    for spec in (
        WeightsSpec(
            name="soundnet",
            purpose="what a sound suggests (build-index)",
            url=None,
            filename="soundnet.safetensors",
            size=soundnet_weights.CONVERTED_BYTES,
            licence="MIT",
            labels=("imagenet1000", "soundnet-scenes"),
            identity=soundnet_weights.CONVERTED,
            citation="Aytar, Vondrick and Torralba, SoundNet: Learning Sound Representations "
            "from Unlabeled Video, NIPS 2016",
        ),
        WeightsSpec(
            name="vgg16",
            purpose="objects in a photo (--networks paper)",
            # torchvision's VGG16_Weights.IMAGENET1K_V1; the name holds the hash's first digits.
            url="https://download.pytorch.org/models/vgg16-397923af.pth",
            filename="vgg16-397923af.pth",
            size=553_433_881,
            licence="BSD-3-Clause",
            labels=("imagenet1000",),
            identity=Identity(
                "sha256", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"
            ),
            citation="Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale "
            "Image Recognition, 2014; trained by the authors of torchvision",
        ),
        WeightsSpec(
            name="places365",
            purpose="scenes in a photo (--networks paper)",
            # The publisher has no https: what protects the user is the identity.
            url="http://places2.csail.mit.edu/models_places365/resnet18_places365.pth.tar",
            filename="resnet18_places365.pth.tar",
            size=45_506_139,
            licence="CC BY",
            labels=("places365",),
            identity=Identity("git-blob", "b5f71891a684a7c88707eca009b0efb5ea607e4c"),
            citation="Zhou, Lapedriza, Khosla, Oliva and Torralba, Places: A 10 Million Image "
            "Database for Scene Recognition, TPAMI 2017",
        ),
    )
}

GROUPS = {"paper": ("vgg16", "places365"), "all": tuple(SPECS)}
"""Names of weights that are fetched together."""


def expand(names: tuple[str, ...]) -> list[WeightsSpec]:
    """Return the weights of some names and groups, each once.

    Raises
    ------
    RequestError
        When a name is unknown.
    """
    for name in names:
        if name not in SPECS and name not in GROUPS:
            choices = ", ".join([*SPECS, *GROUPS])
            raise RequestError(f"unknown weights {name}; choose from {choices}")
    members = [member for name in names for member in GROUPS.get(name, (name,))]
    return [SPECS[name] for name in dict.fromkeys(members)]


def how_to_get(spec: WeightsSpec) -> str:
    """Return how to get some weights, online and offline, to end a sentence with."""
    if spec.url is None:
        by_hand = soundnet_weights.BY_HAND
    else:
        by_hand = f"copy {spec.url} over and run `deepmersion weights import {spec.filename}`"
    return f"run `deepmersion weights fetch {spec.name}`, or on an offline machine {by_hand}"
