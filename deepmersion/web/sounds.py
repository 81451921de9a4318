"""Serves the sound bank to browsers: the list of sounds, their files, and loops made from them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deepmersion.files import whole_file
from deepmersion.sound.bank import BaseSound, SoundBank
from deepmersion.sound.cuts import find_cuts
from deepmersion.sound.keys import Cuts
from deepmersion.sound.loop import open_seamless
from deepmersion.sound.recording import BASE_LOUDNESS_LUFS, SAMPLE_RATE, open_loop
from deepmersion.sound.renderer import LOUDNESS_LUFS
from deepmersion.sound.spool import blocks
from deepmersion.version import __version__
from deepmersion.web.sent_file import SentFile
from deepmersion.web.turns import in_thread

TYPES = {
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
}
"""Formats of sound banks that browsers decode."""

OTHER_TYPE = "application/octet-stream"

EXACT = frozenset({".flac", ".oga", ".ogg", ".wav"})
"""Formats that browsers decode to exactly the file's samples, which keeps loops seamless."""

LOOP_HEADROOM_DB = 12.0
"""Loops are stored this much softer because a sound's peaks may exceed full scale in a mix."""

ONE_YEAR = "public, max-age=31536000, immutable"
"""Cache-Control of URLs that contain a version."""


@dataclass(frozen=True)
class Sounds:
    """Serves the sounds of a bank and no other files.

    Parameters
    ----------
    bank : SoundBank
    folder : Path
        Holds the generated loops.
    """

    bank: SoundBank
    folder: Path
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)
    _cuts: dict[str, Cuts] = field(default_factory=dict)

    @cached_property
    def version(self) -> str:
        """A hash of everything that responses depend on: files, descriptions and this program."""
        bank = self.bank
        described = [
            (sound.title, sound.licence, sound.loudness_lufs, sound.loops, sound.cuts)
            for sound in bank.sounds
        ]
        content = json.dumps([__version__, bank.fingerprint, bank.title, described])
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    async def listed(self, request: Request) -> Response:
        """Respond with the sounds and how to play them."""
        etag = f'"{self.version}"'
        headers = {"ETag": etag}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return JSONResponse(await in_thread(self._describe), headers=headers)

    def _describe(self) -> dict[str, Any]:
        return {
            "title": self.bank.title,
            "loudness_lufs": LOUDNESS_LUFS,
            "sample_rate": SAMPLE_RATE,
            "sounds": [
                {
                    "name": sound.name,
                    "title": sound.title,
                    "licence": sound.licence,
                    "gain_db": sound.gain_db,
                    "cuts": sound.cuts,
                    "files": self._files(sound),
                }
                for sound in self.bank.sounds
            ],
        }

    def _files(self, sound: BaseSound) -> list[dict[str, Any]]:
        """Return the files that a browser may play for a sound, the best first."""
        version = self.version
        name = quote(sound.name, safe="")
        loop = {
            "url": f"/loops/{name}?v={version}",
            "type": "audio/flac",
            "level_db": LOOP_HEADROOM_DB + LOUDNESS_LUFS - BASE_LOUDNESS_LUFS,
            "samples": None,
        }
        samples = _samples_as_they_are(sound)
        if samples is None or sound.loudness_lufs is None:
            return [loop]
        own = {
            "url": f"/sounds/{name}?v={version}",
            "type": TYPES[sound.path.suffix.lower()],
            "level_db": round(LOUDNESS_LUFS + sound.gain_db - sound.loudness_lufs, 3),
            "samples": samples,
        }
        return [own, loop]

    async def file(self, request: Request) -> Response:
        """Respond with a sound's own file."""
        sound = self._named(request)
        suffix = sound.path.suffix.lower()
        media_type = TYPES.get(suffix, OTHER_TYPE)
        return await self._send(request, sound.path, media_type, suffix)

    async def loop(self, request: Request) -> Response:
        """Respond with a sound as a seamless loop, 44.1 kHz stereo FLAC."""
        sound = self._named(request)
        number = self.bank.names.index(sound.name)
        path = self.folder / f"{number}.flac"
        if not path.exists():
            async with self._making:  # one at a time: each takes a core
                if not path.exists():
                    await self._make_loop(sound, path)
        return await self._send(request, path, "audio/flac", "loop")

    async def cuts(self, request: Request) -> Response:
        """Respond with the spans in which a sound may be cut, in seconds."""
        sound = self._named(request)
        if sound.cuts is not None:
            return JSONResponse(sound.cuts)
        async with self._making:  # as for loops
            if sound.name not in self._cuts:
                self._cuts[sound.name] = await in_thread(lambda: find_cuts(open_loop(sound)))
        return JSONResponse(self._cuts[sound.name])

    async def _make_loop(self, sound: BaseSound, path: Path) -> None:
        try:
            await in_thread(_write_loop, sound, path)
        except OSError as error:
            raise HTTPException(507, "there is too little room on the disk") from error

    def _named(self, request: Request) -> BaseSound:
        # Looked up among the bank's own, never joined to a folder.
        for sound in self.bank.sounds:
            if sound.name == request.path_params["name"]:
                return sound
        raise HTTPException(404, "there is no sound with that name")

    async def _send(self, request: Request, path: Path, media_type: str, kind: str) -> Response:
        version = self.version
        etag = f'"{version}-{kind.lstrip(".")}"'
        headers = {"ETag": etag}
        if request.query_params.get("v") == version:
            headers["Cache-Control"] = ONE_YEAR
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        try:
            status = path.stat()
        except OSError as error:
            raise HTTPException(404, "the sound's file is no longer there") from error
        return SentFile(path, headers=headers, media_type=media_type, stat_result=status)


def _samples_as_they_are(sound: BaseSound) -> int | None:
    """Return the number of samples of a file that can be played as it is, else None."""
    if sound.path.suffix.lower() not in EXACT or (file := open_seamless(sound)) is None:
        return None
    with file:
        return int(file.frames)


def _write_loop(sound: BaseSound, path: Path) -> None:
    import soundfile

    loop, gain = open_loop(sound), np.float32(10 ** (-LOOP_HEADROOM_DB / 20))
    with whole_file(path) as temporary:
        try:
            with soundfile.SoundFile(
                temporary, "w", SAMPLE_RATE, 2, format="FLAC", subtype="PCM_24"
            ) as file:
                for block in blocks(loop):
                    file.write(block * gain)
        except soundfile.SoundFileError as error:
            raise OSError(str(error)) from error
