"""TOML from elsewhere: bounded, and refused in one line with the place."""

from __future__ import annotations

from pathlib import Path

import pytest
from material import assert_one_line, noise, write

from deepmersion.errors import SoundBankError
from deepmersion.sound.bank import open_bank
from deepmersion.toml import TomlError, load_toml

BAD = {
    "digits": ("x = 1\ny = " + "9" * 4301, "a number of 4,301 digits at line 2"),
    "hexadecimal digits": ("x = 0x" + "f" * 5000, "a number of 5,002 digits at line 1"),
    "brackets": ("x = " + "[" * 500, "more than 20 brackets at line 1"),
    "tables": ("x = " + "{a = " * 500, "more than 20 brackets at line 1"),
    "dots": (".".join("a" * 45_000) + " = 1", "a key of more than 10 dots at line 1"),
    "quoted dots": ("\n" + ".".join(['"a"'] * 20) + " = 1", "more than 10 dots at line 2"),
    "long line": ("a" * 120_000 + " = 1", "line 1 has more than 100,000 characters"),
    "large": ("# large\n" * 600_000, "more than 4,000,000 bytes"),
    "no date": ("x = 2024-02-31", "line 1"),
    "unclosed": ('x = "' + "a" * 90_000, "Unterminated string"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_beyond_the_bounds_is_refused(kind: str, tmp_path: Path) -> None:
    text, what = BAD[kind]
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(TomlError) as caught:
        load_toml(tmp_path / "a.toml")
    assert_one_line(caught.value, what)


def test_what_stands_in_strings_and_comments_is_not_bounded(tmp_path: Path) -> None:
    long = "9" * 500 + "[" * 50 + "a." * 50
    (tmp_path / "a.toml").write_bytes(
        f"\ufeffx = \"{long}\"  # {long} it's\r\ny = '''\n{long}\n'''\n".encode()
    )
    assert load_toml(tmp_path / "a.toml") == {"x": long, "y": f"{long}\n"}


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ('"1"', 'the schema "1", which is no whole number'),
        ("true", "the schema true, which is no whole number"),
        ("1.0", "the schema 1.0, which is no whole number"),
        ("0", "the schema 0, which is no whole number from 1 on"),
        ("2", "has schema 2, but this program reads schema 1; use a newer"),
    ],
)
def test_a_schema_that_is_not_read_is_shown_as_it_is(
    schema: str, what: str, tmp_path: Path
) -> None:
    (tmp_path / "soundbank.toml").write_text(f"schema = {schema}\n")
    with pytest.raises(SoundBankError) as caught:
        open_bank(tmp_path)
    assert_one_line(caught.value, what)


def test_a_name_that_no_index_holds_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", noise(1.0))
    (tmp_path / "soundbank.toml").write_text(
        f'[[sound]]\nname = "{"ä" * 383}"\nfile = "a.wav"\n', encoding="utf-8"
    )
    with pytest.raises(SoundBankError) as caught:
        open_bank(tmp_path)
    assert_one_line(caught.value, "a name of 766 bytes", "at most 765")


def test_sounds_that_are_passed_over_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepmersion.sound.bank.find_spec", lambda _name: None)
    for name in ("memo.M4A", "old.ape", "notes.txt", "._memo.m4a"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SoundBankError) as caught:
        open_bank(tmp_path)
    assert_one_line(caught.value, "passed over 2", "memo.M4A, old.ape", "deepmersion[phone]")
    write(tmp_path / "a.wav", noise(1.0))
    found = open_bank(tmp_path)
    assert found.names == ("a",)
    assert found.left_out is not None
    assert "memo.M4A, old.ape" in found.left_out
    monkeypatch.setattr("deepmersion.sound.bank.find_spec", lambda _name: object())
    assert open_bank(tmp_path).names == ("a", "memo")
