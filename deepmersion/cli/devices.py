"""``deepmersion devices``: list the output devices."""

from __future__ import annotations

import click


@click.command()
def devices() -> None:
    """List the output devices, by number and name, for --output-device."""
    from deepmersion.sound.playback import output_devices

    found = output_devices()
    if not found:
        click.echo("No sound card was found.", err=True)
    for number, name, default in found:
        click.echo(f"{number:4}  {name}{'  (default)' if default else ''}")
