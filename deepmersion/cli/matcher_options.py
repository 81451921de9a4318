"""The options of commands that match photos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from deepmersion.cli.options import PATH, SOUND_BANK

_OPTIONS = [
    click.option(
        "--networks",
        type=click.Choice(["auto", "lite", "paper"]),
        default="auto",
        show_default=True,
        help="Image networks; auto takes the paper's if their weights are present.",
    ),
    click.option(
        "--index", type=PATH, metavar="FILE", help="Sound index.  [default: the shipped one]"
    ),
    click.option(
        "--soundbank",
        type=SOUND_BANK,
        metavar="DIR|blanket",
        help="Sound bank that the index was made for.  [default: the shipped one]",
    ),
    click.option(
        "--device",
        default="cpu",
        show_default=True,
        metavar="DEVICE",
        help="Where the networks run: cpu, cuda, mps.",
    ),
]


def matcher_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `deepmersion.pipeline.Matcher` accepts under the same names."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
