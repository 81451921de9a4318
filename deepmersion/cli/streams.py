"""Standard output and standard error, which may be closed, broken or shared with libraries."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click


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


def name_streams() -> None:
    """Let the errors of standard output and standard error be told from those of files.

    Without this, any error of the system that names no file could be one of writing there.
    """
    for stream, title in (("stdout", "standard output"), ("stderr", "standard error")):
        text = getattr(sys, stream)
        buffer = getattr(text, "buffer", None)
        raw = getattr(buffer, "raw", buffer)  # Python runs without a buffer where told to
        if type(raw) is not io.FileIO:  # closed, captured by a test, or named already
            continue
        text.flush()
        named = NamedStream(raw.fileno(), title)
        instead = io.TextIOWrapper(
            named if raw is buffer else io.BufferedWriter(named),
            text.encoding,
            text.errors,
            line_buffering=text.line_buffering,
            write_through=text.write_through,
        )
        setattr(sys, stream, instead)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep PortAudio and ALSA from writing to standard error; their errors are raised as well.

    This program's own messages still go there.
    """
    if sys.stderr is None:  # closed from outside, so already quiet
        yield
        return
    sys.stderr.flush()
    before, ours = sys.stderr, os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        # In this order, nothing that another thread writes meanwhile is lost.
        sys.stderr = os.fdopen(ours, "w", 1, before.encoding, "backslashreplace", closefd=False)
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(ours, 2)
        sys.stderr = before
        os.close(ours)
        os.close(nowhere)


def discard_stdout() -> None:
    """Discard what is left in standard output's buffer, which Python would report at exit."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def require_stdout() -> None:
    """Raise if standard output is closed, before any work is done."""
    if sys.stdout is None:
        raise click.ClickException("standard output is closed; send it to a file or a pipe")
