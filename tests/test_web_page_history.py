"""What was shown and heard comes back: by Reload, Back, the address and Undo, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from webpage import (
    READY,
    Open,
    add_photo,
    choose_file,
    mix_of,
    touch,
    wait_for_player,
    wait_until_heard,
    words,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page


def shown(page: Page) -> list[Any]:
    """Return what a person sees and hears of a photo."""
    return [
        words(page),
        page.inner_text("#why-text").removesuffix(" Press play to hear it."),
        page.evaluate("document.querySelector('#scenes .name')?.innerText"),
        page.locator("#alternatives button").all_inner_texts(),
        page.evaluate("[photo.hidden, photo.width, photo.height]"),
        mix_of(page),
    ]


def comes_back(page: Page, name: str) -> None:
    page.wait_for_function(f"() => {READY}")
    page.wait_for_function("x => document.getElementById('words').innerText === x", arg=name)
    page.wait_for_function("() => !document.getElementById('photo').hidden")


def test_a_day_with_the_page_is_not_lost(
    open_page: Open, china_jpg: Path, flower_jpg: Path
) -> None:
    """Photo, alternative and sliders come back by Reload, Back, Forward and the address."""
    page = open_page()
    add_photo(page, china_jpg)
    first = shown(page)
    page.click("#alternatives button >> nth=0")
    second = shown(page)
    assert second[0] != first[0]
    choose_file(page, flower_jpg)
    page.wait_for_selector("#objects >> text=daisy", state="attached")
    page.wait_for_function("() => document.body.dataset.state === 'ready'")
    third = shown(page)
    page.fill("#volume", "-10")
    page.dispatch_event("#volume", "change")
    page.reload()
    comes_back(page, third[0])
    assert shown(page) == third
    assert page.input_value("#volume") == "-10"
    page.go_back()
    comes_back(page, second[0])
    assert shown(page) == second
    page.go_back()
    comes_back(page, first[0])
    assert shown(page) == first
    page.go_forward()
    comes_back(page, second[0])
    address = page.url
    other = page.context.new_page()
    other.goto(address)
    comes_back(other, second[0])
    assert shown(other)[3:] == second[3:]
    other.close()
    page.go_back()
    comes_back(page, first[0])
    page.go_back()
    page.wait_for_selector("#start")
    assert page.get_attribute("#play", "aria-label") == "Play"


def test_the_mixer_begins_without_a_photo_and_takes_everything_back(open_page: Open) -> None:
    page = open_page()
    page.click("#palette >> text=Rain")
    assert words(page) == "Rain"
    assert page.is_visible("#panel-sliders")
    assert page.evaluate("document.activeElement.dataset.sound") == "rain"
    wait_until_heard(page)
    page.click("#sliders [aria-label='Waves'] button")
    assert mix_of(page) == {"rain": 1, "waves": 0.5}
    assert page.inner_text("#sliders [aria-label='Waves'] output") == "50 %"
    page.click("#sliders [aria-label='Rain'] button")
    assert page.inner_text("#sliders [aria-label='Rain'] output") == "muted"
    assert mix_of(page) == {"rain": 1, "waves": 0.5}
    wait_for_player(page, "player.wanted.size === 1 && player.wanted.has('waves')")
    page.click("#sliders [aria-label='Rain'] button")
    wait_for_player(page, "player.wanted.size === 2")
    page.click("#randomise")
    page.click("#undo")
    assert mix_of(page) == {"rain": 1, "waves": 0.5}
    page.click("#undo")
    assert mix_of(page) == {"rain": 1}
    page.click("#redo")
    assert mix_of(page) == {"rain": 1, "waves": 0.5}


def test_sounds_that_cannot_be_had_leave_heading_and_sound_alike(
    open_page: Open, china_jpg: Path
) -> None:
    page = open_page("#mix=rain=1")
    touch(page)
    wait_until_heard(page)
    page.route("**/sounds/*", lambda route: route.abort())
    add_photo(page, china_jpg)
    page.wait_for_selector("#message")
    assert words(page) == "Rain"
    assert mix_of(page) == {"rain": 1}
    assert "could not be loaded" in page.inner_text("#why")
    wait_until_heard(page)
    page.unroute("**/sounds/*")
    page.click("#alternatives button >> nth=0")
    assert words(page) != "Rain"


def test_an_example_is_a_way_in(own_page: Open) -> None:
    page = own_page()
    assert page.locator("#examples img").count() == 5
    page.wait_for_function(
        "() => [...document.querySelectorAll('#examples img')].every(x => x.naturalWidth > 100)"
    )
    sizes = page.evaluate("performance.getEntriesByType('resource').map(x => x.transferSize)")
    assert 10_000 < sum(sizes) < 150_000
    page.click("#examples >> text=Campfire")
    page.wait_for_selector("body[data-state=ready] #alternatives button")
    assert words(page) == "Wood fire"
    assert "flames" in page.inner_text("#why")
