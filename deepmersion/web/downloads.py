"""``GET /api/mix``: a mix as a file, rendered as by the command."""

from __future__ import annotations

import asyncio
import secrets
import threading
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from deepmersion.errors import OutputError
from deepmersion.sound.bank import SoundBank
from deepmersion.sound.output import FILE_DURATION_S, write_file
from deepmersion.sound.recipe import named_gains
from deepmersion.sound.recording import SAMPLE_RATE
from deepmersion.sound.renderer import Renderer
from deepmersion.web import queries
from deepmersion.web.limits import Limits
from deepmersion.web.sent_file import SentFile
from deepmersion.web.turns import Turns, in_thread

TYPES = {"flac": "audio/flac", "wav": "audio/wav", "ogg": "audio/ogg", "mp3": "audio/mpeg"}
"""By suffix, as in `deepmersion.sound.output.FORMATS` without the dot; the first is the default."""

MAX_NAME = 60
"""Characters of a file's name before its suffix: some ten sounds, and short enough for any disk."""

POLL_S = 0.2
"""Seconds between checks that the client is still connected."""


class _AbandonedError(Exception):
    """The client has disconnected."""


class Downloads:
    """Renders mixes into files; each holds a place until it is sent and deleted.

    Parameters
    ----------
    bank : SoundBank
    folder : Path
        Holds the files until they are sent.
    limits : Limits
    """

    def __init__(self, bank: SoundBank, folder: Path, limits: Limits) -> None:
        self._bank = bank
        self._folder = folder
        self._limits = limits
        self._turns = Turns(limits.downloads_at_once, 0, limits.retry_after_s)

    async def send(self, request: Request) -> Response:
        """Respond with a file."""
        query = request.query_params
        gains = queries.mix(query, self._bank.names)
        most_s = self._limits.download_s
        duration_s = queries.number(query, "duration", min(FILE_DURATION_S, most_s), 1, most_s)
        suffix = queries.one_of(query, "format", tuple(TYPES))
        path = self._folder / f"{secrets.token_hex(8)}.{suffix}"
        async with AsyncExitStack() as held:
            await held.enter_async_context(self._turns.place())
            held.callback(path.unlink, missing_ok=True)
            await self._render(request, path, gains, duration_s)
            return SentFile(
                path,
                media_type=TYPES[suffix],
                filename=f"{'-'.join(named_gains(gains, self._bank.names))[:MAX_NAME]}.{suffix}",
                headers={"Cache-Control": "no-store"},
                stat_result=path.stat(),
                held=held.pop_all(),
            )

    async def _render(
        self, request: Request, path: Path, gains: np.ndarray, duration_s: float
    ) -> None:
        abandoned = threading.Event()
        rendering = asyncio.create_task(
            in_thread(_write, self._bank, gains, duration_s, path, abandoned)
        )
        try:
            while not rendering.done():
                await asyncio.wait({rendering}, timeout=POLL_S)
                if not rendering.done() and await request.is_disconnected():
                    raise ClientDisconnect
            await rendering
        except OutputError as error:
            raise HTTPException(507, "there is too little room on the disk for the file") from error
        finally:
            abandoned.set()
            rendering.cancel()


def _write(
    bank: SoundBank, gains: np.ndarray, duration_s: float, path: Path, abandoned: threading.Event
) -> None:
    renderer = Renderer(bank, gains, duration_s=duration_s)
    assert renderer.n_samples is not None
    on_progress = partial(_check_wanted, abandoned)
    write_file(path, renderer.blocks(), SAMPLE_RATE, renderer.n_samples, on_progress)
    if abandoned.is_set():  # too late for `on_progress`: the caller has cleaned up already
        path.unlink(missing_ok=True)


def _check_wanted(abandoned: threading.Event, _written: int, _total: int) -> None:
    if abandoned.is_set():
        raise _AbandonedError
