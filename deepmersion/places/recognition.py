"""Recognises a kept place in another photo of it.

What is compared is what the last layer of the embedded backbone sees, averaged over the photo and
its six views (`vision.lite_views`): which things and textures are there, and how much of each, but
not where. So little changes when the camera moves a little or the light changes. Each channel
counts by its square root, so that a few strong ones do not drown the others; the similarity is the
cosine between two such vectors. That of vectors of square roots is the Bhattacharyya coefficient,
as of two distributions over the channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepmersion.places.place import Place
from deepmersion.vision.lite_session import N_FEATURES

THRESHOLD = 0.87
"""Least similarity at which a photo shows a kept place.

Measured by ``tools/measure_places.py`` (docs/places.md): of photos of another place, fewer than 1 %
are taken for one of ten kept places even where all ten are of the same kind of scene; of crops,
other light and shifted views of the kept photos, 95 % or more are recognised."""

MARGIN = 0.01
"""By how much the most similar place must lead the next one: of two that are equally similar,
neither is known to be the right one."""


def signature(features: np.ndarray) -> np.ndarray:
    """Return what a photo is recognised by.

    Parameters
    ----------
    features : ndarray, shape = (views, features), float32
        Those of one photo in `vision.networks.Distributions`.

    Returns
    -------
    ndarray, shape = (`N_FEATURES`,), float32
        Of length 1.
    """
    channels = np.sqrt(np.maximum(features[:, :N_FEATURES], 0)).mean(axis=0)
    length = max(float(np.linalg.norm(channels)), np.finfo(np.float32).tiny)
    return np.asarray(channels / length, np.float32)


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Return how similar two photos are by their signatures, from 0 to 1."""
    return float(np.clip(one @ other, 0, 1))


def recognise(
    of_photo: np.ndarray, network: str, places: Sequence[Place]
) -> tuple[Place, float] | None:
    """Return the kept place that a photo shows, and their similarity; None if it shows none.

    Parameters
    ----------
    of_photo : ndarray, shape = (`N_FEATURES`,), float32
        Its `signature`.
    network : str
        Identity of the network that saw it. Places that another one saw are not recognised.
    places : sequence of Place
    """
    known = [place for place in places if place.network == network and len(place.signature)]
    similarities = [similarity(of_photo, place.signature) for place in known]
    order = np.argsort(similarities)[::-1]
    if not len(order) or similarities[order[0]] < THRESHOLD:
        return None
    if len(order) > 1 and similarities[order[0]] - similarities[order[1]] < MARGIN:
        return None
    return known[order[0]], similarities[order[0]]
