"""Decodes photos within bounds of time and memory, however many there are and whatever they hold.

A JPEG of ordinary size is decoded at once, by the calling thread: what that takes is known before.
Any other photo is decoded by a process of its own (`decode_worker`), which can be ended. All
photos together get `MEMORY_BYTES`; each waits for its estimated share before it is decoded. To
estimate it, a worker reads the header, of a JPEG the whole file (`photo.MAX_FILE_BYTES` at most);
that, and a stream (`photo.MAX_STREAM_BYTES` at most), takes memory before there is a share.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from deepmersion.errors import DEBUG_VARIABLE, why
from deepmersion.vision.decode import Decoding, RefusedError
from deepmersion.vision.decode_worker import TOO_SLOW
from deepmersion.vision.formats import JPEG_MAGIC
from deepmersion.vision.photo import (
    MAX_FILE_BYTES,
    MAX_STREAM_BYTES,
    Readable,
    errors_of,
    is_plain_file,
    read_photo,
    require_size,
    too_little_memory,
    unfit,
)

MEMORY_BYTES = 430 * 2**20
"""Memory for decoding, of all photos together. The largest picture accepted takes 341 MiB. With 240
MB for everything else that `match` does it makes the 700 MB that the README states, and with what
uploads may take, 1 GB for the server."""

WORKER_BYTES = 16 * 2**20
"""Memory of a worker itself, which counts as part of its photo's share."""

MAX_PIXELS = 26_000_000
"""Pictures with more pixels are reduced as they are decoded, to half as many at most. Cameras with
24 million are left alone. Networks look at some 100,000."""

HERE_BYTES = 32 * 2**20
"""A JPEG that needs no more than this is decoded by the calling thread, in less than a second. To
start a worker takes 0.1 s, a tenth of what a command takes for one photo."""

KEPT_BYTES = 64 * 2**20
"""A worker that has decoded a larger photo is ended: only that gives all of its memory back."""

HEADER_CPU_S = 5.0
"""Processor time for reading a header. Most take some milliseconds."""

DECODE_CPU_S = 15.0
"""Processor time for decoding. The largest honest photo that was tried, a PNG of 88 million pixels
with alpha, takes 7 s; all others, such as 108 million of progressive JPEG and 48 million of HEIC,
less than 2 s."""

WORKER = (sys.executable, "-S", "-s", "-P", "-m", "deepmersion.vision.decode_worker")
"""Starts a worker, which finds what this process finds, and is spared the search of `site`."""

NO_MEMORY = frozenset({errno.ENOMEM, errno.EAGAIN})
"""Why the system starts no process where memory is short, or there are too many processes."""

ENDING = "was not decoded: the program is ending"


