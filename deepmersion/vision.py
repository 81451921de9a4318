"""What an image network is to the rest of deepmersion, and which one is used.

Photos go in as arrays of pixels, distributions over named classes come out; what runs a
network is its own affair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np

from deepmersion.errors import RequestError, WeightsError

Choice = Literal["auto", "lite", "paper"]

OnChoice = Callable[[str], None]
"""Told in one line which networks ``auto`` took, and why."""

HOW_TO_GET_PAPER = "`deepmersion weights fetch paper` gets those of the paper"


@dataclass(frozen=True)
class Distributions:
    """What the networks see in a number of photos: probabilities, every row of which sums to 1.

    Attributes
    ----------
    objects : ndarray, shape = (photos, 1000), float32
        Over `labels.object_labels`.
    scenes : ndarray, shape = (photos, scenes), float32
        Over the network's own ``scene_labels``.
    """

    objects: np.ndarray
    scenes: np.ndarray


class ImageNetworks(Protocol):
    """An object network and a scene network, loaded and ready."""

    @property
    def name(self) -> str:
        """``"lite"`` or ``"paper"``."""
        ...

    @property
    def scene_labels(self) -> tuple[str, ...]:
        """Names of the scene classes, in the order of ``Distributions.scenes``."""
        ...

    @property
    def weights(self) -> Mapping[str, str]:
        """Identities of the weights, such as their SHA-256, by the name of the network."""
        ...

    @property
    def min_side(self) -> int:
        """The resolution that `photo.load_photo` needs to deliver, in pixels.

        A photo decoded at a reduced size whose sides are at least this long gives the same
        distributions, near enough.
        """
        ...

    def reduced(self, image: np.ndarray) -> np.ndarray:
        """Return a photo made as small as it may be for `classify` to give the same for it."""
        ...

    def classify(self, images: Sequence[np.ndarray]) -> Distributions:
        """Return what is seen in photos, each uint8 [height, width, 3] RGB of any size."""
        ...


def load_networks(
    choice: Choice = "auto", device: str = "cpu", on_choice: OnChoice | None = None
) -> ImageNetworks:
    """Load the image networks.

    Parameters
    ----------
    choice : {"auto", "lite", "paper"}
        ``auto`` takes the paper's networks when the published files of both are there, else lite.
    device : str
        Where PyTorch runs them, such as ``"cpu"`` or ``"cuda"``.
    on_choice : callable, optional

    Raises
    ------
    WeightsError
        When the weights are missing or are not the published ones.
    RequestError
        When there are no such networks.
    """
    if choice not in get_args(Choice):
        known = ", ".join(get_args(Choice))
        raise RequestError(f"there are no networks {choice}; choose among {known}")
    if choice == "paper":
        return _load_paper(device)
    if choice == "lite":
        return _load_lite(device)
    reason = HOW_TO_GET_PAPER
    if _paper_is_present():
        try:
            networks = _load_paper(device)
        except WeightsError as error:
            reason = str(error)
        else:
            _tell(on_choice, "paper")
            return networks
    _tell(on_choice, f"lite, the embedded ones; {reason}")
    return _load_lite(device)


def _load_paper(device: str) -> ImageNetworks:
    from deepmersion.paper import Paper

    return Paper.load(device)


def _load_lite(device: str) -> ImageNetworks:
    from deepmersion.lite import Lite

    return Lite.load(device)


def _tell(on_choice: OnChoice | None, message: str) -> None:
    if on_choice is not None:
        on_choice(message)


def _paper_is_present() -> bool:
    from deepmersion.weights import is_present

    return is_present("vgg16") and is_present("places365")
