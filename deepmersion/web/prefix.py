"""Serves the page at a path of a proxy, whether or not the proxy takes that path off."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send


class Prefix:
    """Passes on requests as if they were for the root.

    Addresses in the page are relative, so that it needs no path of its own. With the path
    ``/sounds``, a request for ``/sounds/rain`` can be one for the sound, from which the path was
    taken off already: the path is taken off only where the rest is one of the page's own.

    Parameters
    ----------
    app : Starlette
    root_path : str
        Such as ``/sounds``; empty for none.
    """

    def __init__(self, app: Starlette, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        root, path = self._root_path, scope["path"]
        if root and path == root:
            await Response(status_code=307, headers={"Location": f"{root}/"})(scope, receive, send)
            return
        if root:
            path = path if self._is_prefixed(scope) else root + path
            scope = {**scope, "root_path": root, "path": path}
        await self._app(scope, receive, send)

    def _is_prefixed(self, scope: Scope) -> bool:
        root, path = self._root_path, scope["path"]
        if not path.startswith(f"{root}/"):
            return False
        bare = {**scope, "path": path.removeprefix(root)}
        return any(route.matches(bare)[0] is not Match.NONE for route in self._app.routes)
