"""Why a mix was chosen: the classes that decided, checked against the scores they add up to."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commandline import run, succeeded
from test_index import HEADER, some_log_probs

from deepmersion.hearing.mixes import superimpositions
from deepmersion.index.file import SoundIndex, open_index, write_index
from deepmersion.labels import places365_labels, shared_objects, shared_scenes
from deepmersion.matching import explain as explaining
from deepmersion.matching.explain import explain
from deepmersion.matching.rule import (
    CHOICE_TEMPERATURE_NATS,
    Evidence,
    choice_entropy,
    power_shares,
    search,
)

N_SOUNDS = 4
N_ENTRIES = 2**N_SOUNDS - 1


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SoundIndex]:
    gains = superimpositions(N_SOUNDS)
    blocks = iter([(some_log_probs(N_ENTRIES, 1000, 1), some_log_probs(N_ENTRIES, 401, 2))])
    names = tuple(f"sound {i}" for i in range(N_SOUNDS))
    write_index(tmp_path / "index.h5", HEADER, names, gains, blocks)
    with open_index(tmp_path / "index.h5") as opened:
        yield opened


@pytest.fixture
def seen() -> dict[str, np.ndarray]:
    return {
        head: np.exp(some_log_probs(1, n_classes, seed))
        for head, n_classes, seed in (("objects", 1000, 3), ("scenes", 365, 4))
    }


def test_all_classes_together_and_the_numbers_of_sounds_are_the_lead(
    index: SoundIndex, seen: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explaining, "N_CLASSES", 1000)
    classes = {"objects": shared_objects(), "scenes": shared_scenes(places365_labels())}
    evidence = {head: Evidence.of(seen[head], classes[head]) for head in seen}
    every = search(index, evidence, top=100)[0]
    for winner, runner_up in itertools.pairwise(sorted(every, key=lambda match: match.score)):
        reason = explain(index, seen, evidence, winner, runner_up)
        by_head = {h: sum(c.nats for c in found) for h, found in reason.contributions.items()}
        assert by_head == pytest.approx(dict(reason.by_head))
        entropy = choice_entropy(power_shares(np.stack([winner.gains, runner_up.gains])))
        expected = CHOICE_TEMPERATURE_NATS * (entropy[0] - entropy[1])
        assert reason.by_number_of_sounds == pytest.approx(expected, abs=1e-3)
        assert reason.lead_nats == pytest.approx(runner_up.score - winner.score)


def test_what_has_no_counterpart_is_reported(
    index: SoundIndex, seen: dict[str, np.ndarray]
) -> None:
    classes = {"scenes": shared_scenes(places365_labels())}
    evidence = {"scenes": Evidence.of(seen["scenes"], classes["scenes"])}
    winner, runner_up = search(index, evidence, top=2)[0]
    dropped = explain(index, seen, evidence, winner, runner_up).dropped["scenes"]
    unknown = [
        i for i, name in enumerate(places365_labels()) if name not in classes["scenes"].names
    ]
    assert unknown
    assert dropped == pytest.approx(float(seen["scenes"][0, unknown].sum()), rel=1e-5)


def test_a_person_and_a_script_get_the_reasons(china_jpg: Path) -> None:
    told = succeeded(run("match", "--json", "--explain", china_jpg)).stdout
    explanation = json.loads(told)["explanation"]
    for head in ("objects", "scenes"):
        nats = [abs(c["nats"]) for c in explanation["contributions"][head]]
        assert nats == sorted(nats, reverse=True)
        assert nats[0] > 0
    result = succeeded(run("match", "--explain", china_jpg, "-o", "-", "--duration", "1s"))
    assert b"nats before the runner-up" in result.stderr
    assert f"{explanation['lead_nats']:.2f} nats" in result.stderr.decode()


def test_without_being_asked_nothing_is_explained(china_jpg: Path) -> None:
    assert "explanation" not in json.loads(succeeded(run("match", "--json", china_jpg)).stdout)
