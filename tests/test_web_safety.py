"""What the server lets nobody do, tried over real sockets."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from webpage import ENDS_WITHIN_S, running, wait_until
from webserver import TIMEOUT_S, Answer, ask, connect, post, read_all, threaded

from deepmersion.ambience import Ambience
from deepmersion.fetching.cache import cache_folder
from deepmersion.pipeline import Matcher
from deepmersion.web.limits import Limits

SMALL_BUFFER_BYTES = 4096
"""Of a socket: by itself it may grow to some megabytes, all of an answer."""


@pytest.fixture(scope="module")
def address(matcher: Matcher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with threaded(matcher, tmp_path_factory.mktemp("server")) as address:
        yield address


def test_names_that_can_be_rebound_are_refused(address: str, china_jpg: Path) -> None:
    port = urlsplit(address).port
    for host in [
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1.evil.example",
        "192.168.1.2",
        "",
    ]:
        for target in ["/", "/api/sounds", "/sounds/waves"]:
            answer = ask(address, target, headers={"Host": host})
            assert (answer.status, len(answer.json)) == (421, 1)
        assert post(address, china_jpg.read_bytes(), Host=host).status == 421
    for host in ["localhost", f"localhost:{port}", "[::1]:80", "127.0.0.1"]:
        assert ask(address, "/api/sounds", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["127.0.0.1:1@evil", "[::1", "[::1]x", "[localhost]", "::1", "localhost:80:80", "a b"]
)
def test_hosts_that_are_none_are_refused(address: str, host: str) -> None:
    answer = ask(address, "/api/sounds", headers={"Host": host})
    assert (answer.status, answer.error) == (400, "the Host header is malformed")


@pytest.mark.parametrize("name", ["Host", "Origin", "Sec-Fetch-Site"])
def test_what_a_request_is_judged_by_is_given_once(address: str, name: str) -> None:
    host = urlsplit(address).netloc
    own = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    lines = [f"{key}: {value}" for key, value in (own | {name: own[name]}).items()]
    for twice in (False, True):
        head = [*lines, f"{name}: {own[name]}"] if twice else lines
        with connect(address) as connection:
            request = "\r\n".join(["GET /api/sounds HTTP/1.1", *head, "Connection: close"])
            connection.sendall(f"{request}\r\n\r\n".encode())
            expected = b"HTTP/1.1 400 " if twice else b"HTTP/1.1 200 "
            assert read_all(connection).startswith(expected)


def test_a_server_for_others_is_known_by_addresses_and_its_own_name(
    matcher: Matcher, tmp_path: Path
) -> None:
    with threaded(matcher, tmp_path, host="0.0.0.0") as address:
        assert urlsplit(address).hostname != "0.0.0.0"  # which no other machine could open
        local = f"http://127.0.0.1:{urlsplit(address).port}/"
        assert ask(local, "/", headers={"Host": urlsplit(address).netloc}).status == 200
        for host in ["192.168.1.2:80", socket.gethostname(), "localhost"]:
            assert ask(local, "/", headers={"Host": host}).status == 200
        assert ask(local, "/", headers={"Host": "evil.example"}).status == 421


def test_other_pages_are_refused(address: str, china_jpg: Path) -> None:
    photo = china_jpg.read_bytes()
    host = urlsplit(address).netloc
    for origin in ["http://evil.example", "null", f"https://{host}", f"http://{host}1"]:
        assert post(address, photo, Origin=origin).status == 403
        assert ask(address, "/api/sounds", headers={"Origin": origin}).status == 403
        preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = ask(address, "/api/match", "OPTIONS", headers=preflight)
        assert answer.status == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert post(address, photo, Origin=f"http://{host}").status == 200
    large = bytes(8 * 2**20)  # is refused as legibly
    assert post(address, large, Origin="http://evil.example").status == 403


def test_what_other_pages_embed_is_refused_and_links_are_followed(address: str) -> None:
    def fetched(target: str, site: str, mode: str, dest: str) -> int:
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
        return ask(address, target, headers=headers).status

    assert fetched("/api/mix?mix=waves=1&duration=1", "cross-site", "no-cors", "image") == 403
    assert fetched("/api/mix?mix=waves=1&duration=1", "cross-site", "navigate", "document") == 403
    assert fetched("/sounds/waves", "same-site", "no-cors", "audio") == 403
    assert fetched("/", "cross-site", "navigate", "iframe") == 403
    assert fetched("/", "cross-site", "navigate", "document") == 200
    assert fetched("/", "none", "navigate", "document") == 200
    assert fetched("/sounds/waves", "same-origin", "cors", "empty") == 200


@pytest.mark.parametrize("target", ["/", "/static/app.js", "/api/sounds", "/nothing", "/sounds/x"])
def test_every_answer_has_the_policy(address: str, target: str) -> None:
    headers = ask(address, target).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


@pytest.mark.parametrize(
    "target",
    [
        "/../pyproject.toml",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/..%5capp.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/sounds/../soundbank.toml",
        "/sounds/..%2fsoundbank.toml",
        "/sounds/soundbank.toml",
        "/sounds/waves.ogg%00.toml",
        "/loops/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
    ],
)
def test_no_other_file_is_read(address: str, target: str) -> None:
    answer = ask(address, target)
    assert answer.status == 404
    assert set(answer.json) == {"error"}


def test_too_many_bytes_are_refused_however_they_come(
    matcher: Matcher, tmp_path: Path, china_jpg: Path
) -> None:
    photo = china_jpg.read_bytes()
    large = photo + bytes(2**20)
    with threaded(matcher, tmp_path / "x", Limits(upload_bytes=2**20)) as address:
        assert post(address, photo).status == 200
        announced = post(address, large)
        assert announced.status == 413
        assert "larger than 1 MiB" in announced.error
        chunked = post(address, iter([large]))  # no length is told
        assert chunked.status == 413
        with connect(address) as asking:  # and one that asks before it sends
            asking.sendall(
                b"POST /api/match HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
                b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
            )
            assert read_all(asking).startswith(b"HTTP/1.1 413 ")


def test_an_upload_that_ends_just_beyond_the_limit_is_refused_at_once(
    matcher: Matcher, tmp_path: Path
) -> None:
    for_ever = Limits(upload_bytes=10, upload_timeout_s=2 * TIMEOUT_S)
    with threaded(matcher, tmp_path / "x", for_ever) as address, connect(address) as uploading:
        uploading.sendall(  # all of it at once, so that its end is there with what is too much
            b"POST /api/match HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
            b"Transfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n"
        )
        assert read_all(uploading).startswith(b"HTTP/1.1 413 ")


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + data + chunk(b"IEND", b"")


def test_too_many_pixels_are_refused_before_they_are_decoded(address: str) -> None:
    for photo in [png_that_claims(30_000, 30_000), png_that_claims(9_500, 9_500)]:
        answer = post(address, photo)
        assert answer.status == 422
        assert "more than 89,478,485 pixels" in answer.error


class Held:
    """A real matcher whose photos wait until they may go on, and are counted meanwhile."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self.bank, self.places = matcher.bank, matcher.places
        self.go_on = threading.Event()
        self.lock = threading.Lock()
        self.now = self.most = self.all = 0

    def match(self, *arguments: Any, **options: Any) -> Ambience:
        with self.lock:
            self.now += 1
            self.all += 1
            self.most = max(self.most, self.now)
        assert self.go_on.wait(TIMEOUT_S)
        try:
            return self._matcher.match(*arguments, **options)
        finally:
            with self.lock:
                self.now -= 1


