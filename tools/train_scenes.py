"""Train the scene head of the embedded network, calibrate it, measure it and write it.

    python tools/train_scenes.py scenes-train.tar --dev scenes-dev.tar --cache FOLDER

The tars hold photos as ``SCENE/NAME.jpg``, the scenes named as in MiniPlaces. The backbone stays
as it is: what it sees of each photo is computed once, in two views, and kept in the cache, so
that a second run trains at once and a killed one goes on. One seed and one machine give one
file. The dev photos are only ever measured on.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import click
import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from deepmersion.labels import miniplaces_labels
from deepmersion.vision.lite import BATCH_SIZE, Lite
from deepmersion.vision.lite_network import (
    N_FEATURES,
    LiteNetwork,
    SceneHead,
    extract,
    load_backbone,
    runner,
)
from deepmersion.vision.lite_views import INPUT_SIDE, prepare, squash
from deepmersion.vision.photo import load_photo
from deepmersion.weights.lite_weights import BACKBONE_SHA256, SCENE_HEAD

View = Literal["plain", "mirrored", "varied"]

SEED = 2026
EPOCHS = 16
TRAINING_BATCH = 256
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.05
DROPOUT = (0.2, 0.5)
LABEL_SMOOTHING = 0.1
MIXUP = 0.2
"""Parameter of the beta distribution by which two photos' features are mixed."""

TEXTURE_DEVIATION = 0.4
"""Standard deviation that textures are scaled to: about that of the last layer's features, which
are left as they are, since standardising them makes rare channels too loud (51.8 % against
53.3 % with a linear head)."""

HELD_OUT = 0.1
"""Share of the training photos that the temperature is found on."""

CHUNK = 2000
"""Photos to a file of the cache; a killed run loses at most one."""

N_BINS = 15
"""Bins of the expected calibration error (Guo et al. 2017)."""


@dataclass(frozen=True)
class Photos:
    """Encoded photos, in the order of their names, and their classes."""

    jpegs: list[bytes]
    scenes: Tensor

    def chosen(self, positions: Tensor) -> Photos:
        """Return the photos at some positions."""
        return Photos([self.jpegs[int(i)] for i in positions], self.scenes[positions])


def read_photos(tar: Path) -> Photos:
    """Return the photos of a tar of ``SCENE/NAME.jpg``."""
    labels = miniplaces_labels()
    with tarfile.open(tar) as archive:
        members = sorted((m for m in archive if m.isfile()), key=lambda m: m.name)
        jpegs = [file.read() for m in members if (file := archive.extractfile(m))]
    names = [m.name.removeprefix("./") for m in members]
    return Photos(jpegs, torch.tensor([labels.index(n.rpartition("/")[0]) for n in names]))


