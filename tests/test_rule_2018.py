"""The rule of 2018 against its definition, and from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commandline import run_here, succeeded, the_error
from test_index import HEADER, some_log_probs

from deepmersion.hearing.mixes import superimpositions
from deepmersion.index.file import SoundIndex, open_index, write_index
from deepmersion.labels import miniplaces_labels, shared_objects, shared_scenes
from deepmersion.matching import rule_2018 as prototype
from deepmersion.matching.rule import Evidence, log_project
from deepmersion.matching.rule_2018 import search_as_in_2018


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SoundIndex]:
    gains = superimpositions(4)
    blocks = iter([(some_log_probs(15, 1000, 1), some_log_probs(15, 401, 2))])
    write_index(tmp_path / "a.h5", HEADER, tuple("abcd"), gains, blocks)
    with open_index(tmp_path / "a.h5") as opened:
        yield opened


@pytest.fixture
def evidence() -> dict[str, Evidence]:
    objects, scenes = np.exp(some_log_probs(2, 1000, 3)), np.exp(some_log_probs(2, 100, 4))
    return {
        "objects": Evidence.of(objects, shared_objects()),
        "scenes": Evidence.of(scenes, shared_scenes(miniplaces_labels())),
    }


def test_the_ranking_is_by_the_definition(
    index: SoundIndex, evidence: dict[str, Evidence], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = np.zeros((15, 2))
    for head, seen in evidence.items():
        q = np.exp(log_project(index.log_probs(head), seen.classes).astype(float))
        for photo, p in enumerate(seen.probs):
            expected[:, photo] += (q * np.log(q / np.maximum(p, 1e-9))).sum(axis=1)
    monkeypatch.setattr(prototype, "CHUNK_ENTRIES", 4)
    for photo, found in enumerate(search_as_in_2018(index, evidence, top=15)):
        order = np.argsort(expected[:, photo])
        assert [match.entry for match in found] == order.tolist()
        assert [match.score for match in found] == pytest.approx(expected[order, photo], abs=1e-4)


def test_a_photo_that_rules_a_class_out_gives_finite_scores(index: SoundIndex) -> None:
    seen = np.zeros((1, 1000))
    seen[0, 3] = 1.0
    ((best,),) = search_as_in_2018(index, {"objects": Evidence.of(seen, shared_objects())})
    assert np.isfinite(best.score)


def test_the_command_knows_both_rules(china_jpg: Path) -> None:
    records = [
        json.loads(succeeded(run_here("match", "--json", "--rule", rule, china_jpg)).stdout)
        for rule in ("centred", "2018")
    ]
    assert records[0]["scenes"] == records[1]["scenes"]
    scores = [record["matches"][0]["score"] for record in records]
    assert scores[0] != scores[1]
    assert scores[1] >= 0, "a divergence, not centred"


def test_the_old_rule_is_not_explained(china_jpg: Path) -> None:
    result = run_here("match", "--json", "--rule", "2018", "--explain", china_jpg)
    assert "use the rule centred" in the_error(result, exit_code=2)
    assert b"Networks: " not in result.stderr, "said before anything slow begins"
