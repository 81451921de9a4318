"""Paint the example pictures that ship in ``deepmersion/data/examples``.

    python tools/paint_examples.py [NAME...] [-o FOLDER]

They are painted, so the project needs no photos by others, and simple enough for the embedded
networks to recognise (`tests/test_examples.py`). The same seed gives the same picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

FOLDER = Path(__file__).resolve().parent.parent / "deepmersion/data/examples"

WIDTH, HEIGHT = 960, 720
"""In pixels: enough for the page on a desktop, about 100 KB as JPEG."""

QUALITY = 85

X, Y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
"""Position of each pixel, from the left and from the top."""

Canvas = np.ndarray
"""RGB from 0 to 255, float64 [HEIGHT, WIDTH, 3]."""


def colour(*rgb: float) -> np.ndarray:
    """Return a colour."""
    return np.array(rgb, dtype=float)


def blend(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> Canvas:
    """Return `a` painted over with `b` at an opacity of `share` [HEIGHT, WIDTH]."""
    return np.asarray(a + (b - a) * np.clip(share, 0, 1)[..., None])


def noise(rng: np.random.Generator, across: float, down: float) -> np.ndarray:
    """Return soft noise [HEIGHT, WIDTH] of unit deviation, with grains of the given size."""
    rough = rng.standard_normal((max(2, int(HEIGHT / down)), max(2, int(WIDTH / across))))
    image = Image.fromarray(rough.astype(np.float32))
    soft = np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    return np.asarray((soft - soft.mean()) / soft.std())


def texture(rng: np.random.Generator, across: float, down: float, octaves: int = 4) -> np.ndarray:
    """Return noise [HEIGHT, WIDTH] of several grain sizes, each half as large and strong."""
    layers = [noise(rng, across / 2**i, down / 2**i) / 2**i for i in range(octaves)]
    return np.asarray(np.sum(layers, axis=0) / 1.2)


def ridge(rng: np.random.Generator, height: float, roughness: float) -> np.ndarray:
    """Return the skyline of a range of hills or mountains as heights from the top, [WIDTH]."""
    x = np.linspace(0, 1, WIDTH)
    line = np.full(WIDTH, height)
    for octave in range(7):
        points = rng.standard_normal(3 * 2**octave + 2)
        line -= roughness / 1.9**octave * np.interp(x, np.linspace(0, 1, len(points)), points)
    return line


def glow(x: float, y: float, radius: float) -> np.ndarray:
    """Return a soft light [HEIGHT, WIDTH], 1 in its middle."""
    distance = np.hypot((X - x) * WIDTH / HEIGHT, Y - y)
    return np.asarray(np.exp(-((distance / radius) ** 2)))


def beach() -> Canvas:
    """Return a beach on a clear day: sky, clouds, sea, the edge of a wave, sand."""
    rng = np.random.default_rng(7)
    horizon, shore = 0.42, 0.7 + 0.03 * np.sin(5 * X + 1) + 0.01 * np.sin(17 * X)
    canvas = blend(colour(86, 146, 204), colour(206, 226, 236), Y / horizon)
    clouds = noise(rng, 130, 32) + 0.5 * noise(rng, 40, 13)
    canvas = blend(canvas, colour(248, 248, 246), 0.5 * (clouds - 0.6) * (0.9 * horizon > Y))
    depth = (Y - horizon) / (shore - horizon)
    sea = blend(colour(22, 78, 120), colour(70, 160, 168), depth)
    sea = sea + 10 * (noise(rng, 32, 3) * (0.3 + 0.7 * np.clip(depth, 0, 1)))[..., None]
    sea = blend(sea, colour(238, 244, 244), (noise(rng, 96, 6) - 1.6) * depth)
    canvas = np.where((horizon < Y)[..., None], sea, canvas)
    sand = blend(colour(150, 130, 104), colour(222, 202, 164), (Y - shore) / 0.12)
    sand = sand + (5 * rng.standard_normal(X.shape) + 6 * noise(rng, 56, 14))[..., None]
    canvas = np.where((shore < Y)[..., None], sand, canvas)
    for offset, breadth in ((-0.005, 0.012), (-0.06, 0.006), (-0.11, 0.004)):
        edge = shore + offset + 0.006 * noise(rng, 48, 720)
        foam = np.exp(-(((Y - edge) / breadth) ** 2)) * (0.8 + 0.3 * noise(rng, 10, 5))
        canvas = blend(canvas, colour(250, 250, 248), foam)
    return canvas


def forest() -> Canvas:
    """Return a wood in summer: trunks in depth, leaves, light from above."""
    rng = np.random.default_rng(11)
    canvas = blend(colour(196, 214, 150), colour(92, 122, 60), Y)
    canvas = canvas + 26 * texture(rng, 60, 60)[..., None] * colour(0.8, 1, 0.5)
    for depth in np.linspace(0, 1, 6):
        canvas = _trunks(rng, canvas, depth)
        leaves = texture(rng, 26 + 30 * depth, 22 + 24 * depth, 5)
        high = leaves + 1.6 * (0.42 - Y) - 0.35
        low = leaves + 3.2 * (Y - 0.8 - 0.08 * (1 - depth)) + 0.1
        green = blend(colour(128, 168, 72), colour(38, 70, 24), np.full(X.shape, depth))
        shaded = green + 30 * noise(rng, 7, 7)[..., None] * colour(0.8, 1, 0.4)
        canvas = blend(canvas, shaded, 6 * np.maximum(high, low))
    return np.asarray(canvas + 30 * glow(0.6, 0.05, 0.5)[..., None] * colour(1, 1, 0.6))


def _trunks(rng: np.random.Generator, canvas: Canvas, depth: float) -> Canvas:
    bark = blend(colour(120, 122, 92), colour(52, 40, 28), np.full(X.shape, depth))
    bark = bark + 14 * noise(rng, 4, 40)[..., None]
    for _ in range(int(9 - 5 * depth)):
        middle, half = rng.random(), (0.006 + 0.022 * depth) * rng.uniform(0.7, 1.3)
        lean, foot = rng.normal(0, 0.03), 0.72 + 0.2 * depth
        across = (X - middle - lean * Y - 0.004 * np.sin(9 * Y + middle * 40)) / half
        lit = 1 - 0.5 * (across + 1) / 2
        inside = (np.abs(across) < 1) & (foot > Y)
        canvas = np.where(inside[..., None], bark * lit[..., None], canvas)
    return canvas


def campfire() -> Canvas:
    """Return a log fire at night on lit ground."""
    rng = np.random.default_rng(5)
    canvas = blend(colour(10, 14, 30), colour(22, 20, 26), Y)
    stars = rng.random(X.shape) > 0.9993
    canvas = canvas + 190 * (stars & (Y < 0.35))[..., None]
    trees = np.array([ridge(rng, 0.36, 0.05)])
    canvas = np.where((trees < Y)[..., None], colour(8, 10, 12), canvas)
    ground = 0.72 + 0.01 * np.sin(20 * X)
    soil = (50 + 16 * texture(rng, 30, 9))[..., None] * colour(1.0, 0.7, 0.45)
    light = 0.12 + 1.5 * glow(0.5, 0.82, 0.3)
    canvas = np.where((ground < Y)[..., None], soil * light[..., None], canvas)
    canvas = canvas + glow(0.5, 0.62, 0.36)[..., None] * colour(96, 44, 8)
    canvas = _logs(canvas)
    return _flames(rng, canvas)


def _logs(canvas: Canvas) -> Canvas:
    image = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for (x0, y0), (x1, y1) in (
        ((320, 640), (600, 560)),
        ((640, 645), (370, 565)),
        ((400, 655), (560, 600)),
        ((300, 600), (660, 620)),
    ):
        draw.line((x0, y0, x1, y1), fill=(46, 26, 16), width=34)
        draw.line((x0, y0 - 8, x1, y1 - 8), fill=(96, 52, 24), width=10)
        draw.ellipse((x0 - 17, y0 - 17, x0 + 17, y0 + 17), fill=(122, 76, 40))
    return np.asarray(image).astype(float)


def _flames(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    total = np.zeros(X.shape)
    for _ in range(26):
        foot, tall = rng.normal(0.5, 0.05), rng.uniform(0.16, 0.42)
        breadth, sway = rng.uniform(0.016, 0.036), rng.normal(0, 0.03)
        up = np.clip((0.8 - Y) / tall, 0, 1)
        middle = foot + sway * up**1.5 + 0.008 * np.sin(26 * Y + foot * 90)
        across = (X - middle) / (breadth * (1 - up) ** 0.7 + 1e-4)
        total += np.exp(-(across**2)) * (Y < 0.82) * (up < 1) * (1 - up) ** 0.4
    total *= 0.75 + 0.25 * noise(rng, 14, 30)
    canvas = blend(canvas, colour(214, 62, 8), 1.1 * total)
    canvas = blend(canvas, colour(252, 148, 24), 0.8 * (total - 0.5))
    canvas = blend(canvas, colour(255, 236, 150), 0.55 * (total - 1.5))
    sparks = rng.random(X.shape) > 0.9995
    sparks &= glow(0.5, 0.35, 0.28) > rng.random(X.shape)
    return np.where(sparks[..., None], colour(255, 190, 90), canvas)


def mountains() -> Canvas:
    """Return snowy mountains over a field of snow, under a pale sky."""
    rng = np.random.default_rng(3)
    canvas = blend(colour(112, 150, 196), colour(214, 224, 234), Y / 0.55)
    for height, roughness, near in ((0.4, 0.085, 0.0), (0.52, 0.07, 0.5), (0.66, 0.04, 1.0)):
        line = ridge(rng, height, roughness)
        slope = texture(rng, 60, 34, 5) + 0.9 * np.gradient(line)[None, :] * 160
        rock = blend(colour(150, 166, 190), colour(74, 82, 98), np.full(X.shape, near))
        snow = blend(colour(206, 216, 230), colour(246, 248, 252), 0.5 + 0.5 * slope)
        face = blend(snow, rock, 1.4 * (texture(rng, 40, 50, 5) - 0.25 - 0.6 * slope) - 0.2)
        canvas = np.where((line[None, :] < Y)[..., None], face, canvas)
    field = 0.8 + 0.02 * np.sin(4 * X + 1) + 0.008 * noise(rng, 120, 720)
    snow = 236 + 7 * texture(rng, 160, 18) + 3 * rng.standard_normal(X.shape)
    snow = snow[..., None] * colour(0.975, 0.99, 1.02)
    return np.where((field < Y)[..., None], snow, canvas)


def rainy_window() -> Canvas:
    """Return a window with raindrops, and the blurred lights of a street behind."""
    rng = np.random.default_rng(2)
    canvas = blend(colour(50, 62, 78), colour(24, 28, 34), Y) + 8 * noise(rng, 200, 200)[..., None]
    for _ in range(40):
        light = colour(*rng.choice([(255, 200, 120), (240, 120, 80), (190, 210, 255)]))
        x, y, radius = rng.random(), rng.normal(0.55, 0.13), rng.uniform(0.015, 0.05)
        disc = np.hypot((X - x) * WIDTH / HEIGHT, Y - y) < radius
        canvas = canvas + (0.32 * disc)[..., None] * light
    image = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(7))
    behind = np.asarray(image.transpose(Image.Transpose.ROTATE_180)).astype(float)
    canvas = np.asarray(image).astype(float)
    for _ in range(700):
        canvas = _drop(canvas, behind, rng)
    return canvas


def _drop(canvas: Canvas, behind: Canvas, rng: np.random.Generator) -> Canvas:
    """Paint a drop: it shows what lies behind upside down, dark above and bright below."""
    radius = min(0.028, 0.0035 * (1 + rng.pareto(1.6)))
    x, y = rng.random(), rng.random()
    rows = slice(max(0, int((y - 2 * radius) * HEIGHT)), int((y + 2 * radius) * HEIGHT) + 1)
    columns = slice(max(0, int((x - 2 * radius) * WIDTH)), int((x + 2 * radius) * WIDTH) + 1)
    across = (X[rows, columns] - x) * WIDTH / HEIGHT / radius
    down = (Y[rows, columns] - y) / (1.15 * radius)
    inside = np.clip((1 - np.hypot(across, down)) * 5, 0, 1)
    seen = behind[rows, columns] * (0.75 + 0.5 * down)[..., None] + 34 * (down > 0.3)[..., None]
    shine = np.exp(-(((across + 0.35) ** 2 + (down + 0.45) ** 2) / 0.03))
    canvas[rows, columns] = blend(canvas[rows, columns], seen + 150 * shine[..., None], inside)
    return canvas


EXAMPLES: dict[str, Callable[[], Canvas]] = {
    "beach": beach,
    "campfire": campfire,
    "forest": forest,
    "mountains": mountains,
    "rainy-window": rainy_window,
}


def paint(name: str) -> Image.Image:
    """Return an example picture."""
    image = Image.fromarray(np.clip(EXAMPLES[name](), 0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(0.8))


def main() -> None:
    """Paint the pictures named on the command line, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(EXAMPLES)}")
    parser.add_argument("-o", "--output", type=Path, default=FOLDER, metavar="FOLDER")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.names or EXAMPLES:
        paint(name).save(options.output / f"{name}.jpg", quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()
