from __future__ import annotations

import math
import shlex
from urllib.parse import unquote_plus, urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from material import assert_one_line
from mix_texts import MIXES, READ

from deepmersion.errors import RequestError
from deepmersion.sound.recipe import gains_vector, mix_text, named_gains, parse_mix

NAMES = ("birds", "rain", "waves", "wind")


@given(st.lists(st.floats(0, 4, width=32), min_size=4, max_size=4).filter(any))
def test_named_gains_survive_a_round_trip(gains: list[float]) -> None:
    named = named_gains(gains, NAMES)
    assert list(named.values()) == sorted(named.values(), reverse=True)
    assert set(named) == {name for name, gain in zip(NAMES, gains, strict=True) if gain > 0}
    assert gains_vector(named, NAMES).tolist() == gains


def test_equal_gains_keep_the_order_of_the_bank() -> None:
    assert list(named_gains(np.array([0, 1, 1, 2], np.float32), NAMES)) == ["wind", "rain", "waves"]


def test_named_gains_need_as_many_gains_as_names() -> None:
    with pytest.raises(ValueError, match="shorter"):
        named_gains([1.0], NAMES)


@pytest.mark.parametrize(
    ("mix", "part"),
    [
        ({"rain": 1.0, "kazoo": 1.0}, "kazoo"),
        ({"rain": -1.0}, "zero or more, 1,000,000 at most"),
        ({"rain": math.nan}, "zero or more, 1,000,000 at most"),
        ({"rain": math.inf}, "zero or more, 1,000,000 at most"),
        ({"rain": 1e39, "waves": 1.0}, "zero or more, 1,000,000 at most"),
        ({"rain": 1e-60}, "at least one"),
        ({"rain": 0.0}, "at least one"),
        ({}, "at least one"),
    ],
)
def test_mixes_that_cannot_be_played_are_refused(mix: dict[str, float], part: str) -> None:
    with pytest.raises(RequestError) as caught:
        gains_vector(mix, NAMES)
    assert_one_line(caught.value, part)


@given(MIXES)
def test_mixes_survive_being_written_as_text(mix: dict[str, float]) -> None:
    again = parse_mix(mix_text(mix))
    assert list(again) == list(mix)
    assert [np.float32(gain) for gain in again.values()] == list(mix.values())


@given(MIXES)
def test_neither_a_shell_nor_an_address_changes_what_is_written(mix: dict[str, float]) -> None:
    text = mix_text(mix)
    assert shlex.quote(text) == text
    assert not text.startswith("-")
    assert unquote_plus(text) == text
    assert urlsplit(f"http://host/?mix={text}").query == f"mix={text}"
    assert urlsplit(f"http://host/#mix={text}").fragment == f"mix={text}"


def test_a_mix_is_written_as_a_person_would() -> None:
    assert mix_text({"waves": 1.0, "birds": 0.5, "fire": 0.1}) == "waves=1,birds=0.5,fire=0.1"
    assert mix_text({"rain, heavy": 1.0, "a=b": 2.0}) == "rain:2C:20heavy=1,a:3Db=2"
    assert mix_text({"white-noise_2.b": 1.0, "-o": 1.0}) == "white-noise_2.b=1,:2Do=1"


@pytest.mark.parametrize(("text", "mix"), READ.items())
def test_text_is_read_by_the_grammar(text: str, mix: dict[str, float] | None) -> None:
    if mix is not None:
        assert parse_mix(text) == mix
        return
    with pytest.raises(RequestError) as caught:
        parse_mix(text)
    assert_one_line(caught.value, "mix")
