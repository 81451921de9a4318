"""Chatter: all sounds, the better one fits by itself the louder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commandline import run_here, succeeded, the_error
from hypothesis import given
from hypothesis import strategies as st
from material import assert_one_line

from deepmersion.errors import IndexFileError, RequestError
from deepmersion.index.file import open_index
from deepmersion.labels import SharedClasses, miniplaces_labels, shared_objects, shared_scenes
from deepmersion.matching import rule
from deepmersion.matching.chatter import SMALLEST_CHATTER_GAIN, chatter, chatter_match
from deepmersion.matching.rule import Evidence, search, single_sounds
from deepmersion.pipeline import Matcher
from deepmersion.shipped import shipped_index
from deepmersion.sound.bank import open_bank

SCORES = np.array([3.0, -1.0, 0.5, 7.0])


def test_level_zero_is_the_best_sound_alone() -> None:
    assert chatter(SCORES, 0).tolist() == [0, 1, 0, 0]


def test_level_one_is_everything() -> None:
    assert chatter(SCORES, 1).tolist() == [1, 1, 1, 1]


def test_power_falls_by_the_level_from_rank_to_rank() -> None:
    gains = chatter(SCORES, 0.25)
    np.testing.assert_allclose(gains**2, [0.25**2, 1, 0.25, 0.25**3], rtol=1e-6)
    assert gains.dtype == np.float32


def test_ties_keep_their_order() -> None:
    assert chatter(np.zeros(3), 0.25).tolist() == [1, 0.5, 0.25]


@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=20),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_more_chatter_never_makes_a_sound_softer(
    scores: list[float], level: float, other: float
) -> None:
    low, high = sorted((level, other))
    softer, louder = chatter(np.array(scores), low), chatter(np.array(scores), high)
    assert (softer <= louder + 1e-6).all()
    assert louder[np.argmin(scores)] == 1
    assert ((softer == 0) | (softer >= SMALLEST_CHATTER_GAIN)).all()
    assert (np.diff(softer[np.argsort(scores, kind="stable")]) <= 0).all()


@pytest.mark.parametrize("level", [-0.1, 1.1, float("nan")])
def test_other_levels_are_refused(level: float) -> None:
    with pytest.raises(RequestError) as caught:
        chatter(SCORES, level)
    assert_one_line(caught.value, "0", "1")


def evidence(seed: int = 0) -> dict[str, Evidence]:
    """Two photos of nothing in particular."""
    rng = np.random.default_rng(seed)
    classes = {"objects": shared_objects(), "scenes": shared_scenes_of_lite()}
    return {
        head: Evidence(shared, rng.dirichlet(np.full(len(shared.names), 0.05), 2))
        for head, shared in classes.items()
    }


def shared_scenes_of_lite() -> SharedClasses:
    return shared_scenes(miniplaces_labels())


def test_sounds_are_ranked_as_the_index_ranks_their_own_entries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rule, "RIVAL_NATS", np.inf)
    monkeypatch.setattr(rule, "MAX_SOUNDS", 1)
    seen = evidence()
    with open_index(shipped_index()) as index:
        n = len(index.sounds)
        ranked = search(replace(index, gains=index.gains[:n]), seen, n)
        for found, alone in zip(single_sounds(index, seen), ranked, strict=True):
            assert len(alone) == n
            assert [m.entry for m in found] == [m.entry for m in alone]
            np.testing.assert_allclose([m.score for m in found], [m.score for m in alone])


def test_the_mix_follows_the_ranking_and_its_figures_are_means() -> None:
    with open_index(shipped_index()) as index:
        singles = single_sounds(index, evidence())[0]
    mix = chatter_match(singles, 0.5)
    order = [int(match.gains.argmax()) for match in singles]
    expected = 0.5 ** (np.arange(len(order)) / 2)
    expected[expected < SMALLEST_CHATTER_GAIN] = 0
    np.testing.assert_allclose(mix.gains[order], expected, rtol=1e-6)
    assert singles[0].score <= mix.score <= singles[-1].score
    assert mix.kl == pytest.approx(sum(mix.kl_by_label_set.values()))
    alone = chatter_match(singles, 0)
    assert (alone.gains == singles[0].gains).all()
    assert (alone.kl, alone.score) == pytest.approx((singles[0].kl, singles[0].score))


def test_an_index_without_single_sounds_is_refused() -> None:
    with open_index(shipped_index()) as index:
        rest = replace(index, gains=index.gains[len(index.sounds) :])
        with pytest.raises(IndexFileError) as caught:
            single_sounds(rest, evidence())
    assert_one_line(caught.value, "build-index")


def test_a_matcher_puts_the_chatter_mix_before_the_best_ones(
    matcher: Matcher, china_jpg: Path
) -> None:
    plain = matcher.match(china_jpg, top=2)
    mixed = matcher.match(china_jpg, top=3, chatter=0.5, explain=True)
    assert list(mixed.sounds.values()) == sorted(mixed.sounds.values(), reverse=True)
    assert len(mixed.sounds) == 14, "those that the level leaves above 40 dB below the first"
    assert [m.entry for m in mixed.matches[1:]] == [m.entry for m in plain.matches]
    assert mixed.explanation is not None
    assert mixed.explanation.lead_nats > 0


def test_a_chatter_mix_of_one_sound_is_not_named_twice(matcher: Matcher, china_jpg: Path) -> None:
    found = matcher.match(china_jpg, top=3, chatter=0)
    assert len(found.matches) == 3
    assert len({match.sounds for match in found.matches}) == 3


def test_the_command_gives_the_mix_first(china_jpg: Path, flower_jpg: Path) -> None:
    result = run_here("match", china_jpg, flower_jpg, "--json", "--top", "2", "--chatter", "1")
    for line in succeeded(result).stdout.splitlines():
        first, second = json.loads(line)["matches"]
        assert set(first["sounds"].values()) == {1.0}
        assert len(first["sounds"]) == len(open_bank().sounds)
        assert (first["rank"], second["rank"]) == (1, 2)
        assert len(second["sounds"]) < 10


def test_the_command_refuses_other_levels(china_jpg: Path) -> None:
    result = run_here("match", china_jpg, "--json", "--chatter", "2")
    assert result.returncode == 2
    assert b"--chatter" in result.stderr
    assert the_error(run_here("match", "no.jpg", "--json", "--chatter", "0"))
