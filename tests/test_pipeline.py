"""What the Python interface refuses, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from material import assert_one_line

from deepmersion.errors import RequestError
from deepmersion.pipeline import Matcher


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"networks": "Lite"}, "no networks Lite; choose among auto, lite, paper"),
        ({"rule": "2017"}, "no rule 2017; choose among centred, 2018"),
        ({"use": ["sounds"]}, "objects and scenes"),
        ({"use": []}, "objects and scenes"),
    ],
)
def test_a_matcher_of_what_there_is_not_is_refused(options: dict[str, Any], part: str) -> None:
    with pytest.raises(RequestError) as caught:
        Matcher(**options)
    assert_one_line(caught.value, part)


@pytest.mark.parametrize("top", [0, -1])
def test_no_mix_at_all_is_refused_before_a_photo_is_opened(matcher: Matcher, top: int) -> None:
    with pytest.raises(RequestError) as caught:
        matcher.match_all([Path("missing.jpg")], top)
    assert_one_line(caught.value, f"{top} mixes")


@pytest.mark.parametrize("options", [{"explained": True}, {"chatter": 0.5}])
def test_the_rule_of_2018_knows_neither_reasons_nor_chatter(options: dict[str, Any]) -> None:
    with Matcher(networks="lite", rule="2018") as matcher, pytest.raises(RequestError) as caught:
        matcher.match("missing.jpg", **options)
    assert_one_line(caught.value, "the rule centred")
