"""Measures how well chosen mixes fit photos.

A photo is a hit if its mix has at least one sound that fits its scene and none that jars. The hit
rate is the share of hits, averaged over kinds of scene (sea, woods, crowd, …), so all kinds count
equally. Photos come from a tar of ``SCENE/NAME.jpg``, fitting and jarring sounds from a CSV file
with the columns ``scene,kind,fits,jars``, the last two with names separated by spaces.
"""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from deepmersion.vision.lite import Lite
from deepmersion.vision.networks import Distributions
from deepmersion.vision.photo import load_photo

BATCH = 64
"""Photos in memory at once."""

N_RESAMPLES = 1000
"""Resamples of the bootstrap for the intervals."""


@dataclass(frozen=True)
class Expectation:
    """Expected sounds of a scene.

    Attributes
    ----------
    kind : str
        Kind of scene.
    fits, jars : frozenset of str
        Names of sounds that belong there, and of sounds that would spoil it.
    """

    kind: str
    fits: frozenset[str]
    jars: frozenset[str]


NOTHING = Expectation("", frozenset(), frozenset())

Change = Callable[[bytes], bytes]
"""Edits the bytes of a photo's file."""


@dataclass(frozen=True)
class Photos:
    """Photos of scenes, with the expected sounds and the networks' predictions.

    Attributes
    ----------
    scenes : tuple of str
        The scene of each photo.
    expected : tuple of Expectation
        The expectation for each photo's scene.
    seen : Distributions
    """

    scenes: tuple[str, ...]
    expected: tuple[Expectation, ...]
    seen: Distributions


def read_expectations(path: Path) -> dict[str, Expectation]:
    """Return the expectation for each scene."""
    with path.open(newline="", encoding="utf-8") as file:
        return {
            row["scene"]: Expectation(
                row["kind"], frozenset(row["fits"].split()), frozenset(row["jars"].split())
            )
            for row in csv.DictReader(file)
        }


def read_photos(
    tar: Path,
    networks: Lite,
    expectations: dict[str, Expectation] | None = None,
    change: Change = lambda photo: photo,
    every: int = 1,
) -> Photos:
    """Return the photos in a tar with the networks' predictions.

    Parameters
    ----------
    tar : Path
    networks : Lite
    expectations : dict of str to Expectation, optional
        Limits the photos to its scenes; without it, all are used, with empty expectations.
    change : callable
        Applied to each photo's file before it is classified.
    every : int
        Use only every such photo.
    """
    scenes: list[str] = []
    parts: list[Distributions] = []
    with tarfile.open(tar) as archive:
        wanted = (
            member
            for member in archive
            if member.isfile() and (expectations is None or _scene(member) in expectations)
        )
        members = islice(wanted, 0, None, every)
        while batch := list(islice(members, BATCH)):
            files = [file.read() for member in batch if (file := archive.extractfile(member))]
            images = [
                networks.reduced(load_photo(io.BytesIO(change(data)), min_side=networks.min_side))
                for data in files
            ]
            parts.append(networks.classify(images))
            scenes += map(_scene, batch)
    return Photos(
        tuple(scenes),
        tuple((expectations or {}).get(scene, NOTHING) for scene in scenes),
        Distributions(*(np.concatenate(p) for p in zip(*map(_rows, parts), strict=True))),
    )


def _scene(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./").rpartition("/")[0]


def _rows(seen: Distributions) -> tuple[np.ndarray, ...]:
    return seen.objects, seen.scenes, seen.conditions, seen.features


def hits(mixes: Sequence[frozenset[str]], expected: Sequence[Expectation]) -> np.ndarray:
    """Return True for each photo whose mix (the names of its sounds) is a hit, bool [photos]."""
    pairs = zip(mixes, expected, strict=True)
    return np.array([bool(mix & e.fits) and not mix & e.jars for mix, e in pairs])


def by_kind(hit: np.ndarray, expected: Sequence[Expectation]) -> dict[str, float]:
    """Return the share of hits among the photos of each kind of scene."""
    kinds = np.array([e.kind for e in expected])
    return {kind: float(hit[kinds == kind].mean()) for kind in sorted(set(kinds.tolist()))}


def hit_rate(hit: np.ndarray, expected: Sequence[Expectation]) -> float:
    """Return the mean over kinds of the shares of hits."""
    return float(np.mean(list(by_kind(hit, expected).values())))


def interval(hit: np.ndarray, expected: Sequence[Expectation]) -> tuple[float, float]:
    """Return the 95 % interval of the hit rate, from a bootstrap over the photos."""
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(hit), (N_RESAMPLES, len(hit)))
    rates = [hit_rate(hit[pick], [expected[i] for i in pick]) for pick in picks]
    low, high = np.quantile(rates, (0.025, 0.975))
    return float(low), float(high)
