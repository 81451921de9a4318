"""Writing files: whether one can be written, and how it gets its name whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deepmersion.errors import DeepmersionError, reason


def real_path(path: Path) -> Path:
    """Return what a link leads to, which is what is to be written; other paths as they are."""
    # A Path's own is_symlink raises where a name is too long.
    return Path(os.path.realpath(path)) if os.path.islink(path) else path  # noqa: PTH114


def check_place(path: Path, kind: type[DeepmersionError]) -> None:
    """Refuse a file that could not be written, before any work is done for it.

    Parameters
    ----------
    path : Path
        The file, which may exist already.
    kind : type
        What to raise.

    Raises
    ------
    DeepmersionError
        Of that kind, when the path is a folder, a device or a named pipe, its folder is missing
        or not writable, or its name is none that a file can have.
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
        raise kind(f"{path} cannot be written ({reason(error)}); choose another") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file that appears under its name whole, or not at all.

    Parameters
    ----------
    path : Path
        Replaced if it exists; if it is a link, what it leads to.

    Yields
    ------
    Path
        A temporary name beside it. The file written there gets the name when the block ends
        without an error (see `install`), and is deleted otherwise.

    Raises
    ------
    OSError
        When the file cannot be written to the disk, or not have that name.
    """
    real = real_path(path)
    temporary = real.with_name(f".{real.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        install(temporary, real)
    finally:
        with suppress(OSError):
            temporary.unlink()


def install(temporary: Path, path: Path) -> None:
    """Give a finished file its final name, so that no reader ever sees half of it.

    Not even after a power failure: what it holds is on the disk before it has the name. It
    gets the permissions of an older file of that name.

    Raises
    ------
    OSError
        When it cannot be written to the disk, or not have that name.
    """
    # Windows refuses this for a file that was opened for reading.
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    with suppress(OSError):  # such as that there is no older one
        shutil.copymode(path, temporary)
    temporary.replace(path)
    # The name itself is on the disk when its folder is. Windows cannot open a folder, and some
    # file systems cannot do this; an older file of that name may then come back.
    with suppress(OSError):
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
