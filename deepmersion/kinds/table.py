"""The table of kinds of ambient sound and the places where each is at home.

``data/kinds.toml`` lists about eighty, with the words that people use for them and the scenes,
objects and conditions of a photo in which each is usually heard.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from deepmersion.labels import (
    SAME_PLACE,
    object_labels,
    places365_labels,
    soundnet_scene_labels,
)
from deepmersion.shipped import DATA
from deepmersion.toml import load_toml

KINDS_FILE = DATA / "kinds.toml"

CONDITIONS = (
    "rain",
    "lightning",
    "snow",
    "night",
    "flames",
    "running water",
    "surf",
    "busy room",
    "people outdoors",
    "traffic",
)
"""The audible conditions of a photo. Fog and fair weather are silent."""

RANGE = " ... "
"""Between two objects in kinds.toml: a range in ImageNet's order, both ends included."""


@dataclass(frozen=True)
class Kind:
    """A kind of ambient sound.

    Attributes
    ----------
    name : str
        As in AudioSet's ontology (Gemmeke et al. 2017) where it has the sound.
    words : tuple of str
        Other names for it in file names and titles.
    settings : tuple of str
        Places and times that suggest it by themselves, if no word names a sound.
    scenes : tuple of str
        Scenes of SoundNet and Places365 where it is at home, under all of their names.
    objects : tuple of str
        Objects of ImageNet near which it is heard.
    conditions : tuple of str
        Of `CONDITIONS`.
    """

    name: str
    words: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    scenes: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()


@cache
def all_kinds() -> Mapping[str, Kind]:
    """Return every kind by its name, in the order of kinds.toml."""
    tables = load_toml(KINDS_FILE)
    return {name: _kind(name, table) for name, table in tables.items()}


def _kind(name: str, table: Mapping[str, str]) -> Kind:
    listed = {key: re.split(r",\s+", text) for key, text in table.items()}
    return Kind(
        name=name,
        words=tuple(listed.get("words", ())),
        settings=tuple(listed.get("settings", ())),
        scenes=every_name(listed.get("scenes", ())),
        objects=tuple(o for part in listed.get("objects", ()) for o in _objects(part)),
        conditions=tuple(listed.get("conditions", ())),
    )


def _objects(part: str) -> tuple[str, ...]:
    first, separator, last = part.partition(RANGE)
    if not separator:
        return (part,)
    names = object_labels()
    return names[names.index(first) : names.index(last) + 1]


@cache
def scene_names() -> Mapping[str, tuple[str, ...]]:
    """Return every accepted name of a scene, with the classes that it stands for.

    A class's own name stands for it and for the same place in the other network's classes;
    "forest" stands for all classes that begin with "forest/".
    """
    classes: dict[str, dict[str, None]] = defaultdict(dict)
    for scene in (*soundnet_scene_labels(), *places365_labels()):
        place = SAME_PLACE.get(scene, scene)
        for name in (scene, place, scene.partition("/")[0], place.partition("/")[0]):
            classes[name][scene] = None
    for alias, place in SAME_PLACE.items():
        classes[alias] |= classes[place]
    return {name: tuple(found) for name, found in classes.items()}


def every_name(scenes: Sequence[str]) -> tuple[str, ...]:
    """Return scenes under all names that SoundNet and Places365 have for them.

    Parameters
    ----------
    scenes : sequence of str
        Of `scene_names`.

    Raises
    ------
    KeyError
        When a scene is unknown.
    """
    return tuple(dict.fromkeys(name for scene in scenes for name in scene_names()[scene]))


def at_home(names: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Return True for each class that is among `names`, bool [classes].

    Parameters
    ----------
    names : sequence of str
        A kind's scenes, objects or conditions.
    labels : sequence of str
        The classes of a network, or those that two networks share. A name that occurs twice
        (ImageNet's "crane") matches both times.
    """
    home = set(names)
    return np.array([label in home for label in labels], dtype=bool)


def suggestion(unknown: str, names: Iterable[str]) -> str:
    """Return ``"; did you mean NAME?"`` with the known name closest to an unknown one, or ""."""
    import difflib  # slow, and needed only for an error

    near = difflib.get_close_matches(unknown, list(names), n=1)
    return f"; did you mean {near[0]}?" if near else ""
