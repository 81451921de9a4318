"""Downloads over a real HTTP server on 127.0.0.1; the files are stand-ins of a few hundred kB."""

from __future__ import annotations

import hashlib
import multiprocessing
import socket
import ssl
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import loopback
import pytest
from certificate import Certificate, make_certificate
from loopback import Loopback, Misbehaviour, serve
from soundserver import WAIT_S

from deepmersion.errors import FetchError
from deepmersion.fetching import download
from deepmersion.fetching.cache import locked
from deepmersion.fetching.digests import Identity, identities
from deepmersion.fetching.download import Patience, n_fetched, part_path
from deepmersion.fetching.published import PublishedFile

SIZE = 700_001
CONTENT = bytes(hashlib.shake_256(b"stand-in").digest(SIZE))
IDENTITY = Identity("sha256", hashlib.sha256(CONTENT).hexdigest())

HASTE = Patience(timeout_s=WAIT_S, pauses_s=(0.01, 0.02))
"""No test is to wait as long as a person would between two attempts."""

SILENT_S = 2.0
"""How long a server that says nothing is waited for, where it is to say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Loopback]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "file.pth").write_bytes(CONTENT)
    with serve(folder) as loopback:
        yield loopback


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEPMERSION_MIRROR", raising=False)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "file.pth"


def published(url: str) -> PublishedFile:
    return PublishedFile(
        url=url, filename="file.pth", size=SIZE, identity=IDENTITY, by_hand="copy it to {path}"
    )


def fetch(
    server: Loopback, target: Path, patience: Patience = HASTE
) -> list[tuple[int, int | None]]:
    """Download the file and return what was reported along the way."""
    seen: list[tuple[int, int | None]] = []
    download.download(
        published(server.url("file.pth")),
        target,
        on_progress=lambda done, total: seen.append((done, total)),
        patience=patience,
    )
    return seen


def test_file_arrives_whole_and_progress_is_reported(server: Loopback, target: Path) -> None:
    seen = fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert not part_path(target).exists()
    done = [d for d, _ in seen]
    assert done[0] == 0
    assert done[-1] == SIZE
    assert done == sorted(done)
    assert {total for _, total in seen} == {SIZE}


def test_broken_download_goes_on_where_it_was(server: Loopback, target: Path) -> None:
    server.script = [Misbehaviour(cut_at=250_000)]
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=250000-"]


def test_earlier_run_is_resumed(server: Loopback, target: Path) -> None:
    part_path(target).write_bytes(CONTENT[:123_456])
    seen = fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == ["bytes=123456-"]
    assert seen[0] == (123_456, SIZE)


def test_earlier_run_that_got_all_needs_no_server(server: Loopback, target: Path) -> None:
    part_path(target).write_bytes(CONTENT)
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == []


def test_server_without_ranges_starts_again(server: Loopback, target: Path) -> None:
    part_path(target).write_bytes(CONTENT[:123_456])
    server.script = [Misbehaviour(no_ranges=True)]
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_line_that_keeps_breaking_gets_through_while_it_brings_something(
    server: Loopback, target: Path
) -> None:
    server.script = [Misbehaviour(cut_at=100_000) for _ in range(6)]
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert len(server.ranges) == 7


@pytest.mark.parametrize("how", [Misbehaviour(status=503), Misbehaviour(status=429)])
def test_passing_server_errors_are_tried_again(
    server: Loopback, target: Path, how: Misbehaviour
) -> None:
    server.script = [how, how]
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_lasting_server_error_gives_up_with_growing_pauses(
    server: Loopback, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("deepmersion.fetching.download.time.sleep", pauses.append)
    server.script = [Misbehaviour(status=500) for _ in range(9)]
    with pytest.raises(FetchError, match="500") as error:
        fetch(server, target, patience=Patience(WAIT_S, (1.0, 2.0, 4.0)))
    assert pauses == [1.0, 2.0, 4.0]
    assert f"copy it to {target}" in str(error.value)
    assert not target.exists()


def test_missing_file_is_not_tried_again(server: Loopback, target: Path) -> None:
    server.script = [Misbehaviour(status=404)]
    with pytest.raises(FetchError, match="404"):
        fetch(server, target)
    assert len(server.ranges) == 1


def test_silent_server_is_left_and_resumed(server: Loopback, target: Path) -> None:
    server.script = [Misbehaviour(stall_at=300_000)]
    fetch(server, target, patience=replace(HASTE, timeout_s=SILENT_S))
    assert target.read_bytes() == CONTENT
    assert server.ranges[1] == "bytes=300000-"


def test_server_that_stays_silent_is_given_up(server: Loopback, target: Path) -> None:
    server.script = [Misbehaviour(stall_at=0) for _ in range(3)]
    with pytest.raises(FetchError, match="timed out"):
        fetch(server, target, patience=replace(HASTE, timeout_s=SILENT_S))


def test_part_is_kept_when_giving_up(server: Loopback, target: Path) -> None:
    server.script = [Misbehaviour(cut_at=100_000), *[Misbehaviour(status=500)] * 3]
    with pytest.raises(FetchError, match=r"after 0\.1 of 0\.7 MB.*go on from there"):
        fetch(server, target)
    assert n_fetched(target) == 100_000
    assert not target.exists()


def test_redirect_is_followed_and_keeps_the_range(server: Loopback, target: Path) -> None:
    part_path(target).write_bytes(CONTENT[:1000])
    (server.folder / "elsewhere.pth").write_bytes(CONTENT)
    server.script = [Misbehaviour(redirect="/elsewhere.pth")]
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-", "bytes=1000-"]


def test_wrong_content_is_deleted_and_named(server: Loopback, target: Path) -> None:
    wrong = bytes(SIZE)
    (server.folder / "file.pth").write_bytes(wrong)
    with pytest.raises(FetchError) as error:
        fetch(server, target)
    assert IDENTITY.digest in str(error.value)
    assert hashlib.sha256(wrong).hexdigest() in str(error.value)
    assert not target.exists()
    assert not part_path(target).exists()


def test_wrong_start_of_an_earlier_run_is_found_out(server: Loopback, target: Path) -> None:
    part_path(target).write_bytes(bytes(1000))
    with pytest.raises(FetchError, match="not the published file"):
        fetch(server, target)
    assert not part_path(target).exists()
    fetch(server, target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("length", [SIZE - 1, SIZE + 1])
def test_file_of_another_size_is_refused_at_once(
    server: Loopback, target: Path, length: int
) -> None:
    (server.folder / "file.pth").write_bytes(bytes(length))
    with pytest.raises(FetchError, match=f"expected {SIZE} bytes, found {length}"):
        fetch(server, target)
    assert not target.exists()


def test_endless_file_is_not_stored(server: Loopback, target: Path) -> None:
    (server.folder / "file.pth").write_bytes(CONTENT + bytes(5_000_000))
    server.script = [Misbehaviour(no_length=True)]
    with pytest.raises(FetchError, match="more than"):
        fetch(server, target)
    assert not part_path(target).exists()


def test_no_connection_is_said_at_once(
    target: Path, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    def never(_: float) -> None:
        raise AssertionError("waited although there is no connection")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.setattr("deepmersion.fetching.download.time.sleep", never)
    with pytest.raises(FetchError, match=r"name resolution.*copy it to /"):
        fetch(server, target)


def test_refused_connection_is_one_clear_line(target: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file.pth"
        with pytest.raises(FetchError, match="refused") as error:
            download.download(published(url), target, patience=HASTE)
    assert "\n" not in str(error.value)


def test_proxy_of_the_environment_is_used(
    server: Loopback, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def noted(request: BaseHTTPRequestHandler, server: Loopback) -> None:
        asked.append(request.path)
        request.path = "/file.pth"
        answer(request, server)

    answer = loopback._answer
    monkeypatch.setattr(loopback, "_answer", noted)
    monkeypatch.setenv("http_proxy", server.address)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    download.download(published("http://weights.invalid/file.pth"), target, patience=HASTE)
    assert asked == ["http://weights.invalid/file.pth"]
    assert target.read_bytes() == CONTENT


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """A fresh self-signed certificate for 127.0.0.1, and its key."""
    return make_certificate(tmp_path)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_of_the_environment_are_trusted(
    server: Loopback,
    target: Path,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with serve(server.folder, context) as secure:
        with pytest.raises(FetchError, match=r"not trusted.*SSL_CERT_FILE"):
            fetch(secure, target)
        monkeypatch.setenv(variable, str(certificate[0]))
        fetch(secure, target)
    assert target.read_bytes() == CONTENT


def test_full_disk_is_said_before_anything_is_fetched(
    server: Loopback, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(
        "deepmersion.fetching.cache.shutil.disk_usage", lambda _: usage(10**9, 10**9, SIZE)
    )
    with pytest.raises(FetchError, match="101 MB are needed"):
        fetch(server, target)
    assert server.ranges == []


def test_disk_that_fills_up_is_one_clear_line(server: Loopback, target: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    part_path(target).symlink_to(full)
    with pytest.raises(FetchError, match="No space left"):
        fetch(server, target)


def test_only_http_addresses_are_fetched(target: Path) -> None:
    with pytest.raises(FetchError, match="not an http address: copy it to"):
        download.download(published("file:///etc/hostname"), target)


def test_identities_are_git_and_sha256_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    # `git hash-object` and `sha256sum` of a file that holds "hello" and a line feed.
    assert identities(path) == {
        Identity("git-blob", "ce013625030ba8dba906f756967f9e9ca394464a"),
        Identity("sha256", "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"),
    }


def _hold_lock(path: Path, held: object, release: object) -> None:
    with locked(path, lambda: None):
        held.set()  # type: ignore[attr-defined]
        release.wait(WAIT_S)  # type: ignore[attr-defined]


def test_second_process_waits_for_the_first(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold_lock, args=(tmp_path / "file", held, release))
    other.start()
    assert held.wait(WAIT_S)
    waits = 0

    def count() -> None:
        nonlocal waits
        waits += 1
        if waits == 2:
            release.set()

    with locked(tmp_path / "file", count):
        assert waits >= 2
    other.join(WAIT_S)
    assert other.exitcode == 0


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold_lock, args=(tmp_path / "file", held, release))
    other.start()
    assert held.wait(WAIT_S)
    other.kill()
    other.join(WAIT_S)

    def fail() -> None:
        raise AssertionError("the lock outlived its process")

    with locked(tmp_path / "file", fail):
        pass
