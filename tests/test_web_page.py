"""The page, used by a real browser as a person uses it."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
from webpage import (
    CHROMIUM,
    FLAGS,
    READY,
    WAITS_S,
    add_photo,
    choose_file,
    chromium,
    heard,
    hold_matches,
    new_page,
    running,
    served,
    touch,
    wait_for_player,
    wait_until,
    wait_until_decoded,
    wait_until_heard,
    wait_until_settled,
    wait_until_silent,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")

SIZES = {390: 844, 820: 1180, 1280: 800, 1440: 900}
"""A phone, a tablet, a laptop and a desk: viewport width to height, in pixels."""

TABS = ["seen", "reasons", "sliders", "more"]

Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Open]:
    """Open the page in a fresh profile; nothing may go wrong in it, nor be asked of others."""
    contexts, troubles = [], []

    def open_at(path: str = "", *, wait: bool = True, **options: Any) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(1_000 * WAITS_S)
        contexts.append(context)
        page = new_page(context)
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

    requested: list[str] = []
    yield open_at
    for context in contexts:
        for page in context.pages:
            assert page.evaluate("window.blocked ?? []") == []
        context.close()
    assert troubles == []
    assert [url for url in requested if not url.startswith((address, f"blob:{address}"))] == []


def words(page: Page) -> str:
    return page.inner_text("#words")


ADDRESS_SETTLES_MS = 400
"""After the last change to the mix; timers of one page that are due sooner have run before."""


def mix_of(page: Page) -> dict[str, float]:
    """Return the mix in the page's address, asked of the page: Playwright learns of it later."""
    settled = f"new Promise(done => setTimeout(() => done(location.hash), {ADDRESS_SETTLES_MS}))"
    text = page.evaluate(settled).partition("#mix=")[2]
    return {name: float(gain) for name, gain in re.findall(r"([^=,]+)=([\d.]+)", text)}


