"""Shows a PNG file without the metadata that has nothing to do with its picture.

A colour profile or a text may be as large or as damaged as it likes: it is not read.
Source: W3C, Portable Network Graphics (PNG) Specification (Third Edition), chapters 5 and 11.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, BinaryIO

from deepmersion.vision.formats import NotSupportedError

PICTURE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})

TURNED = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt"})
"""Chunks that may say how the picture is turned."""

KEYWORDS = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
"""Texts that may do so."""

MAX_TURNED_BYTES = 64 * 2**10
"""Longest such chunk that is read, and what it may unpack to; it takes some 100 bytes."""

MAX_CHUNKS = 1_000_000
"""Most chunks that are walked through, which takes a second. The largest photos have 50,000."""

SIGNATURE_BYTES = 8

GREY, COLOUR = 0, 2


class Essentials(io.RawIOBase):
    """A PNG file's picture as a file, without a copy of it in memory.

    Parameters
    ----------
    file : binary file
        Seekable.

    Raises
    ------
    NotSupportedError
        When its kind of transparency would be lost.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._parts = list(_parts(file))
        self._begins = [0, *accumulate(length for _, length in self._parts)]
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position."""
        self._at = max(0, (0, self._at, self._begins[-1])[whence] + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read from one part of the file."""
        if self._at >= self._begins[-1]:
            return 0
        part = bisect_right(self._begins, self._at) - 1
        inside = self._at - self._begins[part]
        start, length = self._parts[part]
        view = memoryview(buffer).cast("B")
        self._file.seek(start + inside)
        data = self._file.read(min(len(view), length - inside))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def grey_scale(file: BinaryIO) -> int:
    """Return what one step of a grey PNG's samples is worth of 255; 1 for 16 bits and colour."""
    file.seek(SIGNATURE_BYTES)
    header = file.read(18)
    depth, colour = (header[16], header[17]) if len(header) == 18 else (8, COLOUR)
    return 255 // (2**depth - 1) if colour == GREY and depth in (2, 4) else 1


def _parts(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield where the parts of the file that matter begin, and how long they are."""
    file.seek(SIGNATURE_BYTES)
    start, at, header = 0, SIGNATURE_BYTES, b""
    for _ in range(MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            break
        length, name = struct.unpack(">I4s", head)
        following = at + 12 + length
        if name == b"IHDR":
            header = file.read(min(length, 13))
        elif name == b"tRNS" and header[8:10] == bytes((16, COLOUR)):
            # Pillow keeps 8 of the 16 bits, which makes colours transparent that are only similar.
            raise NotSupportedError("a PNG of 16 bits with one transparent colour")
        if name not in PICTURE and not (name in TURNED and _is_harmless(file, name, length)):
            if at > start:
                yield start, at - start
            start = following
        at = following
        file.seek(at)
    else:
        raise NotSupportedError(f"a PNG of more than {MAX_CHUNKS:,} chunks")
    yield start, at + 8 - start


def _is_harmless(file: BinaryIO, name: bytes, length: int) -> bool:
    """Return True if a chunk may say how the picture is turned, and is not too long for that."""
    if length > MAX_TURNED_BYTES:
        return False
    data = file.read(length + 4)
    if struct.pack(">I", zlib.crc32(name + data[:-4])) != data[-4:]:
        return False
    if name == b"eXIf":
        return True
    keyword = next((word for word in KEYWORDS if data.startswith(word)), None)
    return keyword is not None and _unpacks(name, data[len(keyword) : -4])


def _unpacks(name: bytes, text: bytes) -> bool:
    """Return True if a text is not compressed, or can be unpacked and stays short."""
    if name != b"zTXt":
        return name == b"tEXt" or text.startswith(b"\0")
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(text[1:], MAX_TURNED_BYTES)
    except zlib.error:
        return False
    return not unpacker.unconsumed_tail
