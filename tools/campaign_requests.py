"""Malformed requests to the page's server, which has to answer or to hang up, and to stay."""

from __future__ import annotations

import random
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from campaign_inputs import PHOTO_FORMATS, damaged, photo
from campaign_trials import COMMAND, END_S

PATIENCE_S = 20.0
"""Longest wait for an answer, in seconds."""

REST_S = 0.1
"""Time for an answer before the server is told that no more comes, in seconds."""

PARTS = (
    b"\r\n", b"\n", b"\0", b" ", b":", b"%", b"%00", b"/..", b"//", b"\xff", b"HTTP/9.9",
    b"CONNECT", b"Transfer-Encoding: chunked\r\n", b"Content-Length: -1\r\n",
    b"Content-Length: 99999999999\r\n", b"Host: evil\r\n", b"Origin: null\r\n", b"?top=-1",
    b"?top=1e9", b"X: " + b"a" * 20_000 + b"\r\n",
)  # fmt: skip


def request(rng: random.Random) -> bytes:
    """Return a request with something wrong in it, or none at all."""
    how = rng.randrange(4)
    if how == 0:
        return rng.randbytes(rng.randrange(1, 400))
    head = b"%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    line = rng.choice((b"GET /", b"GET /api/sounds", b"GET /sounds/rain", b"GET /api/mix?mix=rain"))
    text = bytearray(head % line + b"\r\n")
    if how == 1:
        body = damaged(photo(rng.choice(PHOTO_FORMATS)), rng)
        length = rng.choice((len(body), len(body), len(body) - 1, 0))
        kind = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % length
        return head % b"POST /api/match" + kind + body
    if how == 2:
        return bytes(damaged(bytes(text), rng))
    for _ in range(rng.choice((1, 2, 4))):
        place = rng.randrange(len(text))
        text[place:place] = rng.choice(PARTS)
    return bytes(text)


def requests(seed: str, numbers: list[int], folder: Path) -> Iterator[tuple[str, list[str], bytes]]:
    """Yield the name of each of some requests, what is wrong with the answer, and the request."""
    server = subprocess.Popen(
        [COMMAND, "serve", "--port", "0"], stderr=subprocess.PIPE, cwd=folder, text=True
    )
    assert server.stderr is not None
    try:
        port = 0
        line = ""
        while not port and (read := server.stderr.readline()):
            line = read
            found = re.search(r"The page is at http://127\.0\.0\.1:(\d+)/", line)
            port = int(found[1]) if found else 0
        if not port:
            yield "requests start", [f"the server does not start: {line}"], b""
            return
        for number in numbers:
            name = f"requests {number}"
            sent = request(random.Random(f"{seed} {name}"))
            yield name, list(_wrong(_answer(port, sent))), sent
        whole = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        if not _answer(port, whole, PATIENCE_S).startswith(b"HTTP/1.1 200 "):
            yield "requests end", ["the server has gone"], whole
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            _, said = server.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            server.kill()
            said = "it did not end\n"
    if said or server.returncode != 0:
        yield "requests end", [f"exit code {server.returncode}, said: {said[:300]}"], b""


def _answer(port: int, sent: bytes, rest_s: float = REST_S) -> bytes:
    try:
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    except OSError as error:
        return f"none: {error}".encode()
    with connection:
        answer = bytearray()
        connection.settimeout(rest_s)
        with suppress(OSError):  # it may have hung up, which is an answer too
            connection.sendall(sent)
            with suppress(TimeoutError):  # it waits for the rest of the request
                answer += connection.recv(1 << 16)
            if not answer:
                connection.shutdown(socket.SHUT_WR)
            connection.settimeout(PATIENCE_S)
            try:
                while len(answer) < 1 << 20 and (part := connection.recv(1 << 16)):
                    answer += part
            except TimeoutError:
                return bytes(answer) or b"none in time"
        return bytes(answer)


def _wrong(answer: bytes) -> Iterator[str]:
    if answer and not re.match(rb"HTTP/1\.1 [1-4]\d\d |HTTP/1\.1 503 ", answer):
        yield f"answered {answer[:80]!r}"
    if b"Traceback" in answer:
        yield "answered with a traceback"
