"""The Python interface: requests, options and names."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import pytest
from material import assert_one_line

from deepmersion.ambience import Ambience
from deepmersion.errors import RequestError
from deepmersion.pipeline import Matcher, match
from deepmersion.request import Request


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"top": 0}, "top must be at least 1"),
        ({"top": -1}, "top must be at least 1"),
        ({"chatter": 1.1}, "from 0 (one sound) to 1"),
        ({"chatter": math.nan}, "from 0 (one sound) to 1"),
        ({"rule": "2017"}, "unknown rule 2017; choose from centred, 2018"),
        ({"rule": "2018", "explain": True}, "the rule centred"),
        ({"rule": "2018", "chatter": 0.5}, "the rule centred"),
        ({"label_sets": ["sounds"]}, "objects or scenes"),
        ({"label_sets": "scenes"}, "objects or scenes"),
        ({"label_sets": []}, "objects or scenes"),
    ],
)
def test_a_wrong_request_is_refused_before_a_photo_is_opened(
    matcher: Matcher, options: dict[str, Any], part: str
) -> None:
    for ask in (
        lambda: Request(**options),
        lambda: matcher.match("missing.jpg", **options),
        lambda: matcher.match_all(["missing.jpg"], **options),
        lambda: match("missing.jpg", networks="lite", **options),
    ):
        with pytest.raises(RequestError) as caught:
            ask()
        assert_one_line(caught.value, part)


def test_unknown_networks_are_refused() -> None:
    with pytest.raises(RequestError) as caught:
        Matcher(networks="Lite")  # type: ignore[arg-type]
    assert_one_line(caught.value, "unknown networks Lite; choose from auto, lite, paper")


def test_options_are_fields_of_the_request(matcher: Matcher, china_jpg: Path) -> None:
    request = Request(top=3, label_sets=["scenes"])
    found = matcher.match(china_jpg, request)
    assert len(found.matches) == 3
    assert set(found.best.kl_by_label_set) == {"scenes"}
    assert matcher.match(china_jpg, top=3, label_sets=["scenes"]).record() == found.record()
    (same,) = matcher.match_all([china_jpg], request)
    assert isinstance(same, Ambience)
    assert same.record() == found.record()
    assert len(matcher.match(china_jpg, request, top=2).matches) == 2
    assert set(matcher.match(china_jpg).best.kl_by_label_set) == {"objects", "scenes"}
    with pytest.raises(TypeError, match="tops"):
        matcher.match(china_jpg, tops=3)


def test_a_photo_may_be_given_a_name(matcher: Matcher, china_jpg: Path) -> None:
    nameless = io.BytesIO(china_jpg.read_bytes())
    assert matcher.match(nameless, name="garden").photo == "garden"
    assert matcher.match(china_jpg).photo == str(china_jpg)
