"""Places: kept with a name, shown again, changed, struck out and pointed at, in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageEnhance
from webpage import Open, add_photo, choose_file, keep, mix_of, wait_until, wait_until_heard, words

if TYPE_CHECKING:
    from playwright.sync_api import Page


def forget_all(page: Page) -> None:
    """The server is shared: leave it as it was found."""
    page.evaluate(
        """async () => {
            const { places } = await (await fetch('api/places')).json();
            for (const { id } of places) await fetch(`api/places/${id}`, { method: 'DELETE' });
        }"""
    )


def test_a_place_is_kept_shown_again_corrected_and_forgotten(
    open_page: Open, china_jpg: Path, tmp_path: Path
) -> None:
    page = open_page()
    add_photo(page, china_jpg)
    page.click("#tab-sliders")
    page.focus("[data-sound=waves]")
    page.keyboard.press("End")
    mine, name = mix_of(page), words(page)
    keep(page, "desk")

    with Image.open(china_jpg) as photo:
        darker = ImageEnhance.Brightness(photo.crop((8, 6, 632, 424))).enhance(0.85)
        darker.save(tmp_path / "again.jpg", quality=92)
    choose_file(page, tmp_path / "again.jpg")
    page.wait_for_selector("#anew")
    assert page.inner_text("#why-text") == "Your place: desk."
    assert mix_of(page) == mine
    assert words(page) == name

    page.click("#alternatives button >> nth=0")
    assert "desk" in page.inner_text("#question-text")
    page.click("#question-yes")
    page.wait_for_selector("#toast >> text=Kept for “desk”.")
    corrected = mix_of(page)
    page.click("#alternatives button >> nth=1")  # it was asked once
    assert not page.is_visible("#question")
    wait_until(lambda: kept(page, "desk") not in (corrected, mine), page)
    corrected = mix_of(page)

    choose_file(page, tmp_path / "again.jpg")
    page.wait_for_selector("#anew")
    assert mix_of(page) == corrected
    with page.expect_request(lambda request: "places=false" in request.url):
        page.click("#anew")
    page.wait_for_selector("#anew", state="hidden")

    page.reload()
    page.wait_for_selector("body[data-state=ready]")
    page.goto("about:blank")
    page.go_back()
    page.wait_for_selector("body[data-state=ready]")
    page.keyboard.press("1")
    page.wait_for_selector("#why >> text=Your place: desk")
    assert mix_of(page) == corrected
    wait_until_heard(page)

    page.click("#tab-places")
    assert "~" in page.inner_text("#places-where") or "/" in page.inner_text("#places-where")
    with page.expect_download() as downloading:
        page.click("#places-export")
    file = tmp_path / "places.json"
    downloading.value.save_as(file)
    assert "desk" in json.dumps(json.loads(file.read_text("utf-8")))

    page.click("#places summary")
    page.fill("#places input", "study")
    page.click("#places >> text=Rename")
    page.wait_for_selector("#places .tile >> text=study")
    page.click("#places summary")
    page.click("#places .alarming")
    page.click("#places .alarming")
    page.wait_for_selector("#places-none")
    file.write_text(file.read_text("utf-8").replace('"soundbank": null', '"soundbank": "/own"'))
    page.set_input_files("#places-file", file)
    page.wait_for_selector("#places .tile >> text=desk")
    page.wait_for_selector(
        "#places >> text=Cannot be played here: it was kept with --soundbank /own"
    )
    choose_file(page, tmp_path / "again.jpg")
    page.wait_for_selector("#why-text >> text=Your place desk: it was kept with --soundbank /own; ")
    page.click("#tab-places")
    page.click("#places summary")
    page.click("#places >> text=Keep what plays now")
    page.wait_for_selector("#places >> text=Cannot be played here", state="detached")
    page.click("#places .tile")
    page.wait_for_selector("#why >> text=Your place: desk.")
    page.click("h1")
    forget_all(page)


def kept(page: Page, name: str) -> dict[str, float]:
    """Return the mix that the server keeps for a place."""
    places = page.evaluate("fetch('api/places').then(answer => answer.json())")["places"]
    (text,) = [place["mix"] for place in places if place["name"] == name]
    return {sound: float(gain) for sound, gain in (part.split("=") for part in text.split(","))}


REMEMBERED = """label => new Promise(resolve => {
    indexedDB.open('deepmersion').onsuccess = ({ target: { result: database } }) => {
        database.transaction('seen').objectStore('seen').getAll().onsuccess = ({ target }) => {
            database.close();
            resolve(target.result.some(({ wanted }) => wanted.without.includes(label)));
        };
    };
})"""
"""Whether the browser remembers a photo of which a reading is struck out."""


def test_a_wrong_reading_is_struck_out_and_put_back(open_page: Open) -> None:
    page = open_page()
    page.click("#examples >> text=Campfire")
    page.wait_for_selector("body[data-state=ready] #alternatives button")
    first = words(page)
    page.click("#tab-seen")
    with page.expect_response(lambda answer: "without=flames" in answer.url):
        page.click("[aria-label='Strike out: flames']")
    page.wait_for_selector("#struck >> text=flames")
    assert page.locator("#conditions >> text=flames").count() == 0
    page.wait_for_function(REMEMBERED, arg="flames")
    page.reload()
    page.wait_for_selector("body[data-state=ready]")
    page.click("#tab-seen")
    page.wait_for_selector("#struck >> text=flames")
    with page.expect_response(lambda answer: "without" not in answer.url):
        page.click("#struck button")
    page.wait_for_selector("#conditions >> text=flames")
    assert words(page) == first


def test_pointing_at_a_reason_shows_where_it_is(open_page: Open) -> None:
    """The fire is below the middle of its picture; by mouse, by touch and by keyboard."""
    page = open_page()
    page.click("#examples >> text=Campfire")
    page.wait_for_selector("body[data-state=ready] #alternatives button")
    lit = """() => {
        const { width, height } = heat;
        const shade = (x, y) => heat.getContext('2d')
            .getImageData(Math.round(x * width), Math.round(y * height), 1, 1).data[3];
        return shade(0.5, 0.75) < 60 && shade(0.05, 0.1) > 150;
    }"""
    page.hover("#reasons .reading")
    page.wait_for_selector("#heat")
    assert page.evaluate(lit)
    assert "flames" in page.inner_text("#heat-words")
    page.hover("#words")
    page.wait_for_selector("#heat", state="hidden")
    page.click("#reasons .sound-reason")
    page.hover("#words")
    assert page.is_visible("#heat")
    page.click("#reasons .sound-reason")
    page.hover("#words")
    page.wait_for_selector("#heat", state="hidden")
    page.focus("#panel-reasons")
    page.keyboard.press("Tab")
    page.wait_for_selector("#heat")
