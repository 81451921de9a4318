"""From a request's query to values: strict, with a plain sentence for what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from urllib.parse import quote, unquote

import numpy as np
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from deepmersion.mixing import gains_vector

GAIN = r"(?:[1-9][0-9]{0,2}(?:\.[0-9]{1,6})?|0?\.[0-9]{0,5}[1-9])"
"""A gain above zero, as a mix is written: ``1``, ``0.5``, ``.25``."""


def whole_number(query: QueryParams, name: str, default: int, low: int, high: int) -> int:
    """Return a parameter that is a whole number from `low` to `high`."""
    return int(number(query, name, float(default), low, high, whole=True))


def number(
    query: QueryParams, name: str, default: float, low: float, high: float, *, whole: bool = False
) -> float:
    """Return a parameter that is a number from `low` to `high`.

    Raises
    ------
    HTTPException
        400 when it is not.
    """
    text = query.get(name)
    if text is None:
        return default
    value = float(text) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?", text) else math.nan
    if not low <= value <= high or (whole and value % 1):
        kind = "a whole number" if whole else "a number"
        raise HTTPException(400, f"{name} must be {kind} from {low:g} to {high:g}")
    return value


def one_of(query: QueryParams, name: str, choices: Sequence[str]) -> str:
    """Return a parameter that is one of some words; the first when it is not given.

    Raises
    ------
    HTTPException
        400 when it is another word.
    """
    word = query.get(name, choices[0])
    if word not in choices:
        raise HTTPException(400, f"{name} must be one of: {' '.join(choices)}")
    return word


def mix_pattern(names: Sequence[str]) -> str:
    """Return the regular expression of a mix: ``waves=1,birds=0.5``.

    Names are percent-encoded, so that a comma or an equals sign in one does no harm.
    """
    part = f"(?:{'|'.join(re.escape(quote(name, safe='')) for name in names)})={GAIN}"
    return f"^{part}(?:,{part})*$"


def mix(query: QueryParams, names: Sequence[str]) -> np.ndarray:
    """Return the parameter ``mix`` as gains in the order of `names`, float32 [sounds].

    Raises
    ------
    HTTPException
        400 when it is missing or is no mix of these sounds.
    """
    text = query.get("mix", "")
    if not re.fullmatch(mix_pattern(names)[1:-1], text):
        raise HTTPException(
            400,
            "mix must be sounds with gains above zero, such as "
            f"{quote(names[0], safe='')}=1; the sounds are {', '.join(names)}",
        )
    parts = [part.rpartition("=") for part in text.split(",")]
    return gains_vector({unquote(name): float(gain) for name, _, gain in parts}, names)
