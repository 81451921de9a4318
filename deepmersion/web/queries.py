"""Parses a request's query strictly, with one clear sentence for each error."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from starlette.datastructures import QueryParams

from deepmersion.errors import RequestError
from deepmersion.places.place import checked_mix, checked_name
from deepmersion.request import split_labels
from deepmersion.sound.recipe import gains_vector, parse_mix

FLAGS = ("false", "true")
"""Choices of a parameter that is off or on."""


def whole_number(query: QueryParams, name: str, default: int, low: int, high: int) -> int:
    """Return a parameter that is a whole number from `low` to `high`."""
    return int(number(query, name, float(default), low, high, whole=True))


def number(
    query: QueryParams, name: str, default: float, low: float, high: float, *, whole: bool = False
) -> float:
    """Return a parameter that is a number from `low` to `high`.

    Raises
    ------
    RequestError
        When it is not.
    """
    text = query.get(name)
    if text is None:
        return default
    value = float(text) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?", text) else math.nan
    if not low <= value <= high or (whole and value % 1):
        kind = "a whole number" if whole else "a number"
        raise RequestError(f"{name} must be {kind} from {low:g} to {high:g}")
    return value


def one_of(query: QueryParams, name: str, choices: Sequence[str]) -> str:
    """Return a parameter that is one of `choices`; the first if it is missing.

    Raises
    ------
    RequestError
        When it is another word.
    """
    word = query.get(name, choices[0])
    if word not in choices:
        raise RequestError(f"{name} must be one of: {' '.join(choices)}")
    return word


def flag(query: QueryParams, name: str, *, default: bool = False) -> bool:
    """Return a parameter that is ``true`` or ``false``; raises as `one_of`."""
    return one_of(query, name, FLAGS) == "true" if name in query else default


def mix(query: QueryParams, names: Sequence[str]) -> np.ndarray:
    """Return the parameter ``mix`` as gains in the order of `names`, float32 [sounds].

    Raises
    ------
    RequestError
        When it is missing, or is not a mix of these sounds.
    """
    return gains_vector(parse_mix(query.get("mix", "")), names)


def mix_text(query: QueryParams, names: Sequence[str]) -> str:
    """Return the parameter ``mix`` as text to keep; raises as `mix`, or if it is too long."""
    mix(query, names)
    return checked_mix(query.get("mix", ""))


def place_name(query: QueryParams) -> str:
    """Return the parameter ``name`` as that of a place.

    Raises
    ------
    RequestError
        When it is missing or no name.
    """
    return checked_name(query.get("name", ""))


def labels(query: QueryParams, name: str) -> tuple[str, ...]:
    """Return a parameter that lists classes, separated by commas."""
    return split_labels(query.get(name, ""))
