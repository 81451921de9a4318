"""The page in a real browser, served by the installed command."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import commandline

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

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
    "--host-resolver-rules=MAP *.example 127.0.0.1",
]
"""Chromium for a container: it runs as root, contacts only the tests' server, also by the name of
its proxy, blocks autoplay (as on a desktop), and has a fake camera."""

ENDS_WITHIN_S = 30
"""Longest wait for a server to end; a busy machine takes long."""

WAITS_S = 30
"""Longest wait for an event, on a machine of any speed."""

Open = Callable[..., "Page"]
"""Opens the page in a fresh profile, at a path of its address."""

READY = "import('./static/app.js').then(page => page.ready).then(() => true)"
"""Resolves once the page's buttons work."""


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """Run the installed command and yield the page's address; it must exit cleanly."""
    with running(*arguments) as (process, address):
        yield address
        process.send_signal(signal.SIGINT)
        assert process.wait(ENDS_WITHIN_S) == 0


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run the installed command; yield the process and the page's address."""
    process = commandline.start("serve", "--port", "0", "--networks", "lite", *arguments)
    try:
        yield process, address_in(process)
    finally:
        process.kill()
        process.communicate()


def address_in(process: subprocess.Popen[bytes]) -> str:
    """Return the address printed by a starting server."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line.decode())
        if found := re.search(r"https?://\S+", said[-1]):
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


@contextmanager
def own_profile(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """Open a fresh profile."""
    # Nor do tests see what a service worker asks, or what it answers from an earlier visit.
    profile = browser.new_context(service_workers="block", **options)
    profile.set_default_timeout(1_000 * WAITS_S)
    yield profile
    profile.close()


@contextmanager
def kept_profile(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """Open a profile for many pages, one after another.

    A page of the server stays open in it. While one does, others share its process, and take half
    as long to open.
    """
    with own_profile(browser) as profile:
        profile.new_page().goto(f"{address}static/icon.svg")
        yield profile


def make_fresh(profile: BrowserContext, address: str) -> None:
    """Have a kept profile forget what a page stored, but not the files that it loaded."""
    stored = "cookies,local_storage,indexeddb,cache_storage"
    protocol = profile.new_cdp_session(profile.pages[0])
    origin = address.rstrip("/")
    protocol.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": stored})
    protocol.detach()


@contextmanager
def watched_page(profile: BrowserContext, address: str) -> Iterator[Open]:
    """Give what opens the page; at the end, nothing went wrong and nobody else was asked."""
    opened_before = set(profile.pages)
    troubles: list[str] = []
    requested: list[str] = []

    def open_at(path: str = "", *, wait: bool = True) -> Page:
        page = new_page(profile)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: requested.append(request.url))
        page.add_init_script(
            "window.blocked = [];"
            "addEventListener('securitypolicyviolation', e => blocked.push(e.violatedDirective));"
        )
        page.goto(address + path)
        if wait:
            page.wait_for_function(f"() => {READY}")
        return page

    yield open_at
    opened = set(profile.pages) - opened_before
    blocked = [page.evaluate("window.blocked ?? []") for page in opened]
    for page in opened:
        page.close()
    assert not any(blocked)
    assert troubles == []
    assert [url for url in requested if not url.startswith((address, f"blob:{address}"))] == []


def new_page(of: Browser | BrowserContext, **options: Any) -> Page:
    """Open an empty page that can be given files, however they are asked for."""
    page = of.new_page(**options)
    # A listener has Playwright intercept the chooser. Were it added no sooner than a file is
    # chosen, that would race with the key that is pressed, and the chooser would be lost.
    page.on("filechooser", lambda _: None)
    return page


def choose_file(page: Page, file: Path) -> None:
    """Choose a file as a user would."""
    with page.expect_file_chooser() as chooser:
        page.click("#choose")
    chooser.value.set_files(file)


def add_photo(page: Page, photo: Path) -> None:
    """Choose a photo as a user would, and wait until its mix is shown."""
    page.wait_for_function(f"() => {READY}")
    choose_file(page, photo)
    page.wait_for_selector("body[data-state=ready] #alternatives button")


def keep(page: Page, name: str) -> None:
    """Keep what is shown as a place."""
    page.click("#keep")
    page.fill("#keep-name", name)
    page.keyboard.press("Enter")
    page.wait_for_selector("#keep-form", state="hidden")
    page.wait_for_function(f"() => document.getElementById('toast').innerText.includes('{name}')")


def hold_matches(page: Page) -> list[Route]:
    """Hold uploads back until their routes are continued."""
    held: list[Route] = []
    page.route("**/api/match*", lambda route: held.append(route))
    return held


def wait_until(condition: Callable[[], object], page: Page | None = None) -> None:
    """Wait until something holds; what a page tells comes only while the page is waited for."""
    deadline = time.monotonic() + WAITS_S
    while not condition():
        assert time.monotonic() < deadline
        if page is None:
            time.sleep(0.01)
        else:
            page.wait_for_timeout(10)


def touch(page: Page) -> None:
    """Tap an empty part of the page, after which the browser allows it to play."""
    page.mouse.click(3, 3)


def heard(page: Page) -> float:
    """Return the output level of the page's audio graph: its RMS, of full scale 1."""
    return float(page.evaluate("import('./static/app.js').then(page => page.player.level())"))


