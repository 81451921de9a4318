"""A real HTTP server on 127.0.0.1 that serves files and misbehaves on demand."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LONGEST_STALL_S = 20.0
BLOCK_BYTES = 1 << 20


@dataclass
class Misbehaviour:
    """Misbehaviour of one response; by default, none.

    Attributes
    ----------
    status : int
        Respond with this error.
    cut_at : int or None
        Close the connection after this many bytes of the body.
    stall_at : int or None
        Stall after this many bytes of the body.
    redirect : str or None
        Redirect the client to this path.
    no_ranges : bool
        Respond with the whole file regardless of the requested range.
    no_length : bool
        Omit the file's length.
    """

    status: int = 200
    cut_at: int | None = None
    stall_at: int | None = None
    redirect: str | None = None
    no_ranges: bool = False
    no_length: bool = False


@dataclass
class Loopback:
    """The server, with its files, the misbehaviour of its next responses, and the requests
    received."""

    folder: Path
    address: str = ""
    script: list[Misbehaviour] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Ignore clients that disconnect."""


@contextmanager
def serve(folder: Path, tls: ssl.SSLContext | None = None) -> Iterator[Loopback]:
    """Serve a folder until the block ends."""
    loopback = Loopback(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, loopback)

        def log_message(self, *arguments: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    loopback.address = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield loopback
    finally:
        loopback.stop.set()
        server.shutdown()
        server.server_close()


def _answer(request: BaseHTTPRequestHandler, loopback: Loopback) -> None:
    wanted = request.headers.get("Range")
    loopback.ranges.append(wanted)
    how = loopback.script.pop(0) if loopback.script else Misbehaviour()
    path = loopback.folder / request.path.lstrip("/")
    if path.is_dir():
        path /= "index.html"
    if how.redirect is not None:
        request.send_response(302)
        request.send_header("Location", how.redirect)
        request.end_headers()
    elif how.status != 200:
        request.send_error(how.status)
    elif not path.is_file():
        request.send_error(404)
    else:
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        _send(request, path, 0 if how.no_ranges else start, how, loopback)


def _send(
    request: BaseHTTPRequestHandler, path: Path, start: int, how: Misbehaviour, loopback: Loopback
) -> None:
    size = path.stat().st_size
    request.send_response(206 if start else 200)
    kind = "text/html" if path.suffix == ".html" else "application/octet-stream"
    request.send_header("Content-Type", kind)
    if start:
        request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
    if not how.no_length:
        request.send_header("Content-Length", str(size - start))
    request.end_headers()
    ends = [end for end in (how.cut_at, how.stall_at) if end is not None]
    left = min([size - start, *ends])
    with path.open("rb") as file:
        file.seek(start)
        while left and (block := file.read(min(BLOCK_BYTES, left))):
            request.wfile.write(block)
            left -= len(block)
    if how.stall_at is not None:
        loopback.stop.wait(LONGEST_STALL_S)
    request.close_connection = True
