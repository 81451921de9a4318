"""The options by which commands say what photos are matched with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from deepmersion.cli.options import PATH

_OPTIONS = [
    click.option(
        "--networks",
        type=click.Choice(["auto", "lite", "paper"]),
        default="auto",
        show_default=True,
        help="Image networks; auto takes the paper's if they are there.",
    ),
    click.option(
        "--index", type=PATH, metavar="FILE", help="Sound index.  [default: the shipped one]"
    ),
    click.option(
        "--soundbank",
        type=PATH,
        metavar="DIR",
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
    """Give a command the options that `deepmersion.pipeline.Matcher` takes under these names."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
