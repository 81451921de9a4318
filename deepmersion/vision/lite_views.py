"""The pictures that a photo is looked at as by the embedded networks."""

from __future__ import annotations

import numpy as np

INPUT_SIDE = 224
"""Pixels on each side of the pictures that the backbone was trained on."""

CANVAS_SIDE = 298
"""Pixels on each side of the square that a photo is squashed to, and views are taken from: a view
of a corner shows three quarters of the width and of the height."""

ALL, NEAR, FAR = slice(None), slice(INPUT_SIDE), slice(CANVAS_SIDE - INPUT_SIDE, None)

VIEWS = (
    (ALL, ALL, False),
    (ALL, ALL, True),
    (NEAR, NEAR, False),
    (FAR, NEAR, False),
    (NEAR, FAR, True),
    (FAR, FAR, True),
)
"""Rows and columns of the canvas that each of `views` shows, and if it is mirrored."""

VIEW_WEIGHTS = np.array([1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 8, 1 / 8], dtype=np.float32)
"""How much each of `views` counts: the whole photo as much as all its corners."""

MAP_WEIGHTS = (1 / 4, 1 / 4, 1 / 2, 1 / 2, 1 / 2, 1 / 2)
"""The same in a map, at each of its places: where corners overlap, they count as one."""

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
    found = np.empty((len(VIEWS), *whole.shape), np.uint8)
    for view, (rows, columns, mirrored) in zip(found, VIEWS, strict=True):
        shown = whole if rows == columns == ALL else canvas[rows, columns]
        view[:] = shown[:, ::-1] if mirrored else shown
    return found


def over_photo(maps: np.ndarray) -> np.ndarray:
    """Return maps of the views as maps of the photo.

    At each place of the photo the two views of the whole count as much as the corners, of which
    one fades into the next.

    Parameters
    ----------
    maps : ndarray, shape = (6, classes, rows, columns), float32

    Returns
    -------
    ndarray, shape = (classes, 298, 298), float32
        Of the whole photo, squashed to a square.
    """
    total = np.zeros((maps.shape[1], CANVAS_SIDE, CANVAS_SIDE), np.float32)
    for (rows, columns, mirrored), weight, of_view in zip(VIEWS, MAP_WEIGHTS, maps, strict=True):
        share = weight * _fading(rows)[:, None] * _fading(columns)
        for number, cells in enumerate(of_view):
            turned = cells[:, ::-1] if mirrored else cells
            total[number, rows, columns] += share * enlarged(turned, *share.shape)
    return total


def _fading(part: slice) -> np.ndarray:
    """Return how much a view counts at each of the rows, or columns, that it shows.

    Those of both ends add up to 1 wherever both show something.
    """
    if part == ALL:
        return np.ones(CANVAS_SIDE, np.float32)
    n_alone = CANVAS_SIDE - INPUT_SIDE
    fading = 1 - np.clip((np.arange(INPUT_SIDE) + 0.5 - n_alone) / (INPUT_SIDE - n_alone), 0, 1)
    return np.asarray(fading if part == NEAR else fading[::-1], np.float32)


def enlarged(cells: np.ndarray, n_rows: int, n_columns: int) -> np.ndarray:
    """Return a map at more points, smoothly: float32 [n_rows, n_columns]."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(cells, np.float32))
    return np.asarray(image.resize((n_columns, n_rows), Image.Resampling.BICUBIC))


def prepare(pictures: np.ndarray) -> np.ndarray:
    """Return pictures as the backbone takes them: [pictures, 3, 224, 224], float32 in [-1, 1].

    Parameters
    ----------
    pictures : ndarray, shape = (pictures, 224, 224, 3), uint8
        RGB.
    """
    planes = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
    pixels = np.subtract(planes, PIXEL_ZERO, dtype=np.float32)
    pixels /= PIXEL_SCALE
    return np.asarray(pixels)
