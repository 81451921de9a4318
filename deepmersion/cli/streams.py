"""Standard output and standard error, which may be closed, broken or shared with libraries."""

from __future__ import annotations

import faulthandler
import io
import os
import sys
import warnings
from contextlib import suppress
from typing import Any, TextIO

import click

from deepmersion.errors import DEBUG_VARIABLE

STDERR = 2
"""The descriptor of standard error, as C knows it."""


class NamedStream(io.FileIO):
    """A standard stream whose errors say that they are its own, as those of a file do."""

    def __init__(self, descriptor: int, title: str) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._title = title

    def write(self, data: Any) -> int:
        """Write some bytes; an error has the stream's title as its file name."""
        try:
            return super().write(data)
        except OSError as error:
            error.filename = self._title
            raise


def claim_stderr() -> None:
    """Keep standard error to this program's own lines.

    Libraries write of their own to the descriptor (libtiff, libmpg123, ALSA, OpenBLAS), as warnings
    (NumPy) and to loggers; what matters of it they raise as well. From here on the descriptor leads
    nowhere, and `sys.stderr` to where it led. A crash of the interpreter is still reported there.
    With `DEBUG_VARIABLE` everything is shown.
    """
    if os.environ.get(DEBUG_VARIABLE):
        return
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if sys.stderr is None:
        # It was closed from outside. The next file that is opened must not take its place: it would
        # get what libraries write.
        _put_at_stderr(nowhere)
        return
    raw = _raw(sys.stderr)
    if type(raw) is not io.FileIO or raw.fileno() != STDERR:  # captured by a test
        os.close(nowhere)
        return
    sys.stderr.flush()
    ours = os.dup(STDERR)
    before = sys.stderr
    # In this order, nothing that another thread writes meanwhile is lost.
    sys.stderr = os.fdopen(ours, "w", 1, before.encoding, before.errors, closefd=False)
    _put_at_stderr(nowhere)
    faulthandler.enable(ours)


def _put_at_stderr(descriptor: int) -> None:
    if descriptor != STDERR:
        os.dup2(descriptor, STDERR)
        os.close(descriptor)


def silence_loggers() -> None:
    """Keep libraries' loggers from standard error, for which `logging` takes those without one."""
    if not os.environ.get(DEBUG_VARIABLE):
        import logging

        logging.getLogger().addHandler(logging.NullHandler())


def name_streams() -> None:
    """Let the errors of standard output and standard error be told from those of files.

    Without this, any error of the system that names no file could be one of writing there.
    """
    for stream, title in (("stdout", "standard output"), ("stderr", "standard error")):
        text = getattr(sys, stream)
        raw = _raw(text)
        if type(raw) is not io.FileIO:  # closed, captured by a test, or named already
            continue
        text.flush()
        named = NamedStream(raw.fileno(), title)
        instead = io.TextIOWrapper(
            named if raw is text.buffer else io.BufferedWriter(named),
            text.encoding,
            text.errors,
            line_buffering=text.line_buffering,
            write_through=text.write_through,
        )
        setattr(sys, stream, instead)


def _raw(stream: Any) -> Any:
    """Return the file under a text stream, None if there is none."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)  # Python runs without a buffer where told to


def discard(stream: TextIO | None) -> None:
    """Discard what is left in a standard stream's buffer, which Python would report at exit."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]  # None where it is closed
        os.close(nowhere)


def require_stdout() -> None:
    """Raise if standard output is closed, before any work is done."""
    if sys.stdout is None:
        raise click.ClickException("standard output is closed; send it to a file or a pipe")
