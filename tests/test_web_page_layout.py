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
    own_profile,
    wait_until,
    wait_until_heard,
    watched_page,
    words,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize


HELD_SIZES: list[ViewportSize] = [{"width": 320, "height": 568}, {"width": 568, "height": 320}]
"""Of a phone's viewport in pixels, upright and on the side."""

SIZES: list[ViewportSize] = [
    {"width": 820, "height": 1180},
    {"width": 1280, "height": 800},
    {"width": 1440, "height": 900},
]
"""A tablet, a laptop and a desk."""

TABS = ["reasons", "seen", "sliders", "places", "more"]


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
    page = open_page()
    page.emulate_media(reduced_motion="reduce")
    add_photo(page, china_jpg)
    page.evaluate("document.getElementById('working').hidden = false")
    assert page.evaluate("document.getAnimations().length") == 0


def test_the_photo_glows_with_the_sound_and_rests_without(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    page.evaluate(
        """() => {
            window.frames_drawn = 0;
            const ask = requestAnimationFrame;
            window.requestAnimationFrame = draw => { frames_drawn++; return ask(draw); };
        }"""
    )
    add_photo(page, china_jpg)
    page.wait_for_function("() => Number(glow.style.opacity) > 0")
    page.click("#play")
    page.wait_for_function("() => Number(glow.style.opacity) === 0")
    drawn = page.evaluate("frames_drawn")
    page.wait_for_timeout(1_500)  # the level would have been read again
    assert page.evaluate("frames_drawn") == drawn
    page.emulate_media(reduced_motion="reduce")
    page.click("#play")
    wait_until_heard(page)
    page.wait_for_timeout(1_500)
    assert page.evaluate("frames_drawn") == drawn


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
    for _ in range(3):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["keys", "choose", "camera"]
    page.keyboard.press("Shift+Tab")
    page.wait_for_function("() => document.activeElement.id === 'choose'")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(china_jpg)
    page.wait_for_selector("#alternatives button")
    page.focus("#tab-reasons")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.is_visible("#randomise")
    assert page.evaluate("document.activeElement.id") == "tab-sliders"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "randomise"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.sound") == "bells"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    shown = page.get_attribute("#play", "aria-label")
    page.keyboard.press("Space")
    page.wait_for_selector(f"#play:not([aria-label={shown}])")


def violations(page: Page) -> list[str]:
    """Return what axe-core finds."""
    package = importlib.util.find_spec("axe_playwright_python")
    assert package is not None
    assert package.origin is not None
    page.evaluate((Path(package.origin).parent / "axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        json.dumps([item["id"], item["help"], [node["html"] for node in item["nodes"]]])
        for item in found["violations"]
    ]


def test_axe_finds_nothing(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    page.emulate_media(reduced_motion="reduce")
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []
    add_photo(page, china_jpg)
    page.click("#figures summary", force=True)
    for tab in TABS:
        page.click(f"#tab-{tab}")
        assert violations(page) == []
    page.emulate_media(color_scheme="light")
    page.click("#tab-sliders")
    assert violations(page) == []
    page.keyboard.press("?")
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.click("#camera")
    page.wait_for_selector("#viewfinder[open]")
    assert violations(page) == []


@pytest.mark.parametrize("hand", [True, False])
def test_the_page_fits_its_screen(
    browser: Browser, page_address: str, china_jpg: Path, hand: bool
) -> None:
    """Nothing is to be scrolled sideways, and on a desk nothing at all; nor does anything jump."""
    with (
        own_profile(browser, reduced_motion="reduce", has_touch=hand, is_mobile=hand) as profile,
        watched_page(profile, page_address) as open_page,
    ):
        page = open_page()
        for size in HELD_SIZES if hand else SIZES:
            page.set_viewport_size(size)
            fits(page)
        if hand:
            assert page.evaluate("document.querySelector('.sources button').id") == "camera"
            assert "Drop" not in page.inner_text("#stage")
        add_photo(page, china_jpg)
        for size in HELD_SIZES if hand else SIZES:
            page.set_viewport_size(size)
            width, height = size["width"], size["height"]
            stage = page.evaluate(
                "(({ width, height }) => width * height)(document.getElementById('stage')"
                ".getBoundingClientRect())"
            )
            assert stage >= 0.4 * width * height or not hand
            page.evaluate("document.getElementById('tab-reasons').click()")
            before = page.evaluate(PLACES)
            for tab in TABS:
                page.evaluate("tab => document.getElementById(`tab-${tab}`).click()", tab)
                fits(page)
                if width >= 1_000:
                    assert page.evaluate(PLACES) == before


PLACES = """() => ['#play', '#alternatives', '.tabs', '#stage'].map(name => {
    const { x, y, width, height } = document.querySelector(name).getBoundingClientRect();
    return [x, y + (name === '#alternatives' || name === '.tabs' ? scrollY : 0), width, height];
})"""


def fits(page: Page) -> None:
    size = page.viewport_size
    assert size is not None
    extent = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    across, down = page.evaluate(extent)
    assert across == size["width"]
    assert down == size["height"] or size["width"] < 1_000
    assert page.evaluate(SMALL) == []


SMALL = """[...document.querySelectorAll('button, input, select, summary, .check')].filter(x => {
    const { height } = x.getBoundingClientRect();
    const whole = x.type === 'checkbox' || x.matches('.link, .unseen, .strike');
    return !whole && height > 0 && height < 43.5;
}).map(x => x.id || x.outerHTML)"""
"""Controls that a finger would miss: a checkbox is pressed with its label, a link is in a text."""


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
