"""The pictures that ship as examples: painted, and yet seen for what they show."""

from __future__ import annotations

import numpy as np
import paint_examples
import pytest
from PIL import Image

from deepmersion.pipeline import Matcher
from deepmersion.shipped import EXAMPLES

FITS = {
    "beach": {"waves"},
    "campfire": {"fire"},
    "forest": {"birds", "leaves"},
    "mountains": {"wind", "snow-wind"},
    "rainy-window": {"rain"},
}


@pytest.mark.parametrize("name", FITS)
def test_an_example_gets_the_sound_of_what_it_shows(matcher: Matcher, name: str) -> None:
    assert FITS[name] & matcher.match(EXAMPLES / f"{name}.jpg").sounds.keys()


def test_every_example_is_one_that_is_painted() -> None:
    assert (
        {path.stem for path in EXAMPLES.glob("*.jpg")} == set(paint_examples.EXAMPLES) == set(FITS)
    )


def test_an_example_is_what_the_painter_paints() -> None:
    painted = np.asarray(paint_examples.paint("campfire")).astype(float)
    shipped = np.asarray(Image.open(EXAMPLES / "campfire.jpg")).astype(float)
    assert np.abs(painted - shipped).mean() < 4, "but for what JPEG loses"
