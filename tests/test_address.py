"""Photos at an address, and webcams: fetched from a real server within bounds."""

from __future__ import annotations

import http.server
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from commandline import run, run_here, succeeded, the_error
from loopback import Loopback, Misbehaviour, serve
from material import assert_one_line

from deepmersion.errors import PhotoError
from deepmersion.fetching import address as module
from deepmersion.fetching.address import Address
from deepmersion.vision.webcam import watch_address


@pytest.fixture
def server(tmp_path: Path, flower_jpg: Path, china_jpg: Path) -> Iterator[Loopback]:
    folder = tmp_path / "www"
    folder.mkdir()
    (folder / "flower.jpg").write_bytes(flower_jpg.read_bytes())
    (folder / "china.jpg").write_bytes(china_jpg.read_bytes())
    (folder / "page.html").write_text("<p>No photo")
    (folder / "empty.jpg").touch()
    with serve(folder) as loopback:
        yield loopback


def test_the_command_takes_an_address_in_place_of_a_file(
    server: Loopback, flower_jpg: Path
) -> None:
    url = server.url("flower.jpg")
    fetched, read = (
        json.loads(succeeded(run_here("match", photo, "--json")).stdout)
        for photo in (url, flower_jpg)
    )
    assert fetched.pop("photo") == url
    del read["photo"]
    assert fetched == read


@pytest.mark.parametrize(
    ("name", "how", "why"),
    [
        ("none.jpg", {}, "the server answers 404"),
        ("flower.jpg", {"status": 503}, "the server answers 503"),
        ("flower.jpg", {"cut_at": 1000}, "the server stopped early"),
        ("flower.jpg", {"stall_at": 1000}, "there was no photo within"),
        ("flower.jpg", {"redirect": "file:///etc/passwd"}, "elsewhere"),
        ("flower.jpg", {"redirect": "ftp://127.0.0.1/a.jpg"}, "elsewhere"),
        ("empty.jpg", {}, "is empty"),
        ("china.jpg", {}, "is larger than"),
    ],
)
def test_each_failure_has_its_own_line(
    name: str, how: dict[str, object], why: str, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOTAL_S", 1.0)
    monkeypatch.setattr(module, "MAX_BYTES", 150_000)  # between the two photos
    server.script = [Misbehaviour(**how)]  # type: ignore[arg-type]
    with pytest.raises(PhotoError) as refused:
        Address(server.url(name)).read()
    assert_one_line(refused.value, server.url(name), why)


def test_redirects_are_followed_but_not_for_ever(server: Loopback, flower_jpg: Path) -> None:
    server.script = [Misbehaviour(redirect="/flower.jpg")] * 2
    assert Address(server.url("a.jpg")).read() == flower_jpg.read_bytes()
    server.script = [Misbehaviour(redirect=f"/{number}.jpg") for number in range(20)]
    with pytest.raises(PhotoError, match="elsewhere"):
        Address(server.url("a.jpg")).read()


@pytest.mark.parametrize(
    "text",
    ["file:///etc/passwd", "ftp://127.0.0.1/a.jpg", "http://", "http://[::1", "https://a:99999/"],
)
def test_what_is_no_web_address_is_refused_at_once(text: str) -> None:
    assert "address" in the_error(run_here("match", text, "--json"))


def test_a_photo_that_is_none_is_the_photos_own_error(server: Loopback) -> None:
    result = run_here("match", server.url("page.html"), "--json")
    assert f"{server.url('page.html')}: is not a photo" in the_error(result)


class _Guarded(http.server.BaseHTTPRequestHandler):
    """A webcam with a password, which redirects to another server, and knows what has changed."""

    photo = b""
    elsewhere = ""
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        allowed = self.headers["Authorization"] == "Basic bWU6c2VjcmV0IQ=="
        self.asked.append((self.path, self.headers["If-None-Match"]))
        if not allowed:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
        elif self.path == "/away":
            self.send_response(302)
            self.send_header("Location", self.elsewhere)
            self.end_headers()
        elif self.headers["If-None-Match"] == '"1"':
            self.send_response(304)
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", str(len(self.photo)))
            self.end_headers()
            self.wfile.write(self.photo)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def camera(flower_jpg: Path) -> Iterator[str]:
    _Guarded.photo = flower_jpg.read_bytes()
    _Guarded.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Guarded) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_password_is_sent_to_its_server_and_shown_to_nobody(camera: str) -> None:
    secret = f"http://me:secret%21@{camera}"
    result = succeeded(run("match", f"{secret}/a.jpg", "-o", "-", "--duration", "1"))
    assert f"http://{camera}/a.jpg" in result.stderr.decode()
    refused = run("match", f"http://me:wrong@{camera}/a.jpg", f"{secret}/b", "--json")
    assert refused.returncode == 1
    for said in (result.stderr, refused.stdout, refused.stderr):
        assert b"secret" not in said
        assert b"wrong" not in said
    assert b"the server answers 401" in refused.stderr


