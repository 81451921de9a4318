"""``/api/places``: the kept places, for the page."""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deepmersion.files import shown
from deepmersion.places.exchange import exported, import_into
from deepmersion.places.place import Place, problem_of
from deepmersion.places.store import Places
from deepmersion.sound.bank import SoundBank
from deepmersion.web import queries
from deepmersion.web.turns import in_thread

SCHEMA = 1
"""Version of the list of places."""

SWITCHED_OFF = "the places are switched off (--no-places)"

EXPORT_NAME = "deepmersion-places.json"


def described(place: Place, bank: SoundBank) -> dict[str, Any]:
    """Return a place as the page that plays a bank is told of it."""
    return {
        "id": place.id,
        "name": place.name,
        "mix": place.mix,
        "kept": place.kept,
        "thumbnail": f"/api/places/{place.id}/thumbnail",
        "problem": problem_of(place, bank),
    }


class KeptPlaces:
    """Lists, changes and forgets places; `api.Matching` keeps new ones.

    Parameters
    ----------
    places : Places or None
        None if they are switched off.
    bank : SoundBank
        What the page plays.
    """

    def __init__(self, places: Places | None, bank: SoundBank) -> None:
        self._places = places
        self._bank = bank

    @property
    def kept(self) -> Places:
        """The places; raises HTTPException (404) if they are switched off."""
        if self._places is None:
            raise HTTPException(404, SWITCHED_OFF)
        return self._places

    async def listed(self, _request: Request) -> Response:
        """Respond with all places, and where they are stored."""
        if self._places is None:
            return JSONResponse({"schema": SCHEMA, "where": None, "places": []})
        places = await in_thread(self._places.all)
        where = shown(self._places.path)
        listed = [described(place, self._bank) for place in places]
        return JSONResponse({"schema": SCHEMA, "where": where, "places": listed})

    async def change(self, request: Request) -> Response:
        """Give a place another name or mix, and respond with it."""
        query = request.query_params
        name = queries.place_name(query) if "name" in query else None
        mix = queries.mix_text(query, self._bank.names) if "mix" in query else None

        def change() -> Place:
            number = request.path_params["id"]
            return self.kept.change(number, name=name, mix=mix, bank=self._bank)

        return JSONResponse(described(await in_thread(change), self._bank))

    async def forget(self, request: Request) -> Response:
        """Forget a place."""
        await in_thread(self.kept.forget, request.path_params["id"])
        return Response(status_code=204)

    async def thumbnail(self, request: Request) -> Response:
        """Respond with a place's small picture."""
        data = await in_thread(self.kept.thumbnail, request.path_params["id"])
        etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(data, media_type="image/jpeg", headers=headers)

    async def export(self, _request: Request) -> Response:
        """Respond with all places as a file."""
        text = await in_thread(exported, self.kept)
        headers = {
            "Content-Disposition": f'attachment; filename="{EXPORT_NAME}"',
            "Cache-Control": "no-store",
        }
        return Response(text, media_type="application/json", headers=headers)

    def import_all(self, data: bytes) -> dict[str, Any]:
        """Keep the places of an exported file; return what became of each."""
        return import_into(self.kept, data).record()
