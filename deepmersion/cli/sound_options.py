"""The options for a sound's destination, length and loudness."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from deepmersion.cli.options import duration, positive_duration, sound_card
from deepmersion.errors import RequestError
from deepmersion.sound.ebb import EBB, MOST_DB
from deepmersion.sound.output import FILE_DURATION_S
from deepmersion.sound.recording import SAMPLE_RATE

VOLUME_DB = (-60.0, 40.0)
"""Below this is silence; above it, the limiter only works harder."""

PIPE = "-"

SEED_BITS = 32
"""Range of random seeds: more than a lifetime of evenings."""

_OPTIONS = [
    click.option(
        "-o",
        "--output",
        metavar="FILE",
        help="Write the sound to FILE (.wav, .flac, .ogg or .mp3), or with '-' as WAV to a pipe.",
    ),
    click.option(
        "--duration",
        "duration_s",
        type=positive_duration,
        metavar="DURATION",
        help="Length of the sound: 90, 90s, 10m, 1h.  [default: 5m for a file, else until Ctrl-C]",
    ),
    click.option(
        "--volume",
        "volume_db",
        type=click.FloatRange(*VOLUME_DB),
        default=0.0,
        metavar="DB",
        help="Volume relative to the standard -27 LUFS, in dB.  [default: 0]",
    ),
    click.option(
        "--fade-in",
        "fade_in_s",
        type=duration,
        metavar="DURATION",
        help="Length of the fade-in.  [default: 2s]",
    ),
    click.option(
        "--fade-out",
        "fade_out_s",
        type=duration,
        metavar="DURATION",
        help="Length of the fade-out, within --duration.  [default: 4s]",
    ),
    click.option(
        "--ebb",
        type=click.FloatRange(0, 1),
        default=EBB,
        show_default=True,
        metavar="0..1",
        help=f"Ebb and swell of each sound: at 1, up to {MOST_DB:g} dB either way.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        metavar="N",
        help="Seed for the order of stretches.  [default: 0 for files and pipes, else random]",
    ),
    click.option(
        "--output-device",
        type=sound_card,
        metavar="NAME",
        help="Output device, by number or name, as `deepmersion devices` lists them.",
    ),
    click.option(
        "-v", "--verbose", is_flag=True, help="Show figures: divergences, scores, underruns."
    ),
]


def sound_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that make up `SoundOptions`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class SoundOptions:
    """A sound's destination, length and loudness.

    Attributes
    ----------
    output : str or None
        A file, `PIPE`, or None for the speakers.
    duration_s, fade_in_s, fade_out_s : float or None
        In seconds; None for the default.
    volume_db : float
    ebb : float
        Amount of ebb and swell; see `deepmersion.sound.ebb`.
    seed : int or None
        None for the default.
    output_device : str, int or None
    verbose : bool
    """

    output: str | None
    duration_s: float | None
    volume_db: float
    fade_in_s: float | None
    fade_out_s: float | None
    ebb: float
    seed: int | None
    output_device: str | int | None
    verbose: bool

    @property
    def is_pipe(self) -> bool:
        """True if the sound goes to standard output."""
        return self.output == PIPE

    @property
    def is_file(self) -> bool:
        """True if the sound goes to a file."""
        return self.output is not None and not self.is_pipe

    @property
    def drawn_seed(self) -> int:
        """The seed: fixed for files and pipes, random for the speakers."""
        if self.seed is not None:
            return self.seed
        return secrets.randbits(SEED_BITS) if self.output is None else 0

    @property
    def lasting_s(self) -> float | None:
        """Length of the sound in seconds; None if endless."""
        return FILE_DURATION_S if self.duration_s is None and self.is_file else self.duration_s

    def checked(self, each_s: float | None = None) -> SoundOptions:
        """Return the options with the fades filled in, after checking that they can be met.

        Parameters
        ----------
        each_s : float or None
            Length of one of several sounds, in seconds, if it differs from `lasting_s`.

        Raises
        ------
        RequestError, PlaybackError, OutputError
            When they cannot be met; raised before anything slow begins.
        """
        from deepmersion.sound.renderer import fade_lengths

        lasting_s = each_s or self.lasting_s
        if lasting_s is None and self.fade_out_s is not None:
            raise RequestError("--fade-out is part of --duration; give --duration too")
        fade_in_s, fade_out_s = fade_lengths(lasting_s, self.fade_in_s, self.fade_out_s)
        self._check_destination(lasting_s)
        return replace(self, fade_in_s=fade_in_s, fade_out_s=fade_out_s)

    def _check_destination(self, lasting_s: float | None) -> None:
        if self.output is None:
            from deepmersion.sound.playback import check_playback

            check_playback(self.output_device)
        elif self.is_pipe:
            if sys.stdout.isatty():
                raise RequestError("-o - writes WAV into a pipe, not to a terminal; add | mpv -")
        else:
            from deepmersion.sound.output import check_output

            assert lasting_s is not None
            check_output(Path(self.output), lasting_s, SAMPLE_RATE)
