"""Standard output and standard error, which may be closed, broken or shared with libraries."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click


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
