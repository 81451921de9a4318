"""One try at getting a file over HTTP, from wherever an earlier try broke off."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from deepmersion.callbacks import OnProgress
from deepmersion.errors import FetchError, in_one_line, reason

CHUNK_BYTES = 1 << 18

PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers of a server that may well be another one a moment later."""


class BrokenError(Exception):
    """A try failed in a way that the next one may not.

    Attributes
    ----------
    is_offline : bool
        Whether the server's name could not even be looked up.
    """

    def __init__(self, cause: BaseException | str) -> None:
        inner = getattr(cause, "reason", cause)
        super().__init__(reason(inner) if isinstance(inner, BaseException) else str(inner))
        self.is_offline = isinstance(inner, socket.gaierror)


class RefusedError(Exception):
    """A try failed in a way that the next one would as well."""


def n_bytes(part: Path) -> int:
    """Return the size of a file, 0 if there is none."""
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def receive(url: str, part: Path, size: int, on_progress: OnProgress, timeout_s: float) -> None:
    """Get what is missing of `part` in one try.

    Parameters
    ----------
    url : str
    part : Path
        What earlier tries have got, if anything; grows.
    size : int
        Of the published file, in bytes.
    on_progress : callable
    timeout_s : float
        Longest silence of the server, in seconds.

    Raises
    ------
    BrokenError
        When the connection or the server failed; what has come so far is kept.
    RefusedError
        When the server has not got the published file.
    FetchError
        When the address or the certificates have to be corrected first.
    OSError
        When `part` cannot be written.
    """
    have = n_bytes(part)
    if have > size:
        part.unlink()
        have = 0
    on_progress(have, size)
    if have == size:
        return
    with _open(url, have, timeout_s) as response:
        have = _start(response, have, url, size)
        with part.open("ab" if have else "wb") as file:
            for chunk in _chunks(response):
                have += len(chunk)
                if have > size:
                    break
                file.write(chunk)
                on_progress(have, size)
    if have > size:
        part.unlink()
        raise _wrong_size(url, f"more than {size}", size)
    if have < size:
        raise BrokenError("the server stopped early")


def _open(url: str, have: int, timeout_s: float) -> http.client.HTTPResponse:
    headers = {"User-Agent": "deepmersion", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        request = urllib.request.Request(url, headers=headers)
        response = urllib.request.urlopen(request, timeout=timeout_s, context=tls_context())
    except urllib.error.HTTPError as error:
        if error.code in PASSING_STATUSES:
            raise BrokenError(f"the server answers {error.code} {error.reason}") from error
        raise RefusedError(
            f"{url} could not be fetched (the server answers {error.code} {error.reason})"
        ) from error
    except (http.client.InvalidURL, ValueError) as error:
        raise FetchError(
            f"{url} is not a valid address ({in_one_line(error)}): correct it where you gave it "
            "(DEEPMERSION_MIRROR), in ASCII"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
            raise FetchError(
                f"{url} could not be fetched (its certificate is not trusted here): "
                "name your certificates in the environment variable SSL_CERT_FILE"
            ) from error
        raise BrokenError(error) from error
    if not isinstance(response, http.client.HTTPResponse):
        raise FetchError(f"{url} leads to something other than http: use a different address")
    return response


def tls_context() -> ssl.SSLContext:
    """Return the settings for https: certificates of the system and of the usual variables."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return _tls_context(bundle, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=1)
def _tls_context(bundle: str | None, *_read_by_openssl: str | None) -> ssl.SSLContext:
    # Kept, as reading all certificates takes as long as fetching a small file.
    context = ssl.create_default_context()
    if bundle and Path(bundle).is_dir():
        context.load_verify_locations(capath=bundle)
    elif bundle and Path(bundle).is_file():
        context.load_verify_locations(cafile=bundle)
    return context


def _start(response: http.client.HTTPResponse, have: int, url: str, size: int) -> int:
    """Return at which byte an answer starts; refuse one that is for a file of another size."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        span, _, total = response.headers.get("Content-Range", "").partition("/")
        if not span.startswith(f"bytes {have}-"):
            raise RefusedError(f"{url} answers with another part of the file than asked for")
    else:
        have, total = 0, response.headers.get("Content-Length", "")
    if total.isdigit() and int(total) != size:
        raise _wrong_size(url, total, size)
    return have


def _wrong_size(url: str, found: str, size: int) -> RefusedError:
    return RefusedError(
        f"what {url} offers is not the published file (expected {size} bytes, found {found})"
    )


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := response.read1(CHUNK_BYTES):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise BrokenError(error) from error
