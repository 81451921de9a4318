"""Debian's Firefox, driven through WebDriver BiDi, which it speaks by itself.

Debian has no geckodriver, which Selenium needs, and no package registry carries one for Linux.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webpage import ENDS_WITHIN_S, WAITS_S

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

FIREFOX = shutil.which("firefox-esr")

ENTER = "\ue007"


class Firefox:
    """A tab of Firefox; elements are named by CSS selectors."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._n_sent = 0
        self._tab = {}
        self.ask("session.new", capabilities={})
        self._tab = {"context": self.ask("browsingContext.create", type="tab")["context"]}

    def ask(self, method: str, **parameters: Any) -> Any:
        """Send a command and return its result; an error fails the test."""
        self._n_sent += 1
        command = {"id": self._n_sent, "method": method, "params": self._tab | parameters}
        self._connection.send(json.dumps(command))
        while (answer := json.loads(self._connection.recv(2 * WAITS_S))).get("id") != self._n_sent:
            pass  # events
        assert answer["type"] == "success", answer
        return answer["result"]

    def navigate(self, address: str) -> None:
        self.ask("browsingContext.navigate", url=address, wait="complete")

    def reload(self) -> None:
        self.ask("browsingContext.reload", wait="complete")

    def evaluate(self, expression: str) -> Any:
        """Return what a JavaScript expression gives, or what the promise that it is resolves to."""
        answer = self.ask(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})))()",
            target=self._tab,
            awaitPromise=True,
            userActivation=True,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"].get("value", "null"))

    def _element(self, selector: str) -> dict[str, str]:
        locator = {"type": "css", "value": selector}
        (node,) = self.ask("browsingContext.locateNodes", locator=locator)["nodes"]
        return {"sharedId": node["sharedId"]}

    def choose_file(self, selector: str, file: Path) -> None:
        self.ask("input.setFiles", element=self._element(selector), files=[str(file)])

    def click(self, selector: str) -> None:
        self.evaluate(f"document.querySelector('{selector}').scrollIntoView({{block: 'center'}})")
        origin = {"type": "element", "element": self._element(selector)}
        move = {"type": "pointerMove", "x": 0, "y": 0, "origin": origin}
        press = [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
        mouse = {"type": "pointer", "id": "mouse", "actions": [move, *press]}
        self.ask("input.performActions", actions=[mouse])

    def type(self, keys: str) -> None:
        """Press keys, one after another."""
        presses = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        board = {"type": "key", "id": "keyboard", "actions": presses}
        self.ask("input.performActions", actions=[board])


@contextmanager
def firefox(profile: Path, environment: dict[str, str]) -> Iterator[Firefox]:
    """Start Firefox, headless, with a fresh profile in an empty folder.

    `environment` leads to a sound server, without which Firefox holds its audio contexts back.
    """
    from websockets.sync.client import connect

    assert FIREFOX is not None
    command = [FIREFOX, "--headless", "--remote-debugging-port", "0", "--no-remote"]
    process = subprocess.Popen(
        [*command, "--profile", str(profile)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
    )
    try:
        with connect(f"{_address_in(process)}/session", max_size=None) as connection:
            yield Firefox(connection)
    finally:
        process.terminate()
        process.communicate(timeout=ENDS_WITHIN_S)


def _address_in(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(rb"WebDriver BiDi listening on (ws://\S+)", line):
            return found[1].decode()
    raise AssertionError("Firefox has ended")
