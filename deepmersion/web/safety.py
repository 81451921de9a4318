"""Guards the server against other pages and other host names.

Any page open in a browser can send requests to servers on the same machine, or make its own name
resolve to this machine's address (DNS rebinding). So the host name and the origin of every request
are checked before anything else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import sys
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deepmersion.web.limits import Limits, discard

HEADERS = {
    "Cache-Control": "no-cache",  # unless a response says otherwise: browsers check for changes
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

FROM_HERE = ("same-origin", "none")
"""Values of Sec-Fetch-Site for requests that the page itself or its user makes."""

GIVEN_ONCE = ("host", "origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest")
"""Headers on which a request is judged: which of two would count?"""

HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]*)(:[0-9]{0,5})?")
"""A Host header in lower case: a name, an IPv4 address or an IPv6 address in brackets, and a
port (RFC 9110, section 7.2)."""


def is_loopback(host: str) -> bool:
    """Return True if a name or address is reachable only from this machine."""
    if host == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def machine_names() -> frozenset[str]:
    """Return the names by which other machines may know this one."""
    name = socket.gethostname().lower()
    return frozenset({name, f"{name.split('.')[0]}.local"})


class Guard:
    """Passes on requests that are addressed to this server and come from its page or no page.

    Parameters
    ----------
    app : ASGI application
    host : str
        The name or address that the server listens on.
    limits : Limits
    allowed : collection of str
        Further names, in lower case, under which a proxy passes requests on. Their pages may use
        the server over HTTP and HTTPS, whatever the proxy makes of the Host header.
    root_path : str
        The path at which a proxy offers the page.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        limits: Limits,
        allowed: Collection[str] = (),
        root_path: str = "",
    ) -> None:
        self._app = app
        self._limits = limits
        self._local_only = is_loopback(host)
        self._allowed = frozenset(allowed)
        self._pages = {"/", f"{root_path}/", root_path}
        self._names = self._allowed | {"localhost"}
        if not self._local_only:
            self._names |= machine_names() | {host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        started = False
        send_safely = _with_policy(send)

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = True
            await send_safely(message)

        refusal = self._refusal(scope)
        try:
            if refusal:  # an unread body would break the connection before it is read
                await discard(Request(scope, receive), self._limits)
            await (refusal or self._app)(scope, receive, send_noting)
        except asyncio.CancelledError:
            if started:
                raise
            await _refused(503, "the server has been stopped")(scope, receive, send_safely)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        for header in GIVEN_ONCE:
            if len(headers.getlist(header)) > 1:
                return _refused(400, f"the header {header} is given twice")
        host = headers.get("host", "").lower()
        name = _name_of(host)
        if name is None:
            return _refused(400, "the Host header is malformed")
        if not self._is_ours(name):
            return _refused(
                421, "this server is not known by that name; use its address, or --allowed-host"
            )
        origin = headers.get("origin", "").lower()
        if "origin" in headers and not self._is_own_page(origin, f"{scope['scheme']}://{host}"):
            return _refused(403, "another page may not use this server")
        site = headers.get("sec-fetch-site", "none")
        if site not in FROM_HERE and not self._follows_a_link(scope, headers):
            return _refused(403, "another page may not use this server")
        return None

    def _is_ours(self, name: str) -> bool:
        # An address cannot be rebound: only names are looked up.
        address = _address(name)
        if address is not None:
            return address.is_loopback or not self._local_only
        return name in self._names

    def _is_own_page(self, origin: str, here: str) -> bool:
        scheme, _, host = origin.partition("://")
        by_proxy = scheme in ("http", "https") and _name_of(host) in self._allowed
        return origin == here or by_proxy

    def _follows_a_link(self, scope: Scope, headers: Headers) -> bool:
        """Return True if the page was opened by a link, such as a shared mix."""
        return (
            scope["path"] in self._pages
            and scope["method"] in ("GET", "HEAD")
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") == "document"
        )


def _with_policy(send: Send) -> Send:
    async def send_safely(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_safely


def _name_of(host: str) -> str | None:
    """Return a Host header's name or address, without port and brackets; None if malformed."""
    found = HOST.fullmatch(host)
    if found is None:
        return None
    name = found[1].strip("[]")
    return None if found[1].startswith("[") and _address(name) is None else name


def _refused(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status, headers={"Connection": "close"})


def too_many_connections(limits: Limits) -> ASGIApp:
    """Return what answers where more connections are open than are allowed."""
    headers = {"Connection": "close", "Retry-After": str(limits.retry_after_s)}
    response = JSONResponse({"error": "the server is busy; try again in a moment"}, 503, headers)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, _with_policy(send))

    return answer


def report(error: Exception) -> None:
    """Log an unexpected failure on standard error, in one line and without the data."""
    print(f"Error: {type(error).__name__} while answering a request", file=sys.stderr, flush=True)
