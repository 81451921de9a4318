"""Serves the page at a path of a proxy, whether or not the proxy takes that path off."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class Prefix:
    """Passes on requests as if they were for the root.

    Addresses in the page are relative, so that it needs no path of its own.

    Parameters
    ----------
    app : ASGI application
    root_path : str
        Such as ``/sounds``; empty for none.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        root, path = self._root_path, scope["path"]
        if root and path == root:
            await Response(status_code=307, headers={"Location": f"{root}/"})(scope, receive, send)
            return
        if root:
            path = path if path.startswith(f"{root}/") else root + path
            scope = {**scope, "root_path": root, "path": path}
        await self._app(scope, receive, send)
