"""From a photo's file to its pixels: uint8 RGB, upright, opaque, whatever the file holds."""

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
"""What Python calls it."""

NAMELESS = "the photo"
"""What a file without a name is called."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM")
"""What cameras, phones and web pages deliver (phones' MPO counts as JPEG), and PPM for pipes.
Nothing that starts another program (EPS), and none of Pillow's rare decoders: a photo may come
from anyone."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".mpo", ".png", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".gif"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif"}
)
"""What names of photos in a folder end in. HEIC is among them, so that its being unreadable is
said rather than passed over."""

MAX_FILE_BYTES = 512 * 2**20
"""The most that is read of one file; it keeps an endless pipe from filling the memory. The
largest photo that Pillow accepts (89 million pixels) is 256 MiB even when not compressed."""

MIN_SIDE = 32
"""Shortest side accepted, in pixels. The networks reduce a picture 32 times before they judge
it, so less than that is no picture to them (icons, tracking pixels)."""

BACKGROUND = (127, 127, 127)
"""What shows through transparent pixels: mid grey, the zero of the networks' input and so the
colour that speaks for no class. White would speak for snow."""

WHITE_16_BIT = 65_535

HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def name_of(photo: Photo) -> str:
    """Return what a photo is called: its path, or the name of an open file.

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
    """Return a photo's file in memory, to be decoded more than once.

    The parameters, and what is raised, are those of `load_photo`.
    """
    if name == "-" and not isinstance(source, Path):
        name = "standard input"
    return BytesIO(_read(source, name))


def load_photo(
    source: Path | BinaryIO, name: str | None = None, *, min_side: int | None = None
) -> np.ndarray:
    """Return a photo's pixels, turned upright as its EXIF data says.

    Of a file with several pictures (GIF, TIFF, MPO) the first is taken. Transparent parts show
    `BACKGROUND`. Values of 16 bits are scaled to 8; of floating-point ones 1.0, or the
    brightest if that is more, is white.

    Parameters
    ----------
    source : Path or binary file
        A binary file is read to its end and need not be seekable.
    name : str, optional
        How errors call the photo; by default as `name_of` does. ``-`` is standard input.
    min_side : int, optional
        Lets a JPEG be decoded at a half, a quarter or an eighth of its size, which is several
        times faster, as long as both sides keep at least this many pixels.

    Returns
    -------
    ndarray, shape = (height, width, 3), uint8
        RGB.

    Raises
    ------
    PhotoError
        When there is no such file, or it cannot be read, or it holds no photo that can be
        decoded, is damaged, smaller than `MIN_SIDE` or larger than Pillow's limit against
        decompression bombs.
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
            name, "is a folder and no photo; name a photo, or a folder with photos in it"
        ) from None
    except PermissionError:
        raise _unfit(name, "may not be read; check the file's permissions") from None
    except (OSError, ValueError) as error:
        raise _unfit(name, f"cannot be read ({reason(error)}); check the path") from error
    if not data:
        raise _unfit(name, "is empty; give a photo")
    if len(data) > MAX_FILE_BYTES:
        raise _unfit(name, f"is larger than {MAX_FILE_BYTES >> 20} MiB; give a smaller photo")
    return data


def _read_bounded(file: BinaryIO) -> bytes:
    """Return what a file holds, or a little more than `MAX_FILE_BYTES` of it."""
    data = bytearray()
    while len(data) <= MAX_FILE_BYTES and (chunk := file.read(2**20)):
        data += chunk
    return bytes(data)


def _decode(data: bytes, name: str, min_side: int | None) -> PILImage:
    """Return the decoded picture, not yet turned upright."""
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
        # Between its limit and twice that, Pillow only warns. How warnings are treated is a
        # setting of the whole process, and several threads decode: so it is looked at here.
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
        # Damaged data makes Pillow's decoders raise OSError, SyntaxError, ValueError,
        # struct.error, IndexError and others; to the user it is all the same.
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

    32-bit integers mostly hold 16-bit data; only values beyond those move the white point.
    """
    finite = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    usual = 1.0 if np.issubdtype(values.dtype, np.floating) else float(WHITE_16_BIT)
    white = max(usual, float(finite.max()))
    grey: np.ndarray = np.clip(finite / white, 0, 1) * 255 + 0.5
    return grey.astype(np.uint8)


def _upright(image: PILImage) -> PILImage:
    """Return the picture turned and mirrored as its EXIF data say, if they can be read."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data make Pillow raise OSError, SyntaxError, struct.error, …
        return image
