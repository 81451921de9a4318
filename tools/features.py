"""Features of training photos from the embedded backbone, in several views, with a cache.

The tars hold photos as ``CLASS/NAME.jpg``. The features of each view are computed once: a second
run trains at once, and an interrupted one resumes.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor
from tqdm import tqdm

from deepmersion.vision.lite import BATCH_SIZE
from deepmersion.vision.lite_network import extract, load_backbone
from deepmersion.vision.lite_views import INPUT_SIDE, prepare, squash

View = Literal["plain", "mirrored", "varied", "reduced"]

SEED = 2026

REDUCED_SIDE = 110
"""Side of the reduced views in pixels: about the smallest photos in the training sets had 100
pixels, and blur must not reveal a photo's class."""

CHUNK = 2000
"""Photos per file of the cache; an interrupted run loses at most one file."""


@dataclass(frozen=True)
class Photos:
    """Encoded photos, sorted by name, and the positions of their classes."""

    names: list[str]
    jpegs: list[bytes]
    classes: Tensor

    def chosen(self, positions: Tensor) -> Photos:
        """Return the photos at some positions."""
        places = positions.tolist()
        names, jpegs = ([items[i] for i in places] for items in (self.names, self.jpegs))
        return Photos(names, jpegs, self.classes[positions])


def read_photos(tar: Path, classes: Sequence[str]) -> Photos:
    """Return the photos in a tar of ``CLASS/NAME.jpg``, with folders named as in `classes`."""
    with tarfile.open(tar) as archive:
        members = sorted((m for m in archive if m.isfile()), key=lambda m: m.name)
        jpegs = [file.read() for m in members if (file := archive.extractfile(m))]
    names = [m.name.removeprefix("./") for m in members]
    positions = [classes.index(name.rpartition("/")[0]) for name in names]
    return Photos(names, jpegs, torch.tensor(positions))


def vary(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a random crop of a photo, possibly mirrored, sharpened, and in different light.

    Photos from a camera are sharper at the network's input than the enlarged training photos, so
    half of the views are sharpened.
    """
    area, aspect = rng.uniform(0.4, 1.0), np.exp(rng.uniform(-0.3, 0.3))
    width = min(1.0, np.sqrt(area * aspect)) * photo.width
    height = min(1.0, np.sqrt(area / aspect)) * photo.height
    left, top = rng.uniform(0, photo.width - width), rng.uniform(0, photo.height - height)
    view = photo.resize(
        (INPUT_SIDE, INPUT_SIDE),
        Image.Resampling.BICUBIC,
        box=(left, top, left + width, top + height),
    )
    if rng.random() < 0.5:
        view = ImageOps.mirror(view)
    if rng.random() < 0.5:
        radius, percent = rng.uniform(1, 2.5), int(rng.uniform(50, 250))
        view = view.filter(ImageFilter.UnsharpMask(radius, percent, threshold=0))
    if rng.random() < 0.5:
        for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            view = enhancer(view).enhance(rng.uniform(0.7, 1.3))
    return view


def look(jpeg: bytes, view: View, seed: list[int]) -> np.ndarray:
    """Return one view of a photo, uint8 RGB."""
    photo = Image.open(io.BytesIO(jpeg)).convert("RGB")
    if view == "varied":
        photo = vary(photo, np.random.default_rng(seed))
    if view == "reduced":
        small = photo.resize((REDUCED_SIDE, REDUCED_SIDE), Image.Resampling.LANCZOS)
        photo = vary(small, np.random.default_rng([*seed, REDUCED_SIDE]))
    if view == "mirrored":
        photo = ImageOps.mirror(photo)
    return np.asarray(photo)


@torch.inference_mode()
def see(backbone: torch.nn.Module, jpegs: list[bytes], view: View, chunk: int) -> np.ndarray:
    """Return `lite_network.extract` of one view of photos, [photos, 2128] float16.

    A photo's random view depends on `chunk` and its position in it.
    """
    images = (look(jpeg, view, [SEED, chunk, place]) for place, jpeg in enumerate(jpegs))
    parts = []
    while batch := list(islice(images, BATCH_SIZE)):
        pictures = np.stack([squash(image, INPUT_SIDE) for image in batch])
        parts.append(extract(backbone, torch.from_numpy(prepare(pictures))))
    return torch.cat(parts).half().numpy()


def features(photos: Photos, view: View, cache: Path, title: str) -> Tensor:
    """Return the features of one view of all photos, float16, through the cache.

    The cache identifies photos by their bytes; empty it after a change to `vary`.
    """
    backbone = load_backbone().to(memory_format=torch.channels_last)
    chunks = []
    for start in tqdm(range(0, len(photos.jpegs), CHUNK), f"{title}, {view}", unit="chunk"):
        jpegs = photos.jpegs[start : start + CHUNK]
        digest = hashlib.sha256(b"".join(jpegs)).hexdigest()[:16]
        file = cache / f"{view}-{start:06}-{digest}.npy"
        if not file.exists():
            partial = file.with_suffix(".partial.npy")
            np.save(partial, see(backbone, jpegs, view, start))
            partial.replace(file)
        chunks.append(np.load(file))
    return torch.from_numpy(np.concatenate(chunks))
