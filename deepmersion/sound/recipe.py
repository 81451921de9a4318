"""Mixes as text that people read and write: sounds by name, with their gains.

`deepmersion play`, ``GET /api/mix`` and the page's address (``web/static/mix.js``) share one
grammar::

    mix   = sound *( "," sound )           ; each sound once
    sound = name [ "=" gain ]              ; a gain left out is 1
    name  = 1*( character / ":" HEX HEX )  ; a character other than "," "=" ":", or a byte of UTF-8
    gain  = a decimal number, such as 1, 0.25 or .5

Spaces around a name or a gain do not count. `mix_text` escapes every character with a special
meaning in a shell or a URL, so both pass its text on unchanged: ``rain:2C:20heavy=1,waves=0.5``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote

import numpy as np

from deepmersion.errors import RequestError

MAX_GAIN = 1e6
"""120 dB, more than any mix needs: only the ratios of gains count."""

_NAME = re.compile(r"(?:[^:,=]|:[0-9A-Fa-f]{2})+")
_GAIN = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")


def named_gains(gains: Sequence[float] | np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Return a mix as gains by name, the loudest first, silent sounds left out."""
    chosen = [(name, float(gain)) for name, gain in zip(names, gains, strict=True) if gain > 0]
    return dict(sorted(chosen, key=lambda item: -item[1]))


def gains_vector(mix: Mapping[str, float], names: Sequence[str]) -> np.ndarray:
    """Return a mix given by name as gains in the order of `names`, float32.

    Raises
    ------
    RequestError
        When a name is unknown, a gain is below zero or above `MAX_GAIN`, or all are zero.
    """
    for name in mix:
        if name not in names:
            raise RequestError(f"there is no sound called {name}; choose from {', '.join(names)}")
    gains = np.array([mix.get(name, 0.0) for name in names])
    if not ((gains >= 0) & (gains <= MAX_GAIN)).all() or not gains.astype(np.float32).any():
        raise RequestError(
            f"gains must be zero or more, {MAX_GAIN:,.0f} at most, and at least one above zero"
        )
    return gains.astype(np.float32)


def mix_text(mix: Mapping[str, float]) -> str:
    """Return a mix as text that `parse_mix` reads, such as ``waves=1,birds=0.5``.

    It consists of ASCII letters, digits and ``- _ . : , =``, and does not begin with ``-`` like an
    option. Gains have as many digits as it takes to restore the same float32.
    """
    return ",".join(
        f"{escaped(name)}={np.format_float_positional(np.float32(gain), trim='-')}"
        for name, gain in mix.items()
    )


def escaped(name: str) -> str:
    """Return a sound's name as `mix_text` writes it."""
    text = quote(name, safe="").replace("~", "%7E").replace("%", ":")
    return f":2D{text[1:]}" if text.startswith("-") else text


def parse_mix(text: str) -> dict[str, float]:
    """Return the gains by name of a mix given as text; a name alone has the gain 1.

    Raises
    ------
    RequestError
        When the text does not follow the grammar, or names a sound twice.
    """
    mix: dict[str, float] = {}
    for sound in text.split(","):
        name, equals, gain = (part.strip(" ") for part in sound.partition("="))
        try:
            if not _NAME.fullmatch(name) or not (_GAIN.fullmatch(gain) or not equals):
                raise ValueError
            name = unquote(name.replace("%", "%25").replace(":", "%"), errors="strict")
        except ValueError:
            raise RequestError(
                f"{text!r} is not a mix; write sounds and their gains, for example "
                "waves=1,birds=0.5, and a comma in a name as :2C"
            ) from None
        if name in mix:
            raise RequestError(f"the mix names {name} twice; name each sound once")
        mix[name] = float(gain) if equals else 1.0
    return mix
