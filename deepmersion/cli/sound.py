"""Where a sound goes: into a file, into a pipe, or to the speakers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deepmersion.audio import SAMPLE_RATE
from deepmersion.cli.options import duration, positive_duration, sound_card
from deepmersion.cli.progress import progress_bar
from deepmersion.errors import RequestError

if TYPE_CHECKING:
    from deepmersion.pipeline import Ambience
    from deepmersion.rendering import Renderer

FILE_DURATION_S = 300.0
"""Length of a file when nobody says: five minutes, some 25 MB as FLAC."""

PLAYLIST_DURATION_S = 300.0
"""How long each of several photos plays when nobody says."""

VOLUME_DB = (-60.0, 40.0)
"""Softer is silence, and louder only drives the limiter."""

PIPE = "-"

_OPTIONS = [
    click.option(
        "-o",
        "--output",
        metavar="FILE",
        help="Write the sound to FILE (.wav, .flac, .ogg or .mp3), or as WAV to a pipe with '-'.",
    ),
    click.option(
        "--duration",
        "duration_s",
        type=positive_duration,
        metavar="DURATION",
        help="How long it lasts: 90, 90s, 10m, 1h.  [default: 5m for a file and for each of "
        "several photos, else until Ctrl-C]",
    ),
    click.option(
        "--volume",
        "volume_db",
        type=click.FloatRange(*VOLUME_DB),
        default=0.0,
        metavar="DB",
        help="Louder or softer than the standard -27 LUFS, in dB.",
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
        "--output-device",
        type=sound_card,
        metavar="NAME",
        help="Sound card, by number or name as `deepmersion devices` lists them.",
    ),
    click.option("-v", "--verbose", is_flag=True, help="Say how playing went."),
]


def sound_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that `SoundOptions` is made of."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class SoundOptions:
    """What was asked for: where to, how long, how loud.

    Attributes
    ----------
    output : str or None
        A file, `PIPE`, or None for the speakers.
    duration_s, fade_in_s, fade_out_s : float or None
        In seconds; None for what is usual.
    volume_db : float
    output_device : str, int or None
    verbose : bool
    wanted : bool
        Whether there is to be any sound at all.
    """

    output: str | None
    duration_s: float | None
    volume_db: float
    fade_in_s: float | None
    fade_out_s: float | None
    output_device: str | int | None
    verbose: bool
    wanted: bool

    @property
    def is_pipe(self) -> bool:
        """Whether the sound goes to standard output."""
        return self.output == PIPE

    def check(self) -> None:
        """Refuse what cannot work before anything slow begins."""
        if not self.wanted:
            return
        if self.output is None:
            from deepmersion.playback import check_playback

            with quiet_libraries():
                check_playback(self.output_device)
        elif self.is_pipe:
            if sys.stdout.isatty():
                raise RequestError("-o - writes WAV into a pipe, not to a terminal; add | mpv -")
        else:
            from deepmersion.output import check_output

            check_output(Path(self.output), self.duration_s or FILE_DURATION_S, SAMPLE_RATE)

    def lasting_s(self, *, alone: bool) -> float | None:
        """Return how long the sound of a photo lasts; None for ever."""
        if self.duration_s is not None:
            return self.duration_s
        if self.output is None:
            return None if alone else PLAYLIST_DURATION_S
        return None if self.is_pipe else FILE_DURATION_S


def deliver(ambience: Ambience, options: SoundOptions, *, alone: bool) -> bool:
    """Render a photo's mix and write or play it; return False when somebody stopped it.

    Parameters
    ----------
    ambience : Ambience
    options : SoundOptions
    alone : bool
        Whether no other photo's sound is to follow.

    Raises
    ------
    OutputError, PlaybackError, SoundBankError, RequestError
        When it cannot be written, played or rendered.
    """
    if not options.wanted:
        return True
    from deepmersion.rendering import Renderer

    renderer = Renderer(
        ambience.bank,
        ambience.best.gains,
        duration_s=options.lasting_s(alone=alone),
        volume_db=options.volume_db,
        fade_in_s=options.fade_in_s,
        fade_out_s=options.fade_out_s,
    )
    if options.output is None:
        return _play(renderer, options)
    if options.is_pipe:
        return _pipe(renderer)
    _write(Path(options.output), renderer)
    return True


def _write(path: Path, renderer: Renderer) -> None:
    from deepmersion.output import write_file

    assert renderer.n_samples is not None
    with progress_bar("Writing", "s") as on_progress:
        write_file(
            path,
            renderer.blocks(),
            SAMPLE_RATE,
            renderer.n_samples,
            lambda done, total: on_progress(done // SAMPLE_RATE, total // SAMPLE_RATE),
        )
    click.echo(f"Wrote {path} ({renderer.n_samples / SAMPLE_RATE:g} s)", err=True)


def _pipe(renderer: Renderer) -> bool:
    from deepmersion.output import write_wav_stream

    try:
        write_wav_stream(sys.stdout.buffer, renderer.blocks(), SAMPLE_RATE, renderer.n_samples)
    except KeyboardInterrupt:
        return False  # Ctrl-C ends what is heard through a pipe as it ends what is played
    return True


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep PortAudio and ALSA from writing to standard error; their errors come to us as well."""
    if sys.stderr is None:  # closed by whoever started this, and so is quiet already
        yield
        return
    sys.stderr.flush()
    ours = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(ours, 2)
        os.close(ours)
        os.close(nowhere)


def _play(renderer: Renderer, options: SoundOptions) -> bool:
    from deepmersion.playback import play

    click.echo("Playing; Ctrl-C ends it.", err=True)
    with quiet_libraries():
        ended = play(renderer.blocks(), SAMPLE_RATE, options.output_device)
    if options.verbose:
        click.echo(f"Underruns: {ended.n_underruns}", err=True)
    return not ended.interrupted
