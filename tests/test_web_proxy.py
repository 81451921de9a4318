"""The page over HTTPS, behind a proxy, and as a QR code: the installed command and a real nginx."""

from __future__ import annotations

import getpass
import http.client
import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from certificate import Certificate, make_certificate
from commandline import run_here, start, the_error
from webpage import (
    ENDS_WITHIN_S,
    add_photo,
    own_profile,
    running,
    served,
    wait_until,
    wait_until_heard,
    watched_page,
)
from webserver import ask

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")

NAME = "sounds.example"
"""Under which the proxy is known."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def get(address: str, target: str, certificate: Certificate) -> http.client.HTTPResponse:
    context = ssl.create_default_context(cafile=certificate.certificate)
    connection = http.client.HTTPSConnection(urlsplit(address).netloc, context=context)
    connection.request("GET", target, headers={"Origin": address.rstrip("/")})
    return connection.getresponse()


def test_the_page_is_served_over_https_and_ends_cleanly(certificate: Certificate) -> None:
    with running("--ssl-certfile", *map(str, certificate_options(certificate))) as (process, at):
        assert at.startswith("https://127.0.0.1:")
        answer = get(at, "/api/sounds", certificate)
        assert answer.status == 200
        assert len(json.loads(answer.read())["sounds"]) == 18
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=ENDS_WITHIN_S) == (b"", b"")
        assert process.returncode == 0


def certificate_options(made: Certificate) -> list[str | Path]:
    return [made.certificate, "--ssl-keyfile", made.key]


@pytest.fixture(scope="module")
def taken() -> Iterator[str]:
    """A port on which no server can start, so that one that should not does not run for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield str(listener.getsockname()[1])


def test_what_is_wrong_with_a_certificate_is_told(
    tmp_path: Path, certificate: Certificate, taken: str
) -> None:
    other = make_certificate(tmp_path, "other")
    encrypted = tmp_path / "encrypted.key"
    command = f"openssl pkey -in {certificate.key} -aes256 -passout pass:x -out {encrypted}"
    subprocess.run(command.split(), check=True, capture_output=True)

    def refused(made: Path, key: Path | None) -> str:
        options: list[str | Path] = ["--port", taken, "--networks", "lite", "--ssl-certfile", made]
        options += ["--ssl-keyfile", key] if key else []
        return the_error(run_here("serve", *options))

    good, key = certificate
    assert "nothing.pem cannot be read (No such file" in refused(tmp_path / "nothing.pem", key)
    assert "nothing.key cannot be read (No such file" in refused(good, tmp_path / "nothing.key")
    assert "127.0.0.1.key holds no certificate" in refused(key, key)
    assert "127.0.0.1.pem holds no private key" in refused(good, good)
    assert "127.0.0.1.pem holds no private key" in refused(good, None)
    assert "other.key is not that of" in refused(good, other.key)
    assert "is encrypted" in refused(good, encrypted)
    assert "--ssl-keyfile needs --ssl-certfile" in the_error(
        run_here("serve", "--port", taken, "--ssl-keyfile", key), exit_code=2
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--allowed-host", "*"),
        ("--allowed-host", "https://a.example"),
        ("--allowed-host", "a.example:80"),
        ("--root-path", "sounds"),
        ("--root-path", "/../x"),
        ("--root-path", "/a b"),
    ],
)
def test_names_and_paths_that_are_none_are_refused(option: str, value: str, taken: str) -> None:
    result = run_here("serve", "--port", taken, option, value)
    assert result.returncode == 2
    assert f"'{value}' is not a" in result.stderr.decode()