def test_a_photo_is_seen_named_and_heard(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    assert page.is_visible("#invitation")
    assert not page.is_visible("#result")
    add_photo(page, china_jpg)
    assert page.inner_text("#scenes li:first-child .name") == "temple (east asia)"
    assert re.fullmatch(r"\d+ %", page.inner_text("#scenes li:first-child .share"))
    assert page.locator("#objects li").count() == 5
    assert "temple (east asia)" in page.inner_text("#why")
    assert page.locator("#alternatives button").count() == 4
    page.wait_for_function("() => document.getElementById('photo').width === 640")
    assert words(page) in page.inner_text("#status")
    assert len(mix_of(page)) >= 1
    wait_until_heard(page)
    page.click("#tab-reasons")
    assert page.locator("#reasons tbody tr").count() == 6


def test_mute_silences_it_and_the_space_bar_does_too(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    add_photo(page, china_jpg)
    wait_until_heard(page)
    page.click("#mute")
    wait_until_silent(page)
    assert page.get_attribute("#mute", "aria-pressed") == "true"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    wait_until_heard(page)
    assert page.get_attribute("#mute", "aria-pressed") == "false"
    page.click("#play")
    page.wait_for_selector("#play[aria-label=Play]")
    wait_for_player(page, "player.context.state === 'suspended'")


def test_the_level_is_that_of_the_command(open_page: Open) -> None:
    """The page plays at -27 LUFS, as files are written; white noise is the steadiest."""
    page = open_page("#mix=white-noise=0.3")
    touch(page)
    wait_until_settled(page, 1)
    samples, _ = soundfile.read(soundbank_file("white-noise"), stop=10 * 44_100)
    expected = float((samples.mean(axis=1) ** 2).mean() ** 0.5)
    assert steady_level(page) == pytest.approx(expected, rel=0.15)
    page.fill("#volume", "-20")
    wait_for_player(page, "player.volume.gain.value < 0.1001")
    assert steady_level(page) == pytest.approx(expected / 10, rel=0.15)


def steady_level(page: Page, n_readings: int = 5) -> float:
    """Return the mean level of readings that share no sample."""
    levels = []
    for _ in range(n_readings):
        clock = "import('/static/app.js').then(page => page.player.context.currentTime)"
        wait_for_player(page, f"player.context.currentTime > {page.evaluate(clock) + 0.1}")
        levels.append(heard(page))
    return sum(levels) / n_readings


def soundbank_file(name: str) -> Path:
    import deepmersion

    (sound,) = [sound for sound in deepmersion.open_bank().sounds if sound.name == name]
    return sound.path


def test_an_alternative_is_one_click_away(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    add_photo(page, china_jpg)
    first, mix = words(page), mix_of(page)
    second = page.locator("#alternatives button").first
    name = second.inner_text()
    second.click()
    page.wait_for_function("name => document.getElementById('words').innerText === name", arg=name)
    assert mix_of(page) != mix
    assert "behind the first" in page.inner_text("#why")
    assert page.evaluate("document.activeElement.parentElement.id") == "alternatives"
    others = page.locator("#alternatives button").all_inner_texts()
    assert first in others
    assert name not in others
    wait_until_heard(page)
    page.evaluate("location.hash = '#mix=fire=1'")
    page.wait_for_function("() => document.getElementById('words').innerText === 'Wood fire'")
    assert page.inner_text("#why") == "The mix in this page’s address."
    assert first in page.locator("#alternatives button").all_inner_texts()


def test_a_slider_changes_the_mix_and_the_address_brings_it_back(
    open_page: Open, china_jpg: Path
) -> None:
    page = open_page()
    add_photo(page, china_jpg)
    page.click("#tab-sliders")
    before = mix_of(page)
    for name, gain in before.items():
        assert float(page.input_value(f"[data-sound={name}]")) == gain
    page.focus("[data-sound=waves]")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    assert mix_of(page) == before | {"waves": 0.99}
    assert "Set by hand" in page.inner_text("#why")
    assert "aves" in words(page)
    shared = words(page)
    page.reload()
    page.wait_for_selector("body[data-state=ready]")
    assert words(page) == shared
    assert float(page.input_value("[data-sound=waves]")) == 0.99
    touch(page)
    wait_until_heard(page)


def test_a_slider_that_moves_fast_writes_the_address_once(open_page: Open) -> None:
    """Browsers allow some hundred changes in half a minute, and some of them throw then."""
    page = open_page("#mix=rain=1")
    page.click("#tab-sliders")
    assert mix_of(page) == {"rain": 1}
    page.evaluate(
        """() => {
            window.written = 0;
            const write = history.replaceState.bind(history);
            history.replaceState = (...rest) => { written++; write(...rest); };
            const slider = document.querySelector('[data-sound=waves]');
            for (let i = 1; i <= 300; i++) {
                slider.value = (i % 100) / 100 + 0.01;
                slider.dispatchEvent(new Event('input'));
            }
        }"""
    )
    assert mix_of(page) == {"rain": 1, "waves": 0.01}
    assert page.evaluate("written") == 1


def test_a_sound_that_was_lost_halfway_can_be_played_again(open_page: Open) -> None:
    page = open_page()
    whole = "**/sounds/rain*"
    page.route(
        whole,
        lambda route: route.continue_() if "range" in route.request.headers else route.abort(),
    )
    page.evaluate("location.hash = '#mix=rain=1'")
    page.wait_for_selector("#message")
    wait_for_player(page, "player.wanted.size === 1 && player.voices.size === 0")
    page.unroute(whole)
    page.click("#tab-sliders")
    page.focus("[data-sound=rain]")
    page.keyboard.press("ArrowLeft")
    wait_until_decoded(page, 1)
    wait_until_heard(page)


def test_a_shared_mix_waits_for_a_touch_where_the_browser_wants_one(open_page: Open) -> None:
    page = open_page("#mix=rain=1,birds=0.25", wait=False)
    # Whatever Playwright evaluates counts as a touch; the protocol below it knows better.
    protocol = page.context.new_cdp_session(page)

    def untouched(expression: str) -> Any:
        return protocol.send("Runtime.evaluate", {"expression": expression})["result"]["value"]

    wait_until(lambda: untouched("document.body.dataset.state") == "ready", page)
    page.wait_for_timeout(500)
    assert untouched("navigator.userActivation.hasBeenActive") is False
    assert untouched("document.getElementById('words').innerText") == "Rain and birds in a wood"
    assert "Press play to hear it" in untouched("document.getElementById('why').innerText")
    assert untouched("document.getElementById('play').ariaLabel") == "Play"
    touch(page)
    wait_until_heard(page)
    assert page.get_attribute("#play", "aria-label") == "Pause"
    page.evaluate("location.hash = '#mix=fire=1'")
    page.wait_for_function("() => document.getElementById('words').innerText === 'Wood fire'")


def test_a_mix_of_unknown_sounds_is_told_plainly(open_page: Open) -> None:
    page = open_page("#mix=trumpets=1")
    assert page.inner_text("#message p") == "There is no sound called “trumpets” here."
    page.click("#message button")
    assert not page.is_visible("#message")


def test_objects_and_places_can_be_left_out(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    add_photo(page, china_jpg)
    page.click("#tab-sliders")
    with page.expect_response(lambda answer: "use=scenes" in answer.url):
        page.uncheck("#use-objects")
    page.wait_for_function("() => document.querySelectorAll('#reasons tbody tr').length === 3")
    assert page.is_disabled("#use-scenes")
    with page.expect_response(re.compile("use=objects%2Cscenes")):
        page.check("#use-objects")


def test_one_of_objects_and_places_stays_without_a_photo(open_page: Open) -> None:
    page = open_page("#mix=rain=1")
    page.click("#tab-sliders")
    page.uncheck("#use-objects")
    assert page.is_disabled("#use-scenes")
    page.check("#use-objects")
    assert page.is_enabled("#use-scenes")


def test_chatter_goes_from_one_sound_to_everything(open_page: Open, flower_jpg: Path) -> None:
    page = open_page()
    add_photo(page, flower_jpg)
    page.click("#tab-sliders")
    with page.expect_response(re.compile("chatter=0.6")):
        page.check("#chatter-on")
    page.wait_for_function("() => document.getElementById('words').innerText.includes('more')")
    gains = list(mix_of(page).values())
    assert gains == sorted(gains, reverse=True)
    assert gains[2] == pytest.approx(0.6, abs=1e-3)
    page.focus("#chatter")
    with page.expect_response(re.compile("chatter=1")):
        page.keyboard.press("End")
    page.wait_for_function("() => location.hash.split('=1').length === 11")
    with page.expect_response(re.compile("chatter=0$")):
        page.keyboard.press("Home")
    page.wait_for_function("() => location.hash.split('=').length === 3")
    with page.expect_response(
        lambda answer: "/api/match" in answer.url and "chatter" not in answer.url
    ):
        page.uncheck("#chatter-on")


def test_randomise_plays_some_other_mix(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    add_photo(page, china_jpg)
    page.click("#tab-sliders")
    drawn = []
    for _ in range(4):
        page.click("#randomise")
        assert page.inner_text("#why") == "Drawn at random."
        drawn.append(mix_of(page))
        assert 1 <= len(drawn[-1]) <= 4
    assert any(mix != drawn[0] for mix in drawn)


def test_the_timer_fades_out_and_ends(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    add_photo(page, china_jpg)
    wait_until_heard(page)
    page.click("#tab-more")
    page.fill("#timer-minutes", "0.08")
    page.click("#timer-button")
    assert page.inner_text("#timer-left").startswith("Silence in 0:0")
    page.click("#alternatives button >> nth=0")  # another mix does not prolong it
    page.wait_for_selector("#play[aria-label=Play]")
    wait_until_silent(page)
    assert page.inner_text("#timer-button") == "Start"
    page.click("#timer-button")  # which plays, too
    wait_until_heard(page)
    page.click("#play")
    page.click("#play")
    wait_until_heard(page)
    assert page.inner_text("#timer-button") == "Start"


def test_a_timer_can_be_taken_back(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    add_photo(page, china_jpg)
    page.click("#tab-more")
    page.fill("#timer-minutes", "0.1")
    page.click("#timer-button")
    page.click("#timer-button")
    page.wait_for_timeout(6_500)  # the timer's six seconds, and somewhat more
    assert page.get_attribute("#play", "aria-label") == "Pause"
    wait_until_heard(page)


def test_a_mix_is_saved_as_a_file(open_page: Open, tmp_path: Path) -> None:
    page = open_page("#mix=waves=1,wind=0.5")
    page.click("#tab-more")
    page.fill("#save-minutes", "0.05")
    page.select_option("#save-format", "ogg")
    with page.expect_download() as downloading:
        page.click("#save-button")
    assert downloading.value.suggested_filename == "waves-wind.ogg"
    downloading.value.save_as(tmp_path / "x.ogg")
    assert soundfile.info(tmp_path / "x.ogg").frames == 3 * 44_100
    page.wait_for_function("() => document.getElementById('save-state').innerText === 'Saved.'")


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
    page.wait_for_selector("#scenes >> text=temple (east asia)")
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


def test_live_leaves_a_mix_alone_until_the_choice_changes(
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
    page.wait_for_timeout(300)
    assert words(page) == chosen
    page.wait_for_selector("#objects >> text=daisy", state="attached")
    page.wait_for_function("x => document.getElementById('words').innerText !== x", arg=chosen)
    assert page.get_attribute("#play", "aria-label") == "Play"
    page.click("#play")
    wait_until_heard(page)


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
    assert page.evaluate("document.activeElement.dataset.sound") == "birds"
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
