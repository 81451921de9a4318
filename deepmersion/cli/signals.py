"""Ends the command on Ctrl-C, SIGTERM and a closed terminal, at any moment, within a second.

Mostly the system does it: `deepmersion.__main__` leaves these signals to their default action, for
which no Python code has to run. An exception raised by a handler would be lost inside an import or
a destructor, and would wait for the end of a long call into a library.

Where something has to be tidied up first, `ending` handles the signals, with a thread that does so
should the main thread be busy.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

from deepmersion.undo import undo_all

ANSWER_S = 0.8
"""Longest time to end in one's own way, such as by fading out, in seconds: with the end of Python
itself it stays below a second."""

REACTION_S = 0.2
"""Time for the main thread to take note of a signal, in seconds. A longer call into a library is
not waited for."""


def stopping_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that stop the command and are not ignored, as under ``nohup``."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    known = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return tuple(number for number in known if signal.getsignal(number) is not signal.SIG_IGN)


@contextmanager
def ending(
    said: str = "Stopped.", *, code: int | None = None, by: Callable[[], None] | None = None
) -> Iterator[None]:
    """Tidy up before a stopping signal ends the program; only in the main thread.

    Whatever is registered with `deepmersion.undo.undone` is undone.

    Parameters
    ----------
    said : str
        A line for standard error; none if empty.
    code : int or None
        The exit code; None for that of a program that was ended by the signal.
    by : callable or None
        Called on the first signal, to make the block end in its own way. If the program has not
        ended `ANSWER_S` later, or at a second signal, it is ended all the same.
    """
    end = _End(said, code, by)
    numbers = stopping_signals()
    before = {number: signal.getsignal(number) for number in numbers}
    heard, told = socket.socketpair()
    told.setblocking(False)
    wakeup = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    try:
        # Without memory for another thread, the main thread alone has to notice.
        with suppress(RuntimeError):
            threading.Thread(
                target=end.watch, args=(heard, frozenset(numbers)), daemon=True
            ).start()
        for number in numbers:
            signal.signal(number, end.handle)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        told.close()  # which ends the thread, unless a signal has come


@dataclass
class _End:
    """How the program ends."""

    said: str
    code: int | None
    by: Callable[[], None] | None
    _begun: bool = False
    _taken: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Begin to end, in the main thread."""
        if self.by is None or self._begun:
            self.now(number, main=True)
        else:
            self._begun = True
            self.by()

    def watch(self, heard: socket.socket, numbers: frozenset[signal.Signals]) -> None:
        """Wait for a signal, and see that the program ends; in a thread of its own."""
        with heard:
            while (byte := heard.recv(1)) and byte[0] not in numbers:
                pass
            if not byte:
                return  # the block has ended
            patience_s = ANSWER_S if self.by else REACTION_S
            due = time.monotonic() + patience_s
            heard.settimeout(patience_s)
            with suppress(OSError):
                if not heard.recv(1):  # unlike a second signal, the end of the block leaves time
                    time.sleep(max(due - time.monotonic(), 0))
        self.now(byte[0], main=False)

    def now(self, number: int, *, main: bool) -> None:
        """End the program."""
        if not self._taken.acquire(blocking=False):
            time.sleep(ANSWER_S)  # the other thread does
        undo_all()
        _say(self.said)
        if self.code is not None:
            os._exit(self.code)
        if main and os.name == "posix":
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        os._exit(128 + number)


def _say(line: str) -> None:
    """Write a line to standard error, without waiting for its reader or for another thread."""
    with suppress(OSError, ValueError, AttributeError):
        descriptor = sys.stderr.fileno()
        begin = "\n" if os.isatty(descriptor) else ""  # after the progress bar
        if line and (os.name != "posix" or select.select([], [descriptor], [], 0)[1]):
            os.write(descriptor, f"{begin}{line}\n".encode())
