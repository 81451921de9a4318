"""Damaged inputs of the campaign: whole ones by this project, changed at random."""

from __future__ import annotations

import io
import random
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np

import deepmersion

PACKAGE = Path(deepmersion.__file__).parent

PHOTO = PACKAGE / "data" / "examples" / "campfire.jpg"

PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "HEIF")

SOUND_FORMATS = {"wav": "WAV", "flac": "FLAC", "ogg": "OGG", "mp3": "MP3", "aiff": "AIFF"}

TOML = """\
schema = 1
title = "Mine"
[[sound]]
name = "a"
file = "a.wav"
title = "A sound"
kind = "rain"
licence = "CC0"
loudness_lufs = -20.0
gain_db = -3.0
loops = true
cuts = [[0.1, 0.2], [0.4, 0.5]]
places = ["harbor"]
"""

TOML_SCRAPS = (
    '"', "'", '"""', "[", "]", "[[", "{", "}", "=", ".", ",", "\n", "\0", "\x1b", "\ufeff", "# ",
    "1e999", "nan", "inf", "-0", "9" * 40, "9" * 5000, "[" * 500, "a." * 3000 + "a = 1", "true",
    "1979-05-27", "\\uD800", "\u202e", "../../etc/passwd", "x" * 2000, "schema = 2",
)  # fmt: skip


@cache
def photo(form: str) -> bytes:
    """Return a whole photo in one of `PHOTO_FORMATS`."""
    from PIL import Image

    file = io.BytesIO()
    with Image.open(PHOTO) as image:
        small = image.resize((320, 240))
    if form == "HEIF":  # Pillow writes none
        from pillow_heif import from_pillow

        from_pillow(small).save(file)
    else:
        small.save(file, form)
    return file.getvalue()


@cache
def sound(suffix: str) -> bytes:
    """Return a whole recording of two seconds."""
    import soundfile

    file = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.1, (88_200, 2))
    soundfile.write(file, noise, 44_100, format=SOUND_FORMATS[suffix])
    return file.getvalue()


@cache
def index() -> bytes:
    """Return the smaller of the ready-made indexes."""
    from deepmersion.shipped import shipped_index

    return shipped_index("blanket").read_bytes()


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return some bytes cut short, with bits turned over, or with a piece elsewhere or twice."""
    changed = bytearray(data)
    how = rng.randrange(5)
    # Headers decide most, so half of all changes are made there.
    end = len(data) if rng.random() < 0.5 else min(len(data), 600)
    if how == 0:
        del changed[rng.randrange(end) :]
    elif how == 1:
        for _ in range(rng.choice((1, 1, 4, 64))):
            changed[rng.randrange(end)] ^= 1 << rng.randrange(8)
    elif how == 2:
        begin = rng.randrange(end)
        changed[begin : begin + rng.randrange(64)] = rng.randbytes(rng.randrange(64))
    elif how == 3:
        begin, place = rng.randrange(end), rng.randrange(end)
        piece = changed[begin : begin + rng.randrange(1, 4096)]
        changed[place:place] = piece
    else:
        begin = rng.randrange(end)
        width = rng.choice((1, 2, 4, 8))
        changed[begin : begin + width] = rng.choice((b"\0", b"\xff", b"\x7f")) * width
    return bytes(changed)


def bomb(rng: random.Random) -> bytes:
    """Return a small PNG that claims to be a picture of a billion pixels and more."""
    side = rng.choice((33_000, 65_535, 2**31 - 1))
    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1 << 20), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def damaged_toml(rng: random.Random) -> bytes:
    """Return a description of a sound bank with scraps in it, or damaged like any other file."""
    if rng.random() < 0.3:
        return damaged(TOML.encode(), rng)
    text = TOML
    for _ in range(rng.choice((1, 1, 2, 5))):
        place = rng.randrange(len(text))
        if rng.random() < 0.5:  # in place of a value
            place = text.find("= ", place) + 2
            text = text[:place] + rng.choice(TOML_SCRAPS) + text[max(text.find("\n", place), 0) :]
        else:
            text = text[:place] + rng.choice(TOML_SCRAPS) + text[place:]
    return text.encode("utf-8", "surrogatepass")
