"""From a request's query to values: strict, with a plain sentence for what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from urllib.parse import quote, unquote

import numpy as np
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from deepmersion.sound.recipe import gains_vector

GAIN = r"(?:[1-9][0-9]{0,2}(?:\.[0-9]{1,24})?|0?\.[0-9]{0,23}[1-9]0{0,24})"
"""A gain above zero, as a mix is written: ``1``, ``0.50``, ``.25``. As many decimals as a float64
above a hundredth may have, and some more; a float32 holds the least of them."""

AS_BROWSERS = "!'()*"
"""What JavaScript's encodeURIComponent leaves as it is, and Python's quote does not."""


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
    """Return the regular expression of a mix: ``waves=1,birds=0.5``, each sound once.

    Names are percent-encoded, so that a comma or an equals sign in one does no harm.
    """
    encoded = {quote(name, safe=safe): None for name in names for safe in ("", AS_BROWSERS)}
    part = f"(?:{'|'.join(map(re.escape, encoded))})={GAIN}"
    return f"^(?!(?:.*,)?([^=]+)=.*,\\1=){part}(?:,{part})*$"


def mix(query: QueryParams, names: Sequence[str]) -> np.ndarray:
    """Return the parameter ``mix`` as gains in the order of `names`, float32 [sounds].

    The command's own notation is no choice: it sets a backslash where addresses have a percent
    sign, and takes a name without a gain.

    Raises
    ------
    HTTPException
        400 when it is missing, is no mix of these sounds, or has one of them twice.
    """
    gains: dict[str, float] = {}
    for part in query.get("mix", "").split(","):
        name, _, gain = part.rpartition("=")
        name = unquote(name)
        if name not in names or not re.fullmatch(GAIN, gain):
            raise HTTPException(
                400,
                "mix must be sounds with gains above zero, such as "
                f"{quote(names[0], safe=AS_BROWSERS)}=1; the sounds are {', '.join(names)}",
            )
        if name in gains:
            raise HTTPException(400, f"the mix names {name} twice; name each sound once")
        gains[name] = float(gain)
    return gains_vector(gains, names)
