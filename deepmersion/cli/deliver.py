"""Delivers a sound to a file, a pipe or the speakers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from deepmersion.cli.progress import progress_bar
from deepmersion.cli.say import note
from deepmersion.cli.signals import ending
from deepmersion.sound.playback import STOP_FADE_S
from deepmersion.sound.recording import SAMPLE_RATE

if TYPE_CHECKING:
    from deepmersion.cli.sound_options import SoundOptions
    from deepmersion.sound.bank import SoundBank
    from deepmersion.sound.renderer import Renderer


class Sound(Protocol):
    """A playable sound: a `deepmersion.sound.renderer.Renderer`, or several scenes in one."""

    @property
    def n_samples(self) -> int | None:
        """Length in samples, if known."""

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the samples block by block, float32 [samples, 2]."""

    def finish(self, fade_out_s: float) -> None:
        """Fade out and end."""


def renderer(
    bank: SoundBank, gains: np.ndarray, options: SoundOptions, *, endless: bool = False
) -> Renderer:
    """Return the renderer of a mix with the given options.

    Parameters
    ----------
    bank : SoundBank
    gains : ndarray, shape = (sounds,), float32
    options : SoundOptions
    endless : bool
        True if the sound plays until `finish` is called, as the first of several does.
    """
    from deepmersion.sound.renderer import Renderer

    return Renderer(
        bank,
        gains,
        duration_s=None if endless else options.lasting_s,
        volume_db=options.volume_db,
        fade_in_s=options.fade_in_s,
        fade_out_s=options.fade_out_s,
        ebb=options.ebb,
        seed=options.drawn_seed,
    )


def deliver(sound: Sound, options: SoundOptions) -> None:
    """Write a sound, or play it until it ends or is stopped.

    Raises
    ------
    OutputError, PlaybackError, SoundBankError
        When the sound cannot be written, played or rendered.
    """
    if options.output is None:
        _play(sound, options)
    elif options.is_pipe:
        _pipe(sound)
    else:
        _write(Path(options.output), sound)


def _write(path: Path, sound: Sound) -> None:
    from deepmersion.sound.output import write_file

    n_samples = sound.n_samples
    assert n_samples is not None
    with ending(), progress_bar("Writing", "s") as on_progress:
        write_file(
            path,
            sound.blocks(),
            SAMPLE_RATE,
            n_samples,
            lambda done, total: on_progress(done // SAMPLE_RATE, total // SAMPLE_RATE),
        )
    note(f"Wrote {path} ({n_samples / SAMPLE_RATE:g} s)")


def _pipe(sound: Sound) -> None:
    from deepmersion.sound.output import write_wav_stream

    with ending("", code=0, by=lambda: sound.finish(STOP_FADE_S)):
        write_wav_stream(sys.stdout.buffer, sound.blocks(), SAMPLE_RATE, sound.n_samples)


def _play(sound: Sound, options: SoundOptions) -> None:
    from deepmersion.sound.playback import play

    stop = threading.Event()
    with ending("", code=0, by=stop.set):
        note("Playing; Ctrl-C ends it.")
        ended = play(sound.blocks(), SAMPLE_RATE, options.output_device, stop)
    if options.verbose:
        note(f"Underruns: {ended.n_underruns}")
