"""Option types: parse text into values."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import click

from deepmersion.request import LABEL_SETS, WITNESSES
from deepmersion.sound.names import BLANKET

SECONDS_PER_UNIT = {"": 1, "s": 1, "m": 60, "h": 3600}

SHORTEST_WAIT_S = 1.0
"""Between two looks at an address: a server is not to be asked more often."""

MAX_CARD_DIGITS = 9
"""PortAudio counts sound cards in 32 bits."""

PATH = click.Path(path_type=Path, readable=False)
"""A path unchecked by click: a missing file is an error, not a mistake in usage."""


class _SoundBank(click.Path):
    """A folder, or the name of a published bank as text: a folder called so is ``./blanket``."""

    name = "sound bank"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return value if value == BLANKET else super().convert(value, param, ctx)


SOUND_BANK = _SoundBank(path_type=Path, readable=False)
"""A folder of sounds, which click does not check, or the name of a published bank."""


class _Watched(click.Path):
    """A folder, or an address."""

    name = "folder"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if isinstance(value, str) and is_address(value):
            from deepmersion.fetching.address import Address

            return Address(value)
        return super().convert(value, param, ctx)


WATCHED = _Watched(path_type=Path, readable=False)
"""A folder of photos, which click does not check, or the address of a webcam."""


def is_address(text: str) -> bool:
    """Return whether a text is an address rather than a file's path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def wait(text: str) -> float:
    """Return the time between two looks at an address, in seconds."""
    seconds = duration(text)
    if seconds < SHORTEST_WAIT_S:
        raise click.BadParameter(f"it must be {SHORTEST_WAIT_S:g} s or more")
    return seconds


def duration(text: str) -> float:
    """Return a length of time such as ``90``, ``90s``, ``10m`` or ``1h`` in seconds."""
    parts = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([smh]?)", text.strip().lower(), re.ASCII)
    if not parts:
        raise click.BadParameter(
            f"{text!r} is not a duration; write for example 90, 90s, 10m or 1h"
        )
    seconds = float(parts[1]) * SECONDS_PER_UNIT[parts[2]]
    if not math.isfinite(seconds):
        raise click.BadParameter("that is too long; leave it out to play without end")
    return seconds


def positive_duration(text: str) -> float:
    """Return a duration in seconds that is longer than zero."""
    seconds = duration(text)
    if not seconds:
        raise click.BadParameter("it must be longer than zero")
    return seconds


def witnesses(text: str) -> tuple[str, ...]:
    """Return the witnesses named in a text such as ``soundnet,kinds``."""
    chosen = tuple(part.strip() for part in text.split(","))
    if not set(chosen) <= set(WITNESSES):
        raise click.BadParameter(f"{text!r}: choose one or more of {','.join(WITNESSES)}")
    return chosen


def label_sets(text: str) -> tuple[str, ...]:
    """Return the label sets named in ``objects``, ``scenes`` or ``objects,scenes``."""
    chosen = tuple(part.strip() for part in text.split(","))
    if not set(chosen) <= set(LABEL_SETS):
        raise click.BadParameter(f"{text!r}: choose objects, scenes or objects,scenes")
    return chosen


def sound_card(text: str) -> str | int:
    """Return the number of a device as int, or its name."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= MAX_CARD_DIGITS
    return int(text) if is_number else text
