"""Which networks `auto` takes, and what it says of its choice."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import run, succeeded

from deepmersion.vision.choose import load_networks
from deepmersion.weights.store import SPECS


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("DEEPMERSION_CACHE", str(tmp_path))
    return tmp_path


def stand_in(name: str) -> None:
    """Put a file of the published size, but of nothing else that is published, in the cache."""
    with SPECS[name].path.open("wb") as file:
        file.truncate(SPECS[name].size)


def test_without_the_papers_weights_auto_takes_lite_and_says_how_to_get_them(
    cache: Path, china_jpg: Path
) -> None:
    result = succeeded(run("match", "--json", china_jpg))
    (line,) = result.stderr.decode().splitlines()
    assert line.startswith("Networks: lite")
    assert "deepmersion weights fetch paper" in line
    assert not list(cache.iterdir())


@pytest.mark.usefixtures("cache")
def test_one_of_two_files_is_not_enough() -> None:
    told: list[str] = []
    stand_in("places365")
    assert load_networks("auto", on_choice=told.append).name == "lite"
    assert "fetch paper" in told[0]


@pytest.mark.usefixtures("cache")
def test_damaged_files_are_named_and_lite_is_taken() -> None:
    told: list[str] = []
    stand_in("vgg16")
    stand_in("places365")
    assert load_networks("auto", on_choice=told.append).name == "lite"
    (line,) = told
    assert line.startswith("lite")
    assert str(SPECS["vgg16"].path) in line
    assert "not the published file" in line


@pytest.mark.usefixtures("cache")
def test_nothing_is_said_of_networks_that_were_asked_for() -> None:
    told: list[str] = []
    assert load_networks("lite", on_choice=told.append).name == "lite"
    assert not told
