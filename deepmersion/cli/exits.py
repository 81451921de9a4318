"""Turns failures of the command into one line, without a traceback."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import click

from deepmersion.cli.say import shown
from deepmersion.errors import OUT_OF_MEMORY, REMEDIES, DeepmersionError, reason

NO_MEMORY = "there is not enough memory; close other programs, or give fewer or smaller files"

NO_THREAD = "can't start new thread"
"""Python's words where there is no memory for another thread's stack."""


class WrongRequest(click.ClickException):
    """A request that cannot be met; shown without click's usage hint."""

    exit_code = 2


def one_line_error(error: DeepmersionError) -> click.ClickException:
    """Convert a deepmersion error for click."""
    kind = WrongRequest if error.exit_code == WrongRequest.exit_code else click.ClickException
    return kind(shown(str(error)))


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out."""
    if isinstance(error, ImportError):
        return OUT_OF_MEMORY in str(error)
    return isinstance(error, MemoryError) or NO_THREAD in str(error)


def system_error(error: OSError) -> click.ClickException:
    """Convert an unexpected error of the operating system for click.

    It names the file that it is about, if it is about one; see `streams.name_streams`.
    """
    name = error.filename
    where = f"{os.fsdecode(name)}: " if isinstance(name, str | bytes) and name else ""
    advice = REMEDIES.get(error.errno or 0, "check the disk, the memory and the connection")
    return click.ClickException(f"{where}{reason(error)}; {advice}")


_abandoned = False


def abandon_threads() -> None:
    """Let the program exit without waiting for running threads."""
    global _abandoned
    _abandoned = True


def leave(code: int) -> None:
    """Exit at once if threads were abandoned; else do nothing.

    A normal exit would wait for a photo to be decoded, or crash in a running network.
    """
    if not _abandoned:
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
