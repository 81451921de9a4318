"""The server's routes, with errors as JSON."""

from __future__ import annotations

import mimetypes
from collections.abc import Collection
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from deepmersion.errors import (
    DeepmersionError,
    NameTakenError,
    NoPlaceError,
    RequestError,
    in_one_line,
)
from deepmersion.pipeline import Matcher
from deepmersion.web.api import Matching
from deepmersion.web.downloads import Downloads
from deepmersion.web.examples import send_example
from deepmersion.web.limits import Limits
from deepmersion.web.openapi import description
from deepmersion.web.places import KeptPlaces
from deepmersion.web.prefix import Prefix
from deepmersion.web.safety import Guard, report
from deepmersion.web.sounds import Sounds
from deepmersion.web.worker import service_worker

# The system's own table may have other types or none; browsers refuse scripts of the wrong type.
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("audio/flac", ".flac")
mimetypes.add_type("application/manifest+json", ".webmanifest")

STATIC = Path(__file__).with_name("static")


STATUS = {RequestError: 400, NoPlaceError: 404, NameTakenError: 409}
"""Of the answers to what a client can cause; other errors are the server's (500)."""


def make_app(
    matcher: Matcher,
    folder: Path,
    host: str,
    limits: Limits | None = None,
    allowed: Collection[str] = (),
    root_path: str = "",
) -> ASGIApp:
    """Return the server's application.

    Parameters
    ----------
    matcher : Matcher
        Closed by the caller.
    folder : Path
        An empty folder for rendered sounds. Photos are never written there.
    host : str
        The name or address that the server listens on.
    limits : Limits, optional
    allowed : collection of str
    root_path : str
        See `deepmersion.web.safety.Guard`.
    """
    limits = limits or Limits()
    sounds = Sounds(matcher.bank, folder)
    places = KeptPlaces(matcher.places, matcher.bank)
    matching = Matching(matcher, places, limits)
    openapi = description(matcher.bank.names, limits)
    static = StaticFiles(directory=STATIC)
    worker = service_worker(STATIC)

    async def send_page(request: Request) -> Response:
        return await static.get_response("index.html", request.scope)

    async def send_worker(_request: Request) -> Response:
        return Response(worker, media_type="text/javascript")

    async def send_openapi(_request: Request) -> Response:
        return JSONResponse(openapi)

    routes = [
        Route("/", send_page),
        Mount("/static", GZipMiddleware(static)),
        Route("/examples/{name}", send_example),
        Route("/sw.js", send_worker),
        Route("/api/openapi.json", send_openapi),
        Route("/api/match", matching.match, methods=["POST"]),
        Route("/api/maps", matching.maps, methods=["POST"]),
        Route("/api/places", places.listed),
        Route("/api/places", matching.keep, methods=["POST"]),
        Route("/api/places/export", places.export),
        Route("/api/places/import", matching.import_places, methods=["POST"]),
        Route("/api/places/{id:int}", places.change, methods=["PATCH"]),
        Route("/api/places/{id:int}", places.forget, methods=["DELETE"]),
        Route("/api/places/{id:int}/thumbnail", places.thumbnail),
        Route("/api/sounds", sounds.listed),
        Route("/api/mix", Downloads(matcher.bank, folder, limits).send),
        Route("/sounds/{name:path}", sounds.file),
        Route("/loops/{name:path}", sounds.loop),
        Route("/cuts/{name:path}", sounds.cuts),
    ]
    handlers = {
        HTTPException: _refused,
        DeepmersionError: _failed,
        ClientDisconnect: _gone,
        Exception: _unexpected,
    }
    app = Prefix(Starlette(routes=routes, exception_handlers=handlers), root_path)
    return Guard(app, host, limits, allowed, root_path)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    own_words = error.detail != HTTPStatus(error.status_code).phrase
    reason = error.detail[:1].lower() + error.detail[1:] if own_words else error.detail.lower()
    return JSONResponse({"error": reason}, error.status_code, headers=error.headers)


async def _failed(_request: Request, error: Exception) -> Response:
    known = (status for kind, status in STATUS.items() if isinstance(error, kind))
    status = next(known, 500)
    return JSONResponse({"error": in_one_line(error)}, status)


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400, headers={"Connection": "close"})


async def _unexpected(_request: Request, error: Exception) -> Response:
    report(error)
    return JSONResponse({"error": "something went wrong in the server"}, 500)