def vary(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a random crop of a photo, perhaps mirrored, crisper, and of other light.

    Photos from a camera are crisper at the network's input than the enlarged training photos,
    which is why half of the views are sharpened.
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
    if view == "mirrored":
        photo = ImageOps.mirror(photo)
    return np.asarray(photo)


@torch.inference_mode()
def see(backbone: torch.nn.Module, jpegs: list[bytes], view: View, chunk: int) -> np.ndarray:
    """Return `lite_network.extract` of one view of photos, [photos, 2128] float16.

    `chunk` and a photo's place in it are what its random view depends on.
    """
    images = (look(jpeg, view, [SEED, chunk, place]) for place, jpeg in enumerate(jpegs))
    parts = []
    while batch := list(islice(images, BATCH_SIZE)):
        pictures = np.stack([squash(image, INPUT_SIDE) for image in batch])
        parts.append(extract(backbone, torch.from_numpy(prepare(pictures))))
    return torch.cat(parts).half().numpy()


def features(photos: Photos, view: View, cache: Path, title: str) -> Tensor:
    """Return the features of one view of all photos, float16, by way of the cache.

    The cache knows photos by their bytes; empty it after a change to `vary`.
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


def train(views: Tensor, scenes: Tensor, seed: int = SEED) -> SceneHead:
    """Return a head trained on features [views, photos, 2128] of float16."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head = SceneHead(DROPOUT)
    textures = views[0, :, N_FEATURES:].float()
    head.centre[N_FEATURES:] = textures.mean(dim=0)
    head.scale[N_FEATURES:] = TEXTURE_DEVIATION / textures.std(dim=0)
    optimiser = torch.optim.AdamW(head.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    n_steps = EPOCHS * (len(scenes) // TRAINING_BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LEARNING_RATE, total_steps=n_steps, pct_start=0.15
    )
    targets = torch.nn.functional.one_hot(scenes, len(miniplaces_labels())).float()
    for step in tqdm(range(n_steps), "training", unit="step"):
        if step % (n_steps // EPOCHS) == 0:
            order = torch.randperm(len(scenes))
        at = step % (n_steps // EPOCHS) * TRAINING_BATCH
        chosen = order[at : at + TRAINING_BATCH]
        x = views[torch.randint(len(views), chosen.shape), chosen].float()
        y, share, other = targets[chosen], float(rng.beta(MIXUP, MIXUP)), torch.randperm(len(x))
        loss = torch.nn.functional.cross_entropy(
            head(share * x + (1 - share) * x[other]),
            share * y + (1 - share) * y[other],
            label_smoothing=LABEL_SMOOTHING,
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return head.eval()


@torch.inference_mode()
def predict(head: SceneHead, plain: Tensor, mirrored: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the mean of the probabilities of photos and of their mirror images."""
    return (
        sum(
            ((head(x.float()) / temperature).softmax(dim=1) for x in (plain, mirrored)),
            start=torch.zeros(()),
        )
        / 2
    )


def find_temperature(head: SceneHead, plain: Tensor, mirrored: Tensor, scenes: Tensor) -> float:
    """Return the temperature of least negative log-likelihood, to a hundredth."""

    def loss(temperature: float) -> float:
        probabilities = predict(head, plain, mirrored, temperature)
        return float(torch.nn.functional.nll_loss(probabilities.log(), scenes))

    return float(min(np.arange(0.5, 2.0, 0.01).round(2), key=loss))


def measure(probabilities: Tensor, scenes: Tensor) -> dict[str, float]:
    """Return top-1 and top-5 accuracy, expected calibration error and log-loss in nats."""
    best = probabilities.topk(5, dim=1)
    right = best.indices == scenes[:, None]
    bins = (best.values[:, 0] * N_BINS).long().clamp(max=N_BINS - 1)
    gaps = [
        float((best.values[bins == b, 0] - right[bins == b, 0].float()).sum().abs())
        for b in range(N_BINS)
    ]
    return {
        "top-1": round(float(right[:, 0].float().mean()), 4),
        "top-5": round(float(right.any(dim=1).float().mean()), 4),
        "ece": round(sum(gaps) / len(scenes), 4),
        "log-loss": round(float(torch.nn.functional.nll_loss(probabilities.log(), scenes)), 4),
    }


def calibrate(photos: Photos, views: Tensor, cache: Path) -> float:
    """Return the temperature found on training photos that the head was not trained on.

    Parameters
    ----------
    photos : Photos
    views : Tensor, shape = (views, photos, 2128)
        Their features, the plain view first.
    cache : Path
        Where the mirrored view of the photos held out is kept.
    """
    order = torch.randperm(len(photos.jpegs), generator=torch.Generator().manual_seed(SEED))
    held_out, rest = order.tensor_split([int(HELD_OUT * len(order))])
    head = train(views[:, rest], photos.scenes[rest])
    mirrored = features(photos.chosen(held_out), "mirrored", cache, "held out")
    return find_temperature(head, views[0, held_out], mirrored, photos.scenes[held_out])


def save(head: SceneHead, temperature: float, about: dict[str, object], path: Path) -> None:
    """Write the parameters in float16, the temperature worked into the last layer."""
    parameters = {name: tensor.detach().clone() for name, tensor in head.state_dict().items()}
    for name in ("scenes.weight", "scenes.bias"):
        parameters[name] /= temperature
    halves = {name: tensor.half().contiguous() for name, tensor in parameters.items()}
    # One entry only: safetensors writes several in an order that changes from run to run.
    save_file(halves, path, metadata={"about": json.dumps(about, sort_keys=True)})
    path.chmod(0o644)  # safetensors leaves it to its owner alone


def shrunk(image: np.ndarray) -> np.ndarray:
    """Return a photo as one of the training set: 128 × 128 pixels, once through JPEG."""
    file = io.BytesIO()
    small = Image.fromarray(image).resize((128, 128), Image.Resampling.LANCZOS)
    small.save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file))


def networks_with(head: SceneHead) -> Lite:
    """Return the networks as they are used, with a new scene head."""
    return Lite(runner(LiteNetwork(load_backbone(), head)), weights={})


def as_used(head: SceneHead, photos: Photos) -> Tensor:
    """Return the scenes' probabilities as `Lite` gives them, the mean over its views."""
    networks = networks_with(head)
    seen = [
        networks.classify([look(jpeg, "plain", [])]).scenes
        for jpeg in tqdm(photos.jpegs, "dev, all views", unit="photo")
    ]
    return torch.from_numpy(np.concatenate(seen))


def small_against_large(head: SceneHead, folder: Path) -> dict[str, float]:
    """Return how far full-size photos' distributions are from those of their shrunk versions.

    The distance is total variation, from 0 to 1, on average over the photos of the folder; the
    rest are shares of photos: the same best scene, and a best scene of the large photo that is
    among the three best of the small one.
    """
    images = [load_photo(path) for path in sorted(folder.rglob("*.jpg"))]
    networks = networks_with(head)
    large, small = networks.classify(images), networks.classify([shrunk(i) for i in images])
    best = large.scenes.argmax(axis=1)
    near = np.argsort(small.scenes, axis=1)[:, -3:] == best[:, None]
    figures = {
        "scenes": np.abs(large.scenes - small.scenes).sum(axis=1) / 2,
        "objects": np.abs(large.objects - small.objects).sum(axis=1) / 2,
        "same scene": best == small.scenes.argmax(axis=1),
        "scene in top 3": near.any(axis=1),
    }
    return {name: round(float(np.mean(values)), 3) for name, values in figures.items()}


def fit(tar: Path, cache: Path, output: Path) -> float:
    """Train, calibrate and write the head; return its temperature."""
    photos = read_photos(tar)
    views = torch.stack([features(photos, view, cache, "train") for view in ("plain", "varied")])
    temperature = calibrate(photos, views, cache)
    about = {
        "backbone": BACKBONE_SHA256,
        "data": tar.name,
        "photos": len(photos.jpegs),
        "seed": SEED,
        "temperature": temperature,
    }
    save(train(views, photos.scenes), temperature, about, output)
    return temperature


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("tar", type=FILE)
@click.option("--dev", type=FILE, required=True, help="Photos to measure on, as TAR.")
@click.option("--cache", type=FOLDER, required=True, help="Keeps the features between runs.")
@click.option("--large", type=FOLDER, help="Full-size photos, compared with shrunk ones.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=SCENE_HEAD)
def main(tar: Path, dev: Path, cache: Path, large: Path | None, output: Path) -> None:
    """Train the scene head on the photos of TAR and measure it on those of --dev."""
    cache.mkdir(parents=True, exist_ok=True)
    report: dict[str, object] = {"temperature": fit(tar, cache, output)}
    head, unseen = SceneHead.load(output), read_photos(dev)
    plain, mirrored = (features(unseen, view, cache, "dev") for view in ("plain", "mirrored"))
    report["one view"] = measure(predict(head, plain, plain), unseen.scenes)
    report["two views"] = measure(predict(head, plain, mirrored), unseen.scenes)
    report["as used"] = measure(as_used(head, unseen), unseen.scenes)
    report["bytes"] = output.stat().st_size
    if large is not None:
        report["large against small"] = small_against_large(head, large)
    click.echo(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
