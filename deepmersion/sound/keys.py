"""Reads the keys of one sound in a soundbank.toml.

Each function takes the description's path, for error messages, and the sound's table, which has a
name. A missing key gives None or false; an invalid value raises SoundBankError.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from deepmersion.errors import SoundBankError
from deepmersion.kinds.table import CONDITIONS, KINDS_FILE, all_kinds, suggestion
from deepmersion.labels import LABELS

Cuts = tuple[tuple[float, float], ...]
"""Spans of a sound as (start, end) in seconds, in order; see `deepmersion.sound.cuts`."""

MAX_LEVEL_DB = 200.0
"""A loudness or gain further from zero is a mistake; no recording needs it."""


def number(description: Path, table: dict[str, Any], key: str) -> float | None:
    """Return a level in dB or LUFS, within `MAX_LEVEL_DB` of zero."""
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SoundBankError(f"{description}: {key} of {table['name']} must be a number")
    if not -MAX_LEVEL_DB <= value <= MAX_LEVEL_DB:
        raise SoundBankError(
            f"{description}: {key} of {table['name']} must be from {-MAX_LEVEL_DB:g} to "
            f"{MAX_LEVEL_DB:g} dB"
        )
    return float(value)


def flag(description: Path, table: dict[str, Any], key: str) -> bool:
    """Return a value that is true or false."""
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise SoundBankError(f"{description}: {key} of {table['name']} must be true or false")
    return value


def kind(description: Path, table: dict[str, Any]) -> str | None:
    """Return the name of a kind of sound."""
    value = table.get("kind")
    if value is None:
        return None
    if not isinstance(value, str) or value not in all_kinds():
        hint = suggestion(str(value), all_kinds()) or f"; {KINDS_FILE} lists them"
        raise SoundBankError(
            f"{description}: {value!r}, the kind of {table['name']}, is unknown{hint}"
        )
    return value


def names(
    description: Path, table: dict[str, Any], key: str, known: Collection[str]
) -> tuple[str, ...] | None:
    """Return a list of names, all of them `known`."""
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise SoundBankError(f"{description}: {key} of {table['name']} must be a list of names")
    unknown = [name for name in value if name not in known]
    if unknown:
        hint = suggestion(unknown[0], known) or f"; {_where_listed(key)}"
        raise SoundBankError(
            f"{description}: {unknown[0]!r}, among the {key} of {table['name']}, is unknown{hint}"
        )
    return tuple(value)


def _where_listed(key: str) -> str:
    if key == "conditions":
        return f"there are {', '.join(CONDITIONS)}"
    return f"the files in {LABELS} list them"


def cuts(description: Path, table: dict[str, Any]) -> Cuts | None:
    """Return the spans in which a sound may be cut."""
    spans = table.get("cuts")
    if spans is None:
        return None
    try:
        found = tuple((float(start), float(stop)) for start, stop in spans)
    except (OverflowError, TypeError, ValueError):
        found = ()
    times = [second for span in found for second in span]
    in_order = all(a < b for a, b in found) and times == sorted(times)
    if not (found and in_order and 0 <= times[0] <= times[-1] < math.inf):
        raise SoundBankError(
            f"{description}: cuts of {table['name']} must be spans of seconds in order, such as "
            "[[0.5, 1.2], [7.0, 9.0]]"
        )
    return found
