"""Prints lines for people: nothing in a name or a title can steer their terminal.

Names of files, titles, attributes of an index and messages of libraries come from elsewhere. Only
what `shown` leaves of them is printed. JSON is printed as it is, by `click.echo`.
"""

from __future__ import annotations

import unicodedata
from typing import IO, Any

import click

STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of characters that act instead of being seen: controls such as ESC and line
breaks; formats, which have no width or turn the direction of their neighbours; halves of surrogate
pairs; separators of lines and paragraphs. Letters of every script, and what combines with them, are
in others."""


def shown(text: str) -> str:
    r"""Return a text with everything that could steer a terminal escaped, such as ``\x1b``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in STEERING
        else char
        for char in text
    )


def say(*lines: str, file: IO[Any] | None = None) -> None:
    """Print lines to standard output, or to another stream."""
    for line in lines:
        click.echo(shown(line), file=file)


def note(*lines: str) -> None:
    """Print lines to standard error."""
    for line in lines:
        click.echo(shown(line), err=True)


def n_columns(text: str) -> int:
    """Return how many columns of a terminal a text takes once it is `shown`."""
    return sum(map(_width, shown(text)))


def _width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):  # drawn over the character before
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def padded(text: str, width: int) -> str:
    """Return a text with spaces after it, to take at least that many columns."""
    return text + " " * (width - n_columns(text))
