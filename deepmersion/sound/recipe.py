"""The recipe of a mix, which people read and write: its sounds by name, and their gains."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from deepmersion.errors import RequestError

MAX_GAIN = 1e6
"""More than anybody means: only the ratios of gains count, and this is 120 dB."""

_PART = re.compile(r"\s*((?:\\.|[^\\,=\s])(?:\\.|[^\\,=])*?)\s*(?:=([^,=]*))?(?:,|$)")
"""One sound of a mix as text: its name, in which a backslash takes away a sign's meaning, and
perhaps its gain."""


def named_gains(gains: Sequence[float] | np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Return a mix as gains by name, the loudest first, silent sounds left out."""
    chosen = [(name, float(gain)) for name, gain in zip(names, gains, strict=True) if gain > 0]
    return dict(sorted(chosen, key=lambda item: -item[1]))


def gains_vector(mix: Mapping[str, float], names: Sequence[str]) -> np.ndarray:
    """Return a mix given by name as gains in the order of `names`, float32.

    Raises
    ------
    RequestError
        When a name is not among them, a gain is below zero or above `MAX_GAIN`, or all are zero.
    """
    unknown = [name for name in mix if name not in names]
    if unknown:
        raise RequestError(f"there is no sound called {unknown[0]}; choose from {', '.join(names)}")
    gains = np.array([mix.get(name, 0.0) for name in names])
    if not ((gains >= 0) & (gains <= MAX_GAIN)).all() or not gains.astype(np.float32).any():
        raise RequestError(
            f"gains must be zero or more, {MAX_GAIN:,.0f} at most, and at least one above zero"
        )
    return gains.astype(np.float32)


def mix_text(mix: Mapping[str, float]) -> str:
    r"""Return a mix as text that `parse_mix` reads, such as ``waves=1,birds=0.5``.

    Commas, equals signs and backslashes in names, and spaces around them, stand behind a
    backslash. Gains are as long as they must be for the same float32 to come back.
    """
    return ",".join(
        re.sub(r"[\\,=]|^\s|\s$", r"\\\g<0>", name)
        + "="
        + np.format_float_positional(np.float32(gain), trim="-")
        for name, gain in mix.items()
    )


def parse_mix(text: str) -> dict[str, float]:
    """Return the gains by name of a mix as text; a name alone has the gain 1.

    Raises
    ------
    RequestError
        When the text is no mix, or names a sound twice.
    """
    mix: dict[str, float] = {}
    position = 0
    while position < len(text) or not mix:
        part = _PART.match(text, position)
        try:
            if part is None:
                raise ValueError
            gain = 1.0 if part[2] is None else float(part[2])
        except ValueError:
            raise RequestError(
                f"{text!r} is no mix; write sounds and their gains, for example waves=1,birds=0.5"
            ) from None
        name = re.sub(r"\\(.)", r"\1", part[1])
        if name in mix:
            raise RequestError(f"the mix names {name} twice; name each sound once")
        mix[name] = gain
        position = part.end()
    return mix