AUDIBLE = 0.005
"""Mixes are at -27 LUFS, an RMS of about 0.04; a thousandth of full scale is silence."""

SILENT = 0.0005


def wait_for_player(page: Page, condition: str) -> None:
    """Wait until a condition on the page's `player` holds, within a time limit.

    Playwright's own waiting treats the promise of an asynchronous condition as true.
    """
    page.evaluate(
        f"""async () => {{
            const {{ player }} = await import('./static/app.js');
            const end = performance.now() + {1_000 * WAITS_S};
            while (!({condition})) {{
                if (performance.now() > end) throw new Error({json.dumps(f"never {condition}")});
                await new Promise(done => setTimeout(done, 10));
            }}
        }}"""
    )


def wait_until_heard(page: Page) -> None:
    wait_for_player(page, f"player.level() > {AUDIBLE}")


def wait_until_silent(page: Page) -> None:
    wait_for_player(page, f"player.level() < {SILENT}")


def wait_until_decoded(page: Page, n_sounds: int) -> None:
    """Wait until a mix of some sounds is fully decoded."""
    wait_for_player(
        page, f"player.wanted?.size === {n_sounds} && player.voices.size === {n_sounds}"
    )
    page.evaluate(
        """async () => {
            const { player } = await import('./static/app.js');
            for (const voice of player.voices.values()) await voice.whole;
        }"""
    )


def wait_until_settled(page: Page, n_sounds: int) -> None:
    """Wait until a mix is fully decoded and all fades have ended."""
    wait_until_decoded(page, n_sounds)
    wait_for_player(
        page,
        "[player.gate, ...[...player.voices.values()].map(({ fade }) => fade)].every("
        "({ target, start, seconds }) => target > 0 && start + seconds < player.context.currentTime"
        ")",
    )


def words(page: Page) -> str:
    """Return what the page calls the mix that sounds."""
    return page.inner_text("#words")


ADDRESS_SETTLES_MS = 400
"""After the last change to the mix; timers of one page that are due sooner have run before."""


def mix_of(page: Page) -> dict[str, float]:
    """Return the mix in the page's address, asked of the page: Playwright learns of it later."""
    settled = f"new Promise(done => setTimeout(() => done(location.hash), {ADDRESS_SETTLES_MS}))"
    text = page.evaluate(settled).partition("#mix=")[2].partition("&photo=")[0]
    return {name: float(gain) for name, gain in re.findall(r"([^=,]+)=([\d.]+)", text)}
