"""Responses that send files."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

REASONS = {
    400: "the Range header is malformed; give it as bytes=FIRST-LAST",
    416: "the file has no such part",
}
"""Replace Starlette's own refusals, which are plain text."""


class SentFile(FileResponse):
    """A response with a file or a range of it, with refusals as JSON like all others.

    Parameters
    ----------
    *arguments, **options
        Passed to `FileResponse`.
    held : AsyncExitStack, optional
        Closed when the response has been sent or has failed.
    """

    def __init__(self, *arguments: Any, held: AsyncExitStack | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._held = held or AsyncExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""

        async def send_unless_refused(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in REASONS:
                size = Headers(raw=message["headers"]).get("content-range")
                headers = {"Content-Range": size} if size else None
                raise HTTPException(message["status"], REASONS[message["status"]], headers)
            await send(message)

        async with self._held:
            await super().__call__(scope, receive, send_unless_refused)
