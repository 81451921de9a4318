"""Limits on the time, memory and disk that clients may use."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

CLOSE = {"Connection": "close"}
"""Sent with a refusal that leaves part of the request unread."""

DISCARD_BYTES = 256 * 2**20
"""Most bytes of a refused upload to read and discard: most clients read the response only after
they have sent everything."""


@dataclass(frozen=True)
class Limits:
    """Bounds on what clients may do.

    Attributes
    ----------
    upload_bytes : int
        Size of a photo's file. Full-size JPEGs from phones have about 20 MB.
    photos_at_once : int
        Photos in the networks; a single one uses several cores.
    photos_waiting : int
        Photos that may wait: two or three seconds of work.
    waiting_bytes : int
        Memory for all of these photos and for uploads in progress. What decoding them takes is
        bounded by `vision.decoders.MEMORY_BYTES`; the server stays below 1 GB.
    downloads_at_once : int
        Mixes being rendered, which take a core each, or sent, which take disk space each.
    download_s : float
        Length of a rendered mix; three hours of WAV are 1.9 GB.
    upload_timeout_s : float
        Time for a whole photo to arrive.
    header_timeout_s : float
        Time for a request's header, from when the connection is opened or reused.
    stall_timeout_s : float
        Time for a client to read some of a response.
    connections : int
        Open connections. A browser opens at most six.
    retry_after_s : int
        Retry-After of a refusal when all places are taken.
    """

    upload_bytes: int = 40 * 2**20
    photos_at_once: int = 2
    photos_waiting: int = 22
    waiting_bytes: int = 192 * 2**20
    downloads_at_once: int = 2
    download_s: float = 3 * 3600.0
    upload_timeout_s: float = 30.0
    header_timeout_s: float = 10.0
    stall_timeout_s: float = 30.0
    connections: int = 128
    retry_after_s: int = 1


def announced_bytes(request: Request, limits: Limits) -> int:
    """Return the memory that an upload needs: its announced length, or the maximum allowed."""
    announced = request.headers.get("content-length", "")
    n_bytes = int(announced) if announced.isdecimal() else limits.upload_bytes
    return min(n_bytes, limits.upload_bytes)


async def read_upload(request: Request, limits: Limits) -> bytes:
    """Return the body of a request.

    Raises
    ------
    HTTPException
        413 when it is larger than allowed, 408 when it arrives too slowly.
    ClientDisconnect
        When the client disconnects before the whole body has arrived.
    """
    too_large = HTTPException(
        413,
        f"the file is larger than {limits.upload_bytes >> 20} MiB; give a smaller one",
        headers=CLOSE,
    )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.upload_bytes:
        await discard(request, limits)
        raise too_large
    body = bytearray()
    n_read = 0
    try:
        async with asyncio.timeout(limits.upload_timeout_s):
            async for chunk in request.stream():
                n_read += len(chunk)
                if n_read <= limits.upload_bytes:
                    body += chunk
                elif n_read <= DISCARD_BYTES:
                    body.clear()
                else:
                    break
    except TimeoutError:
        if n_read <= limits.upload_bytes:
            raise HTTPException(408, "the upload was too slow; try again", headers=CLOSE) from None
    if n_read > limits.upload_bytes:
        raise too_large
    return bytes(body)


async def discard(request: Request, limits: Limits) -> None:
    """Read the rest of a body, within bounds, and discard it."""
    if "expect" in request.headers:  # the client asked first (100-continue) and has sent nothing
        return
    n_read = 0
    try:
        async with asyncio.timeout(limits.upload_timeout_s):
            while n_read < DISCARD_BYTES:
                message = await request.receive()
                n_read += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except (TimeoutError, ClientDisconnect):
        return
