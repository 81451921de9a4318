"""Make the README's picture of the page, as the tests look at it.

    python tools/page_picture.py docs/page.png [--photo photo.jpg]

Without a photo the page is shown a painted beach: no photo of somebody else's goes into the
project. Needs Debian's chromium and the development packages.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from webpage import add_photo, chromium, served

WIDTH, HEIGHT = 1280, 800

N_COLOURS = 128
"""Few enough for a small file, enough that a photo still looks like one."""

SETTLE_MS = 1_500


PAINTING = (1200, 1500)
"""Width and height of the painted beach, in pixels: about what the page shows of a photo."""


def noise(
    rng: np.random.Generator, width: int, height: int, blur: tuple[float, float]
) -> np.ndarray:
    """Return soft noise [height, width] of unit deviation, blurred along x and along y."""
    rough = Image.fromarray(rng.standard_normal((height, width)).astype(np.float32))
    small = rough.resize((max(1, int(width / blur[0])), max(1, int(height / blur[1]))))
    soft = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    return np.asarray((soft - soft.mean()) / soft.std())


def painted_beach() -> Image.Image:
    """Return a beach on a clear day: sky, clouds, sea, the edge of a wave, sand."""
    width, height = PAINTING
    rng = np.random.default_rng(7)
    x, y = np.linspace(0, 1, width)[None, :], np.linspace(0, 1, height)[:, None]
    horizon, shore = 0.42, 0.7 + 0.03 * np.sin(5 * x + 1) + 0.01 * np.sin(17 * x)

    def blend(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
        return np.asarray(a + (b - a) * np.clip(share, 0, 1)[..., None])

    def colour(*rgb: int) -> np.ndarray:
        return np.array(rgb, dtype=float)

    canvas = blend(
        colour(86, 146, 204), colour(206, 226, 236), np.broadcast_to(y / horizon, (height, width))
    )
    clouds = noise(rng, width, height, (160, 40)) + 0.5 * noise(rng, width, height, (50, 16))
    canvas = blend(canvas, colour(248, 248, 246), 0.5 * (clouds - 0.6) * (y < 0.9 * horizon))
    depth = (y - horizon) / (shore - horizon)
    sea = blend(colour(22, 78, 120), colour(70, 160, 168), depth)
    ripples = noise(rng, width, height, (40, 3)) * (0.3 + 0.7 * np.clip(depth, 0, 1))
    sea = sea + 10 * ripples[..., None]
    crests = noise(rng, width, height, (120, 7))
    sea = blend(sea, colour(238, 244, 244), (crests - 1.6) * depth)
    canvas = np.where((y > horizon)[..., None], sea, canvas)
    wet = blend(colour(150, 130, 104), colour(222, 202, 164), (y - shore) / 0.12)
    sand = (
        wet
        + 5 * rng.standard_normal((height, width, 1))
        + 6 * noise(rng, width, height, (70, 18))[..., None]
    )
    canvas = np.where((y > shore)[..., None], sand, canvas)
    for offset, breadth in ((-0.005, 0.012), (-0.06, 0.006), (-0.11, 0.004)):
        edge = shore + offset + 0.006 * noise(rng, width, height, (60, 900))
        foam = np.exp(-(((y - edge) / breadth) ** 2)) * (
            0.8 + 0.3 * noise(rng, width, height, (12, 6))
        )
        canvas = blend(canvas, colour(250, 250, 248), foam)
    painted = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    return painted.filter(ImageFilter.GaussianBlur(0.8))


def picture(photo: Path) -> Image.Image:
    """Return the page with a photo on it and the mix that was found for it."""
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
    with TemporaryDirectory() as folder:
        painting = Path(folder) / "beach.jpg"
        painted_beach().save(painting, quality=92)
        page = picture(options.photo or painting)
    page.quantize(N_COLOURS, dither=Image.Dither.NONE).save(options.output, optimize=True)


if __name__ == "__main__":
    main()
