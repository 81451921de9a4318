"""The folder where fetched files are kept, and who may write there."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deepmersion.errors import FetchError, reason, rounded, why
from deepmersion.files import chosen_folder

SPARE_BYTES = 100_000_000
"""Left free on the disk beyond what a file needs: a full disk breaks other programs too."""

LOCK_POLL_S = 0.2

NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
"""Errors of a network drive that has no locks."""


def cache_folder() -> Path:
    """Return the folder of fetched files; it need not exist yet.

    The environment variable ``DEEPMERSION_CACHE`` names it; without one it is the user's cache
    folder as the operating system has it, such as ``~/.cache/deepmersion``.

    Raises
    ------
    FetchError
        When the variable names the home of a user who does not exist.
    """
    if chosen := chosen_folder("DEEPMERSION_CACHE", FetchError):
        return chosen
    from platformdirs import user_cache_path

    return user_cache_path("deepmersion", appauthor=False)


def make_folder(folder: Path) -> Path:
    """Return the cache folder, or one below it, made if need be; raises FetchError if it cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(
            f"the cache folder {folder} cannot be made {why(error)}, or "
            "name another one in the environment variable DEEPMERSION_CACHE"
        ) from error
    return folder


def require_space(folder: Path, n_bytes: int) -> None:
    """Raise FetchError unless `folder` has room for `n_bytes` and something to spare."""
    free = shutil.disk_usage(folder).free
    needed = max(n_bytes, 0) + SPARE_BYTES
    if free < needed:
        raise FetchError(
            f"{needed / 1e6:.0f} MB are needed in {folder} and "
            f"{rounded(free / 1e6, round(needed / 1e6), 0)} MB are free: make "
            "room, or name another folder in the environment variable DEEPMERSION_CACHE"
        )


@contextmanager
def locked(path: Path, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Let one process at a time work on `path`.

    The lock is the operating system's, so that one held by a killed process is free again.

    Parameters
    ----------
    path : Path
        The file to be written; the lock lies beside it.
    while_waiting : callable
        Called some times a second as long as another process has the lock.

    Raises
    ------
    FetchError
        When no lock can be had there, for instance in a folder that is read only.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(f"{path}.lock")
    while not lock.is_locked:
        try:
            lock.acquire(timeout=LOCK_POLL_S)
        except Timeout:
            while_waiting()
        except (OSError, NotImplementedError) as error:
            unlocked = isinstance(error, NotImplementedError) or error.errno in NO_LOCKS
            what = "is on a disk without file locks" if unlocked else "cannot be written to"
            raise FetchError(
                f"{path.parent} {what} ({reason(error)}): "
                "name another folder in the environment variable DEEPMERSION_CACHE"
            ) from error
    try:
        yield
    finally:
        lock.release()
