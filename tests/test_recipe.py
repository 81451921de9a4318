from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from material import assert_one_line

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


@given(
    st.dictionaries(
        st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1).filter(
            str.isprintable
        ),
        st.floats(0, 2**100, width=32),
        min_size=1,
    )
)
def test_mixes_survive_being_written_as_text(mix: dict[str, float]) -> None:
    again = parse_mix(mix_text(mix))
    assert list(again) == list(mix)
    assert [np.float32(gain) for gain in again.values()] == list(mix.values())


def test_a_mix_is_written_as_a_person_would() -> None:
    assert mix_text({"waves": 1.0, "birds": 0.5, "fire": 0.1}) == "waves=1,birds=0.5,fire=0.1"
    assert mix_text({"rain, heavy": 1.0, "a=b": 2.0}) == r"rain\, heavy=1,a\=b=2"


def test_a_mix_may_be_typed_loosely() -> None:
    assert parse_mix("waves") == {"waves": 1.0}
    assert parse_mix(" waves, far birds = .5,fire") == {"waves": 1, "far birds": 0.5, "fire": 1}


@pytest.mark.parametrize(
    "text", ["", " ", ",", "a=", "=1", "a=loud", "a=1,,b=1", "a=1=2", "a=1\\", "a b\\", "a=1,a=2"]
)
def test_text_that_is_no_mix_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_mix(text)
    assert_one_line(caught.value, "mix")