def test_a_password_does_not_follow_to_another_server(
    camera: str, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def refuse(request: http.server.BaseHTTPRequestHandler, _loopback: Loopback) -> None:
        asked.append(request.headers["Authorization"])
        request.send_error(401)

    monkeypatch.setattr("loopback._answer", refuse)
    _Guarded.elsewhere = server.url("flower.jpg")
    with pytest.raises(PhotoError, match="401"):
        Address(f"http://me:secret%21@{camera}/away").read()
    assert asked
    assert set(asked) == {None}


def test_a_certificate_has_to_be_trusted(
    tmp_path: Path, flower_jpg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
         certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with serve(flower_jpg.parent, tls) as loopback:
        url = loopback.url(flower_jpg.name)
        with pytest.raises(PhotoError, match=r"certificate is not trusted here.*SSL_CERT_FILE"):
            Address(url).read()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert Address(url).read() == flower_jpg.read_bytes()


def test_a_webcam_is_asked_whether_its_photo_has_changed(camera: str) -> None:
    address = Address(f"http://me:secret%21@{camera}/now.jpg")
    first = address.changed()
    assert first is not None
    assert (first.read(), first.name) == (_Guarded.photo, f"http://{camera}/now.jpg")
    assert address.changed() is None
    assert _Guarded.asked[-1] == ("/now.jpg", '"1"')


def test_a_webcam_that_fails_is_reported_once_and_asked_again(
    server: Loopback, flower_jpg: Path, china_jpg: Path
) -> None:
    now = server.folder / "now.jpg"
    stop = threading.Event()
    failures: list[str] = []

    def on_failure(name: str, error: PhotoError) -> None:
        assert name == server.url("now.jpg")
        failures.append(str(error))
        if len(server.ranges) >= 3:
            now.write_bytes(china_jpg.read_bytes())

    found = watch_address(
        Address(server.url("now.jpg")),
        0.01,
        lambda photo: photo.read(-1),  # type: ignore[union-attr]
        on_failure,
        stop,
    )
    now.write_bytes(flower_jpg.read_bytes())
    assert next(found) == flower_jpg.read_bytes()
    server.script = [Misbehaviour(status=500)] * 3 + [Misbehaviour(status=503)]
    assert next(found) == china_jpg.read_bytes()
    assert ["500" in failures[0], "503" in failures[1], len(failures)] == [True, True, 2]
    stop.set()
    assert list(found) == []


def test_the_command_follows_a_webcam(server: Loopback) -> None:
    arguments = ["--watch", server.url("flower.jpg"), "--every", "1", "-o", "-", "--duration", "2"]
    result = succeeded(run("match", *arguments))
    notes = result.stderr.decode().splitlines()
    assert f"Watching {server.url('flower.jpg')}; Ctrl-C ends it." in notes
    assert notes.count(server.url("flower.jpg")) == 1
    assert len(result.stdout) == 44 + 2 * 4 * 44_100
