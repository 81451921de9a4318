"""Decodes photos to pixels: upright, opaque, uint8 RGB, whatever the file holds."""

from __future__ import annotations

import math
import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from deepmersion.errors import PhotoError, in_one_line, reason

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

Photo = Path | str | BinaryIO
"""A photo's path, or a binary file that is read to its end, such as standard input."""

STDIN_NAME = "<stdin>"
"""Python's name for it."""

NAMELESS = "the photo"
"""Name given to a file without one."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM")
"""The formats of cameras, phones and web pages (phones' MPO counts as JPEG), and PPM for pipes.
Photos are untrusted, so formats that start another program (EPS) and Pillow's rare decoders are
left out."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".mpo", ".png", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".gif"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif"}
)
"""Suffixes of photos in a folder. HEIC is included: it cannot be read, which should be reported
rather than passed over."""

MAX_FILE_BYTES = 512 * 2**20
"""Largest file that is read: keeps an endless pipe from filling the memory. The largest photo that
Pillow accepts (89 million pixels) has 256 MiB even uncompressed."""

MIN_SIDE = 32
"""Shortest side accepted, in pixels. The networks reduce a picture by a factor of 32 before they
classify it, so anything smaller (icons, tracking pixels) tells them nothing."""

BACKGROUND = (127, 127, 127)
"""Colour behind transparent pixels: mid grey, the zero of the networks' input, which favours no
class. White would favour snow."""

WHITE_16_BIT = 65_535

HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def name_of(photo: Photo) -> str:
    """Return a photo's name: its path, or the name of an open file.

    Standard input is ``-``, and a file without a name `NAMELESS`.
    """
    if isinstance(photo, str | Path):
        return str(photo)
    name = getattr(photo, "name", None)
    if name in (STDIN_NAME, 0):
        return "-"
    # A pipe's name may be the number of its descriptor.
    return os.fsdecode(name) if isinstance(name, str | bytes) else NAMELESS


def read_photo(source: Path | BinaryIO, name: str) -> BytesIO:
    """Read a photo's file into memory, to decode it more than once.

    Parameters and errors are those of `load_photo`.
    """
    if name == "-" and not isinstance(source, Path):
        name = "standard input"
    return BytesIO(_read(source, name))


def load_photo(
    source: Path | BinaryIO, name: str | None = None, *, min_side: int | None = None
) -> np.ndarray:
    """Return a photo's pixels, turned upright as its EXIF data says.

    Of a file with several pictures (GIF, TIFF, MPO), the first is used. Transparent parts show
    `BACKGROUND`. 16-bit values are scaled to 8 bits; in floating point, white is 1.0 or the
    brightest value if that is higher.

    Parameters
    ----------
    source : Path or binary file
        A binary file is read to its end and need not be seekable.
    name : str, optional
        The photo's name in errors; by default that of `name_of`. ``-`` is standard input.
    min_side : int, optional
        Allows decoding a JPEG at a half, a quarter or an eighth of its size, which is several times
        faster, as long as both sides keep at least this many pixels.

    Returns
    -------
    ndarray, shape = (height, width, 3), uint8
        RGB.

    Raises
    ------
    PhotoError
        When the file is missing, unreadable, damaged or not a known format, or the photo is smaller
        than `MIN_SIDE` or larger than Pillow's limit against decompression bombs.
    """
    name = name_of(source) if name is None else name
    if name == "-" and not isinstance(source, Path):
        name = "standard input"
    image = _decode(_read(source, name), name, min_side)
    if min(image.size) < MIN_SIDE:
        raise _unfit(
            name,
            f"has {image.width} × {image.height} pixels, too few to recognise a place; "
            f"use one of at least {MIN_SIDE} × {MIN_SIDE}",
        )
    return np.asarray(_to_rgb(_upright(image)))


def _unfit(name: str, reason: str) -> PhotoError:
    return PhotoError(f"{name} {reason}" if name == NAMELESS else f"{name}: {reason}")


def _read(source: Path | BinaryIO, name: str) -> bytes:
    try:
        if isinstance(source, Path):
            with source.open("rb") as file:
                data = _read_bounded(file)
        else:
            data = _read_bounded(source)
    except FileNotFoundError:
        raise _unfit(name, "there is no such file; check the path") from None
    except IsADirectoryError:
        raise _unfit(
            name, "is a folder, not a photo; give a photo, or a folder with photos in it"
        ) from None
    except PermissionError:
        raise _unfit(name, "is not readable; check the file's permissions") from None
    except (OSError, ValueError) as error:
        raise _unfit(name, f"cannot be read ({reason(error)}); check the path") from error
    if not data:
        raise _unfit(name, "is empty; give a photo")
    if len(data) > MAX_FILE_BYTES:
        raise _unfit(name, f"is larger than {MAX_FILE_BYTES >> 20} MiB; give a smaller photo")
    return data


def _read_bounded(file: BinaryIO) -> bytes:
    """Return a file's contents, or slightly more than the first `MAX_FILE_BYTES` of it."""
    data = bytearray()
    while len(data) <= MAX_FILE_BYTES and (chunk := file.read(2**20)):
        data += chunk
    return bytes(data)


def _decode(data: bytes, name: str, min_side: int | None) -> PILImage:
    """Return the decoded picture, not yet turned upright."""
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
        # Between its limit and twice that, Pillow only warns. Warning filters are global to the
        # process, and several threads decode, so the limit is checked here.
        if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):
            raise Image.DecompressionBombError
        if min_side is not None:
            image.draft(None, (min_side, min_side))
        image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _unfit(
            name, f"has more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels; scale it down first"
        ) from None
    except UnidentifiedImageError:
        raise _unfit(name, _what_it_is(data)) from None
    except MemoryError:
        raise _unfit(name, "does not fit into the memory; scale it down first") from None
    except Exception as error:
        # On damaged data, Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error,
        # IndexError and others; to the user they all mean the same.
        raise _unfit(
            name, f"is damaged or cut short ({in_one_line(error)}); get the photo again"
        ) from error
    return image


def _what_it_is(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
        return "is a HEIC photo, which cannot be read; export it as JPEG"
    known = "JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF or PPM"
    return f"is not a photo of a known format, or is damaged; give a {known} file"


def _to_rgb(image: PILImage) -> PILImage:
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_8_bit(np.asarray(image))).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    photo = image.convert("RGBA")
    background = Image.new("RGBA", photo.size, (*BACKGROUND, 255))
    return Image.alpha_composite(background, photo).convert("RGB")


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Return grey values of 16 bits, 32 bits or floating point as uint8.

    32-bit integers mostly hold 16-bit data; only larger values raise the white point.
    """
    finite = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    usual = 1.0 if np.issubdtype(values.dtype, np.floating) else float(WHITE_16_BIT)
    white = max(usual, float(finite.max()))
    grey: np.ndarray = np.clip(finite / white, 0, 1) * 255 + 0.5
    return grey.astype(np.uint8)


def _upright(image: PILImage) -> PILImage:
    """Return the picture turned and mirrored according to its EXIF data, if readable."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # on damaged EXIF data, Pillow raises OSError, SyntaxError, struct.error, …
        return image
