"""Callbacks that report progress."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[int, int | None], None]
"""Called with what is done so far and what there is in all, None where that is not known: bytes,
samples or mixes, whatever is counted."""

OnShare = Callable[[int, int], None]
"""The same where what there is in all is always known."""


def ignore(done: int, total: int | None) -> None:
    """Take no notice of progress."""