@contextmanager
def proxy(folder: Path, location: str, certificate: Certificate | None = None) -> Iterator[str]:
    """Run nginx with a location block; yield its address."""
    if NGINX is None:
        pytest.skip("needs Debian's nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    tls = ""
    if certificate:
        tls = f"ssl_certificate {certificate.certificate}; ssl_certificate_key {certificate.key};"
    listen = f"127.0.0.1:{port} ssl" if certificate else f"127.0.0.1:{port}"
    configuration = folder / "nginx.conf"
    kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    configuration.write_text(
        f"daemon off; user {getpass.getuser()}; pid {folder}/nginx.pid; error_log {folder}/log;\n"
        f"events {{}} http {{ access_log off; {temporary} client_max_body_size 50m;\n"
        f"server {{ listen {listen}; {tls} {location} }} }}"
    )
    process = subprocess.Popen([NGINX, "-p", folder, "-c", configuration, "-e", "stderr"])
    try:
        wait_until(lambda: accepts(port) or process.poll() is not None)
        yield f"{'https' if certificate else 'http'}://{NAME}:{port}"
    finally:
        process.terminate()
        process.wait(ENDS_WITHIN_S)


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


WAYS = {
    "path taken off, name passed on": "proxy_pass {at}; proxy_set_header Host $http_host;",
    "both passed on": "proxy_pass {bare}; proxy_set_header Host $http_host;",
    "path taken off, name replaced": "proxy_pass {at};",
}


OPTIONS = ["--root-path", "/sounds", "--allowed-host", NAME]


@pytest.fixture(scope="module")
def proxied() -> Iterator[str]:
    """The server behind the proxy, by its own address."""
    with served(*OPTIONS) as address:
        yield address


def upload(address: str, photo: Path, origin: str, certificate: Certificate) -> int:
    """Return the status of an upload to a proxy, whose address a browser would look up."""
    parts = urlsplit(address)
    assert parts.port
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=certificate.certificate)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", parts.port, context=context
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", parts.port)
    headers = {"Host": parts.netloc, "Origin": origin, "Content-Type": "image/jpeg"}
    connection.request("POST", "/sounds/api/match", photo.read_bytes(), headers)
    return connection.getresponse().status


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("way", WAYS)
def test_a_proxys_page_may_use_the_server_and_no_other(
    way: str, tls: bool, tmp_path: Path, proxied: str, certificate: Certificate, china_jpg: Path
) -> None:
    location = WAYS[way].format(at=proxied, bare=proxied.rstrip("/"))
    made = certificate if tls else None
    with proxy(tmp_path, f"location /sounds/ {{ {location} }}", made) as address:
        assert upload(address, china_jpg, address, certificate) == 200
        assert upload(address, china_jpg, "https://evil.example", certificate) == 403


def test_the_page_plays_behind_a_proxy(
    browser: Browser, tmp_path: Path, proxied: str, china_jpg: Path
) -> None:
    """Over plain HTTP and another name, where browsers offer less than on the same machine."""
    location = WAYS["both passed on"].format(bare=proxied.rstrip("/"))
    with (
        proxy(tmp_path, f"location /sounds/ {{ {location} }}") as address,
        own_profile(browser) as profile,
        watched_page(profile, f"{address}/sounds/") as open_page,
    ):
        page = open_page()
        page.wait_for_function(
            "() => [...document.querySelectorAll('#examples img')].every(x => x.naturalWidth > 0)"
        )
        add_photo(page, china_jpg)
        wait_until_heard(page)


def test_names_and_paths_of_a_proxy_are_the_only_further_ones(proxied: str) -> None:
    host = {"Host": NAME}
    moved = ask(proxied, "/sounds", headers=host)
    assert (moved.status, moved.headers["location"]) == (307, "/sounds/")
    own = ["/", "/static/app.js", "/sw.js", "/sounds/rain"]
    for target in [*own, *(f"/sounds{target}" for target in own)]:
        assert ask(proxied, target, headers=host).status == 200, target
    for target in ["/soundsx/", "/sounds/../static/app.py", "/other/static/app.js"]:
        assert ask(proxied, target, headers=host).status == 404
    for name in ["evil.example", f"{NAME}.evil.example", f"x{NAME}"]:
        assert ask(proxied, "/sounds/api/sounds", headers={"Host": name}).status == 421
    for origin in [f"https://{NAME}.evil.example", f"ftp://{NAME}", f"https://{NAME}@evil"]:
        answer = ask(proxied, "/api/sounds", headers=host | {"Origin": origin})
        assert answer.status == 403
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    link |= host | {"Sec-Fetch-Dest": "document"}
    assert ask(proxied, "/sounds/", headers=link).status == 200
    assert ask(proxied, "/sounds/api/sounds", headers=link).status == 403


def test_a_code_is_printed_that_leads_to_the_page() -> None:
    process = start("serve", "--port", "0", "--networks", "lite", "--qr")
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line.decode())
        if "of use to this machine alone" in lines[-1]:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=ENDS_WITHIN_S)
    text = "".join(lines)
    found = re.search(r"http://\S+", text)
    assert found
    expected = expected_code(found[0])
    assert read_code(text)[: len(expected)] == expected


def read_code(text: str) -> list[list[bool]]:
    """Return the dark modules of the code in half blocks, without its light border."""
    pairs = {"█": (0, 0), "▀": (0, 1), "▄": (1, 0), " ": (1, 1)}
    rows: list[list[bool]] = []
    for line in text.splitlines():
        bare = re.sub(r"\x1b\[[0-9;]*m", "", line)
        if bare and set(bare) <= set(pairs):
            rows += [[bool(pairs[block][half]) for block in bare] for half in (0, 1)]
    return rows


def expected_code(address: str) -> list[list[bool]]:
    import segno

    matrix = segno.make(address, micro=False).matrix_iter(border=4)
    return [[bool(module) for module in row] for row in matrix]
