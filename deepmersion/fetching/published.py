"""A published file in the cache folder: fetched by one process at a time, known by its content."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deepmersion.errors import FetchError, why
from deepmersion.fetching.cache import cache_folder, locked, make_folder
from deepmersion.fetching.digests import Identity, identity_of

MIRROR_VARIABLE = "DEEPMERSION_MIRROR"
"""Environment variable with a base address below which all files lie under their published names
(``vgg16-397923af.pth``, ``blanket/rain.ogg``); for a mirror in one's own network."""


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A file that somebody publishes.

    Attributes
    ----------
    url : str or None
        Where; None when it cannot be had by HTTP alone.
    filename : str
        Its path below the cache folder, and below a mirror's address.
    size : int
        In bytes.
    identity : Identity
    by_hand : str
        How to bring it where there is no connection, to end a sentence with; ``{path}`` stands
        for where it goes.
    """

    url: str | None
    filename: str
    size: int
    identity: Identity
    by_hand: str

    @property
    def address(self) -> str | None:
        """Source of the download: the user's mirror, else `url`."""
        mirror = os.environ.get(MIRROR_VARIABLE, "").rstrip("/")
        return f"{mirror}/{self.filename}" if mirror else self.url

    @property
    def path(self) -> Path:
        """Its path in the cache, whether or not it is present."""
        return cache_folder() / self.filename

    @property
    def is_present(self) -> bool:
        """True if a file of the right size is there: a quick test without a hash."""
        try:
            status = self.path.stat()
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and status.st_size == self.size

    @property
    def is_missing(self) -> bool:
        """True if no file is there.

        One in a folder that may not be looked into counts as there: to read it says what is wrong.
        """
        try:
            return not stat.S_ISREG(self.path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False

    def found(self) -> Identity:
        """Return the identity of what lies there; raises FetchError if it cannot be read."""
        try:
            return identity_of(self.path, self.identity.kind)
        except OSError as error:
            raise FetchError(f"{self.path} cannot be read {why(error)}") from error

    def is_intact(self) -> bool:
        """Return whether it lies there, having read it; raises FetchError if it cannot be read."""
        return self.is_present and self.found() == self.identity


def fetch_once(
    file: PublishedFile,
    get: Callable[[Path], None],
    while_waiting: Callable[[], None],
    lock: Path | None = None,
) -> Path:
    """Return where a file lies, having had it fetched if it was missing or damaged.

    Safe against several processes at once: one fetches, the others wait.

    Parameters
    ----------
    file : PublishedFile
    get : callable
        Called with the path where the file is to appear, whole or not at all.
    while_waiting : callable
        Called some times a second as long as another process fetches it.
    lock : Path, optional
        What one process at a time works on; the file, if left out.

    Raises
    ------
    FetchError
        When it cannot be had, or the cache folder cannot be used.
    """
    path = file.path
    if file.is_intact():
        return path
    make_folder(path.parent)
    with locked(lock or path, while_waiting):
        if not file.is_intact():
            try:
                get(path)
            except OSError as error:
                raise FetchError(
                    f"{error.filename or path} cannot be written {why(error)}, "
                    "or name another folder in the environment variable DEEPMERSION_CACHE"
                ) from error
    return path
