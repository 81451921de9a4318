"""Refuses kinds of TIFF that Pillow reads as another picture, and camera raw inside TIFF.

Sources: TIFF Revision 6.0; Adobe, Digital Negative Specification 1.7; the BigTIFF design.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from typing import BinaryIO

from deepmersion.vision.formats import NotSupportedError

SUBFILE, BITS, COMPRESSION, PHOTOMETRIC = 254, 258, 259, 262
WIDTH, HEIGHT, FILL_ORDER, SAMPLES, PLANAR = 256, 257, 266, 277, 284
ROWS_PER_STRIP, TILE_WIDTH, TILE_HEIGHT = 278, 322, 323
SUB_FILES, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT, DNG = 330, 332, 338, 339, 50706

TAGS = frozenset(
    {SUBFILE, BITS, COMPRESSION, PHOTOMETRIC, WIDTH, HEIGHT, FILL_ORDER, SAMPLES, PLANAR}
    | {ROWS_PER_STRIP, TILE_WIDTH, TILE_HEIGHT, SUB_FILES, INK_SET, EXTRA_SAMPLES}
    | {SAMPLE_FORMAT, DNG}
)

TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""The whole numbers among the types of fields, for `struct`."""

MAX_VALUES = 32
"""Most values of a field that are read; a pixel has at most a handful of samples."""

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8

UNSIGNED, SIGNED, FLOAT = 1, 2, 3

NATIVE = "<" if sys.byteorder == "little" else ">"

SENSOR = frozenset({32803, 34892})
"""Photometric interpretations of what a sensor measured, before it is a picture."""

SENSOR_COMPRESSIONS = frozenset({34713, 32767, 65535})
"""Nikon's, Sony's and Pentax's own."""

COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34925, 50000})
"""None, CCITT (1D, G3, G4), LZW, JPEG, Deflate (two numbers), PackBits, LZMA and Zstandard."""

GREY = {
    (WHITE_IS_ZERO, UNSIGNED): (1, 2, 4, 8),
    (BLACK_IS_ZERO, UNSIGNED): (1, 2, 4, 8, 16),
    (BLACK_IS_ZERO, SIGNED): (32,),
    (BLACK_IS_ZERO, FLOAT): (32,),
    (PALETTE, UNSIGNED): (1, 2, 4, 8),
}
"""Bits of one sample a pixel, by photometric interpretation and format of the sample."""

COLOUR = {RGB: (3, (8, 16)), CMYK: (4, (8,)), YCBCR: (3, (8,)), LAB: (3, (8,))}
"""Samples of a pixel without alpha, and their bits, by photometric interpretation."""

Fields = Mapping[int, tuple[int, ...]]


