"""Callbacks that report progress."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[int, int | None], None]
"""Called with the amount done and the total, None if unknown, in bytes, samples or mixes."""

OnShare = Callable[[int, int], None]
"""The same, with a total that is always known."""


def ignore(done: int, total: int | None) -> None:
    """Ignore progress."""
