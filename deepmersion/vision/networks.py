"""The interface of image networks.

Photos go in as arrays of pixels, distributions over named classes come out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Distributions:
    """What is seen in some photos: probabilities of classes, each row of which sums to 1.

    Attributes
    ----------
    objects : ndarray, shape = (photos, 1000), float32
        Over `labels.object_labels`.
    scenes : ndarray, shape = (photos, scenes), float32
        Over the network's own ``scene_labels``.
    conditions : ndarray, shape = (photos, 14), float32
        Over `labels.condition_labels`.
    features : ndarray, shape = (photos, 6, 2128), float32
        No probabilities: what the embedded backbone sees in each of `lite_views.views`
        (`lite_network.extract`), by which a kept place is recognised.
    """

    objects: np.ndarray
    scenes: np.ndarray
    conditions: np.ndarray
    features: np.ndarray

    @property
    def by_label_set(self) -> dict[str, np.ndarray]:
        """The probabilities by label set, [photos, classes] each."""
        return {
            "objects": self.objects,
            "scenes": self.scenes,
            "conditions": self.conditions,
        }


class ImageNetworks(Protocol):
    """Networks for objects, scenes and conditions, loaded and ready to run."""

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
        """Identities of the weights, such as their SHA-256, by network."""
        ...

    @property
    def min_side(self) -> int:
        """Resolution needed from `photo.load_photo`, in pixels.

        A photo decoded at a reduced size gives nearly the same distributions as long as its sides
        are at least this long.
        """
        ...

    @property
    def canvas_side(self) -> int | None:
        """Side in pixels of the square that `reduced` squashes a photo to, or None."""
        ...

    def reduced(self, image: np.ndarray) -> np.ndarray:
        """Return a photo made as small as possible without changing the result of `classify`."""
        ...

    def classify(self, images: Sequence[np.ndarray]) -> Distributions:
        """Return the classes seen in photos, each uint8 [height, width, 3] RGB of any size."""
        ...

    def maps(
        self, image: np.ndarray, classes: Mapping[str, Sequence[int]]
    ) -> dict[str, np.ndarray]:
        """Return maps of where in a photo classes are seen.

        Parameters
        ----------
        image : ndarray, shape = (height, width, 3), uint8
            As for `classify`.
        classes : mapping of str to sequence of int
            Numbers of classes, by label set: ``objects``, ``scenes``, ``conditions``.

        Returns
        -------
        dict of str to ndarray, shape = (classes, rows, columns), float32
            By label set, over the whole photo: the contribution of each place to the log-odds of
            the class, in nats; negative where it speaks for other classes, 0 where no network
            looks.
        """
        ...