def check_tiff(file: BinaryIO) -> Fields:
    """Return the fields of a TIFF's first picture, by tag, after checking that it is supported.

    Raises
    ------
    NotSupportedError
        When it is of a kind that is not read, or not read rightly.
    struct.error, OverflowError
        When it is damaged.
    """
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    (first,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
    fields = _fields(file, first, order, big=big)
    if DNG in fields:
        raise NotSupportedError("a camera's raw photo (DNG)")
    pictures = [fields]
    pictures += [_fields(file, at, order, big=big) for at in fields.get(SUB_FILES, ())]
    if any(map(_is_of_a_sensor, pictures)):
        raise NotSupportedError("a camera's raw photo (NEF, ARW, PEF or another)")
    if _one(fields, SUBFILE, 0) & 1 and SUB_FILES in fields:
        raise NotSupportedError("a TIFF whose first picture is a preview")
    _check_kind(fields, swapped=order != NATIVE)
    return fields


def block_bytes(fields: Fields) -> int:
    """Return what the decoder of a compressed picture holds at once: a strip or a tile of it."""
    if _one(fields, COMPRESSION, 1) == 1:
        return 0
    width, height = _one(fields, WIDTH, 0), _one(fields, HEIGHT, 0)
    if TILE_WIDTH in fields:
        n_pixels = _one(fields, TILE_WIDTH, 0) * _one(fields, TILE_HEIGHT, 0)
    else:
        n_pixels = width * min(_one(fields, ROWS_PER_STRIP, height), height)
    return n_pixels * _one(fields, SAMPLES, 1) * _one(fields, BITS, 1) // 8


def _fields(file: BinaryIO, at: int, order: str, *, big: bool) -> dict[int, tuple[int, ...]]:
    """Return those fields of a directory that are among `TAGS` and hold whole numbers."""
    count_format, entry_format, inline = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    entry_bytes = struct.calcsize(order + entry_format) + inline
    file.seek(at)
    count = struct.calcsize(order + count_format)
    (n_entries,) = struct.unpack(order + count_format, file.read(count))
    entries = file.read(min(n_entries, 2**16) * entry_bytes)
    found = {}
    for start in range(0, len(entries) - entry_bytes + 1, entry_bytes):
        tag, kind, n_values = struct.unpack_from(order + entry_format, entries, start)
        if tag not in TAGS or kind not in TYPES:
            continue
        values = f"{order}{min(n_values, MAX_VALUES)}{TYPES[kind]}"
        data = entries[start + entry_bytes - inline : start + entry_bytes]
        if struct.calcsize(values) > inline:
            (where,) = struct.unpack(order + ("Q" if big else "I"), data)
            file.seek(where)
            data = file.read(struct.calcsize(values))
        found[tag] = struct.unpack_from(values, data)
    return found


def _is_of_a_sensor(fields: Fields) -> bool:
    return (
        _one(fields, PHOTOMETRIC, 0) in SENSOR
        or _one(fields, COMPRESSION, 1) in SENSOR_COMPRESSIONS
    )


def _check_kind(fields: Fields, *, swapped: bool) -> None:
    """Raise NotSupportedError for all but the kinds that are known to be read rightly.

    Those found to be read as other pictures are left out: planes of anything but RGB of 8 bits,
    white-is-zero of 16 bits and more, and compressed samples of 32 bits in the other byte order.
    """
    photometric, compression = _one(fields, PHOTOMETRIC, 0), _one(fields, COMPRESSION, 1)
    if compression not in COMPRESSIONS:
        raise NotSupportedError(f"a TIFF with compression {compression}")
    (n_bits, *mixed) = set(fields.get(BITS, (1,)))
    (sample_format, *others) = set(fields.get(SAMPLE_FORMAT, (UNSIGNED,)))
    n_samples, extra = _one(fields, SAMPLES, 1), fields.get(EXTRA_SAMPLES, ())
    n_wanted, allowed = 1, GREY.get((photometric, sample_format), ())
    if photometric in COLOUR and sample_format == UNSIGNED:
        n_wanted, allowed = COLOUR[photometric]
    with_alpha = n_samples == n_wanted + 1 and photometric in (BLACK_IS_ZERO, RGB) and n_bits >= 8
    planes = _one(fields, PLANAR, 1) == 2
    known = (
        not mixed
        and not others
        and n_bits in allowed
        and (n_samples == n_wanted or with_alpha)
        and len(extra) <= 1
        and not (planes and (photometric != RGB or n_bits > 8 or extra == (0,)))
        and not (swapped and n_bits > 16 and compression != 1)
        and (_one(fields, FILL_ORDER, 1) == 1 or n_bits == 1)
        and _one(fields, INK_SET, 1) == 1
    )
    if not known:
        raise NotSupportedError(
            f"a TIFF of a rare kind (photometric {photometric}, {n_samples} × {n_bits} bits, "
            f"sample format {sample_format}{', in planes' if planes else ''})"
        )


def _one(fields: Fields, tag: int, default: int) -> int:
    values = fields.get(tag, ())
    return values[0] if values else default
