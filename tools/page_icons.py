"""Draw the page's icons for home screens from its own ``icon.svg``, in the browser of the tests.

    python tools/page_icons.py

Needs Debian's chromium and the development packages.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from webpage import chromium

from deepmersion.web.app import STATIC

ICONS = {
    "icon-192.png": (192, False),
    "icon-512.png": (512, False),
    "icon-maskable.png": (512, True),
    "apple-touch-icon.png": (180, True),
}
"""Side in pixels, and whether the system cuts the shape: then the ground fills the square."""

SAFE = 0.8
"""Share of a maskable icon's side that every shape leaves (W3C, Web Application Manifest)."""

N_COLOURS = 64


def svg(maskable: bool) -> str:
    """Return the drawing, for a square that is filled or not."""
    text = (STATIC / "icon.svg").read_text("utf-8")
    if not maskable:
        return text
    text = re.sub(r' rx="\d+"', "", text, count=1)
    shift = 16 * (1 - SAFE)
    return text.replace("<path ", f'<path transform="translate({shift} {shift}) scale({SAFE})" ')


def main() -> None:
    """Draw all of them."""
    with chromium() as browser:
        for name, (side, maskable) in ICONS.items():
            page = browser.new_page(viewport={"width": side, "height": side})
            page.set_content(
                "<style>body { margin: 0 } svg { display: block; width: 100vw; height: 100vh }"
                f"</style>{svg(maskable)}"
            )
            shot = Image.open(io.BytesIO(page.screenshot(omit_background=True)))
            shot.quantize(N_COLOURS).save(STATIC / name, optimize=True)
            page.close()


if __name__ == "__main__":
    main()
