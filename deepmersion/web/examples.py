"""``GET /examples/NAME``: the painted pictures that ship, whole or as thumbnails."""

from __future__ import annotations

from functools import cache
from io import BytesIO

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from deepmersion.shipped import EXAMPLES
from deepmersion.web import queries

THUMBNAIL = (240, 180)
"""Size of a thumbnail in pixels: twice that of a tile of the page on a phone."""

QUALITY = 75
"""Of a thumbnail's JPEG. All together are 40 KB, of the 150 KB that a first visit may take."""


async def send_example(request: Request) -> Response:
    """Respond with a picture; with ``thumbnail=true``, with a small one."""
    name = request.path_params["name"]
    if name not in example_names():
        raise HTTPException(404)
    if queries.flag(request.query_params, "thumbnail"):
        return Response(_thumbnail(name), media_type="image/jpeg")
    return FileResponse(EXAMPLES / name, media_type="image/jpeg")


@cache
def example_names() -> frozenset[str]:
    """Return the names of the pictures."""
    return frozenset(path.name for path in EXAMPLES.glob("*.jpg"))


@cache
def _thumbnail(name: str) -> bytes:
    from PIL import Image

    with Image.open(EXAMPLES / name) as picture:
        picture.thumbnail(THUMBNAIL)
        buffer = BytesIO()
        picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
