"""The page in a real browser, served by the installed command."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import commandline

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=document-user-activation-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
"""Chromium as root in a container, that talks to nobody but us, plays nothing unasked (as
on a desk), and has a camera that is none."""

ENDS_WITHIN_S = 30

READY = "import('/static/app.js').then(page => page.ready).then(() => true)"
"""When the page listens to its buttons."""


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """Run the installed command and give the page's address; it must end well."""
    with running(*arguments) as (process, address):
        yield address
        process.send_signal(signal.SIGINT)
        assert process.wait(ENDS_WITHIN_S) == 0


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run the installed command; give the process and the page's address."""
    process = commandline.start("serve", "--port", "0", "--networks", "lite", *arguments)
    try:
        yield process, address_in(process)
    finally:
        process.kill()
        process.communicate()


def address_in(process: subprocess.Popen[bytes]) -> str:
    """Return the address that a starting server tells."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line.decode())
        if found := re.search(r"http://\S+", said[-1]):
            return found[0]
    raise AssertionError("".join(said))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium, headless."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def add_photo(page: Page, photo: Path) -> None:
    """Choose a photo as a person does, and wait until its mix is named."""
    page.wait_for_function(f"() => {READY}")
    with page.expect_file_chooser() as chooser:
        page.click("#choose")
    chooser.value.set_files(photo)
    page.wait_for_selector("body[data-state=ready] #alternatives button")


def touch(page: Page) -> None:
    """Touch the page where nothing is: from then on the browser lets it be heard."""
    page.mouse.click(3, 3)


def heard(page: Page) -> float:
    """Return the level that leaves the page's audio graph: its RMS, of full scale 1."""
    return float(page.evaluate("import('/static/app.js').then(page => page.player.level())"))


AUDIBLE = 0.005
"""Mixes lie at -27 LUFS, an RMS of some 0.04; a thousandth of full scale is silence."""

SILENT = 0.0005


def wait_until_heard(page: Page) -> None:
    page.wait_for_function(
        f"async () => (await import('/static/app.js')).player.level() > {AUDIBLE}"
    )


def wait_until_silent(page: Page) -> None:
    page.wait_for_function(
        f"async () => (await import('/static/app.js')).player.level() < {SILENT}"
    )
