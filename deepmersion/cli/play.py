"""``deepmersion play``: play a mix given as text, without a photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deepmersion.cli.deliver import deliver, renderer
from deepmersion.cli.idle_options import PLAY, warn_of_idle
from deepmersion.cli.options import SOUND_BANK
from deepmersion.cli.sound_options import SoundOptions, sound_options
from deepmersion.cli.streams import require_stdout


@click.command()
@click.argument("mix")
@sound_options
@click.option(
    "--soundbank",
    type=SOUND_BANK,
    metavar="DIR|blanket",
    help="Sound bank that has the sounds.  [default: the shipped one]",
)
def play(mix: str, soundbank: Path | str | None, **sound: Any) -> None:
    """Play or write a MIX: sounds and their gains, as `deepmersion match` prints them.

    Gains are linear and relative to each other; one that is left out is 1. In names, write a
    comma as :2C, an equals sign as :3D and a colon as :3A.

    \b
      deepmersion play waves=1,birds=0.5
      deepmersion play waves,birds=0.5 --duration 45m --fade-out 5m
      deepmersion play rain -o - | mpv -
    """  # noqa: D301  (click looks for the sign itself)
    options = SoundOptions(**sound)
    warn_of_idle(PLAY)
    if options.is_pipe:
        require_stdout()
    from deepmersion.sound.bank import open_bank
    from deepmersion.sound.recipe import gains_vector, parse_mix

    bank = open_bank(soundbank)
    gains = gains_vector(parse_mix(mix), bank.names)
    options = options.checked()
    deliver(renderer(bank, gains, options), options)