def test_two_photos_are_in_the_networks_some_wait_and_the_others_come_again(
    matcher: Matcher, tmp_path: Path, china_jpg: Path
) -> None:
    photo = china_jpg.read_bytes()
    held = Held(matcher)
    answers: list[Answer] = []

    def upload() -> None:
        answers.append(post(at, photo))

    with threaded(held, tmp_path / "x", Limits(photos_waiting=3)) as at:  # type: ignore[arg-type]
        clients = [threading.Thread(target=upload) for _ in range(8)]
        for client in clients:
            client.start()
        wait_until(lambda: len(answers) >= 3 and held.now >= 2)  # the others have their places
        assert {answer.status for answer in answers} == {503}
        assert answers[0].headers["retry-after"] == "1"
        assert "try again" in answers[0].error
        held.go_on.set()
        for client in clients:
            client.join()
        assert post(at, photo).status == 200
    assert sorted(answer.status for answer in answers) == [200] * 5 + [503] * 3
    assert held.most == 2


def test_of_many_uploads_each_gets_an_answer(
    matcher: Matcher, tmp_path: Path, china_jpg: Path
) -> None:
    """Also where there are more connections than are allowed."""
    photo = china_jpg.read_bytes() + bytes(2**23)  # more than lies in the connection's buffers
    answers: list[Answer] = []

    def upload() -> None:
        answers.extend(post(at, photo) for _ in range(2))

    few = Limits(connections=10, photos_waiting=1)
    with threaded(matcher, tmp_path / "x", few) as at:
        clients = [threading.Thread(target=upload) for _ in range(20)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert len(answers) == 40
    assert {answer.status for answer in answers} == {200, 503}
    for answer in answers:
        if answer.status == 503:
            assert answer.headers["retry-after"] == "1"
            assert "try again" in answer.error
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_nobody_works_for_a_client_that_has_gone(
    matcher: Matcher, tmp_path: Path, china_jpg: Path
) -> None:
    photo = china_jpg.read_bytes()
    held = Held(matcher)
    limits = Limits(photos_at_once=1)
    request = b"POST /api/match HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
    request += f"Content-Length: {len(photo)}\r\n\r\n".encode() + photo
    with threaded(held, tmp_path / "x", limits) as address:  # type: ignore[arg-type]
        first = threading.Thread(target=post, args=(address, photo))
        first.start()
        wait_until(lambda: held.now)
        for _ in range(4):
            with connect(address) as gone:
                gone.sendall(request)
        held.go_on.set()
        first.join()
        assert post(address, photo).status == 200
    assert held.all == 2


def test_photos_that_come_slowly_keep_no_others_out(
    matcher: Matcher, tmp_path: Path, china_jpg: Path
) -> None:
    few = Limits(photos_at_once=1, photos_waiting=1)
    slow = b"POST /api/match HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
    slow += b"Content-Length: 1000\r\n\r\nx"
    with threaded(matcher, tmp_path / "x", few) as address, ExitStack() as connections:
        for _ in range(4):
            connections.enter_context(connect(address)).sendall(slow)
        assert post(address, china_jpg.read_bytes()).status == 200


def test_memory_for_what_waits_is_bounded(
    matcher: Matcher, tmp_path: Path, china_jpg: Path
) -> None:
    photo = china_jpg.read_bytes()
    tight = Limits(waiting_bytes=len(photo))
    with threaded(matcher, tmp_path / "x", tight) as address:
        for _ in range(2):  # what one held is free again
            assert post(address, photo).status == 200
            assert post(address, photo + b"x").status == 503
            assert post(address, iter([photo])).status == 503  # it might have been of any length


def test_slow_clients_are_left(matcher: Matcher, tmp_path: Path) -> None:
    patience = Limits(header_timeout_s=2.0, upload_timeout_s=2.0, stall_timeout_s=2.0)
    with threaded(matcher, tmp_path / "x", patience) as address:
        with connect(address) as silent:
            assert read_all(silent) == b""
        with connect(address) as dribbling:
            dribbling.sendall(b"GET / HTTP/1.1\r\nHost: local")
            assert read_all(dribbling) == b""
        with connect(address) as second:  # the same after a request that went well
            second.sendall(b"GET /api/sounds HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT")
            assert read_all(second).startswith(b"HTTP/1.1 200 ")
        with connect(address) as uploading:
            uploading.sendall(
                b"POST /api/match HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
                b"Content-Length: 1000\r\n\r\nx"
            )
            answer = read_all(uploading)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"too slow" in answer


def test_who_takes_nothing_of_an_answer_is_left(matcher: Matcher, tmp_path: Path) -> None:
    few = Limits(stall_timeout_s=0.3, connections=2)  # two are too many
    with threaded(matcher, tmp_path / "x", few) as address:
        with connect(address, receive_bytes=SMALL_BUFFER_BYTES) as stalled:
            stalled.sendall(b"GET /loops/white-noise HTTP/1.1\r\nHost: localhost\r\n\r\n")
            begun = stalled.recv(1)
            wait_until(lambda: ask(address, "/").status == 200)  # its connection is given up
            head, _, received = (begun + read_all(stalled)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        announced = re.search(rb"content-length: (\d+)", head)
        assert announced is not None
        assert len(received) < int(announced[1])


def test_requests_that_are_none_are_refused(address: str) -> None:
    for rubbish in [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"]:
        with connect(address) as connection:
            connection.sendall(rubbish)
            assert read_all(connection).startswith(b"HTTP/1.1 400 ")
    with connect(address) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + bytes(b"x" * 100_000))
        assert b"200" not in read_all(connection)[:20]


def everything(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_kept_or_told_by_what_runs_the_networks(tmp_path: Path, china_jpg: Path) -> None:
    code = (
        "import sys; from deepmersion import match; import os;"
        "match(sys.argv[1], networks='lite'); print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": "", "DEEPMERSION_CACHE": str(cache_folder())}
    command = [sys.executable, "-c", code, str(china_jpg)]
    told = subprocess.run(command, env=os.environ | home, capture_output=True, check=True).stdout
    assert told.split() == [b"1"]
    assert not everything(tmp_path)


def test_nothing_of_a_photo_is_stored_or_told(
    tmp_path: Path, china_jpg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPMERSION_CACHE", str(cache_folder()))
    for name in ("TMPDIR", "HOME"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    with running() as (process, address):
        before = everything(tmp_path)
        for photo in [china_jpg.read_bytes(), b"damaged", png_that_claims(50_000, 50_000)]:
            post(address, photo, "?top=5&explain=true")
        assert everything(tmp_path) == before == set()
        assert ask(address, "/loops/waves").status == 200
        assert everything(tmp_path)  # so a file that is written is seen
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=ENDS_WITHIN_S)
    assert (stdout, stderr) == (b"", b"")
    assert not everything(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="there are other signals")
def test_ctrl_c_ends_it_whatever_is_going_on(china_jpg: Path) -> None:
    rest = b" HTTP/1.1\r\nHost: localhost\r\n"
    with running() as (process, address), ExitStack() as connections:
        idle, uploading, rendering, reading = (
            connections.enter_context(connect(address)) for _ in range(4)
        )
        idle.sendall(b"GET /" + rest + b"\r\n")
        uploading.sendall(
            b"POST /api/match" + rest + b"Content-Type: image/jpeg\r\n"
            b"Content-Length: 100000\r\n\r\n" + china_jpg.read_bytes()[:1000]
        )
        rendering.sendall(b"GET /api/mix?mix=waves=1&duration=10000" + rest + b"\r\n")
        reading.sendall(b"GET /loops/waves" + rest + b"\r\n")
        assert idle.recv(100).startswith(b"HTTP/1.1 200 ")
        assert post(address, china_jpg.read_bytes()).status == 200
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=ENDS_WITHIN_S)
        rendered = read_all(rendering)
    assert process.returncode == 0
    assert (stdout, stderr) == (b"", b"")
    assert rendered.startswith(b"HTTP/1.1 503 ")
    assert b"the server has been stopped" in rendered


def n_threads(process: subprocess.Popen[bytes]) -> int:
    return len(list(Path(f"/proc/{process.pid}/task").iterdir()))


@pytest.mark.skipif(sys.platform != "linux", reason="there a process's threads cannot be counted")
def test_ctrl_c_ends_it_in_the_middle_of_a_photo() -> None:
    large = io.BytesIO()
    Image.new("RGB", (7_000, 7_000)).save(large, "PNG", compress_level=1)
    with running() as (process, address), connect(address) as uploading:
        head = "POST /api/match HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        uploading.sendall(f"{head}Content-Length: {large.tell()}\r\n\r\n".encode())
        idle = n_threads(process)
        uploading.sendall(large.getvalue())
        wait_until(lambda: n_threads(process) > idle)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 0
    assert (stdout, stderr) == (b"", b"")


def test_the_help_is_quick_about_it() -> None:
    code = "import deepmersion.cli.serve, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, check=True
    ).stdout.decode()
    assert not {"starlette", "uvicorn", "PIL", "numpy"} & set(loaded.split())
