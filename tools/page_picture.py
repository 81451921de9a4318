"""Make the README's picture of the page, in the browser of the tests.

    python tools/page_picture.py docs/page.png [--photo photo.jpg]

Without a photo, the page gets the painted beach that ships as an example. Needs Debian's chromium
and the development packages.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from webpage import add_photo, chromium, served

from deepmersion.shipped import EXAMPLES

WIDTH, HEIGHT = 1280, 800

N_COLOURS = 128
"""Few enough for a small file, enough for a photo to look like one."""

SETTLE_MS = 1_500


def picture(photo: Path) -> Image.Image:
    """Return a picture of the page with a photo and its mix."""
    with served() as address, chromium() as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(address)
        add_photo(page, photo)
        page.wait_for_timeout(SETTLE_MS)
        return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def main() -> None:
    """Parse the command line and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--photo", type=Path, help="default: a painted beach")
    options = parser.parse_args()
    page = picture(options.photo or EXAMPLES / "beach.jpg")
    page.quantize(N_COLOURS, dither=Image.Dither.NONE).save(options.output, optimize=True)


if __name__ == "__main__":
    main()
