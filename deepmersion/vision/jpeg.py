"""Walks through a JPEG file's markers, to know before decoding what decoding will take.

Source: ITU-T T.81, annex B.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

MAX_SCANS = 100
"""Most scans that are decoded, as in libtiff. Cameras and image editors write at most some 20. Each
costs a look at the whole picture: 3,000 of them, in half a megabyte, take a minute."""

MAX_SEGMENTS = 20_000
"""Most marker segments that are walked through, which takes 20 ms. A photo has some hundreds."""

END = b"\xff\xd9"

NEXT = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
"""What ends compressed data: any marker but a restart."""

SOS, EOI = 0xDA, 0xD9

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})

ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a segment."""

COEFFICIENT_BYTES = 2


@dataclass(frozen=True)
class Survey:
    """What a JPEG file holds.

    Attributes
    ----------
    width, height : int
        In pixels; 0 if the file has no frame.
    n_scans, n_segments : int
    kept_bytes : int
        Memory in which the decoder keeps all coefficients, as it does of a picture in several
        scans; 0 for one scan.
    is_whole : bool
        False if the end is missing.
    """

    width: int = 0
    height: int = 0
    n_scans: int = 0
    n_segments: int = 0
    kept_bytes: int = 0
    is_whole: bool = False


def survey(data: bytes) -> Survey:
    """Return what a JPEG file holds, up to `MAX_SCANS` and `MAX_SEGMENTS`."""
    width = height = n_scans = n_segments = coefficients = 0
    progressive = is_whole = False
    all_components = b""
    at = 2
    while n_scans <= MAX_SCANS and n_segments <= MAX_SEGMENTS:
        found = NEXT.search(data, at)
        if found is None:
            break
        marker, at = data[found.end() - 1], found.end()
        n_segments += 1
        if marker == EOI:
            is_whole = True
            break
        if marker in ALONE:
            continue
        if at + 2 > len(data):
            break
        (length,) = struct.unpack_from(">H", data, at)
        if marker in FRAMES:
            width, height, coefficients = _frame(data[at : at + length])
            progressive = marker in PROGRESSIVE
            all_components = data[at + 7 : at + 8]
        if marker == SOS:
            n_scans += 1
            if n_scans == 1 and not progressive and data[at + 2 : at + 3] == all_components:
                # One scan has it all, and a search through it would take as long as decoding it.
                is_whole = data.rfind(END, at) >= 0
                break
        at += length
    several = progressive or n_scans > 1
    kept = coefficients * COEFFICIENT_BYTES if several else 0
    return Survey(width, height, n_scans, n_segments, kept, is_whole)


def _frame(segment: bytes) -> tuple[int, int, int]:
    """Return a frame's width, height and number of coefficients."""
    if len(segment) < 8:
        return 0, 0, 0
    height, width, n_components = struct.unpack_from(">HHB", segment, 3)
    factors = [factor for factor in segment[9 : 8 + 3 * n_components : 3] if factor]
    shares = [(factor >> 4) * (factor & 15) for factor in factors]
    most = max((f >> 4 for f in factors), default=1) * max((f & 15 for f in factors), default=1)
    return width, height, width * height * sum(shares) // max(most, 1)
