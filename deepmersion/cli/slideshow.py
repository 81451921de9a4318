"""Plays several photos in turn, or what a watched folder or webcam shows, as one sound."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deepmersion.cli.deliver import deliver, renderer
from deepmersion.cli.exits import abandon_threads
from deepmersion.cli.options import is_address
from deepmersion.cli.report import Report
from deepmersion.cli.say import note
from deepmersion.cli.signals import ending
from deepmersion.errors import PhotoError

if TYPE_CHECKING:
    from deepmersion.ambience import Ambience
    from deepmersion.cli.sound_options import SoundOptions
    from deepmersion.fetching.address import Address
    from deepmersion.vision.photo import Photo

PHOTO_DURATION_S = 300.0
"""Default time that each of several photos plays, in seconds."""

Look = Callable[["Photo"], "Ambience"]
"""Matches one photo; raises PhotoError when it cannot be opened."""


def source(photo: str) -> Photo:
    """Return what to read a photo from that was named on the command line."""
    if is_address(photo):
        from deepmersion.fetching.address import Address

        return Address(photo)
    if photo != "-":
        return photo
    if sys.stdin is None:
        raise click.ClickException("standard input is closed; give a photo's path instead of -")
    return sys.stdin.buffer


@dataclass(frozen=True)
class Watching:
    """What is watched for new photos.

    Attributes
    ----------
    place : Path or Address
        A folder, or a webcam's address.
    every_s : float
        Time from one look at the webcam to the next, in seconds.
    recursive : bool
        Whether the folder's subfolders are watched as well.
    """

    place: Path | Address
    every_s: float
    recursive: bool

    def __str__(self) -> str:
        return str(self.place) if isinstance(self.place, Path) else self.place.name

    def check(self) -> None:
        """Raise PhotoError when the folder cannot be read."""
        if isinstance(self.place, Path):
            from deepmersion.vision.folder import check_folder

            check_folder(self.place)

    def found(
        self,
        look: Look,
        on_failure: Callable[[str, PhotoError], None],
        stop: threading.Event,
    ) -> Iterator[Ambience]:
        """Yield the ambience of each new photo, until `stop` is set."""
        from deepmersion.vision.folder import watch
        from deepmersion.vision.webcam import watch_address

        if isinstance(self.place, Path):
            return watch(self.place, look, on_failure, stop, recursive=self.recursive)
        return watch_address(self.place, self.every_s, look, on_failure, stop)


@dataclass(frozen=True)
class ChangingScenes:
    """A sequence of photos and its timing.

    Attributes
    ----------
    photos : sequence of str
        Played in turn; empty when a folder or webcam is watched.
    watched : Watching or None
    each_s : float or None
        Time that each photo plays, in seconds; None plays it until the next one is ready.
    crossfade_s : float
        In seconds.
    """

    photos: Sequence[str]
    watched: Watching | None
    each_s: float | None
    crossfade_s: float

    @classmethod
    def of(
        cls,
        photos: Sequence[str],
        watched: Watching | None,
        options: SoundOptions,
        crossfade_s: float | None,
    ) -> ChangingScenes:
        """Return the requested sequence; `watched` has precedence over `photos`.

        Raises
        ------
        PhotoError, RequestError
            When the folder cannot be read, or the crossfade is too long.
        """
        from deepmersion.slideshow import crossfade_length

        if watched is None:
            each_s: float | None = options.duration_s or PHOTO_DURATION_S
        else:
            watched.check()
            each_s = None
        length = crossfade_length(each_s or options.duration_s, crossfade_s)
        return cls(photos, watched, each_s, length)

    def play(self, look: Look, options: SoundOptions, report: Report) -> bool:
        """Play or pipe the sound; return whether all named photos could be opened."""
        stop = threading.Event()
        failed: list[str] = []
        found = self._found(look, report, failed, stop)
        first = self._first(found)
        if first is not None:
            self._follow(first, found, options, report, stop)
        return self.watched is not None or not failed

    def _found(
        self, look: Look, report: Report, failed: list[str], stop: threading.Event
    ) -> Iterator[Ambience]:
        """Yield the ambience of each photo that can be opened; report the others."""
        from deepmersion.vision.photo import name_of

        def fail(photo: str, error: PhotoError) -> None:
            report.fail(photo, error)
            failed.append(photo)

        if self.watched is not None:
            yield from self.watched.found(look, fail, stop)
        for photo in self.photos:
            opened = source(photo)
            try:
                ambience = look(opened)
            except PhotoError as error:
                fail(name_of(opened), error)
            else:
                yield ambience

    def _first(self, found: Iterator[Ambience]) -> Ambience | None:
        if self.watched is None:
            return next(found, None)
        with ending("", code=0):  # the way to end it, even before the first photo
            note(f"Watching {self.watched}; Ctrl-C ends it.")
            return next(found, None)

    def _follow(
        self,
        first: Ambience,
        coming: Iterator[Ambience],
        options: SoundOptions,
        report: Report,
        stop: threading.Event,
    ) -> None:
        from deepmersion.slideshow import Following

        assert options.fade_out_s is not None
        report.show(first)
        sound = Following(
            renderer(first.bank, first.gains, options, endless=self.each_s is not None),
            coming,
            each_s=self.each_s,
            crossfade_s=self.crossfade_s,
            fade_out_s=options.fade_out_s,
            on_scene=report.show,
            patient=options.is_pipe,
            stop=stop,
        )
        try:
            with sound:
                deliver(sound, options)
        finally:
            if sound.busy:
                abandon_threads()
