"""Everything that takes a photo: ``POST /api/match``, ``/api/maps`` and ``/api/places``.

``/api/places/import`` takes a file instead, within the same limits.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HTTPRequest
from starlette.responses import JSONResponse, Response

from deepmersion.errors import DeepmersionError, PhotoError
from deepmersion.pipeline import Matcher
from deepmersion.request import LABEL_SETS, Request
from deepmersion.web import queries
from deepmersion.web.limits import Limits, announced_bytes, discard, read_upload
from deepmersion.web.maps import described as described_maps
from deepmersion.web.places import KeptPlaces
from deepmersion.web.places import described as described_place
from deepmersion.web.turns import Turns, in_thread

MAX_TOP = 100
"""Most mixes in a response."""

USES = (",".join(LABEL_SETS), ",".join(reversed(LABEL_SETS)), *LABEL_SETS)

PHOTO_TYPE = "send a photo's bytes, with a Content-Type such as image/jpeg"

JSON_TYPE = "send an exported file, with the Content-Type application/json"

PHOTO = "-"
"""The photo's name in responses, as in ``match - --json``."""


@dataclass(frozen=True)
class Task:
    """What to do with a file that is sent.

    Attributes
    ----------
    check : callable
        Called before the file is read; raises what is wrong with the request, and returns what
        `work` needs of it.
    work : callable
        Called in a thread with the file's bytes and that; returns what to answer as JSON.
    takes_photo : bool
        Whether the file is a photo, or JSON.
    status : int
        Of the answer.
    """

    check: Callable[[HTTPRequest], Any]
    work: Callable[[bytes, Any], dict[str, Any]]
    takes_photo: bool = True
    status: int = 200


class Matching:
    """Answers uploaded photos.

    Parameters
    ----------
    matcher : Matcher
    places : KeptPlaces
    limits : Limits
    """

    def __init__(self, matcher: Matcher, places: KeptPlaces, limits: Limits) -> None:
        self._matcher = matcher
        self._places = places
        self._limits = limits
        self._turns = Turns(
            limits.photos_at_once,
            limits.photos_waiting,
            limits.retry_after_s,
            limits.waiting_bytes,
        )

    async def match(self, request: HTTPRequest) -> Response:
        """Respond to a photo with its record."""
        return await self._answer(request, Task(self._wanted, self._match))

    async def maps(self, request: HTTPRequest) -> Response:
        """Respond to a photo with where in it the sounds of its best mix come from."""
        return await self._answer(request, Task(self._wanted, self._map))

    async def keep(self, request: HTTPRequest) -> Response:
        """Keep a photo as a place, and respond with it."""
        return await self._answer(request, Task(self._new_place, self._keep, status=201))

    async def import_places(self, request: HTTPRequest) -> Response:
        """Keep the places of an exported file, and respond with what became of each."""
        task = Task(
            lambda _request: self._places.kept,
            lambda data, _kept: self._places.import_all(data),
            takes_photo=False,
        )
        return await self._answer(request, task)

    async def _answer(self, request: HTTPRequest, task: Task) -> Response:
        async with AsyncExitStack() as held:
            try:
                wanted = await in_thread(task.check, request)
                self._check_type(request, task)
                n_bytes = announced_bytes(request, self._limits)
                await held.enter_async_context(self._turns.memory(n_bytes))
            except (HTTPException, DeepmersionError):
                await discard(request, self._limits)
                raise
            data = await read_upload(request, self._limits)
            # Not earlier: slow uploads would occupy the places of photos that have arrived.
            working = await held.enter_async_context(self._turns.place())
            await request.is_disconnected()  # from now on the server notices
            async with working:
                if await request.is_disconnected():
                    raise ClientDisconnect
                try:
                    answer = await in_thread(task.work, data, wanted)
                except PhotoError as error:
                    return JSONResponse({"photo": PHOTO, "error": str(error)}, 422)
        return JSONResponse(answer, task.status)

    def _check_type(self, request: HTTPRequest, task: Task) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not task.takes_photo:
            if kind != "application/json":
                raise HTTPException(415, JSON_TYPE)
        elif not kind.startswith("image/") and kind != "application/octet-stream":
            raise HTTPException(415, PHOTO_TYPE)

    def _wanted(self, request: HTTPRequest) -> Request:
        query = request.query_params
        wanted = Request(
            top=queries.whole_number(query, "top", 1, 1, MAX_TOP),
            explain=queries.flag(query, "explain"),
            chatter=queries.number(query, "chatter", 0, 0, 1) if "chatter" in query else None,
            label_sets=queries.one_of(query, "use", USES).split(","),
            without=queries.labels(query, "without"),
            places=queries.flag(query, "places", default=True),
        )
        if wanted.without:
            self._matcher.checked(wanted)
        return wanted

    def _match(self, photo: bytes, wanted: Request) -> dict[str, Any]:
        return self._matcher.match(BytesIO(photo), wanted, name=PHOTO).record()

    def _map(self, photo: bytes, wanted: Request) -> dict[str, Any]:
        asked = replace(wanted, heatmap=True, places=False)
        return described_maps(self._matcher.match(BytesIO(photo), asked, name=PHOTO))

    def _new_place(self, request: HTTPRequest) -> tuple[str, str | None]:
        query = request.query_params
        name = queries.place_name(query)
        mix = queries.mix_text(query, self._matcher.bank.names) if "mix" in query else None
        self._places.kept.require_free(name)
        return name, mix

    def _keep(self, photo: bytes, wanted: tuple[str, str | None]) -> dict[str, Any]:
        name, mix = wanted
        # Matched under the name of other photos, for errors.
        ambience = self._matcher.match(BytesIO(photo), places=False, name=PHOTO)
        place = self._matcher.keep(name, BytesIO(photo), ambience, mix=mix)
        return described_place(place, self._matcher.bank)
