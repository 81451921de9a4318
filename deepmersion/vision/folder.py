"""Folders of photos, and those that a camera drops new ones into."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from deepmersion.errors import PhotoError, reason
from deepmersion.vision.photo import SUFFIXES

T = TypeVar("T")

POLL_S = 0.5
"""Seconds between looks at a folder. Polling works on every system and over networks, where
notifications do not, and a place does not change faster."""

MAX_POLL_SHARE = 0.05
"""The largest share of the time spent on looking: folders can be huge, or far away."""

SETTLE_S = 1.0
"""Seconds that a new file must be unchanged before it is opened: it may still be being written."""

PATIENCE_S = 5.0
"""Seconds that an unreadable file must be unchanged before it is reported: its writer may have
paused."""


class Version(NamedTuple):
    """A version of a file, identified without reading it.

    Attributes
    ----------
    mtime_ns : int
        When it was last changed, in nanoseconds; first, so that the newest version is the largest.
    inode, size : int
    """

    mtime_ns: int
    inode: int
    size: int


def photos_in(folder: Path) -> list[Path]:
    """Return the photos in a folder, sorted by name; an empty list if it cannot be read."""
    try:
        return sorted(_versions(folder))
    except OSError:
        return []


def _versions(folder: Path) -> dict[Path, Version]:
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            # Programs hide files that are unfinished or private.
            if path.suffix.lower() not in SUFFIXES or entry.name.startswith("."):
                continue
            try:
                status = entry.stat()
            except OSError:
                continue  # it has gone meanwhile, or is a link to nothing
            if stat.S_ISREG(status.st_mode):
                found[path] = Version(status.st_mtime_ns, status.st_ino, status.st_size)
    return found


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be watched, before any work is done.

    Raises
    ------
    PhotoError
        When it cannot be read.
    """
    _listed(folder)


def watch(
    folder: Path,
    look: Callable[[str], T],
    on_failure: Callable[[str, PhotoError], None],
    stop: threading.Event,
) -> Iterator[T]:
    """Yield what `look` returns for the newest photo in a folder, then for each new one.

    When several arrive at once, only the newest is taken. A file that is rewritten counts as new.
    One that cannot be opened is tried again, and reported when it has not changed for
    `PATIENCE_S`.

    Parameters
    ----------
    folder : Path
    look : callable
        Called with a photo's path, once or more; raises PhotoError when it cannot be opened.
    on_failure : callable
        Called with the path and the error of a photo that is given up.
    stop : threading.Event
        Set to end the iterator.

    Raises
    ------
    PhotoError
        When the folder cannot be read, or no longer.
    """
    arrivals = _Arrivals(folder)
    while not stop.is_set():
        pause_s = arrivals.update()
        path = arrivals.newest()
        if path is not None:
            try:
                result = look(str(path))
            except PhotoError as error:
                if arrivals.unchanged_s(path) >= PATIENCE_S:
                    arrivals.give_up(path)
                    on_failure(str(path), error)
                else:
                    arrivals.doubt(path)
            else:
                arrivals.settle(path)
                yield result
        stop.wait(pause_s)


class _Arrivals:
    """The photos in a folder: which versions there are, since when, and which are dealt with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._versions: dict[Path, Version] = {}
        self._since: dict[Path, float] = {}
        self._done: dict[Path, Version] = {}
        self._doubtful: set[Path] = set()
        self._looked = False

    def update(self) -> float:
        """Look at the folder; return how long to wait before the next time, in seconds."""
        began = time.monotonic()
        found = _listed(self._folder)
        self._since = {
            path: self._since[path]
            if self._versions.get(path) == version
            else began - self._age_s(version)
            for path, version in found.items()
        }
        self._done = {path: version for path, version in self._done.items() if path in found}
        self._doubtful &= found.keys()
        self._versions = found
        self._looked = True
        return max(POLL_S, (time.monotonic() - began) / MAX_POLL_SHARE)

    def _age_s(self, version: Version) -> float:
        """Return for how long a file that is seen for the first time has not changed."""
        # The date of a file that comes later says nothing: it may be a copy with its old date.
        return 0.0 if self._looked else max(0.0, time.time() - version.mtime_ns / 1e9)

    def newest(self) -> Path | None:
        """Return the newest photo that is to be looked at, if there is one."""
        waiting = [
            path
            for path, version in self._versions.items()
            if self._done.get(path) != version and self.unchanged_s(path) >= SETTLE_S
        ]
        return max(waiting, key=self._order, default=None)

    def unchanged_s(self, path: Path) -> float:
        """Return for how long a photo has not changed, in seconds."""
        return time.monotonic() - self._since[path]

    def settle(self, path: Path) -> None:
        """Deal with a photo, and so with all that are older, but for the doubtful ones."""
        self._doubtful.discard(path)
        for other, version in self._versions.items():
            if self._order(other) <= self._order(path) and other not in self._doubtful:
                self._done[other] = version

    def give_up(self, path: Path) -> None:
        """Deal with a photo alone."""
        self._doubtful.discard(path)
        self._done[path] = self._versions[path]

    def doubt(self, path: Path) -> None:
        """Keep a photo that could not be opened for another time."""
        self._doubtful.add(path)

    def _order(self, path: Path) -> tuple[Version, Path]:
        return self._versions[path], path


def _listed(folder: Path) -> dict[Path, Version]:
    try:
        return _versions(folder)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PhotoError(
            f"the folder {folder} is not there, or no longer; check the path, and that what it "
            "lies on is connected"
        ) from error
    except OSError as error:
        raise PhotoError(
            f"the folder {folder} cannot be read ({reason(error)}); check its permissions"
        ) from error
