"""``deepmersion index``: show the contents of an index file."""

from __future__ import annotations

from pathlib import Path

import click

from deepmersion.cli.options import PATH


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
        click.echo(f"file         {opened.path}")
        click.echo(f"mixes        {len(opened):,} of {len(opened.sounds)} sounds")
        click.echo(f"sounds       {', '.join(opened.sounds)}")
        click.echo(
            f"heard        {header.window_s:g} s each at {header.sample_rate} Hz, "
            f"RMS {header.level_rms:g}"
        )
        click.echo(f"SoundNet     sha256 {header.soundnet}")
        click.echo(f"sound bank   sha256 {header.soundbank}")
        click.echo(f"created      {header.created}")
