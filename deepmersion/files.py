"""Writes files completely or not at all, and checks beforehand that they can be written."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from glob import escape
from pathlib import Path
from typing import BinaryIO

from deepmersion.errors import DeepmersionError, why
from deepmersion.undo import undone

KINDS = {
    stat.S_IFDIR: "it is a folder",
    stat.S_IFIFO: "it is a named pipe",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
    stat.S_IFSOCK: "it is a socket",
}
"""What is no file, in words."""

ORPHAN_S = 24 * 3600.0
"""Age from which a temporary file counts as left behind, in seconds: in a shared folder, it may be
that of a program on another machine, whose process is not seen here."""


class NotAFileError(OSError):
    """Something that is no regular file, and might never end or never answer."""


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Pipes and devices are refused without waiting for them: one may have no writer, or no end.

    Raises
    ------
    NotAFileError
        When it is anything else.
    OSError
        When it cannot be opened.
    """
    # A name that is a pipe by the time it is opened must not block either.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind == stat.S_IFREG:
        descriptor = os.open(path, flags)
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        if kind == stat.S_IFREG:
            return os.fdopen(descriptor, "rb")
        os.close(descriptor)
    raise NotAFileError(errno.EISDIR, KINDS.get(kind, "it is no regular file"), str(path))


def chosen_folder(variable: str, kind: type[DeepmersionError]) -> Path | None:
    """Return the folder that an environment variable names; None if it is not set.

    Parameters
    ----------
    variable : str
    kind : type
        The class of error to raise.

    Raises
    ------
    DeepmersionError
        Of that class, when the folder is in the home of a user who does not exist.
    """
    chosen = os.environ.get(variable)
    if not chosen:
        return None
    try:
        return Path(chosen).expanduser().absolute()
    except RuntimeError as error:
        raise kind(
            f"the environment variable {variable} names {chosen}, and there is no such user: "
            "correct it"
        ) from error


def shown(path: Path) -> str:
    """Return a path as it is shown to people: without the name of the user."""
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except (ValueError, RuntimeError):
        return str(path)


def real_path(path: Path) -> Path:
    """Return the target of a link, which is the file to write; other paths unchanged."""
    # Path.is_symlink raises if a name is too long.
    return Path(os.path.realpath(path)) if os.path.islink(path) else path  # noqa: PTH114


def check_place(path: Path, kind: type[DeepmersionError]) -> None:
    """Check that a file can be written, before any work is done for it.

    Parameters
    ----------
    path : Path
        The file, which may exist already.
    kind : type
        The class of error to raise.

    Raises
    ------
    DeepmersionError
        Of that class, when the path is a folder, a device or a named pipe, its folder is missing or
        not writable, or its name is invalid.
    """
    try:
        real = real_path(path)
        if real.is_dir():
            raise kind(f"{path} is a folder; give the name of a file")
        if real.exists() and not real.is_file():
            raise kind(f"{path} is a device or a named pipe; give the name of a file")
        if not real.parent.is_dir():
            raise kind(f"the folder {real.parent} does not exist; create it first")
        if not os.access(real.parent, os.W_OK) or (real.exists() and not os.access(real, os.W_OK)):
            raise kind(f"{path} cannot be written; check the permissions")
    except OSError as error:
        raise kind(f"{path} cannot be written {why(error)}") from error


@contextmanager
def whole_file(path: Path, check: Callable[[Path], object] | None = None) -> Iterator[Path]:
    """Write a file that appears under its name complete or not at all.

    Parameters
    ----------
    path : Path
        Replaced if it exists; if it is a link, its target is.
    check : callable or None
        Reads the finished file back before it gets its name; what it raises keeps it from that.

    Yields
    ------
    Path
        A temporary path beside it. The file written there is renamed when the block ends without an
        error (see `install`), and deleted otherwise.

    Raises
    ------
    OSError
        When the file cannot be written to disk or renamed.
    """
    real = real_path(path)
    _clear_orphans(real)
    temporary = real.with_name(f".{real.name}.{os.getpid()}.tmp")
    with undone(partial(_delete, temporary)):
        yield temporary
        if check is not None:
            check(temporary)
        install(temporary, real)


def _clear_orphans(path: Path) -> None:
    """Delete what killed programs have left of the same file."""
    with suppress(OSError):
        for orphan in path.parent.glob(f".{escape(path.name)}.*.tmp"):
            number = orphan.name[len(path.name) + 2 : -len(".tmp")]
            age_s = time.time() - orphan.stat().st_mtime
            if number.isdecimal() and age_s > ORPHAN_S and not _is_running(int(number)):
                _delete(orphan)


def _is_running(process: int) -> bool:
    if os.name != "posix":  # where a file in use cannot be deleted
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    return True


def _delete(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


@contextmanager
def output_file(
    path: Path, kind: type[DeepmersionError], check: Callable[[Path], object] | None = None
) -> Iterator[Path]:
    """Write a file that a person named, as `whole_file` does; what fails is one line for them.

    Parameters
    ----------
    path, check
        As in `whole_file`.
    kind : type
        The class of error to raise.

    Raises
    ------
    DeepmersionError
        Of that class, when the file cannot be written to disk or renamed.
    """
    try:
        with whole_file(path, check) as temporary:
            yield temporary
    except OSError as error:
        raise kind(f"{path} cannot be written {why(error)}") from error


def install(temporary: Path, path: Path) -> None:
    """Give a finished file its final name: no reader ever sees half of it.

    This survives a power failure: the contents are on disk before the rename. The file gets the
    permissions of an older file of that name.

    Raises
    ------
    OSError
        When the file cannot be written to disk or renamed.
    """
    # Windows refuses this for a file that was opened for reading.
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    with suppress(OSError):  # for example, no older file exists
        shutil.copymode(path, temporary)
    temporary.replace(path)
    # The name is on disk once its folder is. Windows cannot open a folder, and some file systems
    # cannot sync one; a power failure may then bring back an older file of that name.
    with suppress(OSError):
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
