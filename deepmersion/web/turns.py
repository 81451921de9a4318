"""Limits on heavy work: a few requests at once, a few more waiting, the rest are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from anyio import to_thread
from starlette.exceptions import HTTPException

T = TypeVar("T")


class Turns:
    """Places for heavy work.

    Parameters
    ----------
    at_once : int
        Requests that may work.
    waiting : int
        Further requests that may wait.
    retry_after_s : int
        Retry-After header of a refusal.
    n_bytes : int
        Memory for all of them together.
    """

    def __init__(self, at_once: int, waiting: int, retry_after_s: int, n_bytes: int = 0) -> None:
        self._free = at_once + waiting
        self._free_bytes = n_bytes
        self._working = asyncio.Semaphore(at_once)
        self._retry_after_s = retry_after_s

    @asynccontextmanager
    async def memory(self, n_bytes: int) -> AsyncIterator[None]:
        """Hold some memory.

        Raises
        ------
        HTTPException
            503 if there is not enough.
        """
        if n_bytes > self._free_bytes:
            raise self._busy()
        self._free_bytes -= n_bytes
        try:
            yield
        finally:
            self._free_bytes += n_bytes

    @asynccontextmanager
    async def place(self) -> AsyncIterator[asyncio.Semaphore]:
        """Hold a place; yields the semaphore to hold while working.

        Raises
        ------
        HTTPException
            503 if all places are taken.
        """
        if not self._free:
            raise self._busy()
        self._free -= 1
        try:
            yield self._working
        finally:
            self._free += 1

    def _busy(self) -> HTTPException:
        return HTTPException(
            503,
            "the server is busy; try again in a moment",
            headers={"Retry-After": str(self._retry_after_s), "Connection": "close"},
        )


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Run a function in a worker thread and return its result.

    A caller that is cancelled does not wait for the thread.
    """
    return await to_thread.run_sync(partial(function, *args), abandon_on_cancel=True)
