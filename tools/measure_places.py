"""Measures how well kept places are recognised, and how often another place is taken for one.

    python tools/measure_places.py photos.tar... --scenes scenes.tar

PHOTOS are tars of full-size photos, each of a place of its own. They are kept, and looked for in
crops, in other light, shifted and tilted. SCENES is a tar of ``CLASS/NAME.jpg``: other photos of
the same class are the hardest to tell apart. The threshold is chosen on one half of everything,
and checked on the other. Prints the tables of docs/places.md.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageEnhance
from tqdm import tqdm

from deepmersion.places.recognition import MARGIN, THRESHOLD, signature
from deepmersion.vision.lite import Lite

N_KEPT = 10
"""Places that a person keeps."""

N_PER_CLASS = N_KEPT + 1
"""Photos of each class: one is looked for among the others."""

MOST_FALSE = 0.01
"""Share of photos of other places that may be recognised, on the half that the threshold is chosen
on."""

N_DRAWS = 20
"""Draws of ten kept places of any class, for each photo."""

PHOTO_SIDE = 900
"""Longer side in pixels that full-size photos are reduced to before they are changed."""

SEED = 2026

Look = Callable[[Image.Image, np.random.Generator], tuple[Image.Image, Image.Image]]
"""From a photo to what is kept, and to what is seen later."""


def crop(side: float) -> Look:
    """Return a look at a part of the photo, anywhere in it."""

    def look(photo: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
        left, top = rng.uniform(0, 1 - side, 2)
        return photo, _part(photo, left, top, left + side, top + side)

    return look


def shift(share: float) -> Look:
    """Return a look from a camera turned sideways: what is kept lacks what is seen on the right."""

    def look(photo: Image.Image, _rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
        return _part(photo, 0, 0, 1 - share, 1), _part(photo, share, 0, 1, 1)

    return look


def light(brightness: float = 1.0, red: float = 1.0, blue: float = 1.0) -> Look:
    """Return a look in other light: brighter or darker, warmer or colder."""

    def look(photo: Image.Image, _rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
        return photo, _lit(photo, brightness, red, blue)

    return look


def tilt(share: float) -> Look:
    """Return a look from the side: the farther edge of the photo is shorter by this share."""

    def look(photo: Image.Image, _rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
        return photo, _tilted(photo, share)

    return look


def again(photo: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Return a look from elsewhere, in other light: all changes at once."""
    view = _tilted(photo, float(rng.choice([-1, 1]) * rng.uniform(0.05, 0.2)))
    _, view = crop(float(rng.uniform(0.75, 0.95)))(view, rng)
    return photo, _lit(view, rng.uniform(0.6, 1.5), rng.uniform(0.9, 1.1), rng.uniform(0.9, 1.1))


LOOKS: dict[str, Look] = {
    "crop to 90 % of each side": crop(0.9),
    "crop to 80 %": crop(0.8),
    "crop to 70 %": crop(0.7),
    "40 % darker": light(0.6),
    "40 % brighter": light(1.4),
    "warmer": light(1.0, 1.15, 0.8),
    "evening: darker and warmer": light(0.5, 1.15, 0.85),
    "turned by 15 % of the width": shift(0.15),
    "turned by 25 %": shift(0.25),
    "tilted by 12 %": tilt(0.12),
    "tilted by 20 %": tilt(-0.2),
    "all at once": again,
}


