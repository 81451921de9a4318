"""The small picture of a kept place: a JPEG without the photo's own data (EXIF, position)."""

from __future__ import annotations

from io import BytesIO

import numpy as np

SIDE = 320
"""Longer side in pixels: sharp on a tile of 160 points, and some 15 kB."""

DECODED_SIDE = 2 * SIDE

QUALITY = 80

MAX_BYTES = 256 * 1024
"""Of a thumbnail that is imported; noise of this size has 90 kB."""


def thumbnail(pixels: np.ndarray) -> bytes:
    """Return a photo's thumbnail.

    Parameters
    ----------
    pixels : ndarray, shape = (height, width, 3), uint8
        RGB, of any size; `DECODED_SIDE` pixels on each side are enough.
    """
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    stream = BytesIO()
    image.save(stream, "JPEG", quality=QUALITY, optimize=True)
    return stream.getvalue()


def is_thumbnail(data: bytes) -> bool:
    """Return whether bytes are a small JPEG that can be decoded and carries no EXIF data."""
    from PIL import Image

    if len(data) > MAX_BYTES:
        return False
    try:
        with Image.open(BytesIO(data), formats=["JPEG"]) as image:
            small = max(image.size) <= SIDE
            if not small or set(image.info) & {"exif", "xmp", "photoshop", "icc_profile"}:
                return False
            image.load()
    except Exception:  # damaged data raises anything
        return False
    return True
