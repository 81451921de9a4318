"""Photos at an address, such as a webcam's: fetched within bounds, and again when they change."""

from __future__ import annotations

import http.client
import io
import queue
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import IO

from deepmersion.errors import PhotoError, in_one_line, reason
from deepmersion.fetching.http import CHUNK_BYTES, tls_context

SCHEMES = ("http", "https")

MAX_BYTES = 64 * 2**20
"""Largest photo that is fetched. Webcams send less than one MB, cameras some twenty."""

SILENCE_S = 15.0
"""Longest silence of the server, in seconds."""

TOTAL_S = 60.0
"""Longest time for one photo, from looking up the name to the last byte, in seconds."""

MAX_REDIRECTS = 5
"""From http to https, to another host and to the newest picture are three."""


REDIRECTING = range(300, 400)
"""Statuses that are left when a redirect was not followed."""


class Fetched(io.BytesIO):
    """A photo's file and its address."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


class Address:
    """The address of a photo, read like a file.

    Parameters
    ----------
    text : str
        With ``user:password@`` before the host if the server asks for them. They are sent to that
        server alone, and never shown.

    Attributes
    ----------
    name : str
        The address as it is shown.

    Raises
    ------
    PhotoError
        When it is not one of http or https.
    """

    def __init__(self, text: str) -> None:
        try:
            parts = urllib.parse.urlsplit(text)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise PhotoError(
                f"this address is not valid ({in_one_line(error)}); correct it"
            ) from error
        place = parts.netloc.rpartition("@")[2]
        self.name = urllib.parse.urlunsplit(parts._replace(netloc=place))
        if parts.scheme.lower() not in SCHEMES or not host:
            raise PhotoError(f"{self.name}: only addresses with http:// or https:// are fetched")
        self._url = urllib.parse.quote(
            urllib.parse.urlunsplit(parts._replace(netloc=_ascii(place, self.name), fragment="")),
            safe="!#$%&'()*+,/:;=?@[]~",
        )
        self._opener = _opener(self._url, parts.username, parts.password)
        self._seen: dict[str, str] = {}
        self._latest = b""
        self._file: Fetched | None = None

    def read(self, n: int = -1) -> bytes:
        """Return the next bytes of the photo, which is fetched when the first are read.

        Raises
        ------
        PhotoError
            When it cannot be fetched within the bounds.
        """
        if self._file is None:
            self._file = Fetched(self._fetch({})[0], self.name)
        return self._file.read(n)

    def changed(self) -> Fetched | None:
        """Return the photo that is there now, or None if it is still the one of the last call.

        Raises
        ------
        PhotoError
            When it cannot be fetched within the bounds.
        """
        data, seen = self._fetch(self._seen)
        self._seen = seen
        if not data or data == self._latest:
            return None
        self._latest = data
        return Fetched(data, self.name)

    def _fetch(self, seen: dict[str, str]) -> tuple[bytes, dict[str, str]]:
        """Return what is there, and the headers with which to ask whether it has changed.

        In a thread of its own, because a name server or a header that trickles in obeys no timeout.
        """
        answers: queue.SimpleQueue[_Answer | BaseException] = queue.SimpleQueue()
        due = time.monotonic() + TOTAL_S

        def work() -> None:
            try:
                answers.put(self._get(seen, due))
            except BaseException as error:
                answers.put(error)

        threading.Thread(target=work, daemon=True).start()
        try:
            answer = answers.get(timeout=TOTAL_S)
        except queue.Empty:
            answer = TimeoutError()
        if isinstance(answer, BaseException):
            raise self._failed(answer) from answer
        return answer.data, answer.seen or seen

    def _get(self, seen: dict[str, str], due: float) -> _Answer:
        headers = {"User-Agent": "deepmersion", "Accept": "image/*", "Accept-Encoding": "identity"}
        request = urllib.request.Request(self._url, headers=headers | seen)
        try:
            with self._opener.open(request, timeout=SILENCE_S) as response:
                return _Answer(self._read(response, due), _seen(response.headers))
        except urllib.error.HTTPError as error:
            with error:
                if error.code == http.HTTPStatus.NOT_MODIFIED:
                    return _Answer(b"", {})
                raise

    def _read(self, response: IO[bytes], due: float) -> bytes:
        data = bytearray()
        while chunk := response.read1(CHUNK_BYTES):  # type: ignore[attr-defined]
            data += chunk
            if len(data) > MAX_BYTES:
                raise self._unfit(f"is larger than {MAX_BYTES >> 20} MiB; give a smaller photo")
            if time.monotonic() > due:
                raise TimeoutError
        if getattr(response, "length", None):
            raise ConnectionError("the server stopped early")
        if not data:
            raise self._unfit("is empty; give the address of a photo")
        return bytes(data)

    def _unfit(self, what: str) -> PhotoError:
        return PhotoError(f"{self.name}: {what}")

    def _failed(self, error: BaseException) -> BaseException:
        if isinstance(error, urllib.error.HTTPError):
            if error.code in REDIRECTING:
                return self._unfit("it leads elsewhere than to a photo; check the address")
            return self._unfit(f"the server answers {error.code} {error.reason}; check the address")
        cause = getattr(error, "reason", error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return self._unfit(
                "its certificate is not trusted here; if it is your own, name it in the "
                "environment variable SSL_CERT_FILE"
            )
        if isinstance(cause, TimeoutError):
            return self._unfit(f"there was no photo within {TOTAL_S:g} s; try again later")
        if isinstance(error, OSError | http.client.HTTPException | ValueError):
            said = reason(cause) if isinstance(cause, BaseException) else str(cause)
            return self._unfit(f"cannot be fetched ({said}); check the address and the connection")
        return error


@dataclass(frozen=True)
class _Answer:
    """A photo's bytes, none if it has not changed, and headers to ask for a later one with."""

    data: bytes
    seen: dict[str, str]


def _seen(headers: http.client.HTTPMessage) -> dict[str, str]:
    asked = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
    return {asked[name]: headers[name] for name in asked if headers[name]}


def _ascii(place: str, name: str) -> str:
    """Return a host and port as they are sent."""
    try:
        return place if place.isascii() else place.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise PhotoError(f"{name}: this is not a valid address; correct it") from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to web servers only."""

    max_redirections = MAX_REDIRECTS
    max_repeats = MAX_REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request; raises HTTPError unless it is for a web server."""
        if urllib.parse.urlsplit(newurl).scheme not in SCHEMES:
            raise urllib.error.HTTPError(newurl, code, msg, headers, fp)  # as for file:
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(url: str, user: str | None, password: str | None) -> urllib.request.OpenerDirector:
    """Return what opens web addresses and nothing else: no files, no ftp, no cookies."""
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=tls_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ]
    if user is not None:
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        name, secret = (urllib.parse.unquote(word or "") for word in (user, password))
        passwords.add_password(None, f"{urllib.parse.urljoin(url, '/')}", name, secret)
        handlers += [
            urllib.request.HTTPBasicAuthHandler(passwords),
            urllib.request.HTTPDigestAuthHandler(passwords),
        ]
    for handler in handlers:
        opener.add_handler(handler)
    return opener