def _part(photo: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = photo.size
    return photo.crop(
        (round(left * width), round(top * height), round(right * width), round(bottom * height))
    )


def _lit(photo: Image.Image, brightness: float, red: float, blue: float) -> Image.Image:
    lit = np.asarray(ImageEnhance.Brightness(photo).enhance(brightness), np.float32)
    lit = lit * np.array([red, 1, blue], np.float32)
    return Image.fromarray(lit.clip(0, 255).astype(np.uint8))


def _tilted(photo: Image.Image, share: float) -> Image.Image:
    width, height = photo.size
    less = abs(share) * height / 2
    corners: tuple[float, ...] = (0, 0, 0, height, width, height - less, width, less)
    if share < 0:
        corners = (0, less, 0, height - less, width, height, width, 0)
    return photo.transform(photo.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)


@dataclass(frozen=True)
class Scenes:
    """Photos of several places of each class.

    Attributes
    ----------
    kept : ndarray, shape = (classes, `N_PER_CLASS`, numbers), float32
        Their signatures.
    seen : ndarray, shape = (classes, numbers), float32
        The first photo of each class, `again`.
    """

    kept: np.ndarray
    seen: np.ndarray

    def half(self, which: int) -> Scenes:
        """Return every second class."""
        return Scenes(self.kept[which::2], self.seen[which::2])

    def best_of_same(self) -> np.ndarray:
        """Return each photo's greatest similarity to the others of its class."""
        similar = np.einsum("cik,cjk->cij", self.kept, self.kept)
        similar[:, np.eye(N_PER_CLASS, dtype=bool)] = 0
        return np.asarray(np.sort(similar, axis=2)[:, :, ::-1])

    def best_of_any(self, rng: np.random.Generator) -> np.ndarray:
        """Return each photo's similarities to ten photos of other classes, the greatest first."""
        flat = self.kept.reshape(-1, self.kept.shape[2])
        classes = np.repeat(np.arange(len(self.kept)), N_PER_CLASS)
        similar = flat @ flat.T
        rows = []
        for photo in range(len(flat)):
            others = np.flatnonzero(classes != classes[photo])
            draws = rng.choice(others, (N_DRAWS, N_KEPT))
            rows.append(np.sort(similar[photo, draws], axis=1)[:, ::-1])
        return np.concatenate(rows)

    def among_ten(self) -> tuple[float, float]:
        """Return how often `seen` is taken for the right place of ten of its class, and a wrong."""
        similar = np.einsum("ck,cik->ci", self.seen, self.kept[:, :N_KEPT])
        best, ordered = similar.argmax(axis=1), np.sort(similar, axis=1)[:, ::-1]
        taken = recognised(ordered, THRESHOLD)
        return float(np.mean(taken & (best == 0))), float(np.mean(taken & (best != 0)))


def recognised(ordered: np.ndarray, threshold: float) -> np.ndarray:
    """Return which photos are recognised by similarities [photos, places], the greatest first."""
    return np.asarray(
        (ordered[..., 0] >= threshold) & (ordered[..., 0] - ordered[..., 1] >= MARGIN)
    )


def chosen_threshold(scenes: Scenes) -> float:
    """Return the least threshold, in hundredths, with no more than `MOST_FALSE` recognised."""
    similar = scenes.best_of_same()
    candidates = np.arange(0.6, 1.0, 0.01)
    return float(next(t for t in candidates if recognised(similar, t).mean() <= MOST_FALSE))


def photos_in(tar: Path, per_class: int | None = None) -> Iterator[tuple[str, Image.Image]]:
    """Yield the photos in a tar, sorted by name, and their folders; some of each if wanted."""
    n_seen: dict[str, int] = {}
    with tarfile.open(tar) as archive:
        members = sorted((m for m in archive if m.isfile()), key=lambda m: m.name)
        for member in members:
            folder = member.name.rpartition("/")[0]
            n_seen[folder] = n_seen.get(folder, 0) + 1
            file = archive.extractfile(member)
            if file is None or (per_class is not None and n_seen[folder] > per_class):
                continue
            photo = Image.open(io.BytesIO(file.read())).convert("RGB")
            photo.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
            yield folder, photo


def sign(networks: Lite, photos: list[Image.Image]) -> np.ndarray:
    """Return the signatures of photos, [photos, numbers]."""
    images = [networks.reduced(np.asarray(photo)) for photo in photos]
    return np.stack([signature(features) for features in networks.classify(images).features])


def of_looks(networks: Lite, tars: tuple[Path, ...]) -> np.ndarray:
    """Return the similarity of each photo to each look at it, [photos, looks]."""
    rng = np.random.default_rng(SEED)
    rows = []
    for tar in tars:
        for _, photo in tqdm(photos_in(tar), tar.name):
            pairs = [look(photo, rng) for look in LOOKS.values()]
            # Most looks keep the photo itself, which is signed once.
            distinct = list({id(view): view for pair in pairs for view in pair}.values())
            signed = dict(zip(map(id, distinct), sign(networks, distinct), strict=True))
            rows.append([signed[id(kept)] @ signed[id(seen)] for kept, seen in pairs])
    return np.array(rows)


def of_scenes(networks: Lite, tar: Path) -> Scenes:
    """Return the signatures of the photos in a tar of classes."""
    rng = np.random.default_rng(SEED)
    by_class: dict[str, list[Image.Image]] = {}
    for folder, photo in photos_in(tar, N_PER_CLASS):
        by_class.setdefault(folder, []).append(photo)
    whole = [photos for photos in by_class.values() if len(photos) == N_PER_CLASS]
    signed = [
        sign(networks, [*photos, again(photos[0], rng)[1]]) for photos in tqdm(whole, tar.name)
    ]
    return Scenes(np.stack([s[:-1] for s in signed]), np.stack([s[-1] for s in signed]))


@click.command()
@click.argument("tars", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--scenes", required=True, type=click.Path(path_type=Path, exists=True))
def main(tars: tuple[Path, ...], scenes: Path) -> None:
    """Measure how well places are recognised."""
    networks = Lite.load()
    similar = of_looks(networks, tars)
    signed = of_scenes(networks, scenes)
    chosen = chosen_threshold(signed.half(0))
    click.echo(f"threshold chosen on one half: {chosen:.2f}; in use: {THRESHOLD}")
    rng = np.random.default_rng(SEED)
    click.echo("\n| recognised, of | chosen on | checked on |\n| --- | --- | --- |")
    for number, name in enumerate(LOOKS):
        halves = [(similar[half::2, number] >= THRESHOLD).mean() for half in (0, 1)]
        click.echo(f"| {name} | {halves[0]:.1%} | {halves[1]:.1%} |")
    halves = [signed.half(half) for half in (0, 1)]
    same = [recognised(half.best_of_same(), THRESHOLD).mean() for half in halves]
    click.echo(f"| *another place*, ten of its scene kept | {same[0]:.2%} | {same[1]:.2%} |")
    other = [recognised(half.best_of_any(rng), THRESHOLD).mean() for half in halves]
    click.echo(f"| *another place*, ten of any scene kept | {other[0]:.3%} | {other[1]:.3%} |")
    right, wrong = zip(*(half.among_ten() for half in halves), strict=True)
    click.echo(f"| all at once, ten of its scene kept: right | {right[0]:.1%} | {right[1]:.1%} |")
    click.echo(f"| the same: taken for a wrong one | {wrong[0]:.1%} | {wrong[1]:.1%} |")
    n_photos, n_classes = len(similar), len(signed.kept)
    click.echo(f"\n{n_photos} photos, {n_classes} scenes of {N_PER_CLASS} photos; halves of each")


if __name__ == "__main__":
    main()
