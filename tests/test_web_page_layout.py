"""What the page looks like, and its use by keyboard and media keys, in a real browser."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from webpage import (
    Open,
    add_photo,
    choose_file,
    hold_matches,
    wait_until,
    wait_until_heard,
    words,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page


SIZES = {390: 844, 820: 1180, 1280: 800, 1440: 900}
"""A phone, a tablet, a laptop and a desk: viewport width to height, in pixels."""

TABS = ["seen", "reasons", "sliders", "more"]


def test_something_moves_while_the_networks_work(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    held = hold_matches(page)
    choose_file(page, china_jpg)
    page.wait_for_selector("#working")
    assert page.evaluate("document.getAnimations().some(a => a.animationName === 'pulse')")
    assert page.get_attribute("body", "data-state") == "busy"
    wait_until(lambda: held, page)
    held[0].continue_()
    page.wait_for_selector("#working", state="hidden")


def test_reduced_motion_is_respected(open_page: Open, china_jpg: Path) -> None:
    page = open_page(reduced_motion="reduce")
    add_photo(page, china_jpg)
    page.evaluate("document.getElementById('working').hidden = false")
    assert page.evaluate("document.getAnimations().length") == 0


def test_media_keys_work(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    page.add_init_script(
        "window.keys = {}; navigator.mediaSession.setActionHandler = (k, f) => { keys[k] = f; };"
    )
    page.reload()
    add_photo(page, china_jpg)
    wait_until_heard(page)
    assert page.evaluate("navigator.mediaSession.metadata.title") == words(page)
    page.wait_for_function("() => navigator.mediaSession.playbackState === 'playing'")
    page.wait_for_function("() => !document.getElementById('silence').paused")
    page.evaluate("keys.pause()")
    page.wait_for_selector("#play[aria-label=Play]")
    assert page.evaluate("navigator.mediaSession.playbackState") == "paused"
    page.evaluate("keys.play()")
    page.wait_for_selector("#play[aria-label=Pause]")
    before = words(page)
    page.evaluate("keys.nexttrack()")
    assert words(page) != before
    page.evaluate("keys.previoustrack()")
    assert words(page) == before


def test_it_can_be_used_by_keyboard_alone(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    reached = []
    for _ in range(2):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["choose", "camera"]
    page.keyboard.press("Shift+Tab")
    page.wait_for_function("() => document.activeElement.id === 'choose'")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(china_jpg)
    page.wait_for_selector("#alternatives button")
    page.focus("#tab-seen")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.is_visible("#randomise")
    assert page.evaluate("document.activeElement.id") == "tab-sliders"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.sound") == "bells"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    muted = page.get_attribute("#mute", "aria-pressed")
    page.keyboard.press("Space")
    assert page.get_attribute("#mute", "aria-pressed") != muted


def serious(page: Page) -> list[str]:
    """Return what axe-core finds that keeps people from using the page."""
    package = importlib.util.find_spec("axe_playwright_python")
    assert package is not None
    assert package.origin is not None
    page.evaluate((Path(package.origin).parent / "axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        json.dumps([item["id"], item["help"], [node["html"] for node in item["nodes"]]])
        for item in found["violations"]
        if item["impact"] in ("serious", "critical", "moderate")
    ]


def test_axe_finds_nothing_serious(open_page: Open, china_jpg: Path) -> None:
    page = open_page(reduced_motion="reduce")
    assert serious(page) == []
    add_photo(page, china_jpg)
    for tab in TABS:
        page.click(f"#tab-{tab}")
        assert serious(page) == []
    page.emulate_media(color_scheme="dark")
    page.click("#tab-sliders")
    assert serious(page) == []
    page.click("#camera")
    page.wait_for_selector("#viewfinder[open]")
    assert serious(page) == []


@pytest.mark.parametrize("width", SIZES)
def test_it_fits_on_one_screen_and_nothing_jumps(
    open_page: Open, china_jpg: Path, width: int
) -> None:
    height = SIZES[width]
    page = open_page(viewport={"width": width, "height": height}, reduced_motion="reduce")

    def check() -> None:
        extent = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        assert page.evaluate(extent) == [width, height]

    check()
    add_photo(page, china_jpg)
    places = """() => ['#play', '#alternatives', '.tabs', '#stage'].map(
        name => JSON.stringify(document.querySelector(name).getBoundingClientRect()))"""
    before = page.evaluate(places)
    for tab in TABS:
        page.click(f"#tab-{tab}")
        check()
        assert page.evaluate(places) == before


def test_nothing_jumps_when_the_answer_comes(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    page.evaluate(
        "window.jumps = []; new PerformanceObserver(list => jumps.push(...list.getEntries()"
        ".filter(e => !e.hadRecentInput).map(e => e.value))).observe({type: 'layout-shift'})"
    )
    held = hold_matches(page)
    choose_file(page, china_jpg)
    page.wait_for_selector("#working")
    page.wait_for_timeout(1_000)  # a shift soon after a click counts as its answer
    page.evaluate("jumps.length = 0")
    wait_until(lambda: held, page)
    held[0].continue_()
    page.wait_for_selector("body[data-state=ready] #alternatives button")
    page.wait_for_timeout(300)
    assert page.evaluate("jumps.reduce((a, b) => a + b, 0)") < 0.02
