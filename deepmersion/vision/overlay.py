"""Draws maps over a photo."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepmersion.errors import OutputError
from deepmersion.files import check_place, output_file
from deepmersion.vision.lite_views import enlarged

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as PILFont

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""Maps file suffixes to Pillow's names of formats."""

MAX_SIDE = 1600
"""Longer side of the picture in pixels: enough for a screen."""

MIN_WIDTH = 480
"""Smaller photos are enlarged to this, to make room for the titles."""

COLOURS = ((255, 145, 20), (20, 150, 255), (80, 220, 100))
"""Colours of the sounds, the loudest first. The first two are distinguishable to the colour-blind,
and add up to white where both are present."""

SHADE = (0.08, 0.5)
"""Brightness of the photo's black and white where nothing speaks for a sound."""

GLOW = (0.2, 1.1)
"""Brightness of a sound's colour in the photo's black and white where its map peaks."""

LEVEL = 0.5
"""The contour lies where a map has this share of its peak."""

LINE_SHARE = 1 / 500
"""Width of the contour as a share of the picture's longer side."""

LETTERS_SHARE = 1 / 45
"""Height of the titles' letters as a share of the picture's longer side."""

MIN_LETTERS = 14

NOWHERE = " (from nowhere in particular)"

BACKGROUND, TEXT = (24, 24, 24), (235, 235, 235)

FONTS = ("DejaVuSans.ttf", "Arial.ttf", "arial.ttf")
"""Fonts of Linux, macOS and Windows with accents, which Pillow's own lacks."""


def check_picture(path: Path) -> None:
    """Check that a picture can be written, before any work is done for it.

    Raises
    ------
    OutputError
        When the suffix is not in `FORMATS`, or as in `files.check_place`.
    """
    if path.suffix.lower() not in FORMATS:
        raise OutputError(
            f"{path} has no suffix of a picture's format; end it in one of {', '.join(FORMATS)}"
        )
    check_place(path, OutputError)


def write_picture(path: Path, photo: np.ndarray, maps: Sequence[tuple[str, np.ndarray]]) -> None:
    """Write an `overlay` to a file, which appears under its name only when complete.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    check_picture(path)
    picture = overlay(photo, maps)
    with output_file(path, OutputError) as temporary:
        picture.save(temporary, FORMATS[path.suffix.lower()])


def overlay(photo: np.ndarray, maps: Sequence[tuple[str, np.ndarray]]) -> PILImage:
    """Return a photo in dark grey, coloured where maps are large, with their titles below.

    Parameters
    ----------
    photo : ndarray, shape = (height, width, 3), uint8
        RGB.
    maps : sequence of (str, ndarray of shape (rows, columns), float32)
        Titles and maps, the most important first, at most as many as `COLOURS`. Each is drawn
        relative to its own peak.
    """
    from PIL import Image

    maps = maps[: len(COLOURS)]
    base = _fitted(Image.fromarray(photo).convert("L"))
    grey = np.asarray(base, dtype=np.float32)[..., None] / 255
    colours = np.array(COLOURS, np.float32) / 255
    strengths = [_strength(of_sound, base)[..., None] for _, of_sound in maps]
    most = np.maximum.reduce([np.zeros_like(grey), *strengths])
    light = _between(SHADE, grey).repeat(3, axis=2) * (1 - most)
    for strength, colour in zip(strengths, colours, strict=False):
        light = light + strength * _between(GLOW, grey) * colour
    line_width = max(base.size) * LINE_SHARE
    for strength, colour in zip(strengths, colours, strict=False):
        line = _line(strength[..., 0], line_width)[..., None]
        light = light * (1 - line) + colour * line
    picture = Image.fromarray((light * np.float32(255)).clip(0, 255).astype(np.uint8))
    titles = [title if of_sound.any() else title + NOWHERE for title, of_sound in maps]
    return _with_titles(picture, titles)


def _between(bounds: tuple[float, float], share: np.ndarray) -> np.ndarray:
    return np.asarray(bounds[0] + (bounds[1] - bounds[0]) * share)


def _fitted(photo: PILImage) -> PILImage:
    from PIL import Image

    scale = min(MAX_SIDE / max(photo.size), max(1.0, MIN_WIDTH / photo.width))
    width, height = (max(1, round(side * scale)) for side in photo.size)
    return photo.resize((width, height), Image.Resampling.LANCZOS)


def _strength(of_sound: np.ndarray, base: PILImage) -> np.ndarray:
    """Return a map relative to its peak, from 0 to 1, at the size of the picture."""
    peak = float(of_sound.max())
    relative = enlarged(of_sound / peak if peak > 0 else of_sound, base.height, base.width)
    return np.asarray(np.clip(relative, 0, 1))


def _line(strength: np.ndarray, width: float) -> np.ndarray:
    """Return the contour where the strength crosses `LEVEL`: 1 on it, falling smoothly to 0."""
    down, right = np.gradient(np.pad(strength, 1, mode="edge"))
    slope = np.hypot(down, right)[1:-1, 1:-1]
    distance = np.abs(strength - LEVEL) / np.maximum(slope, 1e-6)
    return np.asarray(np.clip((width + 1) / 2 - distance, 0, 1))


def _with_titles(picture: PILImage, titles: list[str]) -> PILImage:
    """Return a picture with a line of text below it for each title, after a dot of its colour."""
    from PIL import Image, ImageDraw, ImageFont

    letters = max(MIN_LETTERS, round(max(picture.size) * LETTERS_SHARE))
    font = _font(letters)
    if font is None:
        font, titles = ImageFont.load_default(letters), [_without_accents(t) for t in titles]
    row = round(1.6 * letters)
    height = picture.height + row * len(titles) + letters
    whole = Image.new("RGB", (picture.width, height), BACKGROUND)
    whole.paste(picture)
    draw = ImageDraw.Draw(whole)
    for i, title in enumerate(titles):
        middle = picture.height + letters // 2 + (i + 0.5) * row
        dot = (letters, middle - 0.4 * letters, 1.8 * letters, middle + 0.4 * letters)
        draw.ellipse(dot, COLOURS[i])
        draw.text((2.4 * letters, middle), title, TEXT, font, anchor="lm")
    return whole


def _font(letters: int) -> FreeTypeFont | PILFont | None:
    """Return the first of `FONTS` that is installed."""
    from PIL import ImageFont

    for name in FONTS:
        with suppress(OSError):
            return ImageFont.truetype(name, letters)
    return None


def _without_accents(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if not unicodedata.combining(part))
