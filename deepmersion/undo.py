"""What has to be undone when the program ends in the middle of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_pending: list[Callable[[], object]] = []


@contextmanager
def undone(action: Callable[[], object]) -> Iterator[None]:
    """Call a function when the block ends, or when the program ends before it does.

    Parameters
    ----------
    action : callable
        Deletes a temporary file, or ends another program. It may be called twice.
    """
    _pending.append(action)
    try:
        yield
    finally:
        _pending.remove(action)
        action()


def undo_all() -> None:
    """Undo, from the last on, whatever is under way: the program ends here."""
    for action in reversed(_pending):
        with suppress(Exception):
            action()
