"""Decodes photos to pixels: upright, opaque, uint8 RGB, whatever the file holds.

In two steps, `Decoding` and `Decoding.finish`: between them it is known what the second takes.
"""

from __future__ import annotations

import errno
import io
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

from deepmersion.errors import OUT_OF_MEMORY, in_one_line
from deepmersion.vision import jpeg, png, tiff
from deepmersion.vision.formats import HEAD_BYTES, SUPPORTED, NotSupportedError, format_of

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image as PILImage

OPENERS = {
    "JPEG": "PIL.JpegImagePlugin.JpegImageFile",
    "PNG": "PIL.PngImagePlugin.PngImageFile",
    "WEBP": "PIL.WebPImagePlugin.WebPImageFile",
    "HEIF": "pi_heif.HeifImageFile",
    "AVIF": "PIL.AvifImagePlugin.AvifImageFile",
    "TIFF": "PIL.TiffImagePlugin.TiffImageFile",
    "BMP": "PIL.BmpImagePlugin.BmpImageFile",
    "GIF": "PIL.GifImagePlugin.GifImageFile",
    "PPM": "PIL.PpmImagePlugin.PpmImageFile",
}
"""What reads each format: those of cameras, phones and web pages, and PPM for pipes. Photos are
untrusted, so formats that start another program (EPS) and Pillow's rare decoders are left out. So
is `PIL.Image.open`, which imports them all when it meets a file that it does not know."""

MIN_SIDE = 32
"""Shortest side accepted, in pixels. The networks reduce a picture by a factor of 32 before they
classify it, so anything smaller (icons, tracking pixels) tells them nothing."""

MAX_PIXELS = 89_478_485
"""Most pixels that are decoded, Pillow's own limit. It counts what is decoded: a JPEG is decoded
smaller where that will do."""

MAX_JPEG_PIXELS = 250_000_000
"""Most pixels of a JPEG before it is decoded smaller. Phones have 200 million."""

BACKGROUND = (127, 127, 127)
"""Colour behind transparent pixels: mid grey, the zero of the networks' input, which favours no
class. White would favour snow."""

WHITE_16_BIT = 65_535

STRIP_PIXELS = 2**19
"""Pixels that are converted at once: no second copy of a large picture is made."""

STRIP_BYTES = 16 * STRIP_PIXELS
"""Memory for that: some four copies of a strip, of 4 bytes a pixel."""

PEAK_BYTES = {"WEBP": 16.5, "AVIF": 9.5, "HEIF": 7.5, "GIF": 8}
"""Bytes a pixel while it is decoded, where libraries keep it in forms of their own. Measured on
photos of 48 million pixels: 16.2, 9.3, 7.3."""

BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Memory of a picture by its mode; 4 for all others."""

ORIENTATION = 0x0112
"""The EXIF tag."""

OTHER_END = b"\x5a" * 64 + jpeg.END
"""What a JPEG is tried with in place of its end: bits that mean something if any are missing."""


class RefusedError(Exception):
    """A photo cannot be used; the message is the end of a sentence that begins with its name."""


@dataclass
class Decoding:
    """A photo of which the header has been read.

    Attributes
    ----------
    image : Image
        Not yet decoded.
    factor : int
        By how much it is reduced after decoding.
    needed_bytes : int
        Memory that `finish` takes, estimated from above.
    cut : tuple or None
        The file of a JPEG without an end, and by how much it is decoded smaller.
    grey_scale : int
        As `png.grey_scale` returns it.
    """

    image: PILImage
    factor: int
    needed_bytes: int
    cut: tuple[bytes, int] | None = None
    grey_scale: int = 1

    @classmethod
    def of(
        cls,
        file: BinaryIO,
        *,
        min_side: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> Decoding:
        """Read the header of a photo.

        Parameters
        ----------
        file : binary file
            Seekable.
        min_side : int, optional
            As for `photo.load_photo`.
        max_pixels : int
            A picture with more is reduced, to half as many at most, after it is decoded.

        Raises
        ------
        RefusedError
            When it cannot be used.
        OSError
            When the system cannot read it.
        MemoryError
        """
        with _errors_told():
            return _begun(file, min_side, max_pixels)

    def finish(self, canvas_side: int | None = None) -> PILImage:
        """Decode; return the picture, upright, opaque and RGB.

        Parameters
        ----------
        canvas_side : int, optional
            Squashes it to a square of this side, as `networks.ImageNetworks` wants it.

        Raises
        ------
        RefusedError, OSError, MemoryError
            As `of`.
        """
        require_memory(self.needed_bytes)
        with _errors_told():
            self.image.load()
            if self.cut is not None:
                self._require_all_pixels(*self.cut)
            image = _to_rgb(self.image, self.factor, self.grey_scale)
        upright = _upright(image, self.image)
        if canvas_side is None:
            return upright
        from PIL.Image import Resampling

        return upright.resize((canvas_side, canvas_side), Resampling.BICUBIC)

    def _require_all_pixels(self, data: bytes, scale: int) -> None:
        """Raise unless a JPEG has all of its pixels, whatever follows its last byte."""
        other = _open_jpeg(data + OTHER_END, scale)
        if other.tobytes() != self.image.tobytes():
            raise RefusedError("is damaged or cut short (its end is missing); get the photo again")


def require_memory(n_bytes: int) -> None:
    """Raise MemoryError if so much memory is not to be had.

    Decoders that run out of memory say that the file is damaged.
    """
    try:
        mmap.mmap(-1, max(1, n_bytes)).close()
    except (OSError, ValueError, OverflowError) as error:
        raise MemoryError from error


def _begun(file: BinaryIO, min_side: int | None, max_pixels: int) -> Decoding:
    head = file.read(HEAD_BYTES)
    kind = format_of(head)
    if kind is None:
        raise RefusedError(
            f"is not a photo of a known format, or is damaged; give a {SUPPORTED} file"
        )
    file.seek(0)
    if kind == "JPEG":
        return _begun_jpeg(file.read(), min_side, max_pixels)
    more_bytes, grey_scale = 0, 1
    if kind == "TIFF":
        more_bytes = tiff.block_bytes(tiff.check_tiff(file)) + file.seek(0, os.SEEK_END)
    elif kind == "WEBP":
        _require_few_pixels(*_webp_size(head))
    elif kind == "PNG":
        grey_scale = png.grey_scale(file)
        file = png.Essentials(file)  # type: ignore[assignment]
    file.seek(0)
    image = _opener(kind)(file)
    _require_few_pixels(*image.size)
    factor = _factor(image, max_pixels)
    needed = _needed(image, kind, factor) + more_bytes
    return Decoding(image, factor, needed, grey_scale=grey_scale)


def _begun_jpeg(data: bytes, min_side: int | None, max_pixels: int) -> Decoding:
    found = jpeg.survey(data)
    if found.n_scans > jpeg.MAX_SCANS or found.n_segments > jpeg.MAX_SEGMENTS:
        raise RefusedError(
            f"is a JPEG of more than {jpeg.MAX_SCANS} scans or {jpeg.MAX_SEGMENTS:,} segments, "
            "which no camera writes; re-save it"
        )
    if found.width * found.height > MAX_JPEG_PIXELS:
        raise _too_many_pixels(MAX_JPEG_PIXELS)
    scale = _scale(found.width, found.height, min_side, max_pixels)
    if not found.is_whole:
        data = data.rstrip(b"\xff")  # half a marker
    image = _open_jpeg(data if found.is_whole else data + jpeg.END, scale)
    _require_few_pixels(*image.size)
    needed = _needed(image, "JPEG", 1) + found.kept_bytes + len(data)
    return Decoding(image, 1, needed, cut=None if found.is_whole else (data, scale))


def _scale(width: int, height: int, min_side: int | None, max_pixels: int) -> int:
    """Return by how much a JPEG is decoded smaller: 1, 2, 4 or 8."""
    needed = next((s for s in (1, 2, 4) if width * height <= s**2 * max_pixels), 8)
    enough = min(width, height) // min_side if min_side else 1
    return max(needed, next((s for s in (8, 4, 2) if s <= enough), 1))


def _open_jpeg(data: bytes, scale: int) -> Any:
    image = _opener("JPEG")(io.BytesIO(data))
    image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
    return image


def _opener(kind: str) -> Any:
    module, name = OPENERS[kind].rsplit(".", 1)
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        if OUT_OF_MEMORY in str(error):
            raise MemoryError from error
        raise RefusedError(
            f"needs the package {module.partition('.')[0]}, which cannot be imported "
            f"({in_one_line(error)}); install deepmersion again"
        ) from error


def _webp_size(head: bytes) -> tuple[int, int]:
    """Return a WebP's width and height: its decoder takes memory for them before it is asked.

    Source: RFC 9649.
    """
    if head[12:16] == b"VP8X":
        width, height = head[24:27] + b"\0", head[27:30] + b"\0"
        return 1 + int.from_bytes(width, "little"), 1 + int.from_bytes(height, "little")
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", head, 26)
    return width & 0x3FFF, height & 0x3FFF


def _require_few_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(MAX_PIXELS)
    if min(width, height) < MIN_SIDE:
        raise RefusedError(
            f"has {width} × {height} pixels, too few to recognise a place; "
            f"use one of at least {MIN_SIDE} × {MIN_SIDE}"
        )


def _too_many_pixels(most: int) -> RefusedError:
    return RefusedError(f"has more than {most:,} pixels; scale it down first")


def _factor(image: PILImage, max_pixels: int) -> int:
    n_pixels, factor = image.width * image.height, 1
    if n_pixels > max_pixels:
        while n_pixels > factor**2 * max_pixels // 2:
            factor += 1
    return factor


def _needed(image: PILImage, kind: str, factor: int) -> int:
    """Return the memory for decoding and converting a picture, without what is special to JPEG."""
    n_pixels = image.width * image.height
    decoded = n_pixels * BYTES_PER_PIXEL.get(image.mode, 4)
    if kind == "TIFF" and image.getexif().get(ORIENTATION, 1) != 1:
        decoded *= 2  # Pillow turns it
    is_plain = image.mode == "RGB" and factor == 1
    converted = 0 if is_plain else 4 * n_pixels // factor**2
    peak = int(n_pixels * PEAK_BYTES.get(kind, 0))
    return max(peak, decoded + converted) + STRIP_BYTES


@contextmanager
def _errors_told() -> Iterator[None]:
    """Turn errors of decoders into RefusedError or MemoryError; leave those of the system."""
    try:
        yield
    except NotSupportedError as error:
        raise RefusedError(f"is {error}, which is not supported; export it as JPEG") from None
    except (RefusedError, MemoryError):
        raise
    except Exception as error:
        if _is_of_the_system(error):
            raise
        raise _failed(error) from error


def _is_of_the_system(error: Exception) -> bool:
    """Return True if a file could not be read, however sound the photo in it.

    Errors of Pillow and its libraries have no number. EINVAL is the photo's fault: a damaged offset
    in it leads before the file's beginning, or too far.
    """
    others = (None, errno.EINVAL, errno.ENOMEM)
    return isinstance(error, OSError) and error.errno not in others


def _failed(error: Exception) -> Exception:
    """Return what to raise for an error of a decoder.

    Decoders raise OSError, SyntaxError, ValueError, struct.error, IndexError and others.
    """
    words = in_one_line(error)
    if "memory" in words.lower():
        return MemoryError(words)
    if words.startswith(("Unsupported", "unknown", "cannot handle", "Unknown")):
        return RefusedError(f"is of a kind that is not supported ({words}); export it as JPEG")
    return RefusedError(f"is damaged or cut short ({words}); get the photo again")


def _to_rgb(image: PILImage, factor: int, grey_scale: int) -> PILImage:
    """Return a picture as opaque RGB, strip by strip and reduced by a factor."""
    from PIL import Image

    if image.mode == "RGB" and factor == 1 and not image.has_transparency_data:
        return image
    if grey_scale > 1 and isinstance(image.info.get("transparency"), int):
        image.info["transparency"] *= grey_scale
    convert = _converter(image)
    size = tuple(-(-side // factor) for side in image.size)
    converted = Image.new("RGB", (size[0], size[1]))
    n_rows = factor * max(1, STRIP_PIXELS // (image.width * factor))
    for top in range(0, image.height, n_rows):
        strip = convert(image.crop((0, top, image.width, min(top + n_rows, image.height))))
        converted.paste(strip.reduce(factor) if factor > 1 else strip, (0, top // factor))
    return converted


def _converter(image: PILImage) -> Any:
    """Return what converts strips of a picture to opaque RGB."""
    if image.mode.startswith("I") or image.mode == "F":
        white, clear = _white(image), image.info.get("transparency")
        return lambda strip: _grey_strip(strip, white, clear)
    if image.has_transparency_data:
        return _opaque_strip
    return lambda strip: strip.convert("RGB")


def _opaque_strip(strip: PILImage) -> PILImage:
    from PIL import Image

    photo = strip.convert("RGBA")
    background = Image.new("RGBA", photo.size, (*BACKGROUND, 255))
    return Image.alpha_composite(background, photo).convert("RGB")


def _white(image: PILImage) -> float:
    """Return the grey value that is white.

    32-bit integers mostly hold 16-bit data; only larger values raise the white point.
    """
    if image.mode.startswith("I;16"):
        return WHITE_16_BIT
    import numpy as np

    usual = 1.0 if image.mode == "F" else float(WHITE_16_BIT)
    rows = max(1, STRIP_PIXELS // image.width)
    strips = (
        image.crop((0, top, image.width, min(top + rows, image.height)))
        for top in range(0, image.height, rows)
    )
    return max(usual, *(float(_finite(np.asarray(strip)).max()) for strip in strips))


def _finite(values: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)


def _grey_strip(strip: PILImage, white: float, clear: int | None) -> PILImage:
    """Return a strip of more than 8 bits; pixels with the value `clear` are transparent."""
    import numpy as np
    from PIL import Image

    values = np.asarray(strip)
    grey = (np.clip(_finite(values) / white, 0, 1) * 255 + 0.5).astype(np.uint8)
    if clear is not None:
        grey[values == clear] = BACKGROUND[0]
    return Image.fromarray(grey).convert("RGB")


def _upright(image: PILImage, source: PILImage) -> PILImage:
    """Return a picture turned and mirrored as the EXIF data of its source say, if readable."""
    from PIL.Image import Transpose

    turns = (
        Transpose.FLIP_LEFT_RIGHT,
        Transpose.ROTATE_180,
        Transpose.FLIP_TOP_BOTTOM,
        Transpose.TRANSPOSE,
        Transpose.ROTATE_270,
        Transpose.TRANSVERSE,
        Transpose.ROTATE_90,
    )
    try:
        orientation = source.getexif().get(ORIENTATION, 1)
    except Exception:  # on damaged EXIF data, Pillow raises OSError, SyntaxError, struct.error, …
        return image
    known = isinstance(orientation, int) and 2 <= orientation <= 8
    return image.transpose(turns[orientation - 2]) if known else image
