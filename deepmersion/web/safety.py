"""Guards the server against other pages and other host names.

Any page open in a browser can send requests to servers on the same machine, or make its own name
resolve to this machine's address (DNS rebinding). So the host name and the origin of every request
are checked before anything else.
"""

from __future__ import annotations

import ipaddress
import socket
import sys

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._local_only = is_loopback(host)
        self._names = frozenset({"localhost"})
        if not self._local_only:
            self._names |= machine_names() | {host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_safely)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if not self._is_ours(_without_port(host)):
            return _refused(421, "this server is not known by that name; use its address")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"{scope['scheme']}://{host}":
            return _refused(403, "another page may not use this server")
        site = headers.get("sec-fetch-site", "none")
        if site not in FROM_HERE and not _follows_a_link(scope, headers):
            return _refused(403, "another page may not use this server")
        return None

    def _is_ours(self, name: str) -> bool:
        # An address cannot be rebound: only names are looked up.
        address = _address(name)
        if address is not None:
            return address.is_loopback or not self._local_only
        return name in self._names


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _follows_a_link(scope: Scope, headers: Headers) -> bool:
    """Return True if the page was opened by a link, such as a shared mix."""
    return (
        scope["path"] == "/"
        and scope["method"] in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _refused(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status, headers={"Connection": "close"})


def report(error: Exception) -> None:
    """Log an unexpected failure on standard error, in one line and without the data."""
    print(f"Error: {type(error).__name__} while answering a request", file=sys.stderr, flush=True)
