"""Photos and the camera on the page, in a real browser."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image
from webpage import (
    FLAGS,
    Open,
    add_photo,
    choose_file,
    hold_matches,
    mix_of,
    new_page,
    running,
    wait_until,
    wait_until_decoded,
    wait_until_heard,
    words,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route


def test_a_photo_can_be_dropped_and_pasted(
    open_page: Open, china_jpg: Path, flower_jpg: Path
) -> None:
    page = open_page()
    give = """([kind, base64]) => {
        const bytes = Uint8Array.from(atob(base64), c => c.charCodeAt());
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], 'photo.jpg', {type: 'image/jpeg'}));
        const event = kind === 'paste'
            ? new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true})
            : new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true});
        document.getElementById('stage').dispatchEvent(event);
    }"""
    page.evaluate(give, ["drop", base64.b64encode(china_jpg.read_bytes()).decode()])
    page.wait_for_selector("#scenes >> text=temple (east asia)", state="attached")
    page.evaluate(give, ["paste", base64.b64encode(flower_jpg.read_bytes()).decode()])
    page.wait_for_selector("#objects >> text=daisy", state="attached")


def test_the_stage_shows_the_photo_that_came_last(
    open_page: Open, china_jpg: Path, flower_jpg: Path
) -> None:
    page = open_page()
    page.evaluate(
        """() => {
            const decode = createImageBitmap;
            window.held = [];
            window.createImageBitmap = photo => new Promise(done => {
                held.push(() => decode(photo).then(done));
            });
        }"""
    )
    for n, photo in enumerate([china_jpg, flower_jpg], 1):
        choose_file(page, photo)
        page.wait_for_function("n => held.length === n", arg=n)
    page.evaluate("held[1]()")
    page.wait_for_selector("#photo")
    picture = "document.getElementById('photo').toDataURL()"
    shown = page.evaluate(picture)
    page.evaluate("held[0]()")
    assert page.evaluate(picture) == shown


def test_a_file_that_is_no_photo_is_told_plainly(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    (tmp_path / "x.jpg").write_bytes(b"nothing of the kind")
    choose_file(page, tmp_path / "x.jpg")
    page.wait_for_selector("#message")
    assert page.inner_text("#message p").startswith("The photo is not a photo of a known format")
    assert page.get_attribute("body", "data-state") == "empty"


def test_a_busy_server_is_asked_again(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    refusals = [1, 1]

    def refuse(route: Route) -> None:
        if not refusals:
            route.continue_()
            return
        refusals.pop()
        route.fulfill(status=503, headers={"Retry-After": "0.1"}, body='{"error": "busy"}')

    page.route("**/api/match*", refuse)
    add_photo(page, china_jpg)
    assert refusals == []
    assert not page.is_visible("#message")


def test_a_lost_server_is_told_and_the_sound_goes_on(browser: Browser, china_jpg: Path) -> None:
    with running() as (process, address):
        page = new_page(browser)
        page.goto(address)
        add_photo(page, china_jpg)
        wait_until_heard(page)
        wait_until_decoded(page, len(mix_of(page)))
        process.kill()
        process.wait()
        choose_file(page, china_jpg)
        page.wait_for_selector("#message")
        assert "cannot reach its server" in page.inner_text("#message p")
        assert "deepmersion serve" in page.inner_text("#message p")
        wait_until_heard(page)
        page.close()


def test_the_camera_takes_a_picture(open_page: Open) -> None:
    assert "--use-fake-device-for-media-stream" in FLAGS
    page = open_page()
    page.click("#camera")
    page.click("#take")
    page.wait_for_selector("body[data-state=ready] #alternatives button")
    page.wait_for_function("() => document.getElementById('photo').width > 1")
    assert not page.is_visible("#viewfinder")
    assert page.evaluate("document.querySelector('#viewfinder video').srcObject.active") is False


SLOW_CAMERA = """() => {
    const play = HTMLMediaElement.prototype.play;
    HTMLMediaElement.prototype.play = function () {
        if (!this.srcObject) return play.call(this);
        return new Promise(done => { window.showIt = () => play.call(this).then(done); });
    };
}"""
"""Shows its first picture when it is told to."""


def test_the_camera_can_be_left_before_it_shows_something(open_page: Open) -> None:
    page = open_page()
    page.evaluate(SLOW_CAMERA)
    for leave in [lambda: page.click("#leave"), lambda: page.keyboard.press("Escape")]:
        page.click("#camera")
        page.wait_for_selector("#viewfinder[open]")
        leave()
        page.wait_for_function(
            "() => document.querySelector('#viewfinder video').srcObject.active === false"
        )
        assert not page.is_visible("#viewfinder")


def test_who_presses_before_the_camera_shows_something_gets_its_first_picture(
    open_page: Open,
) -> None:
    page = open_page()
    page.evaluate(SLOW_CAMERA)
    page.click("#camera")
    page.click("#take")
    page.evaluate("showIt()")
    page.wait_for_selector("body[data-state=ready] #alternatives button")


def test_live_looks_again_and_again(open_page: Open, china_jpg: Path) -> None:
    page = open_page("#mix=rain=1")
    same = china_jpg.read_bytes()  # the fake camera's picture moves
    page.route("**/api/match*", lambda route: route.continue_(post_data=same))
    page.click("#tab-more")
    page.fill("#live-minutes", "0.05")
    looks: list[str] = []
    page.on(
        "request", lambda request: looks.append(request.url) if "match" in request.url else None
    )
    page.click("#live-switch")
    page.wait_for_function(
        "() => document.getElementById('live-left').innerText.includes('Next picture')"
    )
    assert page.get_attribute("#live-switch", "aria-checked") == "true"
    first = mix_of(page)
    with page.expect_response(re.compile("/api/match")):
        pass
    page.click("#live-switch")
    assert page.get_attribute("#live-switch", "aria-checked") == "false"
    n_looks = len(looks)
    assert n_looks >= 2
    assert mix_of(page) == first
    page.wait_for_timeout(3_500)  # when it would have looked again
    assert len(looks) == n_looks


SLOW_TO_OPEN = """() => {
    const media = navigator.mediaDevices;
    const open = media.getUserMedia.bind(media);
    window.opening = [];
    media.getUserMedia = wish => new Promise(done => {
        opening.push(async () => { const stream = await open(wish); done(stream); return stream; });
    });
    window.openOne = async () => {
        const stream = await opening.shift()();
        while (stream.active) await new Promise(done => setTimeout(done, 10));
    };
}"""
"""A camera that opens when it is told to; then it is waited until it is closed again."""


def test_live_that_is_switched_off_while_the_camera_opens_sends_nothing(open_page: Open) -> None:
    page = open_page("#mix=rain=1")
    looks: list[str] = []
    page.on("request", lambda request: looks.append(request.url))
    page.click("#tab-more")
    page.evaluate(SLOW_TO_OPEN)
    for _ in range(3):  # on, off and on
        page.click("#live-switch")
    page.wait_for_function("() => opening.length === 2")
    page.evaluate("openOne()")
    with page.expect_response(re.compile("/api/match")):
        page.evaluate("openOne()")
    page.wait_for_selector("#live-left >> text=Next picture")
    page.click("#live-switch")
    assert len([url for url in looks if "/api/match" in url]) == 1


def test_live_asks_before_it_replaces_what_was_chosen_by_hand(
    open_page: Open, china_jpg: Path, flower_jpg: Path
) -> None:
    page = open_page()
    photos = [china_jpg, china_jpg, flower_jpg, flower_jpg]

    def another(route: Route) -> None:
        route.continue_(post_data=photos.pop(0).read_bytes() if photos else None)

    page.route("**/api/match*", another)
    page.click("#camera")
    page.click("#take")
    page.wait_for_selector("body[data-state=ready] #alternatives button")
    best = words(page)
    page.click("#alternatives button >> nth=0")
    chosen = words(page)
    assert chosen != best
    wait_until_heard(page)
    page.click("#play")  # and nobody asks for it to go on
    page.click("#tab-more")
    page.fill("#live-minutes", "0.05")
    with page.expect_response(re.compile("/api/match")):
        page.click("#live-switch")
    assert page.is_visible("#live-chip")
    page.wait_for_selector("#objects >> text=daisy", state="attached")
    page.wait_for_selector("#question")
    assert words(page) == chosen
    assert "The camera sees something else" in page.inner_text("#question-text")
    assert page.get_attribute("#play", "aria-label") == "Play"
    page.click("#question-yes")
    page.wait_for_function("x => document.getElementById('words').innerText !== x", arg=chosen)
    wait_until_heard(page)


def test_a_second_file_that_is_no_photo_leaves_the_first_alone(
    open_page: Open, china_jpg: Path, tmp_path: Path
) -> None:
    page = open_page()
    add_photo(page, china_jpg)
    shows(page, china_jpg)
    before = [words(page), page.inner_text("#why"), mix_of(page)]
    (tmp_path / "x.jpg").write_bytes(b"nothing of the kind")
    choose_file(page, tmp_path / "x.jpg")
    page.wait_for_selector("#message")
    assert page.get_attribute("body", "data-state") == "ready"
    assert [words(page), page.inner_text("#why"), mix_of(page)] == before
    shows(page, china_jpg)
    wait_until_heard(page)


def test_a_server_that_hangs_can_be_left(
    open_page: Open, china_jpg: Path, flower_jpg: Path
) -> None:
    page = open_page()
    add_photo(page, china_jpg)
    before = words(page)
    held = hold_matches(page)
    for leave in [lambda: page.click("#cancel"), lambda: page.keyboard.press("Escape")]:
        choose_file(page, flower_jpg)
        page.wait_for_selector("#cancel")
        shows(page, flower_jpg)
        leave()
        page.wait_for_selector("body[data-state=ready]")
        shows(page, china_jpg)
        assert words(page) == before
    wait_until(lambda: held, page)
    wait_until_heard(page)


def test_a_large_photo_is_made_smaller_before_it_is_sent(
    open_page: Open, china_jpg: Path, tmp_path: Path
) -> None:
    """Upright, as its EXIF orientation has it, and with the same mix as the photo itself.

    One of medium size goes to a server on the same machine as it is.
    """
    page = open_page()
    sent: list[bytes] = []

    def read(route: Route) -> None:
        body = route.request.post_data_buffer
        assert body is not None
        sent.append(body)
        route.continue_()

    page.route("**/api/match*", read)
    medium = tmp_path / "medium.jpg"
    with Image.open(china_jpg) as photo:
        photo.resize((3_200, 2_135)).save(medium, quality=95)
    add_photo(page, medium)
    assert sent[0] == medium.read_bytes()
    assert len(sent[0]) > 2**20
    expected = mix_of(page)
    with Image.open(china_jpg) as photo:
        large = photo.resize((6_400, 4_270)).transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        large.save(tmp_path / "large.jpg", exif=exif, quality=97)
        assert (tmp_path / "large.jpg").stat().st_size > 2**22
    add_photo(page, tmp_path / "large.jpg")
    wait_until(lambda: len(sent) == 2, page)
    page.wait_for_selector("body[data-state=ready]")
    with Image.open(io.BytesIO(sent[1])) as image:
        assert image.size == (1_280, 854)
    assert len(sent[1]) < 500_000
    assert mix_of(page).keys() == expected.keys()


def shows(page: Page, photo: Path) -> None:
    """Wait until the stage shows a photo, by the colours of its four quarters."""
    with Image.open(photo) as image:
        colours = np.asarray(image.convert("RGB").resize((2, 2), Image.Resampling.BOX)).tolist()
    page.wait_for_function(
        """colours => {
            const canvas = document.getElementById('photo');
            const [w, h] = [canvas.width >> 1, canvas.height >> 1];
            if (canvas.hidden || w < 1) return false;
            const mean = (x, y) => {
                const { data } = canvas.getContext('2d').getImageData(x, y, w, h);
                const sums = [0, 0, 0];
                for (let i = 0; i < data.length; i++) if (i % 4 < 3) sums[i % 4] += data[i];
                return sums.map(sum => sum / (w * h));
            };
            return colours.every((row, y) => row.every((rgb, x) =>
                mean(x * w, y * h).every((value, i) => Math.abs(value - rgb[i]) < 4)));
        }""",
        arg=colours,
    )
