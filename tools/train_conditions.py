"""Train the condition head of the embedded network, calibrate it, measure it and write it.

    python tools/train_conditions.py conditions-train.tar --sources conditions-train-sources.csv \
        --scenes scenes-train.tar --dev conditions-dev.tar --cache FOLDER

The tars hold photos as ``CONDITION/NAME.jpg``, except that of the scenes with ``SCENE/NAME.jpg``,
for which only the possible conditions are known (`possible_conditions`). The table of sources gives
the collection of each training photo in its columns ``member`` and ``repo``: photos of one
collection are too similar to test a head on some that was trained on others. The same seed and
machine give the same file. The dev photos are used for measuring only.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch
from features import SEED, Photos, View, features, look, read_photos
from heads import Hints, Recipe, find_temperature, measure, save, train
from possible_conditions import possible_conditions
from torch import Tensor
from tqdm import tqdm

from deepmersion.labels import condition_labels, miniplaces_labels
from deepmersion.vision.lite import Lite
from deepmersion.vision.lite_network import (
    N_CONDITION_HIDDEN,
    Head,
    LiteNetwork,
    load_backbone,
    load_condition_head,
    load_scene_head,
    runner,
)
from deepmersion.weights.lite_weights import CONDITION_HEAD, PUBLISHED_SHA256

FOLDERS = (
    "rain",
    "lightning",
    "snow",
    "fog",
    "clear_day",
    "night_outdoor",
    "flames",
    "running_water",
    "surf",
    "indoor_calm",
    "indoor_people",
    "outdoor_people",
    "traffic",
    "none",
)
"""Names of the conditions in the tars, in the order of `condition_labels`."""

RECIPE = Recipe(
    n_classes=len(condition_labels()), n_hidden=N_CONDITION_HIDDEN, epochs=20, balanced=True
)

VIEWS: tuple[View, ...] = ("plain", "varied", "reduced")

N_PER_SCENE = 12
"""Number of photos of each scene to learn from: a quarter as many in all as photos with a condition
label."""

HELD_OUT = 0.2
"""Share of the training photos used to find the lower bound of the temperature."""

N_LEFT = 20
"""Photos that a condition must have in the other collections for its photos in one collection to
count in the calibration: a rarely seen condition cannot calibrate the head."""


def read_sources(table: Path, photos: Photos) -> list[str]:
    """Return the collection of each photo."""
    with table.open(newline="", encoding="utf-8") as file:
        sources = {row["member"]: row["repo"] for row in csv.DictReader(file)}
    return [sources[name] for name in photos.names]


def read_hints(tar: Path, cache: Path) -> Hints:
    """Return some photos of each scene with their possible conditions."""
    photos, possible = read_photos(tar, miniplaces_labels()), possible_conditions()
    scenes = [name.rpartition("/")[0] for name in photos.names]
    seen: Counter[str] = Counter()
    positions = []
    for position, scene in enumerate(scenes):
        seen[scene] += 1
        if scene in possible and seen[scene] <= N_PER_SCENE:
            positions.append(position)
    chosen = photos.chosen(torch.tensor(positions))
    rows = torch.stack([possible[scenes[position]] for position in positions])
    return Hints(features(chosen, "plain", cache, "scenes"), rows)


def judged_by_the_same(views: Tensor, classes: Tensor, hints: Hints) -> tuple[Tensor, Tensor]:
    """Return logits by a head trained on other photos of the same collections, and the classes."""
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(SEED))
    held_out, rest = order.tensor_split([int(HELD_OUT * len(order))])
    head = train(RECIPE, views[:, rest], classes[rest], hints)
    with torch.inference_mode():
        return head(views[0, held_out].float()), classes[held_out]


def judged_by_others(
    views: Tensor, classes: Tensor, sources: Sequence[str], hints: Hints
) -> tuple[Tensor, Tensor]:
    """Return logits by heads that never saw the photos' collection, and the classes."""
    logits, judged = [], []
    for source in sorted(set(sources)):
        own = torch.tensor([other == source for other in sources])
        left = torch.bincount(classes[~own], minlength=RECIPE.n_classes)
        counted = own & (left >= N_LEFT)[classes]
        if not counted.any():
            continue
        head = train(RECIPE, views[:, ~own], classes[~own], hints)
        with torch.inference_mode():
            seen = head(views[0, counted].float())
        # A condition that only this collection has is unknown to the head and left out.
        logits.append(seen.masked_fill(left == 0, -torch.inf))
        judged.append(classes[counted])
    return torch.cat(logits), torch.cat(judged)


