"""Decodes photos in a process of its own, for `decoders`.

It can be ended at any time, and ends by itself when a photo takes too long or when its parent is
gone; a decoder that crashes takes nothing else with it. What libraries write to standard error is
discarded.

Each message is a line of JSON; some are followed by bytes::

    parent                              worker
    {path or n_bytes, min_side, …}
    the photo's bytes, if n_bytes  ──>
                                   <──  {needs: bytes of memory}
    {}                             ──>
                                   <──  {width, height}, the pixels

In place of either answer, ``{error}`` or ``{no_memory}`` ends the photo.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

from deepmersion.errors import OUT_OF_MEMORY, why

SLOW_WALL = 4
"""By how much longer it may take where only elapsed time can be limited."""

FAILED = 70
"""Exit code after an error in this program, EX_SOFTWARE. Python has 1 for what it cannot start."""

TOO_SLOW = 75
"""Exit code, EX_TEMPFAIL, where no signal ends what takes too long."""

SPARE_BYTES = 96 * 2**20
"""Memory allowed beyond the estimate: for libraries, and for threads of decoders."""


def main() -> None:
    """Answer the parent until it is gone."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries that print must not disturb the answers
    for number in (signal.SIGINT, getattr(signal, "SIGHUP", None)):
        if number is not None:  # a terminal sends them to all its processes; the parent decides
            signal.signal(number, signal.SIG_IGN)
    requests: SimpleQueue[tuple[dict[str, Any], bytes]] = SimpleQueue()
    threading.Thread(target=_receive, args=(requests,), daemon=True).start()
    try:
        while True:
            _answer(answers, *requests.get(), requests)
    except BaseException:
        traceback.print_exc()
        os._exit(FAILED)  # not as Python does, which would wait for the parent's next message


def _receive(requests: SimpleQueue[tuple[dict[str, Any], bytes]]) -> None:
    """Receive messages; end the process with the parent, even while a photo is decoded."""
    try:
        while line := sys.stdin.buffer.readline():
            request = json.loads(line)
            requests.put((request, sys.stdin.buffer.read(request.get("n_bytes", 0))))
    finally:
        os._exit(0)


def _answer(
    answers: BinaryIO,
    request: dict[str, Any],
    data: bytes,
    requests: SimpleQueue[tuple[dict[str, Any], bytes]],
) -> None:
    try:
        from deepmersion.vision.decode import Decoding, RefusedError
    except MemoryError:
        _send(answers, {"no_memory": 0})
        return
    except ImportError as error:
        _send(answers, {"no_memory": 0} if OUT_OF_MEMORY in str(error) else {"error": str(error)})
        return
    needed_bytes = 0
    try:
        _limit_memory(None)
        with Path(request["path"]).open("rb") if "path" in request else io.BytesIO(data) as file:
            del data
            with _time_limit(request["header_cpu_s"]):
                decoding = Decoding.of(
                    file, min_side=request["min_side"], max_pixels=request["max_pixels"]
                )
            needed_bytes = decoding.needed_bytes + request.get("n_bytes", 0)
            _send(answers, {"needs": needed_bytes})
            requests.get()
            _limit_memory(needed_bytes + SPARE_BYTES)
            with _time_limit(request["decode_cpu_s"]):
                image = decoding.finish(request["canvas_side"])
        _send(answers, {"width": image.width, "height": image.height}, image.tobytes())
    except RefusedError as error:
        _send(answers, {"error": str(error)})
    except OSError as error:
        _send(answers, {"error": f"cannot be read {why(error)}"})
    except MemoryError:
        _send(answers, {"no_memory": needed_bytes})


def _send(answers: BinaryIO, message: dict[str, Any], data: bytes = b"") -> None:
    answers.write(json.dumps(message).encode() + b"\n")
    answers.write(data)
    answers.flush()


@contextmanager
def _time_limit(cpu_s: float) -> Iterator[None]:
    """End this process once it has computed for so long within the block."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, cpu_s)  # its signal ends the process, whatever it does
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        return
    # Windows. A decoder that keeps Python's lock is ended when it lets go of it.
    timer = threading.Timer(cpu_s * SLOW_WALL, os._exit, [TOO_SLOW])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _limit_memory(n_bytes: int | None) -> None:
    """Limit what this process may take from now on, where the system can (Linux)."""
    if sys.platform != "linux":
        return
    import resource

    _, limit = resource.getrlimit(resource.RLIMIT_DATA)
    hard = limit
    if n_bytes is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[5])
        wanted = pages * resource.getpagesize() + n_bytes
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


if __name__ == "__main__":
    main()
