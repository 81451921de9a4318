"""The page's mix: seen, heard, changed, shared and saved, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
from webpage import (
    Open,
    add_photo,
    heard,
    mix_of,
    touch,
    wait_for_player,
    wait_until,
    wait_until_decoded,
    wait_until_heard,
    wait_until_settled,
    wait_until_silent,
    words,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page


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
    assert page.locator("#figures-table tbody tr").count() == 9


def test_keys_play_pause_mute_and_turn_the_volume(open_page: Open, china_jpg: Path) -> None:
    page = open_page()
    add_photo(page, china_jpg)
    wait_until_heard(page)
    page.click("#mute")
    wait_until_silent(page)
    assert page.get_attribute("#mute", "aria-pressed") == "true"
    page.keyboard.press("m")
    wait_until_heard(page)
    assert page.get_attribute("#mute", "aria-pressed") == "false"
    page.keyboard.press("Space")  # the mute button was pressed with the mouse, so it is left alone
    page.wait_for_selector("#play[aria-label=Play]")
    wait_for_player(page, "player.context.state === 'suspended'")
    assert page.get_attribute("#mute", "aria-pressed") == "false"
    page.keyboard.press("Space")
    wait_until_heard(page)
    volume = float(page.input_value("#volume"))
    page.keyboard.press("ArrowDown")
    assert float(page.input_value("#volume")) < volume
    assert page.inner_text("#toast").startswith("Volume")
    first = words(page)
    page.keyboard.press("ArrowRight")
    assert words(page) != first
    page.keyboard.press("u")
    assert words(page) == first
    page.keyboard.press("Control+Shift+Z")
    assert words(page) != first
    page.keyboard.press("7")
    assert page.inner_text("#toast") == "There is no place 7 yet."
    page.keyboard.press("?")
    page.wait_for_selector("#sheet[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#sheet", state="hidden")


def test_the_level_is_that_of_the_command(open_page: Open) -> None:
    """The page plays at -27 LUFS, as files are written; white noise is the steadiest."""
    page = open_page()
    # Without the ebb, which makes any sound softer or louder by chance.
    page.evaluate("import('./static/app.js').then(({ player }) => { player.drawn = { ebb: 0 }; })")
    page.evaluate("location.hash = '#mix=white-noise=1'")
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
        clock = "import('./static/app.js').then(page => page.player.context.currentTime)"
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
    assert "the best match" in page.inner_text("#why")
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
        shown = float(page.input_value(f"[data-sound={name}]"))
        assert shown == pytest.approx(gain, abs=0.005)
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
            for (const name of ['pushState', 'replaceState']) {
                const write = history[name].bind(history);
                history[name] = (...rest) => { written++; write(...rest); };
            }
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


def test_one_of_objects_and_scenes_can_be_left_out(open_page: Open, china_jpg: Path) -> None:
    page = open_page("#mix=rain=1")
    page.click("#tab-seen")
    page.uncheck("#use-objects")
    assert page.is_disabled("#use-scenes")
    page.check("#use-objects")
    assert page.is_enabled("#use-scenes")
    add_photo(page, china_jpg)
    with page.expect_response(lambda answer: "use=scenes" in answer.url):
        page.uncheck("#use-objects")
    page.wait_for_function(
        "() => document.querySelectorAll('#figures-table tbody tr').length === 6"
    )
    assert page.is_disabled("#use-scenes")
    with page.expect_response(re.compile("use=objects%2Cscenes")):
        page.check("#use-objects")


def test_chatter_goes_from_one_sound_to_everything(open_page: Open, flower_jpg: Path) -> None:
    page = open_page()
    add_photo(page, flower_jpg)
    page.click("#tab-seen")
    with page.expect_response(re.compile("chatter=0.6")):
        page.check("#chatter-on")
    page.wait_for_function("() => document.getElementById('words').innerText.includes('more')")
    gains = list(mix_of(page).values())
    assert gains == sorted(gains, reverse=True)
    assert gains[2] == pytest.approx(0.6, abs=1e-3)
    page.focus("#chatter")
    with page.expect_response(re.compile("chatter=1")):
        page.keyboard.press("End")
    page.wait_for_function("() => location.hash.split('&')[0].split('=1').length === 19")
    with page.expect_response(re.compile("chatter=0$")):
        page.keyboard.press("Home")
    page.wait_for_function("() => location.hash.split('&')[0].split('=').length === 3")
    with page.expect_response(
        lambda answer: "/api/match" in answer.url and "chatter" not in answer.url
    ):
        page.uncheck("#chatter-on")


def test_randomise_plays_some_other_mix(open_page: Open) -> None:
    page = open_page("#mix=rain=1")
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
    page.fill("#timer-minutes", "0.05")
    page.click("#timer-button")
    assert page.inner_text("#timer-state").startswith("Silence in 0:0")
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
    page.fill("#timer-minutes", "0.05")
    page.click("#timer-button")
    page.click("#timer-button")
    page.wait_for_timeout(3_500)  # the timer's three seconds, and somewhat more
    assert page.get_attribute("#play", "aria-label") == "Pause"
    wait_until_heard(page)


SLEEPY = """() => {
    const every = setInterval;
    window.asleep = false;
    window.setInterval = (act, ms) => every(() => asleep || act(), ms);
}"""
"""Lets the page's ticks stop while `asleep`, as they do in a hidden tab."""


def test_work_and_rest_take_turns_by_the_clock(open_page: Open) -> None:
    page = open_page("#mix=rain=1")
    page.evaluate(SLEEPY)
    page.click("#tab-more")
    for name in ["focus", "rest"]:
        page.fill(f"#{name}-minutes", "0.05")
    page.click("#focus-button")
    assert page.inner_text("#timer-chip").startswith("Focus 0:0")
    wait_until_heard(page)
    page.evaluate("asleep = true")
    wait_until_silent(page)
    page.evaluate("asleep = false")
    page.wait_for_selector("#timer-chip >> text=Rest 0:0")
    assert page.get_attribute("#play", "aria-label") == "Pause"
    wait_until_heard(page)
    page.wait_for_selector("#timer-chip >> text=Focus 0:0")
    page.click("#focus-button")
    assert not page.is_visible("#timer-chip")
    page.fill("#focus-minutes", "2")
    page.click("#focus-button")
    page.evaluate("(now => { Date.now = () => now() + 120_000; })(Date.now)")  # the machine slept
    page.wait_for_selector("#timer-chip >> text=Rest 0:0")
    wait_until_silent(page)
    page.fill("#timer-minutes", "1")
    page.click("#timer-button")  # in place of it, and heard from now on
    wait_until_heard(page)
    assert re.fullmatch(r"1:00|0:5\d", page.inner_text("#timer-chip").strip())
    assert page.inner_text("#focus-button") == "Start"
    page.reload()
    page.wait_for_selector("body[data-state=ready]")
    assert page.input_value("#focus-minutes") == "2"
    assert page.input_value("#timer-minutes") == "1"


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