def calibrate(
    views: Tensor, classes: Tensor, sources: Sequence[str], hints: Hints
) -> dict[str, float]:
    """Return the calibrated temperature, and its bounds for known and unknown collections.

    Other photos of the same collections are easier than users' photos, and leave the head
    overconfident. Those of a held-out collection are harder: without it, the head knows much less
    about a condition, and collections define conditions differently. The geometric mean lies
    between the two.
    """
    judged = {
        "same collections": judged_by_the_same(views, classes, hints),
        "other collections": judged_by_others(views, classes, sources, hints),
    }
    found = {
        name: find_temperature(lambda t, x=logits: (x / t).softmax(dim=1), wanted)  # type: ignore[misc]
        for name, (logits, wanted) in judged.items()
    }
    return found | {"between": round(math.sqrt(math.prod(found.values())), 2)}


def fit(tar: Path, sources: Path, scenes: Path, cache: Path, output: Path) -> dict[str, float]:
    """Train, calibrate and write the head; return the temperatures found."""
    photos, hints = read_photos(tar, FOLDERS), read_hints(scenes, cache)
    views = torch.stack([features(photos, view, cache, "train") for view in VIEWS])
    temperatures = calibrate(views, photos.classes, read_sources(sources, photos), hints)
    temperature = temperatures["between"]
    about = {
        "backbone": PUBLISHED_SHA256,
        "data": [tar.name, scenes.name],
        "photos": [len(photos.jpegs), len(hints.features)],
        "seed": SEED,
        "temperature": temperature,
    }
    save(train(RECIPE, views, photos.classes, hints), "conditions", temperature, about, output)
    return temperatures


def as_used(head: Head, photos: Photos) -> Tensor:
    """Return the conditions' probabilities as in `Lite`, averaged over its views."""
    networks = Lite(runner(LiteNetwork(load_backbone(), load_scene_head(), head)), weights={})
    seen = [
        networks.classify([look(jpeg, "plain", [])]).conditions
        for jpeg in tqdm(photos.jpegs, "dev, all views", unit="photo")
    ]
    return torch.from_numpy(np.concatenate(seen))


def recalls(probabilities: Tensor, classes: Tensor) -> dict[str, str]:
    """Return the number of correctly classified photos by condition, as ``RIGHT of ALL``."""
    right = probabilities.argmax(dim=1) == classes
    return {
        condition_labels()[c]: f"{int(right[classes == c].sum())} of {int((classes == c).sum())}"
        for c in classes.unique().tolist()
    }


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("tar", type=FILE)
@click.option("--sources", type=FILE, required=True, help="CSV table: member,repo.")
@click.option("--scenes", type=FILE, required=True, help="Photos of MiniPlaces, as TAR.")
@click.option("--dev", type=FILE, required=True, help="Photos to measure on, as TAR.")
@click.option("--cache", type=FOLDER, required=True, help="Keeps the features between runs.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=CONDITION_HEAD)
def main(tar: Path, sources: Path, scenes: Path, dev: Path, cache: Path, output: Path) -> None:
    """Train the condition head on the photos of TAR and measure it on those of --dev."""
    cache.mkdir(parents=True, exist_ok=True)
    report: dict[str, object] = {"temperatures": fit(tar, sources, scenes, cache, output)}
    unseen = read_photos(dev, FOLDERS)
    seen = as_used(load_condition_head(output), unseen)
    report["as used"] = measure(seen, unseen.classes)
    report["named rightly"] = recalls(seen, unseen.classes)
    report["bytes"] = output.stat().st_size
    click.echo(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
