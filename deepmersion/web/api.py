"""``POST /api/match``: takes a photo and returns the record that ``match --json`` prints."""

from __future__ import annotations

from contextlib import AsyncExitStack
from io import BytesIO
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HTTPRequest
from starlette.responses import JSONResponse, Response

from deepmersion.errors import PhotoError, RequestError
from deepmersion.pipeline import Matcher
from deepmersion.request import LABEL_SETS, Request
from deepmersion.web import queries
from deepmersion.web.limits import Limits, announced_bytes, check_pixels, discard, read_upload
from deepmersion.web.turns import Turns, in_thread

MAX_TOP = 100
"""Most mixes in a response."""

USES = (",".join(LABEL_SETS), ",".join(reversed(LABEL_SETS)), *LABEL_SETS)

FLAGS = ("false", "true")

PHOTO = "-"
"""The photo's name in responses, as in ``match - --json``."""


class Matching:
    """Finds the mixes for uploaded photos.

    Parameters
    ----------
    matcher : Matcher
    limits : Limits
    """

    def __init__(self, matcher: Matcher, limits: Limits) -> None:
        self._matcher = matcher
        self._limits = limits
        self._turns = Turns(
            limits.photos_at_once,
            limits.photos_waiting,
            limits.retry_after_s,
            limits.waiting_bytes,
        )

    async def match(self, request: HTTPRequest) -> Response:
        """Respond to a photo with its record."""
        async with AsyncExitStack() as held:
            try:
                wanted = await self._accept(request, held)
            except (HTTPException, RequestError):
                await discard(request, self._limits)
                raise
            photo = await read_upload(request, self._limits)
            # Not earlier: slow uploads would occupy the places of photos that have arrived.
            working = await held.enter_async_context(self._turns.place())
            await request.is_disconnected()  # from now on the server notices
            async with working:
                if await request.is_disconnected():
                    raise ClientDisconnect
                try:
                    record = await in_thread(self._match, photo, wanted)
                except PhotoError as error:
                    return JSONResponse({"photo": PHOTO, "error": str(error)}, 422)
        return JSONResponse(record)

    async def _accept(self, request: HTTPRequest, held: AsyncExitStack) -> Request:
        """Check everything possible before the photo is read, and reserve memory for it."""
        wanted = _wanted(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not kind.startswith("image/") and kind != "application/octet-stream":
            raise HTTPException(415, "send a photo's bytes, with a Content-Type such as image/jpeg")
        n_bytes = announced_bytes(request, self._limits)
        await held.enter_async_context(self._turns.memory(n_bytes))
        return wanted

    def _match(self, photo: bytes, wanted: Request) -> dict[str, Any]:
        check_pixels(photo, self._limits)
        return self._matcher.match(BytesIO(photo), wanted, name=PHOTO).record()


def _wanted(request: HTTPRequest) -> Request:
    query = request.query_params
    return Request(
        top=queries.whole_number(query, "top", 1, 1, MAX_TOP),
        explain=queries.one_of(query, "explain", FLAGS) == "true",
        chatter=queries.number(query, "chatter", 0, 0, 1) if "chatter" in query else None,
        label_sets=queries.one_of(query, "use", USES).split(","),
    )
