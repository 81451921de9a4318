"""Reads photos from files and pipes, and names them in errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np

from deepmersion.errors import PhotoError, in_one_line, why
from deepmersion.vision.decode import Decoding, RefusedError


class Readable(Protocol):
    """A binary file that is read to its end, such as standard input; it need not be seekable."""

    def read(self, n: int, /) -> bytes:
        """Return the next bytes, at most `n`, and none at the end."""


Photo = Path | str | Readable
"""A photo's path or file."""

STDIN_NAME = "<stdin>"
"""Python's name for it."""

NAMELESS = "the photo"
"""Name given to a file without one."""

MAX_FILE_BYTES = 512 * 2**20
"""Largest file that is read. The largest photo that is decoded has 256 MiB even uncompressed."""

MAX_STREAM_BYTES = 128 * 2**20
"""Largest photo that is read from a pipe, which takes memory: an endless one must not fill it."""


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


def read_photo(source: Path | Readable, name: str) -> BytesIO:
    """Read a photo's file into memory.

    Parameters and errors are those of `load_photo`.
    """
    return BytesIO(_read(source, name, MAX_STREAM_BYTES))


def rereadable(photo: Photo, name: str) -> Path | BytesIO:
    """Return what a photo can be read from more than once.

    That is the path of a plain file, or the contents of anything else, read into memory.

    Parameters and errors are those of `load_photo`.
    """
    source = Path(photo) if isinstance(photo, str) else photo
    if isinstance(source, Path) and is_plain_file(source):
        return source
    return read_photo(source, name)


def is_plain_file(path: Path) -> bool:
    """Return True if another process can open a file by its path.

    A pipe can be read only once, and ``/dev/stdin`` is another file in another process.
    """
    # Path.is_file raises if a name is too long or a folder may not be entered.
    if not os.path.isfile(path):  # noqa: PTH113
        return False
    return not os.path.realpath(path.parent).startswith(("/dev", "/proc"))


def load_photo(
    source: Path | Readable, name: str | None = None, *, min_side: int | None = None
) -> np.ndarray:
    """Return a photo's pixels, turned upright as its EXIF data says.

    The photo is decoded in this process, for as long and in as much memory as that takes;
    `decoders.Decoders` bounds both.

    Of a file with several pictures (GIF, TIFF, MPO), the first is used. Transparent parts show
    `decode.BACKGROUND`. 16-bit values are scaled to 8 bits; in floating point, white is 1.0 or the
    brightest value if that is higher.

    Parameters
    ----------
    source : Path or binary file
        As `Readable` says.
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
        When the file is missing, unreadable, damaged or not of a supported format, the photo is
        smaller than `decode.MIN_SIDE` or larger than `decode.MAX_PIXELS`, or memory runs out.
    """
    name = name_of(source) if name is None else name
    data = _read(source, name, MAX_FILE_BYTES)
    needed_bytes = 0
    try:
        decoding = Decoding.of(BytesIO(data), min_side=min_side)
        needed_bytes = decoding.needed_bytes
        return np.asarray(decoding.finish())
    except RefusedError as error:
        raise unfit(name, str(error)) from error
    except MemoryError:
        raise unfit(name, too_little_memory(needed_bytes)) from None


def unfit(name: str, reason: str) -> PhotoError:
    """Return the error of a photo, which its name begins."""
    if name == "-":
        name = "standard input"
    return PhotoError(f"{name} {reason}" if name == NAMELESS else f"{name}: {reason}")


def too_little_memory(n_bytes: int) -> str:
    """Return why a photo cannot be decoded in the memory that is left."""
    most = f" (it takes {-(-n_bytes // 2**20)} MiB)" if n_bytes else ""
    return f"there is not enough memory to decode it{most}; close other programs, or scale it down"


@contextmanager
def errors_of(name: str) -> Iterator[None]:
    """Turn what the system says of a photo's file into a PhotoError."""
    try:
        yield
    except FileNotFoundError:
        raise unfit(name, "there is no such file; check the path") from None
    except IsADirectoryError:
        raise unfit(
            name, "is a folder, not a photo; give a photo, or a folder with photos in it"
        ) from None
    except PermissionError:
        raise unfit(name, "is not readable; check the file's permissions") from None
    except OSError as error:
        raise unfit(name, f"cannot be read {why(error)}") from error
    except ValueError as error:  # such as a path with a zero in it
        raise unfit(name, f"cannot be read ({in_one_line(error)}); check the path") from error


def require_size(n_bytes: int, name: str, most: int) -> None:
    """Raise PhotoError if a photo's file is empty or larger than `most`."""
    if not n_bytes:
        raise unfit(name, "is empty; give a photo")
    if n_bytes > most:
        raise unfit(name, f"is larger than {most >> 20} MiB; give a smaller photo")


def _read(source: Path | Readable, name: str, most: int) -> bytearray:
    try:
        with errors_of(name):
            if isinstance(source, Path):
                with source.open("rb") as file:
                    data = _read_bounded(file, most)
            else:
                data = _read_bounded(source, most)
    except MemoryError:
        raise unfit(name, too_little_memory(0)) from None
    require_size(len(data), name, most)
    return data


def _read_bounded(file: Readable, most: int) -> bytearray:
    """Return a file's contents, or slightly more than the first `most` bytes of it."""
    data = bytearray()
    while len(data) <= most and (chunk := file.read(2**20)):
        data += chunk
    return data
