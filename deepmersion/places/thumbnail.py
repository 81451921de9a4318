"""The small picture of a kept place: a JPEG without the photo's own data (EXIF, position)."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from deepmersion.vision.photo import load_photo

SIDE = 320
"""Longer side in pixels: sharp on a tile of 160 points, and some 15 kB."""

QUALITY = 80

MAX_BYTES = 256 * 1024
"""Of a thumbnail that is imported; noise of this size has 90 kB."""


def thumbnail(photo: Path | BinaryIO, name: str | None = None) -> bytes:
    """Return a photo's thumbnail.

    Parameters and errors are those of `load_photo`.
    """
    from PIL import Image

    image = Image.fromarray(load_photo(photo, name, min_side=2 * SIDE))
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
