"""Runs the server in this process, with limits short enough to test, and talks plain HTTP to it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deepmersion.pipeline import Matcher
from deepmersion.places.store import Places
from deepmersion.web.app import make_app
from deepmersion.web.limits import Limits
from deepmersion.web.server import Server, address_of, bind

TIMEOUT_S = 60

JPEG = {"Content-Type": "image/jpeg"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The one-line error in a refusal."""
        message = self.json["error"]
        assert isinstance(message, str)
        assert len(message.splitlines()) == 1
        return message


def ask(
    address: str,
    target: str,
    method: str = "GET",
    body: bytes | Iterator[bytes] | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Send a request with its target unchanged, and return the response; header names in lower
    case."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=TIMEOUT_S)
    try:
        connection.request(method, target, body, headers or {})
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read())
    finally:
        connection.close()


def post(address: str, photo: bytes | Iterator[bytes], query: str = "", **headers: str) -> Answer:
    return ask(address, f"/api/match{query}", "POST", photo, JPEG | headers)


def connect(address: str, receive_bytes: int | None = None) -> socket.socket:
    """Return a connection, with a receive buffer of a certain size if one is given."""
    parts = urlsplit(address)
    assert parts.hostname is not None
    connection = socket.socket()
    connection.settimeout(TIMEOUT_S)
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.connect((parts.hostname, parts.port))
    return connection


def read_all(connection: socket.socket) -> bytes:
    """Return the data received until the other side ends the connection, in whatever way."""
    received = bytearray()
    try:
        while chunk := connection.recv(65_536):
            received += chunk
    except ConnectionResetError:
        pass
    return bytes(received)


@contextmanager
def keeping(matcher: Matcher, path: Path) -> Iterator[Matcher]:
    """Let a matcher recognise and keep places in a file of their own until the block ends."""
    assert matcher.places is None
    matcher.places = Places(path)
    try:
        yield matcher
    finally:
        matcher.places = None


@contextmanager
def threaded(
    matcher: Matcher, folder: Path, limits: Limits | None = None, host: str = "127.0.0.1"
) -> Iterator[str]:
    """Serve from a thread of this process until the block ends."""
    limits = limits or Limits()
    folder.mkdir(exist_ok=True)
    with bind(host, 0) as listener:
        server = Server(make_app(matcher, folder, host, limits), limits)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield address_of(listener, host)
        server.should_exit = True
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
