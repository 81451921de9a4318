"""Where in a photo its sounds come from: maps of the classes that speak for them.

A reason (`matching.explain.Reason`) says by how many nats a class speaks for a sound. They are
spread over the photo in proportion to the positive part of the class's map
(`vision.class_maps`); the map of a sound is the sum over its reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from deepmersion.matching.explain import Reason
from deepmersion.vision.networks import ImageNetworks


@dataclass(frozen=True)
class Heatmap:
    """Where in a photo each sound of a mix comes from.

    Attributes
    ----------
    photo : ndarray, shape = (height, width, 3), uint8
        RGB.
    by_reason : mapping of str to tuple of ndarray, shape = (rows, columns), float32
        By name of each sound in the mix, a map for each of its reasons, in their order. It covers
        the whole photo; its mean is the reason's nats.
    """

    photo: np.ndarray
    by_reason: Mapping[str, tuple[np.ndarray, ...]]

    @property
    def by_sound(self) -> dict[str, np.ndarray]:
        """The sum over the reasons, by name of each sound; 0 for a sound without any."""
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
    """Return where in a photo the sounds of a mix come from.

    Parameters
    ----------
    networks : ImageNetworks
    labels : mapping of str to sequence of str
        Their classes, by label set.
    image : ndarray, shape = (height, width, 3), uint8
        The photo as the networks take it.
    photo : ndarray, shape = (height, width, 3), uint8
        The photo as it is to be shown.
    reasons : mapping of str to sequence of Reason
        By name of each sound.
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
    """Return a map in proportion to the positive part of a class's, whose mean is `nats`.

    Where the class is seen nowhere, all is 0.
    """
    positive = np.maximum(of_class, 0)
    mean = positive.mean()
    return np.asarray(positive * (nats / mean if mean > 0 else 0.0), dtype=np.float32)
