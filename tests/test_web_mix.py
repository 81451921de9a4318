"""A mix as text: the page reads and writes it as Python does, and addresses carry it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from material import noise, write
from mix_texts import MIXES, READ, TEXTS
from webpage import READY
from webserver import ask, threaded

from deepmersion.errors import RequestError
from deepmersion.sound.bank import open_bank
from deepmersion.sound.recipe import escaped, mix_text, parse_mix

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ["a,b", "50%41", "rain, (1)=50%/soft", "C:\\x", "-o", " +&# ", "Ämsel 😀", "~"]

PARSE = """async (text) => {
    const { parse } = await import('/static/mix.js');
    try { return Object.fromEntries(parse(text)); } catch { return null; }
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose sounds are called anything."""
    folder = tmp_path_factory.mktemp("bank")
    write(folder / "noise.wav", noise(2))
    (folder / "soundbank.toml").write_text(
        "".join(f"[[sound]]\nname = '{name}'\nfile = 'noise.wav'\n" for name in NAMES), "utf-8"
    )
    app: Any = SimpleNamespace(bank=open_bank(folder), places=None)
    with threaded(app, tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(address)
    page.wait_for_function(f"() => {READY}")
    yield page
    page.close()


def in_python(text: str) -> dict[str, float] | None:
    try:
        return parse_mix(text)
    except RequestError:
        return None


@pytest.mark.parametrize(("text", "mix"), READ.items())
def test_the_page_reads_text_by_the_grammar(
    page: Page, text: str, mix: dict[str, float] | None
) -> None:
    assert page.evaluate(PARSE, text) == mix


@given(TEXTS)
def test_the_page_reads_what_python_reads(page: Page, text: str) -> None:
    assert page.evaluate(PARSE, text) == in_python(text)


@given(MIXES)
def test_both_write_the_same_names_and_read_each_others(page: Page, mix: dict[str, float]) -> None:
    assert page.evaluate(PARSE, mix_text(mix)) == parse_mix(mix_text(mix))
    of_page = page.evaluate(
        """async (names) => {
            const { escaped, toText } = await import('/static/mix.js');
            const text = toText(new Map(names.map((name) => [name, 0.5])));
            return [names.map(escaped), text];
        }""",
        list(mix),
    )
    assert of_page[0] == [escaped(name) for name in mix]
    assert parse_mix(of_page[1]) == dict.fromkeys(mix, 0.5)


@pytest.mark.parametrize("names", [NAMES[::2], NAMES[1::2], NAMES])
def test_addresses_carry_a_mix_as_it_is(page: Page, address: str, names: list[str]) -> None:
    text = mix_text({name: 1 / 2**i for i, name in enumerate(names)})
    assert ask(address, f"/api/mix?mix={text}&duration=1").status == 200
    page.goto("about:blank")
    page.goto(f"{address}#mix={text}")
    page.wait_for_function(f"() => {READY}")
    assert page.inner_text("#why").startswith("The mix in this page")
    page.click("#tab-sliders")
    shown = page.evaluate("[...document.querySelectorAll('#sliders input')].map((s) => +s.value)")
    assert [share > 0 for share in shown] == [name in names for name in NAMES]


def test_addresses_with_encoded_names_are_read(page: Page, address: str) -> None:
    """As a browser encodes them, or a person types them."""
    for text in ["%C3%84msel%20%F0%9F%98%80=1", "Ämsel 😀=1", ":C3:84msel:20:F0:9F:98:80"]:
        page.goto("about:blank")
        page.goto(f"{address}#mix={text}")
        page.wait_for_function(f"() => {READY}")
        assert page.inner_text("#words") == "Ämsel 😀"
