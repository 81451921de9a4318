"""The server: a socket, a patience with clients that has an end, and a quick end of its own."""

from __future__ import annotations

import asyncio
import io
import ipaddress
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h11
import uvicorn
from PIL import Image
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from deepmersion.errors import RequestError, ServerError, reason
from deepmersion.pipeline import Matcher
from deepmersion.web.app import make_app
from deepmersion.web.limits import Limits

HEADER_BYTES = 16 * 1024
"""What a request's first lines may take; browsers need some hundred bytes."""

ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses of other machines: those kept for examples (RFC 5737, RFC 3849)."""

BACKLOG = 128

WARM_UP_SIDE = 64

IDLE_S = 30
"""How long a browser may keep a connection open for its next request."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    RequestError
        When there is no such address here.
    ServerError
        When the port is in use or may not be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise RequestError(f"the host {host} is not known here; leave --host out") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ServerError(
            f"port {port} of {host} cannot be used ({reason(error)}); choose another --port"
        ) from error
    return listener


def address_of(listener: socket.socket, host: str) -> str:
    """Return the address of the page, as it is typed into a browser."""
    bound = ipaddress.ip_address(listener.getsockname()[0].partition("%")[0])
    name = _own_address(listener.family) if bound.is_unspecified else host
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{listener.getsockname()[1]}/"


def _own_address(family: socket.AddressFamily) -> str:
    """Return the address by which this machine's network knows it; without one, its name."""
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((ELSEWHERE[family], 9))  # sends nothing
        return str(probe.getsockname()[0])
    return socket.gethostname()


class Server(uvicorn.Server):
    """Serves the page until it is told to stop.

    Parameters
    ----------
    app : ASGI application
    limits : Limits
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        class Protocol(PunctualProtocol):
            patience = limits

        super().__init__(
            uvicorn.Config(
                app,
                http=Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=limits.connections,
                timeout_keep_alive=IDLE_S,
                timeout_graceful_shutdown=0,
                h11_max_incomplete_event_size=HEADER_BYTES,
            )
        )


class _Deadline:
    """A time at which a connection is cut off, unless it is stopped before."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    @property
    def counts(self) -> bool:
        return self._timer is not None

    def start(self, wait_s: float, transport: asyncio.Transport) -> None:
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(wait_s, transport.abort)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None


class PunctualProtocol(H11Protocol):
    """Uvicorn's HTTP, which waits neither for ever for a request nor for an answer to be taken."""

    patience = Limits()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._request_due = _Deadline()
        self._answer_due = _Deadline()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        """Take what came; begin to count when a request begins, and stop when it is there."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._expect_request()
        else:
            self._request_due.stop()

    def on_response_complete(self) -> None:
        """Begin to count when a part of the next request came with the last one."""
        super().on_response_complete()
        if self.conn.trailing_data[0] and not self.transport.is_closing():
            self._expect_request()

    def _expect_request(self) -> None:
        if not self._request_due.counts:
            self._request_due.start(self.patience.header_timeout_s, self.transport)

    def pause_writing(self) -> None:
        """Begin to count when the client takes nothing."""
        super().pause_writing()
        self._answer_due.start(self.patience.stall_timeout_s, self.transport)

    def resume_writing(self) -> None:
        """Stop counting when the client takes something."""
        super().resume_writing()
        self._answer_due.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting."""
        self._request_due.stop()
        self._answer_due.stop()
        super().connection_lost(exc)


def warm_up(matcher: Matcher) -> None:
    """Let the networks look at a grey photo: their first one takes longer than the next ones."""
    photo = io.BytesIO()
    Image.new("RGB", (WARM_UP_SIDE, WARM_UP_SIDE), "grey").save(photo, "PPM")
    photo.seek(0)
    matcher.match(photo)


def serve(
    matcher: Matcher,
    listener: socket.socket,
    host: str,
    limits: Limits,
    on_ready: Callable[[], None],
) -> None:
    """Serve the page until Ctrl-C, or SIGTERM, which is its ordinary end.

    Parameters
    ----------
    matcher : Matcher
        Stays the caller's to close.
    listener : socket
        As `bind` returns it.
    host : str
        What it was bound to.
    limits : Limits
    on_ready : callable
        Called when the page can be opened.

    Raises
    ------
    ServerError
        When there is no place for what is rendered.
    """
    with (
        _temporary_folder() as folder,
        suppress(KeyboardInterrupt),  # the server ends well, and then hands on what ended it
    ):
        server = Server(make_app(matcher, Path(folder), host, limits), limits)
        on_ready()
        server.run(sockets=[listener])


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="deepmersion-", ignore_cleanup_errors=True)
    except OSError as error:
        raise ServerError(
            f"no folder for temporary files can be made ({reason(error)}); "
            "name one in the environment variable TMPDIR"
        ) from error
