"""The condition head, and what it is trained by."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from heads import Hints, Recipe
from PIL import Image
from possible_conditions import POSSIBLE, possible_conditions
from train_conditions import FOLDERS

from deepmersion.kinds.table import CONDITIONS
from deepmersion.labels import condition_labels, miniplaces_labels
from deepmersion.vision.lite import Lite
from deepmersion.vision.lite_network import N_TEXTURES, Head
from deepmersion.vision.lite_session import N_FEATURES
from deepmersion.vision.photo import load_photo

DEV = Path(__file__).parents[2] / "shared" / "data" / "conditions-dev.tar"


def test_audible_conditions_are_conditions() -> None:
    assert set(condition_labels()) > set(CONDITIONS)
    assert len(FOLDERS) == len(condition_labels())


def test_scenes_that_say_something_are_known_and_named_once() -> None:
    named = [scene for scenes in POSSIBLE.values() for scene in scenes.split()]
    assert len(set(named)) == len(named)
    assert set(named) <= set(miniplaces_labels())
    assert {label for conditions in POSSIBLE for label in conditions} <= set(condition_labels())
    for conditions, scenes in POSSIBLE.items():
        rows = [possible_conditions()[scene] for scene in scenes.split()]
        assert all(int(row.sum()) == len(conditions) for row in rows)


def test_everyday_photos_show_neither_weather_nor_fire(china_jpg: Path, flower_jpg: Path) -> None:
    seen = Lite.load().classify([load_photo(china_jpg), load_photo(flower_jpg)]).conditions
    absent = ("rain", "lightning", "snow", "flames", "surf", "calm room")
    for row in seen:
        assert row[[condition_labels().index(name) for name in absent]].max() < 0.2


@pytest.mark.skipif(not DEV.exists(), reason="needs the photos of conditions, which are not here")
def test_conditions_are_recognised_in_unseen_photos() -> None:
    with tarfile.open(DEV) as archive:
        members = [member for member in archive if member.isfile()][::8]
        files = [file.read() for member in members if (file := archive.extractfile(member))]
    wanted = [FOLDERS.index(member.name.removeprefix("./").split("/")[0]) for member in members]
    images = [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]
    found = Lite.load().classify(images).conditions.argmax(axis=1)
    assert (found == wanted).mean() > 0.75


def test_balanced_classes_are_seen_alike_often() -> None:
    torch.manual_seed(0)
    classes = torch.tensor([0] * 900 + [2] * 100)
    drawn = classes[Recipe(3, 4, 1, balanced=True).order(classes)]
    assert len(drawn) == 1000
    assert 400 < int((drawn == 2).sum()) < 600
    assert sorted(Recipe(3, 4, 1).order(classes).tolist()) == list(range(1000))


def test_hints_cost_what_falls_on_impossible_classes() -> None:
    head = Head(n_classes=3, n_hidden=2)
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    head.classes.bias.data = torch.tensor([0.7, 0.2, 0.1]).log()
    features = torch.ones(5, N_FEATURES + N_TEXTURES).half()
    hints = Hints(features, torch.tensor([[False, True, True]]).expand(5, 3))
    assert float(hints.loss(head)) == pytest.approx(-np.log(0.3), abs=1e-5)
