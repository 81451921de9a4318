"""Why a mix was chosen: the classes that decided, checked against the scores they add up to."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commandline import run, run_here, succeeded
from test_index import HEADER, some_log_probs

from deepmersion.hearing.mixes import superimpositions
from deepmersion.index.file import SoundIndex, open_index, write_index
from deepmersion.labels import object_labels, places365_labels, shared_objects, shared_scenes
from deepmersion.matching import explain as explaining
from deepmersion.matching import rule
from deepmersion.matching.explain import MIN_REASON_NATS, Seen, explain, reasons
from deepmersion.matching.rule import (
    CHOICE_TEMPERATURE_NATS,
    Evidence,
    choice_entropy,
    gains_in_index,
    power_shares,
    search,
    single_sounds,
)
from deepmersion.matching.witnesses import home_divergences

N_SOUNDS = 4
N_ENTRIES = 2**N_SOUNDS - 1


@pytest.fixture(params=[N_ENTRIES, N_SOUNDS], ids=["mixes", "single sounds"])
def index(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SoundIndex]:
    n = request.param
    gains = superimpositions(N_SOUNDS)[:n]
    blocks = iter([(some_log_probs(n, 1000, 1), some_log_probs(n, 401, 2))])
    names = tuple(f"sound {i}" for i in range(N_SOUNDS))
    write_index(tmp_path / "index.h5", HEADER, names, gains, blocks)
    with open_index(tmp_path / "index.h5") as opened:
        yield opened


LABELS = {
    "objects": object_labels(),
    "scenes": places365_labels(),
    "conditions": ("rain", "night", "flames", "other"),
}
HOME = {
    name: np.random.default_rng(9).random((N_SOUNDS, len(labels))) < 0.2
    for name, labels in LABELS.items()
}


@pytest.fixture
def seen() -> Seen:
    """A photo of nothing in particular, and sounds at home anywhere."""
    probs = {
        "objects": np.exp(some_log_probs(1, 1000, 3)),
        "scenes": np.exp(some_log_probs(1, 365, 4)),
        "conditions": np.array([[0.5, 0.1, 0.3, 0.1]]),
    }
    classes = {"objects": shared_objects(), "scenes": shared_scenes(places365_labels())}
    evidence = {name: Evidence.of(probs[name], shared) for name, shared in classes.items()}
    return Seen(evidence, {name: rows[0] for name, rows in probs.items()}, LABELS, HOME)


def known(seen: Seen) -> np.ndarray:
    """What is known of the sounds' kinds, as the search takes it."""
    return home_divergences(seen.home, {name: rows[None] for name, rows in seen.probs.items()})


def test_all_witnesses_and_the_numbers_of_sounds_are_the_lead(
    index: SoundIndex, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explaining, "N_CLASSES", 1000)
    monkeypatch.setattr(rule, "RIVAL_NATS", 1000)
    (every,) = search(index, seen.evidence, top=100, known=known(seen))
    assert len(every) > 2
    for winner, runner_up in itertools.pairwise(every):
        found = explain(index, seen, winner, runner_up)
        parts = [c for listed in found.contributions.values() for c in listed]
        by_witness = found.by_witness
        assert set(by_witness) == {"soundnet", "kinds", "conditions"}
        heard = sum(c.heard for c in parts)
        assert heard == pytest.approx(by_witness["soundnet"])
        kind = sum(c.known for c in parts)
        assert kind == pytest.approx(by_witness["kinds"] + by_witness["conditions"])
        made = [gains_in_index(index, mix) for mix in (winner, runner_up)]
        entropy = choice_entropy(power_shares(np.stack(made)))
        expected = CHOICE_TEMPERATURE_NATS * (entropy[0] - entropy[1])
        assert found.by_number_of_sounds == pytest.approx(expected, abs=1e-3)
        assert found.lead_nats == pytest.approx(runner_up.score - winner.score)


def test_a_sounds_reasons_add_up_to_how_much_better_it_fits_than_an_average_sound(
    index: SoundIndex, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explaining, "N_REASONS", 1000)
    monkeypatch.setattr(explaining, "MIN_REASON_NATS", -1000)
    monkeypatch.setattr(explaining, "_is_likely", lambda _p, _n: True)
    (singles,) = single_sounds(index, seen.evidence, known=known(seen))
    average = np.mean([match.score for match in singles])
    for match in singles:
        ((listed),) = reasons(index, seen, match).values()
        assert sum(reason.nats for reason in listed) == pytest.approx(average - match.score)


def test_a_class_is_only_a_reason_if_it_was_one(index: SoundIndex, seen: Seen) -> None:
    (best,) = search(index, seen.evidence, known=known(seen))[0]
    for sound, listed in reasons(index, seen, best).items():
        number = index.sounds.index(sound)
        assert [reason.nats for reason in listed] == sorted((r.nats for r in listed), reverse=True)
        for reason in listed:
            assert reason.nats >= MIN_REASON_NATS
            place = LABELS[reason.label_set].index(reason.label)
            assert reason.photo == pytest.approx(seen.probs[reason.label_set][place])
            if reason.witness != "soundnet":
                assert HOME[reason.label_set][number, place]


def test_a_witness_that_is_not_listened_to_is_no_reason(index: SoundIndex, seen: Seen) -> None:
    only = replace(seen, evidence={}, home={"conditions": HOME["conditions"]})
    heard_nothing = search(index, seen.evidence, known=known(only), soundnet=False)[0][0]
    found = explain(index, only, heard_nothing, None)
    assert {r.witness for listed in found.reasons.values() for r in listed} == {"conditions"}
    assert found.lead_nats == 0


def test_what_has_no_counterpart_is_reported(index: SoundIndex, seen: Seen) -> None:
    (winner,) = search(index, seen.evidence)[0]
    dropped = explain(index, seen, winner, None).dropped["scenes"]
    names = shared_scenes(places365_labels()).names
    unknown = [i for i, name in enumerate(places365_labels()) if name not in names]
    assert unknown
    assert dropped == pytest.approx(float(seen.probs["scenes"][unknown].sum()), rel=1e-5)


def test_a_person_gets_sentences_and_a_script_the_figures(china_jpg: Path) -> None:
    told = json.loads(succeeded(run_here("match", "--json", "--explain", china_jpg)).stdout)
    explanation = told["explanation"]
    for label_set in ("objects", "scenes", "conditions"):
        nats = [abs(c["nats"]) for c in explanation["contributions"][label_set]]
        assert nats == sorted(nats, reverse=True)
    result = succeeded(run("match", "--explain", china_jpg, "-o", "-", "--duration", "1s"))
    words = result.stderr.decode()
    assert all(sentence in words for sentence in told["why"])
    assert len(told["why"]) == len(told["matches"][0]["sounds"])
    assert "nats" not in words
    result = succeeded(run("match", "--explain", "-v", china_jpg, "-o", "-", "--duration", "1s"))
    assert f"{explanation['lead_nats']:.2f} nats before the runner-up" in result.stderr.decode()


def test_without_being_asked_nothing_is_explained(china_jpg: Path) -> None:
    assert "explanation" not in json.loads(succeeded(run_here("match", "--json", china_jpg)).stdout)
