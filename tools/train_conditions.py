"""Train the condition head of the embedded network, calibrate it, measure it and write it.

    python tools/train_conditions.py conditions-train.tar --sources conditions-train-sources.csv \
        --scenes scenes-train.tar --dev conditions-dev.tar --cache FOLDER

The tars hold photos as ``CONDITION/NAME.jpg``, that of the scenes as ``SCENE/NAME.jpg``: of its
photos only the conditions that they may show are known (`possible_conditions`). The table of
sources says in its columns ``member`` and ``repo`` which collection each training photo is from:
photos of one collection are too much alike to judge a head that was trained on some by the
others. One seed and one machine give one file. The dev photos are only ever measured on.
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
from deepmersion.weights.lite_weights import BACKBONE_SHA256, CONDITION_HEAD

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
"""What the tars call the conditions, in the order of `condition_labels`."""

RECIPE = Recipe(
    n_classes=len(condition_labels()), n_hidden=N_CONDITION_HIDDEN, epochs=20, balanced=True
)

VIEWS: tuple[View, ...] = ("plain", "varied", "reduced")

N_PER_SCENE = 12
"""Photos of each scene that are learnt from, the first: a quarter as many as have their condition
noted."""

HELD_OUT = 0.2
"""Share of the training photos that the lower bound of the temperature is found on."""

N_LEFT = 20
"""Photos that a condition must have in the other collections for its photos in one collection
to count in the calibration: what was hardly seen says nothing about how sure to be."""


def read_sources(table: Path, photos: Photos) -> list[str]:
    """Return the collection that each photo is from."""
    with table.open(newline="", encoding="utf-8") as file:
        sources = {row["member"]: row["repo"] for row in csv.DictReader(file)}
    return [sources[name] for name in photos.names]


def read_hints(tar: Path, cache: Path) -> Hints:
    """Return some photos of each scene and the conditions that they may show."""
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
    """Return the logits of photos by a head trained on others of their collections, and classes."""
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(SEED))
    held_out, rest = order.tensor_split([int(HELD_OUT * len(order))])
    head = train(RECIPE, views[:, rest], classes[rest], hints)
    with torch.inference_mode():
        return head(views[0, held_out].float()), classes[held_out]


def judged_by_others(
    views: Tensor, classes: Tensor, sources: Sequence[str], hints: Hints
) -> tuple[Tensor, Tensor]:
    """Return the logits of photos by heads that never saw their collection, and their classes."""
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
        # A condition that only this collection has is unknown to the head, and not in question.
        logits.append(seen.masked_fill(left == 0, -torch.inf))
        judged.append(classes[counted])
    return torch.cat(logits), torch.cat(judged)


def calibrate(
    views: Tensor, classes: Tensor, sources: Sequence[str], hints: Hints
) -> dict[str, float]:
    """Return the temperature between those of known and of unknown collections, and these two.

    Other photos of the same collections are easier than those that anyone will show, and so
    leave the head too sure. Those of a collection that is left out altogether are harder: with
    it goes much of what is known of a condition, and collections differ in what they call one.
    The geometric mean lies between the two.
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
        "backbone": BACKBONE_SHA256,
        "data": [tar.name, scenes.name],
        "photos": [len(photos.jpegs), len(hints.features)],
        "seed": SEED,
        "temperature": temperature,
    }
    save(train(RECIPE, views, photos.classes, hints), "conditions", temperature, about, output)
    return temperatures


def as_used(head: Head, photos: Photos) -> Tensor:
    """Return the conditions' probabilities as `Lite` gives them, the mean over its views."""
    networks = Lite(runner(LiteNetwork(load_backbone(), load_scene_head(), head)), weights={})
    seen = [
        networks.classify([look(jpeg, "plain", [])]).conditions
        for jpeg in tqdm(photos.jpegs, "dev, all views", unit="photo")
    ]
    return torch.from_numpy(np.concatenate(seen))


def recalls(probabilities: Tensor, classes: Tensor) -> dict[str, str]:
    """Return how many of each condition's photos are named rightly, as ``RIGHT of ALL``."""
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