class Decoders:
    """Decodes photos, in any number of threads at once.

    Used as a context manager, or closed.
    """

    def __init__(self) -> None:
        self._memory = _Budget(MEMORY_BYTES)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._closed = False

    def __enter__(self) -> Decoders:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers; whoever waits for one gets a PhotoError."""
        with self._lock:
            self._closed = True
            workers = [*self._idle, *self._busy]
            self._idle.clear()
        self._memory.close()
        for worker in workers:
            worker.end()

    def load(
        self,
        source: Path | Readable,
        name: str,
        *,
        min_side: int | None = None,
        canvas_side: int | None = None,
    ) -> np.ndarray:
        """Return a photo's pixels, as `photo.load_photo` does, but those of large ones reduced.

        Parameters
        ----------
        source, name, min_side
            As for `photo.load_photo`.
        canvas_side : int, optional
            Squashes the picture to a square of this side, in pixels.

        Returns
        -------
        ndarray, shape = (height, width, 3), uint8
            RGB, at most `MAX_PIXELS`.

        Raises
        ------
        PhotoError
            As `photo.load_photo` raises it, and when decoding takes too long or too much memory.
        """
        request: dict[str, Any] = {
            "min_side": min_side,
            "max_pixels": MAX_PIXELS,
            "canvas_side": canvas_side,
            "header_cpu_s": HEADER_CPU_S,
            "decode_cpu_s": DECODE_CPU_S,
        }
        if isinstance(source, Path) and is_plain_file(source):
            with errors_of(name):
                require_size(source.stat().st_size, name, MAX_FILE_BYTES)
                file: BinaryIO = source.open("rb")
            request["path"] = os.path.abspath(source)  # noqa: PTH100  (resolves no links)
        else:
            file = read_photo(source, name)
            require_size(len(file.getbuffer()), name, MAX_STREAM_BYTES)
        with errors_of(name), file:
            try:
                pixels = self._load_here(file, request)
                return self._load_by_worker(file, request) if pixels is None else pixels
            except RefusedError as error:
                raise unfit(name, str(error)) from error
            except MemoryError as error:
                needed = error.args[0] if error.args and isinstance(error.args[0], int) else 0
                raise unfit(name, too_little_memory(needed)) from None

    def _load_here(self, file: BinaryIO, request: dict[str, Any]) -> np.ndarray | None:
        """Return a photo's pixels if it is a JPEG that does not take much."""
        is_jpeg = file.read(len(JPEG_MAGIC)) == JPEG_MAGIC
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if not is_jpeg or size > HERE_BYTES:
            return None
        with self._memory.share(HERE_BYTES):  # also for reading the file
            decoding = Decoding.of(
                file, min_side=request["min_side"], max_pixels=request["max_pixels"]
            )
            if decoding.needed_bytes <= HERE_BYTES:
                return np.asarray(decoding.finish(request["canvas_side"]))
        file.seek(0)
        return None

    def _load_by_worker(self, file: BinaryIO, request: dict[str, Any]) -> np.ndarray:
        worker = self._worker()
        keep = False
        try:
            data = b""
            if "path" not in request:
                data = file.read()
                request |= {"n_bytes": len(data)}
            answer = worker.ask(request, data)
            needed_bytes = answer["needs"] + WORKER_BYTES
            if needed_bytes > MEMORY_BYTES:
                raise RefusedError(
                    f"takes {needed_bytes >> 20} MiB of memory to decode, more than the "
                    f"{MEMORY_BYTES >> 20} MiB that are used for that; scale it down first"
                )
            with self._memory.share(needed_bytes):
                answer = worker.ask({})
                pixels = worker.read(answer["width"] * answer["height"] * 3)
                keep = needed_bytes <= KEPT_BYTES
                if not keep:
                    worker.end()
            return np.frombuffer(pixels, np.uint8).reshape(answer["height"], answer["width"], 3)
        finally:
            # One that was left in the middle of a photo would answer the next with it.
            self._put_back(worker, keep=keep)

    def _worker(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise RefusedError(ENDING)
            worker = self._idle.pop() if self._idle else _Worker()
            self._busy.add(worker)
        return worker

    def _put_back(self, worker: _Worker, *, keep: bool) -> None:
        with self._lock:
            self._busy.discard(worker)
            keep = keep and not self._closed
            if keep:
                self._idle.append(worker)
        if not keep:
            worker.end()


class _Budget:
    """Bytes that are lent, in the order of asking: a large photo must not wait for ever."""

    def __init__(self, n_bytes: int) -> None:
        self._free = n_bytes
        self._changed = threading.Condition()
        self._queue: list[object] = []
        self._closed = False

    @contextmanager
    def share(self, n_bytes: int) -> Iterator[None]:
        """Hold some of the bytes, as soon as they are free."""
        place = object()
        with self._changed:
            self._queue.append(place)
            try:
                self._changed.wait_for(
                    lambda: self._closed or (self._queue[0] is place and self._free >= n_bytes)
                )
                if self._closed:
                    raise RefusedError(ENDING)
                self._free -= n_bytes
            finally:
                self._queue.remove(place)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += n_bytes
                self._changed.notify_all()

    def close(self) -> None:
        """Refuse all who wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class _Worker:
    """A process that decodes one photo after another."""

    def __init__(self) -> None:
        places = [str(Path(__file__).parents[2]), *filter(None, sys.path)]
        try:
            self._process = subprocess.Popen(
                WORKER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if os.environ.get(DEBUG_VARIABLE) else subprocess.DEVNULL,
                env=os.environ
                | {
                    "PYTHONPATH": os.pathsep.join(places),
                    # Each arena of a thread and each of OpenBLAS's buffers counts as memory.
                    "MALLOC_ARENA_MAX": "1",
                    "OPENBLAS_NUM_THREADS": "1",
                },
            )
        except OSError as error:
            if error.errno in NO_MEMORY:
                raise MemoryError from error
            raise RefusedError(f"cannot be decoded {why(error)}") from error
        self._ended = False

    def ask(self, request: dict[str, Any], data: bytes = b"") -> dict[str, Any]:
        """Return the answer to a message.

        Raises
        ------
        RefusedError, MemoryError
            Those of the worker, and when it has ended without an answer.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended; why is found out below
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.write(data)
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._death()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RefusedError(answer["error"])
        if "no_memory" in answer:
            raise MemoryError(answer["no_memory"])
        return answer

    def read(self, n_bytes: int) -> bytes:
        """Return the bytes that follow an answer."""
        assert self._process.stdout is not None
        data = self._process.stdout.read(n_bytes)
        if len(data) < n_bytes:
            raise self._death()
        return data

    def _death(self) -> Exception:
        """Return why the worker has ended."""
        code = self._process.wait()
        if self._ended:
            return RefusedError(ENDING)
        if code in (TOO_SLOW, -getattr(signal, "SIGPROF", -TOO_SLOW)):
            return RefusedError("takes too long to decode; re-save it as JPEG")
        if code in (1, -getattr(signal, "SIGKILL", 0)):  # Python could not start, or was ended
            return MemoryError()
        return RefusedError(f"crashes its decoder ({code}); re-save it as JPEG")

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._ended = True
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):  # what was not sent yet
                pipe.close()
