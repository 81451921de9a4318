"""Standard output and standard error, as whoever started the command left them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep PortAudio and ALSA from writing to standard error; their errors come to us as well.

    What this program says itself still goes there.
    """
    if sys.stderr is None:  # closed by whoever started this, and so is quiet already
        yield
        return
    sys.stderr.flush()
    before, ours = sys.stderr, os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        # In this order, at both ends, nothing is lost that another thread says meanwhile.
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
    """Send what standard output still holds nowhere: Python would complain of it at the end."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def require_stdout() -> None:
    """Refuse to work for nothing when standard output was closed by whoever started this."""
    if sys.stdout is None:
        raise click.ClickException("standard output is closed; send it to a file or a pipe")
