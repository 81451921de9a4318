"""Writes pictures in every kind that formats have, from their specifications.

Pillow writes few of them, and would write them as it reads them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence

import numpy as np

GREY_WEIGHTS = np.array([299, 587, 114]) / 1000


def scene(width: int = 80, height: int = 48) -> np.ndarray:
    """Return a colourful picture, uint8 [height, width, 3], without any symmetry."""
    rows, columns = np.mgrid[0:height, 0:width]
    red = 255 * columns / max(width - 1, 1)
    green = 255 * rows / max(height - 1, 1)
    blue = 127 + 127 * np.sin(columns / 7 + rows / 5)
    return np.stack([red, green, blue], axis=2).round().astype(np.uint8)


def grey(picture: np.ndarray) -> np.ndarray:
    """Return a picture's brightness, uint8 [height, width]."""
    return np.asarray((picture @ GREY_WEIGHTS).round().astype(np.uint8))


def packed(samples: np.ndarray, bits: int, order: str = ">") -> list[bytes]:
    """Return the rows of samples [height, width, ...] of some bits, each padded to whole bytes."""
    flat = samples.reshape(len(samples), -1)
    if bits >= 8:
        return [row.astype(f"{order}u{bits // 8}").tobytes() for row in flat]
    spread = (flat[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return [np.packbits(row.ravel().astype(np.uint8)).tobytes() for row in spread]


def scaled(values: np.ndarray, bits: int) -> np.ndarray:
    """Return values of 8 bits in some other number of bits."""
    return np.asarray((values.astype(np.float64) * (2**bits - 1) / 255).round().astype(np.int64))


# PNG


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    samples: np.ndarray, bits: int, colour: int, before: Iterable[bytes] = (), level: int = 6
) -> bytes:
    """Return a PNG of samples [height, width, channels], with chunks before its pixels."""
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row for row in packed(samples, bits))
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)),
            *before,
            chunk(b"IDAT", zlib.compress(rows, level)),
            chunk(b"IEND", b""),
        ]
    )


# TIFF


def tiff(
    samples: np.ndarray,
    *,
    order: str = "<",
    bits: int = 8,
    photometric: int = 2,
    sample_format: int = 1,
    planar: int = 1,
    compression: int = 1,
    extra: Sequence[int] = (),
    more: Sequence[tuple[int, int, Sequence[int]]] = (),
) -> bytes:
    """Return a TIFF of samples [height, width, samples] in one strip a plane.

    Parameters
    ----------
    compression : {1, 8}
        None or Deflate.
    more : sequence of (tag, type, values)
    """
    height, width, n_samples = samples.shape
    planes = [samples] if planar == 1 else list(np.moveaxis(samples, 2, 0))
    if sample_format == 3:
        strips = [plane.astype(f"{order}f{bits // 8}").tobytes() for plane in planes]
    elif sample_format == 2:
        strips = [plane.astype(f"{order}i{bits // 8}").tobytes() for plane in planes]
    else:
        strips = [b"".join(packed(plane, bits, order)) for plane in planes]
    if compression == 8:
        strips = [zlib.compress(strip) for strip in strips]
    offsets = np.cumsum([8, *map(len, strips)]).tolist()
    fields = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [bits] * n_samples),
        (259, 3, [compression]),
        (262, 3, [photometric]),
        (273, 4, offsets[:-1]),
        (277, 3, [n_samples]),
        (278, 4, [height]),
        (279, 4, [*map(len, strips)]),
        (284, 3, [planar]),
        (339, 3, [sample_format] * n_samples),
        *([(338, 3, extra)] if extra else []),
        *more,
    ]
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, offsets[-1])
    return head + b"".join(strips) + _directory(fields, order, offsets[-1])


def _directory(fields: Sequence[tuple[int, int, Sequence[int]]], order: str, at: int) -> bytes:
    entries, beyond = b"", b""
    after = at + 2 + 12 * len(fields) + 4
    for tag, kind, values in sorted(fields):
        data = struct.pack(f"{order}{len(values)}{'?BsHI'[kind]}", *values)
        if len(data) > 4:
            where = struct.pack(order + "I", after + len(beyond))
            beyond += data
        else:
            where = data.ljust(4, b"\0")
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + where
    return struct.pack(order + "H", len(fields)) + entries + bytes(4) + beyond


# BMP


def bmp(
    rows: Sequence[bytes],
    width: int,
    bits: int,
    *,
    masks: Sequence[int] = (),
    palette: bytes = b"",
    header_bytes: int = 40,
    compression: int | None = None,
) -> bytes:
    """Return a BMP of packed rows, given from the top; masks make it one of bit fields."""
    kind = (3 if masks else 0) if compression is None else compression
    pixels = b"".join(row.ljust(-(-len(row) // 4) * 4, b"\0") for row in reversed(rows))
    fields = b"".join(struct.pack("<I", mask) for mask in masks)
    n_colours = len(palette) // 4
    info = struct.pack(
        "<IiiHHIIiiII", header_bytes, width, len(rows), 1, bits, kind, len(pixels), 0, 0,
        n_colours, 0,
    )  # fmt: skip
    info = (info + fields).ljust(header_bytes, b"\0") if header_bytes > 40 else info + fields
    start = 14 + len(info) + len(palette)
    return struct.pack("<2sIII", b"BM", start + len(pixels), 0, start) + info + palette + pixels
