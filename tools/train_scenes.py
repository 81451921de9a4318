"""Train the scene head of the embedded network, calibrate it, measure it and write it.

    python tools/train_scenes.py scenes-train.tar --dev scenes-dev.tar --cache FOLDER

The tars hold photos as ``SCENE/NAME.jpg``, the scenes named as in MiniPlaces. The backbone is
frozen: its features of each photo are computed once, in two views, and cached. A second run trains
at once, and an interrupted one resumes. The same seed and machine give the same file. The dev
photos are used for measuring only.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import click
import numpy as np
import torch
from features import SEED, Photos, features, look, read_photos
from heads import Recipe, find_temperature, measure, predict, save, train
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from deepmersion.labels import miniplaces_labels
from deepmersion.vision.lite import Lite
from deepmersion.vision.lite_network import (
    N_SCENE_HIDDEN,
    Head,
    LiteNetwork,
    load_backbone,
    load_condition_head,
    load_scene_head,
    runner,
)
from deepmersion.vision.photo import load_photo
from deepmersion.weights.lite_weights import PUBLISHED_SHA256, SCENE_HEAD

RECIPE = Recipe(n_classes=len(miniplaces_labels()), n_hidden=N_SCENE_HIDDEN, epochs=16)

HELD_OUT = 0.1
"""Share of the training photos used to find the temperature."""


def calibrate(photos: Photos, views: Tensor, cache: Path) -> float:
    """Return the temperature found on training photos held out from the head.

    Parameters
    ----------
    photos : Photos
    views : Tensor, shape = (views, photos, 2128)
        Their features, the plain view first.
    cache : Path
        Folder for the mirrored view of the held-out photos.
    """
    order = torch.randperm(len(photos.jpegs), generator=torch.Generator().manual_seed(SEED))
    held_out, rest = order.tensor_split([int(HELD_OUT * len(order))])
    head = train(RECIPE, views[:, rest], photos.classes[rest])
    mirrored = features(photos.chosen(held_out), "mirrored", cache, "held out")
    plain = views[0, held_out]
    return find_temperature(
        lambda temperature: predict(head, plain, mirrored, temperature), photos.classes[held_out]
    )


def shrunk(image: np.ndarray) -> np.ndarray:
    """Return a photo reduced like the training set: 128 × 128 pixels, compressed as JPEG."""
    file = io.BytesIO()
    small = Image.fromarray(image).resize((128, 128), Image.Resampling.LANCZOS)
    small.save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file))


def networks_with(head: Head) -> Lite:
    """Return the networks with a new scene head."""
    return Lite(runner(LiteNetwork(load_backbone(), head, load_condition_head())), weights={})


def as_used(head: Head, photos: Photos) -> Tensor:
    """Return the scenes' probabilities as in `Lite`, averaged over its views."""
    networks = networks_with(head)
    seen = [
        networks.classify([look(jpeg, "plain", [])]).scenes
        for jpeg in tqdm(photos.jpegs, "dev, all views", unit="photo")
    ]
    return torch.from_numpy(np.concatenate(seen))


def small_against_large(head: Head, folder: Path) -> dict[str, float]:
    """Return the distance of full-size photos' distributions from those of shrunk versions.

    The distance is the total variation, from 0 to 1, averaged over the photos of the folder. The
    others are shares of photos: those with the same best scene, and those whose best scene at full
    size is among the three best of the shrunk version.
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
    photos = read_photos(tar, miniplaces_labels())
    views = torch.stack([features(photos, view, cache, "train") for view in ("plain", "varied")])
    temperature = calibrate(photos, views, cache)
    about = {
        "backbone": PUBLISHED_SHA256,
        "data": tar.name,
        "photos": len(photos.jpegs),
        "seed": SEED,
        "temperature": temperature,
    }
    save(train(RECIPE, views, photos.classes), "scenes", temperature, about, output)
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
    head, unseen = load_scene_head(output), read_photos(dev, miniplaces_labels())
    plain, mirrored = (features(unseen, view, cache, "dev") for view in ("plain", "mirrored"))
    report["one view"] = measure(predict(head, plain, plain), unseen.classes)
    report["two views"] = measure(predict(head, plain, mirrored), unseen.classes)
    report["as used"] = measure(as_used(head, unseen), unseen.classes)
    report["bytes"] = output.stat().st_size
    if large is not None:
        report["large against small"] = small_against_large(head, large)
    click.echo(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
