"""The server: listens, times out slow clients, and shuts down at once."""

from __future__ import annotations

import asyncio
import io
import ipaddress
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import h11
import uvicorn
from PIL import Image
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from deepmersion.errors import RequestError, ServerError, reason
from deepmersion.pipeline import Matcher
from deepmersion.undo import undone
from deepmersion.web.app import make_app
from deepmersion.web.limits import Limits, discard
from deepmersion.web.safety import too_many_connections

HEADER_BYTES = 16 * 1024
"""Largest request header; browsers need a few hundred bytes."""

ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses outside this machine: those reserved for examples (RFC 5737, RFC 3849)."""

BACKLOG = 128

FLOOD = 4
"""So many times the allowed connections are told that the server is busy; more are cut off."""

WARM_UP_SIDE = 64

IDLE_S = 30
"""Seconds that a browser may keep an idle connection open between requests."""


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises
    ------
    RequestError
        When this machine does not have that address.
    ServerError
        When the port is in use or not permitted.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise RequestError(
            f"this machine does not have the address {host}; leave --host out"
        ) from error
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


def address_of(listener: socket.socket, host: str, scheme: str = "http") -> str:
    """Return the page's URL."""
    bound = ipaddress.ip_address(listener.getsockname()[0].partition("%")[0])
    name = _own_address(listener.family) if bound.is_unspecified else host
    name = f"[{name}]" if ":" in name else name
    return f"{scheme}://{name}:{listener.getsockname()[1]}/"


def _own_address(family: socket.AddressFamily) -> str:
    """Return this machine's address in its network, or its host name if it has none."""
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((ELSEWHERE[family], 9))  # sends nothing
        return str(probe.getsockname()[0])
    return socket.gethostname()


class Server(uvicorn.Server):
    """Serves the page until it is stopped.

    Parameters
    ----------
    app : ASGI application
    limits : Limits
    stop : threading.Event, optional
        Set to stop it.
    certificate, key : Path, optional
        As in `deepmersion.web.tls.check_certificate`; with them, it speaks HTTPS.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        stop: threading.Event | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        self._stop = stop or threading.Event()

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
                timeout_keep_alive=IDLE_S,
                timeout_graceful_shutdown=0,
                h11_max_incomplete_event_size=HEADER_BYTES,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the caller, who sets `stop`."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Do what is due ten times a second; return whether to end."""
        return await super().on_tick(counter) or self._stop.is_set()


class _Deadline:
    """A timer that cuts a connection off unless it is stopped."""

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
    """Uvicorn's HTTP protocol with timeouts for slow requests and for clients that stop reading."""

    patience = Limits()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._served, self.app = self.app, self._answer
        self._request_due = _Deadline()
        self._answer_due = _Deadline()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of the first request."""
        super().connection_made(transport)
        if len(self.connections) > FLOOD * self.patience.connections:
            transport.abort()
            return
        self._expect_request()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._served
        if len(self.connections) >= self.patience.connections:
            # A body that is left unread would break the connection before the answer is read.
            await discard(Request(scope, receive), self.patience)
            app = too_many_connections(self.patience)
        await app(scope, receive, send)

    def data_received(self, data: bytes) -> None:
        """Take data; run the timeout from the beginning of a request's header to its end."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._expect_request()
        else:
            self._request_due.stop()

    def on_response_complete(self) -> None:
        """Start the timeout if a part of the next request has already arrived."""
        super().on_response_complete()
        if self.conn.trailing_data[0] and not self.transport.is_closing():
            self._expect_request()

    def _expect_request(self) -> None:
        if not self._request_due.counts:
            self._request_due.start(self.patience.header_timeout_s, self.transport)

    def pause_writing(self) -> None:
        """Start the timeout of a client that has stopped reading."""
        super().pause_writing()
        self._answer_due.start(self.patience.stall_timeout_s, self.transport)

    def resume_writing(self) -> None:
        """Stop the timeout: the client reads again."""
        super().resume_writing()
        self._answer_due.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop both timeouts."""
        self._request_due.stop()
        self._answer_due.stop()
        super().connection_lost(exc)


def warm_up(matcher: Matcher) -> None:
    """Match a grey photo, because the networks are slow on their first one."""
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
    stop: threading.Event,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    allowed: Collection[str] = (),
    root_path: str = "",
) -> None:
    """Serve the page until it is stopped.

    Parameters
    ----------
    matcher : Matcher
        Closed by the caller.
    listener : socket
        The result of `bind`.
    host : str
        The name or address that it was bound to.
    limits : Limits
    on_ready : callable
        Called once the page can be opened.
    stop : threading.Event
        Set to stop it.
    certificate, key : Path, optional
        See `Server`.
    allowed : collection of str
    root_path : str
        See `deepmersion.web.safety.Guard`.

    Raises
    ------
    ServerError
        When no temporary folder can be made for rendered sounds.
    """
    with _temporary_folder() as folder:
        app = make_app(matcher, folder, host, limits, allowed, root_path)
        server = Server(app, limits, stop, certificate, key)
        on_ready()
        server.run(sockets=[listener])


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    try:
        folder = Path(tempfile.mkdtemp(prefix="deepmersion-"))
    except OSError as error:
        raise ServerError(
            f"a temporary folder cannot be made ({reason(error)}); "
            "name one in the environment variable TMPDIR"
        ) from error
    with undone(partial(shutil.rmtree, folder, ignore_errors=True)):
        yield folder
