"""Kinds of sound: the names in kinds.toml exist, and recordings are known by theirs."""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pytest

from deepmersion import labels
from deepmersion.kinds.naming import kind_of
from deepmersion.kinds.table import (
    CONDITIONS,
    KINDS_FILE,
    RANGE,
    all_kinds,
    at_home,
    every_name,
    scene_names,
    suggestion,
)

SCENES = {*labels.soundnet_scene_labels(), *labels.places365_labels()}

TABLES = tomllib.loads(KINDS_FILE.read_text("utf-8"))


def listed(key: str) -> list[tuple[str, str]]:
    """Every name that kinds.toml lists under a key, and the kind it is listed for."""
    return [
        (kind, name)
        for kind, table in TABLES.items()
        if key in table
        for name in re.split(r",\s+", table[key])
    ]


def test_every_kind_is_at_home_somewhere_and_has_only_known_keys() -> None:
    for name, table in TABLES.items():
        assert set(table) <= {"words", "settings", "scenes", "objects", "conditions"}
        kind = all_kinds()[name]
        assert kind.name == name
        assert kind.scenes or kind.objects or kind.conditions, name


def test_every_scene_is_known_to_a_scene_network() -> None:
    for kind, name in listed("scenes"):
        assert name in SCENES or any(s.startswith(name + "/") for s in SCENES), (kind, name)


def test_every_object_is_known_and_its_name_stands_once() -> None:
    names = labels.object_labels()
    for kind, part in listed("objects"):
        for name in part.split(RANGE):
            assert names.count(name) == 1, (kind, name)
    for known in all_kinds().values():
        assert all(names.count(name) == 1 for name in known.objects), (
            "a range holds one that does not"
        )


def test_every_condition_is_heard() -> None:
    for kind, name in listed("conditions"):
        assert name in CONDITIONS, (kind, name)


@pytest.mark.parametrize("key", ["words", "settings", "scenes", "objects", "conditions"])
def test_nothing_is_listed_twice(key: str) -> None:
    names = listed(key)
    assert len(set(names)) == len(names)


def test_something_is_heard_in_every_scene() -> None:
    heard = {scene for kind in all_kinds().values() for scene in kind.scenes}
    assert SCENES - heard == set()


def test_every_word_leads_to_its_own_kind_alone() -> None:
    for key in ("words", "settings"):
        for kind, text in listed(key):
            found = kind_of(text)
            assert found is not None, text
            assert found.name == kind, text
            assert kind_of(text.upper()) is found


def test_every_kind_is_known_by_its_own_name() -> None:
    for name, kind in all_kinds().items():
        assert kind_of(name) is kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("rain-on-window", "rain"),
        ("RainOnTent", "rain"),
        ("rain_on_a_tin_roof(1)", "rain"),
        ("Heavy Rain 10 hours", "rain"),
        ("Regen im Garten", "rain"),
        ("Pluie sur le toit", "rain"),
        ("driving rain", "rain"),
        ("Rain (no thunder)", "rain"),
        ("rain without wind or birds", "rain"),
        ("storm", "thunderstorm"),
        ("thunderstorm rain", "thunderstorm"),
        ("rain and thunder", "thunderstorm"),
        ("Gewitter-ueber-Wald", "thunderstorm"),
        ("345852__somebody__spooky-wind", "wind"),
        ("sandstorm", "wind"),
        ("snow-wind", "howling wind"),
        ("Snow storm", "howling wind"),
        ("wind in the trees", "rustling leaves"),
        ("01 waves", "ocean waves"),
        ("02_Ocean", "ocean waves"),
        ("Meeresrauschen", "ocean waves"),
        ("beach", "ocean waves"),
        ("Mountain Stream", "stream"),
        ("forest brook", "stream"),
        ("waterfalls", "waterfall"),
        ("fountain-in-the-park", "fountain"),
        ("cave drips", "dripping water"),
        ("Vögel", "bird"),
        ("Vo\u0308gel (decomposed)", "bird"),
        ("forest", "bird"),
        ("morning birds 3", "bird"),
        ("Seagulls at the harbour", "gull"),
        ("summer-night", "cricket"),
        ("crickets", "cricket"),
        ("cicadas", "cicada"),
        ("frogs in a pond", "frog"),
        ("owl at night", "owl"),
        ("cat purring", "purr"),
        ("fireplace", "fire"),
        ("camp fire by the lake", "fire"),
        ("Lagerfeuer", "fire"),
        ("fire engine", "traffic"),
        ("Café Paris", "café"),
        ("cafe\u0301", "café"),
        ("coffee-shop", "café"),
        ("CoffeeShop02", "café"),
        ("people", "crowd"),
        ("market in Marrakesh", "market"),
        ("Playground", "children playing"),
        ("city", "traffic"),
        ("city at night", "traffic"),
        ("Traffic jam", "traffic"),
        ("train", "train"),
        ("night train", "train"),
        ("subway-station", "subway"),
        ("airplane cabin", "aircraft cabin"),
        ("boat", "boat"),
        ("harbour", "moored boats"),
        ("harbour rain", "rain"),
        ("Harbor seagulls", "gull"),
        ("lake birds", "bird"),
        ("Rain, light, on leaves", "rain"),
        ("zen garden", "singing bowl"),
        ("ship's engine room", "ship"),
        ("bells", "church bell"),
        ("wind chimes", "wind chime"),
        ("windchime-loop", "wind chime"),
        ("Tibetan bowls", "singing bowl"),
        ("temple", "singing bowl"),
        ("box fan", "mechanical fan"),
        ("keyboard typing", "keyboard typing"),
        ("office", "keyboard typing"),
        ("grandfather-clock", "clock"),
        ("library", "page turning"),
        ("washing machine", "washing machine"),
        ("WHITE_NOISE_8h", "white noise"),
        ("fan noise", "mechanical fan"),
        ("brownnoise", "brown noise"),
    ],
)
def test_a_recording_is_of_the_kind_that_its_name_says(name: str, kind: str) -> None:
    found = kind_of(name)
    assert found is not None
    assert found.name == kind


