"""What matters most of the page, in Debian's Firefox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from firefox import ENTER, FIREFOX, Firefox, firefox
from soundserver import SoundServer
from webpage import AUDIBLE, SILENT, served, wait_until


@pytest.fixture
def window(tmp_path_factory: pytest.TempPathFactory, pulseaudio: SoundServer) -> Iterator[Firefox]:
    if FIREFOX is None:
        pytest.skip("Debian's firefox-esr is not installed")
    with firefox(tmp_path_factory.mktemp("profile"), pulseaudio.environment) as window:
        yield window


def of_player(window: Firefox, expression: str) -> Any:
    """Return what an expression on the page's `player` gives, once the page is ready."""
    ready = "import('/static/app.js').then(async page => { await page.ready; return page; })"
    return window.evaluate(f"{ready}.then(async ({{ player }}) => {expression})")


def wait_for(window: Firefox, condition: str) -> None:
    wait_until(lambda: of_player(window, condition))


def test_a_photo_sounds_is_mixed_kept_and_comes_back(
    window: Firefox, china_jpg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPMERSION_DATA", str(tmp_path))
    with served() as address:
        window.navigate(address)
        wait_for(window, "true")
        window.choose_file("#file", china_jpg)
        wait_for(window, "document.body.dataset.state === 'ready'")
        window.click("h1")  # Firefox lets no page be heard that nobody has touched
        wait_for(window, f"player.level() > {AUDIBLE}")
        assert of_player(window, "document.getElementById('words').innerText.trim()")
        window.click("#play")
        wait_for(window, f"player.level() < {SILENT}")
        window.click("#play")

        window.click("#tab-sliders")
        window.click("[data-sound=waves]")  # its middle
        wait_for(window, "player.voices.get('waves')?.fade.target > 0")
        mix, trim = of_player(window, "[Object.fromEntries(player.mix), player.trim]")
        assert mix["waves"] == pytest.approx(0.5, abs=0.02)

        window.click("#keep")
        wait_for(window, "document.activeElement.id === 'keep-name'")
        window.evaluate("document.activeElement.select()")
        window.type("desk" + ENTER)
        wait_for(window, "document.getElementById('toast').innerText.includes('desk')")
        wait_for(window, "location.hash.includes('waves=')")

        window.reload()
        wait_for(window, "player.mix.size > 0 && !document.getElementById('photo').hidden")
        restored, same = of_player(window, "[Object.fromEntries(player.mix), player.trim]")
        assert restored == pytest.approx(mix, abs=0.001)
        assert same == pytest.approx(trim, rel=0.001)
        window.click("h1")
        wait_for(window, f"player.level() > {AUDIBLE}")
        names = "(await (await fetch('api/places')).json()).places.map(({ name }) => name)"
        assert of_player(window, names) == ["desk"]
        assert of_player(window, "document.getElementById('places').innerHTML.includes('desk')")
