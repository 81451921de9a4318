"""Reads TOML from elsewhere: bounded before it is parsed.

Python's parser takes a time that grows with the square of a key's length, and ends in errors of its
own at deep nesting and at numbers of many digits.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from deepmersion.errors import in_one_line
from deepmersion.files import open_regular

MAX_BYTES = 4_000_000
"""Largest file; a bank of a thousand sounds has a few hundred kilobytes."""

MAX_LINE = 100_000
"""Longest line: the cuts of an hour-long recording take 20,000 characters."""

MAX_DIGITS = 1_000
"""Most digits of a number; none needs more than twenty."""

MAX_BRACKETS = 20
"""Most brackets or braces that open one after another; lists in lists have two."""

MAX_DOTS = 10
"""Most dots in one key."""

_STRINGS = re.compile(
    r'"""[\s\S]*?"""' r"|'''[\s\S]*?'''" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'" r"|#[^\n]*"
)
"""Strings and comments, in which anything may stand."""

_DIGITS = re.compile(rf"[0-9][0-9_]{{{MAX_DIGITS},}}|0x[0-9A-Fa-f_]{{{MAX_DIGITS},}}")

_BETWEEN_KEYS = re.compile(r"[=,\[\]{}]")


class TomlError(Exception):
    """A file is not valid TOML; the message says where and why."""


def load_toml(path: Path) -> dict[str, Any]:
    """Return the contents of a TOML file.

    A byte order mark, which some editors write, is skipped.

    Raises
    ------
    TomlError
        When it is not valid, or beyond the bounds above.
    OSError
        When it cannot be read.
    """
    with open_regular(path) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise TomlError(f"it has more than {MAX_BYTES:,} bytes")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
        _require_bounds(text)
        return tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, ValueError) as error:
        raise TomlError(in_one_line(error)) from error
    except RecursionError as error:
        raise TomlError("it is nested too deeply") from error


def _require_bounds(text: str) -> None:
    """Raise TomlError for what would keep the parser busy, with its line."""
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_LINE:
            raise TomlError(f"line {number} has more than {MAX_LINE:,} characters")
    # Of strings remain their line breaks, to count lines by, and a character for a key's part.
    bare = _STRINGS.sub(lambda found: "s" + "\n" * found[0].count("\n"), text)
    if found := _DIGITS.search(bare):
        raise TomlError(f"a number of {len(found[0]):,} digits at line {_line(bare, found)}")
    for number, line in enumerate(bare.split("\n"), 1):
        if any(key.count(".") > MAX_DOTS for key in _BETWEEN_KEYS.split(line)):
            raise TomlError(f"a key of more than {MAX_DOTS} dots at line {number}")
    depth = 0
    for bracket in re.finditer(r"[\[{\]}]", bare):
        depth = depth + 1 if bracket[0] in "[{" else max(0, depth - 1)
        if depth > MAX_BRACKETS:
            raise TomlError(f"more than {MAX_BRACKETS} brackets at line {_line(bare, bracket)}")


def _line(text: str, found: re.Match[str]) -> int:
    return text.count("\n", 0, found.start()) + 1
