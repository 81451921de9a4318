"""The pictures that a photo is looked at as by the embedded networks."""

from __future__ import annotations

import numpy as np

INPUT_SIDE = 224
"""Pixels on each side of the pictures that the backbone was trained on."""

CANVAS_SIDE = 298
"""Pixels on each side of the square that a photo is squashed to, and views are taken from: a view
of a corner shows three quarters of the width and of the height."""

VIEW_WEIGHTS = np.array([1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 8, 1 / 8], dtype=np.float32)
"""How much each of `views` counts: the whole photo as much as all its corners."""

PIXEL_ZERO, PIXEL_SCALE = 127.0, 128.0
"""The backbone's weights expect (pixel - 127) / 128, as their original training had it."""


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
