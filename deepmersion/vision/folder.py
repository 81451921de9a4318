"""Lists the photos of a folder, and watches a folder for new ones."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from deepmersion.errors import PhotoError, reason
from deepmersion.vision.formats import SUFFIXES

T = TypeVar("T")

POLL_S = 0.5
"""Seconds between polls of a folder. Unlike notifications, polling works on every system and over
networks, and a place does not change faster."""

MAX_POLL_SHARE = 0.05
"""Largest share of the time spent polling: folders can be huge or remote."""

SETTLE_S = 1.0
"""Seconds that a new file must be unchanged before it is opened: it may still be growing."""

PATIENCE_S = 5.0
"""Seconds that an unreadable file must be unchanged before it is reported: its writer may have
paused."""


class Version(NamedTuple):
    """A version of a file, identified without reading the file.

    Attributes
    ----------
    mtime_ns : int
        Time of the last change, in nanoseconds. It comes first, which makes the newest version the
        largest.
    inode, size : int
    """

    mtime_ns: int
    inode: int
    size: int


def photos_in(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Return the photos in a folder, sorted by path; an empty list if it cannot be read.

    Parameters
    ----------
    folder : Path
    recursive : bool
        Whether those in its subfolders count as well.
    """
    try:
        return sorted(_versions(folder, recursive))
    except OSError:
        return []


def _versions(folder: Path, recursive: bool) -> dict[Path, Version]:
    found: dict[Path, Version] = {}
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            status = here.stat()
            # Links may lead in a circle.
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                photos, folders = _entries(here)
                found |= photos
                waiting += folders if recursive else []
        except OSError:
            if here == folder:
                raise
            continue  # one that may not be read, or is gone by now
    return found


def _entries(folder: Path) -> tuple[dict[Path, Version], list[Path]]:
    """Return the photos and the folders in a folder."""
    photos, folders = {}, []
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            # Hidden files are unfinished or private.
            if entry.name.startswith("."):
                continue
            try:
                if entry.is_dir():
                    folders.append(path)
                    continue
                if path.suffix.lower() not in SUFFIXES:
                    continue
                status = entry.stat()
            except OSError:
                continue  # it is gone by now, or a dangling link
            if stat.S_ISREG(status.st_mode):
                photos[path] = Version(status.st_mtime_ns, status.st_ino, status.st_size)
    return photos, folders


def check_folder(folder: Path) -> None:
    """Check that a folder can be watched, before any work is done.

    Raises
    ------
    PhotoError
        When the folder cannot be read.
    """
    _listed(folder, recursive=False)


def watch(
    folder: Path,
    look: Callable[[str], T],
    on_failure: Callable[[str, PhotoError], None],
    stop: threading.Event,
    *,
    recursive: bool = False,
) -> Iterator[T]:
    """Yield what `look` returns for the newest photo in a folder, then for each new one.

    When several arrive at once, only the newest is used. A rewritten file counts as new. A file
    that cannot be opened is tried again, and reported once it has not changed for `PATIENCE_S`.

    Parameters
    ----------
    folder : Path
    look : callable
        Called with a photo's path, possibly several times; raises PhotoError when it cannot be
        opened.
    on_failure : callable
        Called with the path and the error of a photo that is given up on.
    stop : threading.Event
        Set to end the iterator.
    recursive : bool
        Whether its subfolders are watched as well.

    Raises
    ------
    PhotoError
        When the folder cannot be read (any more).
    """
    arrivals = _Arrivals(folder, recursive)
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
    """The photos in a folder: their versions, since when, and which are done with."""

    def __init__(self, folder: Path, recursive: bool) -> None:
        self._folder = folder
        self._recursive = recursive
        self._versions: dict[Path, Version] = {}
        self._since: dict[Path, float] = {}
        self._done: dict[Path, Version] = {}
        self._doubtful: set[Path] = set()
        self._looked = False

    def update(self) -> float:
        """Poll the folder; return the seconds to wait before the next poll."""
        began = time.monotonic()
        found = _listed(self._folder, recursive=self._recursive)
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
        """Return the seconds for which a file that appeared just now has been unchanged."""
        # The date of a later file is unreliable: it may be a copy that kept its old date.
        return 0.0 if self._looked else max(0.0, time.time() - version.mtime_ns / 1e9)

    def newest(self) -> Path | None:
        """Return the newest photo still to be opened, if any."""
        waiting = [
            path
            for path, version in self._versions.items()
            if self._done.get(path) != version and self.unchanged_s(path) >= SETTLE_S
        ]
        return max(waiting, key=self._order, default=None)

    def unchanged_s(self, path: Path) -> float:
        """Return the seconds for which a photo has been unchanged."""
        return time.monotonic() - self._since[path]

    def settle(self, path: Path) -> None:
        """Mark a photo as done, and with it all older ones except the doubtful."""
        self._doubtful.discard(path)
        for other, version in self._versions.items():
            if self._order(other) <= self._order(path) and other not in self._doubtful:
                self._done[other] = version

    def give_up(self, path: Path) -> None:
        """Mark a single photo as done."""
        self._doubtful.discard(path)
        self._done[path] = self._versions[path]

    def doubt(self, path: Path) -> None:
        """Keep a photo that could not be opened for another attempt."""
        self._doubtful.add(path)

    def _order(self, path: Path) -> tuple[Version, Path]:
        return self._versions[path], path


def _listed(folder: Path, *, recursive: bool) -> dict[Path, Version]:
    try:
        return _versions(folder, recursive)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PhotoError(
            f"the folder {folder} is missing; check the path, and that its drive is connected"
        ) from error
    except OSError as error:
        raise PhotoError(
            f"the folder {folder} cannot be read ({reason(error)}); check its permissions"
        ) from error
