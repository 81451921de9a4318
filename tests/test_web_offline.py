"""The page without its server: what was seen and heard opens and plays, in a real browser."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import pytest
from PIL import Image
from webpage import (
    ENDS_WITHIN_S,
    READY,
    keep,
    running,
    touch,
    wait_for_player,
    wait_until_heard,
    words,
)
from webserver import ask

from deepmersion.web.app import STATIC
from deepmersion.web.worker import service_worker

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CACHED = """async name => {
    const cache = await caches.open(name);
    return (await cache.keys()).map(({ url }) => new URL(url).pathname);
}"""


IS_LANDSCAPE = """() => {
    const at = y => photo.getContext('2d').getImageData(photo.width / 2, y, 1, 1).data;
    return at(0).slice(0, 3).every((x, i) => x > at(photo.height - 1)[i] + 30);
}"""
"""Whether the photo is brighter above, where the sky is."""


def wait_until_kept(page: Page, cache: str, path: str) -> None:
    page.evaluate(
        f"""async ([name, path]) => {{
            while (!(await ({CACHED})(name)).includes(path))
                await new Promise(done => setTimeout(done, 20));
        }}""",
        [cache, path],
    )


def test_what_was_heard_and_kept_plays_without_the_server(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPMERSION_DATA", str(tmp_path))
    context = browser.new_context()
    page = context.new_page()
    with running() as (process, address):
        page.goto(f"{address}#mix=fire=1")
        page.wait_for_function(f"() => {READY}")
        touch(page)
        wait_until_heard(page)  # before there is a worker
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        wait_until_kept(page, "sounds", "/sounds/fire")
        page.evaluate("location.hash = '#mix=rain=1'")  # and with it
        wait_until_kept(page, "sounds", "/sounds/rain")
        keep(page, "window")  # without a photo
        wait_until_kept(page, "answers", "/api/places/1/thumbnail")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=ENDS_WITHIN_S)
    page.goto("about:blank")
    page.goto(f"{address}#mix=fire=1,rain=0.5")
    page.wait_for_function(f"() => {READY}")
    touch(page)
    wait_until_heard(page)
    assert words(page) == "Wood fire and rain"
    wait_for_player(page, "[...player.voices.values()].length === 2")
    page.evaluate("location.hash = '#mix=waves=1'")  # never heard: told, and the rest plays on
    page.wait_for_function("() => /server/.test(document.getElementById('message').innerText)")
    wait_until_heard(page)
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_function("() => document.querySelector('#places-tiles img')?.naturalWidth > 0")
    page.wait_for_selector("text=No photo at hand", state="hidden")  # no examples either
    page.click("#places-tiles >> text=window")
    assert words(page) == "Rain"
    wait_until_heard(page)
    page.wait_for_selector("#photo")
    assert page.evaluate(IS_LANDSCAPE)
    context.close()


def test_a_sounds_part_comes_from_what_is_kept_and_the_oldest_go(
    browser: Browser, page_address: str
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(page_address)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    found = page.evaluate(
        """async () => {
            const { sounds } = await (await fetch('api/sounds')).json();
            const { url } = sounds[0].files[0];
            const cache = await caches.open('sounds');
            for (let i = 0; i < 3; i++)  // as if that many bytes had been heard before
                await cache.put(`sounds/old-${i}`, new Response('x', {
                    headers: {'Content-Length': String(60 * 2 ** 20)}}));
            await cache.put(url.split('?')[0] + '?v=earlier', new Response('x'));
            const whole = new Uint8Array(await (await fetch(url)).arrayBuffer());
            while (!(await cache.match(url)) || await cache.match('sounds/old-0'))
                await new Promise(done => setTimeout(done, 20));
            const answer = await fetch(url, {headers: {Range: 'bytes=100-199'}});
            const part = new Uint8Array(await answer.arrayBuffer());
            return {
                status: answer.status, range: answer.headers.get('Content-Range'),
                same: part.length === 100 && part.every((x, i) => x === whole[100 + i]),
                length: whole.length, kept: (await cache.keys()).map(({ url }) => url),
            };
        }"""
    )
    assert (found["status"], found["same"]) == (206, True)
    assert found["range"] == f"bytes 100-199/{found['length']}"
    kept = [Path(urlsplit(url).path).name for url in found["kept"]]
    assert len(kept) == len(set(kept))
    assert "old-0" not in kept
    assert "old-2" in kept
    context.close()


def test_the_worker_is_another_when_a_file_is(tmp_path: Path) -> None:
    for path in STATIC.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    before = service_worker(tmp_path)
    assert service_worker(tmp_path) == before
    (tmp_path / "page.css").write_text("body {}")
    assert service_worker(tmp_path) != before


def test_the_page_can_be_installed(page_address: str) -> None:
    manifest = ask(page_address, "/static/app.webmanifest")
    assert manifest.headers["content-type"].startswith("application/manifest+json")
    base = urljoin(page_address, "static/app.webmanifest")
    assert urljoin(base, manifest.json["start_url"]) == page_address
    assert urljoin(base, manifest.json["scope"]) == page_address
    purposes = set()
    for icon in manifest.json["icons"]:
        answer = ask(page_address, urlsplit(urljoin(base, icon["src"])).path)
        assert answer.headers["content-type"] == icon["type"]
        if icon["sizes"] != "any":
            with Image.open(STATIC / icon["src"]) as image:
                assert "{}x{}".format(*image.size) == icon["sizes"]
        purposes.add((icon["sizes"], icon.get("purpose", "any")))
    assert {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable")} <= purposes
    worker = ask(page_address, "/sw.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    assert worker.headers["cache-control"] == "no-cache"
    shell = json.loads(worker.body.decode().split("const SHELL = ")[1].split(";")[0])
    for path in shell:
        assert ask(page_address, f"/{path.removeprefix('./')}").status == 200
