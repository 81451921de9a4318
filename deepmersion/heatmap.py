"""Heat maps of a photo: the places that speak for each sound.

A reason (`matching.explain.Reason`) gives the nats by which a class speaks for a sound. They are
spread over the photo in proportion to the positive part of the class's map (`vision.class_maps`);
the map of a sound is the sum over its reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from deepmersion.matching.explain import Reason
from deepmersion.vision.networks import ImageNetworks


@dataclass(frozen=True)
class Heatmap:
    """Maps of where in a photo each sound of a mix comes from.

    Attributes
    ----------
    photo : ndarray, shape = (height, width, 3), uint8
        RGB.
    by_reason : mapping of str to tuple of ndarray, shape = (rows, columns), float32
        For each sound in the mix, by name, one map per reason, in their order. A map covers the
        whole photo; its mean is the reason's nats.
    """

    photo: np.ndarray
    by_reason: Mapping[str, tuple[np.ndarray, ...]]

    @property
    def by_sound(self) -> dict[str, np.ndarray]:
        """The sum over the reasons of each sound, by name; 0 for a sound without reasons."""
        nowhere = np.zeros((1, 1), np.float32)
        return {
            name: np.asarray(np.sum(maps, axis=0)) if maps else nowhere
            for name, maps in self.by_reason.items()
        }


def heatmap(
    networks: ImageNetworks,
    labels: Mapping[str, Sequence[str]],
    image: np.ndarray,
    photo: np.ndarray,
    reasons: Mapping[str, Sequence[Reason]],
) -> Heatmap:
    """Return the heat map of a photo for the sounds of a mix.

    Parameters
    ----------
    networks : ImageNetworks
    labels : mapping of str to sequence of str
        The networks' classes, by label set.
    image : ndarray, shape = (height, width, 3), uint8
        The photo as prepared for the networks.
    photo : ndarray, shape = (height, width, 3), uint8
        The photo as shown to people.
    reasons : mapping of str to sequence of Reason
        The reasons for each sound, by name.
    """
    deciding: dict[str, list[int]] = {}
    numbers = {}
    for reason in (reason for listed in reasons.values() for reason in listed):
        if (reason.label_set, reason.label) not in numbers:
            of_set = deciding.setdefault(reason.label_set, [])
            numbers[reason.label_set, reason.label] = len(of_set)
            of_set.append(labels[reason.label_set].index(reason.label))
    maps = networks.maps(image, deciding) if deciding else {}
    return Heatmap(
        photo,
        {
            sound: tuple(
                spread(maps[reason.label_set][numbers[reason.label_set, reason.label]], reason.nats)
                for reason in listed
            )
            for sound, listed in reasons.items()
        },
    )


def spread(of_class: np.ndarray, nats: float) -> np.ndarray:
    """Return a map proportional to the positive part of a class's map, with the mean `nats`.

    If the class is seen nowhere, the map is 0.
    """
    positive = np.maximum(of_class, 0)
    mean = positive.mean()
    return np.asarray(positive * (nats / mean if mean > 0 else 0.0), dtype=np.float32)
