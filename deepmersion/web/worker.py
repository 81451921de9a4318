"""The page's service worker: ``static/sw.js``, told which files the page consists of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

SCRIPT = "sw.js"

NOT_FETCHED = {".html", ".png"}
"""The page is fetched by its address, and its icons by the system when it is installed."""


def service_worker(static: Path) -> str:
    """Return the worker's script.

    It begins with the names of the page's files and a hash of their contents. Browsers compare the
    script byte by byte, so whenever a file has changed the worker is installed anew.

    Parameters
    ----------
    static : Path
        The folder of the page's files.
    """
    files = sorted(path for path in static.iterdir() if path.is_file() and path.name != SCRIPT)
    content = hashlib.sha256()
    for path in files:
        content.update(path.name.encode() + b"\0" + path.read_bytes())
    shell = ["./", *(f"static/{path.name}" for path in files if path.suffix not in NOT_FETCHED)]
    script = (static / SCRIPT).read_text("utf-8")
    version = content.hexdigest()[:12]
    return f"const VERSION = {json.dumps(version)};\nconst SHELL = {json.dumps(shell)};\n{script}"
