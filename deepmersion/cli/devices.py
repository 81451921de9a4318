"""``deepmersion devices``: list the output devices."""

from __future__ import annotations

import click

from deepmersion.cli.say import note, say


@click.command()
def devices() -> None:
    """List the output devices, by number and name, for --output-device."""
    from deepmersion.sound.playback import output_devices

    found = output_devices()
    if not found:
        note("No sound card was found.")
    for number, name, default in found:
        say(f"{number:4}  {name}{'  (default)' if default else ''}")