@pytest.mark.parametrize(
    "name",
    ["", "01", "DSC0012", "recording 7", "track", "strain", "brainstorm", "harpy", "雨", "no rain"],
)
def test_other_names_say_nothing(name: str) -> None:
    assert kind_of(name) is None


def test_the_title_counts_as_the_name_does() -> None:
    assert kind_of("recording-7", "Rain on a tent") is all_kinds()["rain"]
    assert kind_of("wind", "Wind chimes") is all_kinds()["wind chime"]
    assert kind_of("fire", "wind") is all_kinds()["fire"], "the name first, of two equally long"
    assert kind_of("beach", "rain") is all_kinds()["rain"], "a sound before a place"


def test_a_place_is_found_under_every_name_that_a_network_has_for_it() -> None:
    assert set(every_name(["temple"])) == {"temple/asia", "temple/east_asia", "temple/south_asia"}
    assert set(every_name(["temple/asia"])) == set(every_name(["temple/south_asia"]))
    assert set(every_name(["dock"])) == {"dock", "pier"}
    assert set(every_name(["forest"])) == {"forest/broadleaf", "woodland"}
    assert every_name(["pier", "dock"]) == every_name(["pier"])
    assert "car_interior" in every_name(["car_interior/backseat"])
    assert "forest_path" not in every_name(["forest"])
    assert set(labels.miniplaces_labels()) <= set(scene_names())
    with pytest.raises(KeyError):
        every_name(["the moon"])


@pytest.mark.parametrize(
    "read", [labels.soundnet_scene_labels, labels.places365_labels, labels.miniplaces_labels]
)
def test_a_kind_is_at_home_in_the_classes_of_each_scene_network(read: object) -> None:
    assert callable(read)
    classes = read()
    home = at_home(all_kinds()["singing bowl"].scenes, classes)
    assert home.shape == (len(classes),)
    assert home.dtype == bool
    temples = [name for name in classes if name.startswith("temple/")]
    assert temples
    assert all(home[classes.index(name)] for name in temples)
    assert not home[classes.index("highway")]


def test_objects_are_not_taken_for_places() -> None:
    # ImageNet has a dock and a pier, and the places of those names are one.
    home = at_home(["dock"], labels.object_labels())
    assert np.flatnonzero(home).tolist() == [labels.object_labels().index("dock")]
    assert at_home(["crane"], labels.object_labels()).sum() == 2
    assert not at_home([], CONDITIONS).any()


def test_a_range_of_objects_is_every_one_of_them() -> None:
    dogs = all_kinds()["dog"].objects
    assert {"Chihuahua", "pug", "Mexican hairless"} <= set(dogs)
    assert not {"sea lion", "timber wolf"} & set(dogs)


def test_a_name_like_a_known_one_is_suggested() -> None:
    assert suggestion("wnd chime", list(all_kinds())) == "; did you mean wind chime?"
    assert suggestion("xyz", list(all_kinds())) == ""
