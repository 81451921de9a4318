"""``deepmersion index``: show the contents of an index file."""

from __future__ import annotations

from pathlib import Path

import click

from deepmersion.cli.options import PATH
from deepmersion.cli.say import say


@click.group()
def index() -> None:
    """Inspect a sound index."""


@index.command()
@click.argument("file", required=False, type=PATH)
def info(file: Path | None) -> None:
    """Print the contents and origin of FILE (default: the shipped index)."""
    from deepmersion.index.file import open_index
    from deepmersion.shipped import shipped_index

    with open_index(file or shipped_index()) as opened:
        header = opened.header
        say(f"file         {opened.path}")
        say(f"mixes        {len(opened):,} of {len(opened.sounds)} sounds")
        say(f"sounds       {', '.join(opened.sounds)}")
        say(
            f"heard        {header.window_s:g} s each at {header.sample_rate} Hz, "
            f"RMS {header.level_rms:g}"
        )
        say(f"SoundNet     sha256 {header.soundnet}")
        say(f"sound bank   sha256 {header.soundbank}")
        say(f"created      {header.created}")
