from collections.abc import Callable

import pytest

from deepmersion import labels


@pytest.mark.parametrize(
    ("read", "size"),
    [
        (labels.object_labels, 1000),
        (labels.places365_labels, 365),
        (labels.miniplaces_labels, 100),
        (labels.soundnet_scene_labels, 401),
        (labels.condition_labels, 14),
    ],
)
def test_every_class_of_a_network_has_a_clean_name(
    read: Callable[[], tuple[str, ...]], size: int
) -> None:
    names = read()
    assert len(names) == size
    assert all(name and name == name.strip() for name in names)
    assert read() is names, "read again from the disk"


def test_scene_names_are_distinct() -> None:
    for names in (
        labels.places365_labels(),
        labels.miniplaces_labels(),
        labels.soundnet_scene_labels(),
    ):
        assert len(set(names)) == len(names)


def test_objects_share_only_the_two_names_that_imagenet_gives_twice() -> None:
    names = labels.object_labels()
    assert {name for name in names if names.count(name) > 1} == {"crane", "maillot"}


@pytest.mark.parametrize(
    ("position", "name"), [(0, "tench"), (497, "church"), (832, "stupa"), (999, "toilet tissue")]
)
def test_objects_stand_where_the_network_puts_them(position: int, name: str) -> None:
    assert labels.object_labels()[position] == name


def test_soundnet_knows_every_miniplaces_scene() -> None:
    assert set(labels.miniplaces_labels()) <= set(labels.soundnet_scene_labels())
