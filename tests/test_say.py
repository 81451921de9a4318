"""Text from elsewhere, and what of it reaches a person's terminal."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from commandline import Result, run, run_here, succeeded

from deepmersion.cli.say import STEERING, n_columns, padded, shown
from deepmersion.shipped import shipped_index

NASTY = "a\x1b[2J\x9b31m\x7f\r\b\tb\u202eg\u2066p\u200b\ufeff\u2028\u2029\u00adj"
"""Controls of both kinds, overrides and isolates, what has no width, and separators of lines."""

ESCAPED = r"a\x1b[2J\x9b31m\x7f\r\x08\tb\u202eg\u2066p\u200b\ufeff\u2028\u2029\xadj"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (NASTY, ESCAPED),
        ("first\nsecond", r"first\nsecond"),
        ("\udcff\ud83d", r"\udcff\ud83d"),
        (r"C:\new", r"C:\new"),
        *[(text, text) for text in ("Café ☕ 東京", "cafe\u0301", "גשם", "مطر", "🌧️")],
    ],
)
def test_what_could_steer_a_terminal_is_escaped_and_letters_stay(text: str, left: str) -> None:
    assert shown(text) == left


@pytest.mark.parametrize(
    ("text", "columns"), [("rain", 4), ("東京", 4), ("cafe\u0301", 4), ("a\x1b", 5), ("\u200b", 6)]
)
def test_columns_are_those_of_what_is_shown(text: str, columns: int) -> None:
    assert n_columns(text) == columns
    assert n_columns(padded(text, 10)) == 10


def assert_harmless(result: Result) -> str:
    """Check that nothing steers the terminal but ends of lines; return both outputs."""
    text = (result.stdout + result.stderr).decode()
    assert not [c for c in text if unicodedata.category(c) in STEERING and c != "\n"]
    return text


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """A sound bank whose every word comes from a stranger."""
    folder = tmp_path / NASTY
    folder.mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, (44_100, 2))
    soundfile.write(folder / "a.wav", noise, 44_100)
    words = json.dumps(NASTY)  # TOML's strings have the same escapes
    (folder / "soundbank.toml").write_text(
        f'schema = 1\ntitle = {words}\n[[sound]]\nfile = "a.wav"\nname = {words}\n'
        f"title = {words}\nlicence = {words}\n".replace("\x7f", "\\u007f"),
        "utf-8",
    )
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="there names cannot hold all of it")
@pytest.mark.parametrize(
    "command",
    [
        "soundbank list BANK",
        "play ab --soundbank BANK -o a.wav",
        "play NASTY -o a.wav",
        "play rain -o NASTY",
        "match PHOTO -o - --duration 1",
        "match BROKEN -o - --duration 1",
        "match MISSING --json",
        "match PHOTO --index NASTY --json",
        "match --use NASTY PHOTO",
        "match --watch noNASTY -o -",
        "match -NASTY",
        "NASTY",
        "index info INDEX",
        "index info NASTY",
        "weights import BROKEN",
        "weights fetch NASTY",
    ],
)
def test_no_command_prints_it(
    command: str, bank: Path, flower_jpg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"BANK": bank, "PHOTO": tmp_path / f"{NASTY}.jpg", "BROKEN": tmp_path / f"x{NASTY}"}
    places |= {"MISSING": tmp_path / f"y{NASTY}", "INDEX": tmp_path / f"{NASTY}.h5"}
    shutil.copyfile(flower_jpg, places["PHOTO"])
    places["BROKEN"].write_bytes(b"broken")
    shutil.copyfile(shipped_index(None), places["INDEX"])
    with h5py.File(places["INDEX"], "r+") as file:
        file.attrs["created"] = NASTY
    words = [str(places.get(word, word)).replace("NASTY", NASTY) for word in command.split()]
    result = run_here(*words)
    if "-" in words:  # the sound is no text
        result.stdout = b""
    assert assert_harmless(result)


def test_json_has_the_exact_name_and_a_person_sees_it_escaped(
    flower_jpg: Path, tmp_path: Path
) -> None:
    name = "two\nlines\u202e.jpg"
    shutil.copyfile(flower_jpg, tmp_path / name)
    record = succeeded(run("match", name, "--json", cwd=tmp_path)).stdout
    assert record.count(b"\n") == 1
    assert json.loads(record)["photo"] == name
    missing = run("match", f"no {name}", "--json", cwd=tmp_path)
    assert json.loads(missing.stdout)["photo"] == f"no {name}"
    assert r"Error: no two\nlines\u202e.jpg: there is no such file" in missing.stderr.decode()


def test_a_path_is_exact_for_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPMERSION_CACHE", str(tmp_path / "a\x1bb"))
    assert succeeded(run("weights", "path")).stdout.decode() == f"{tmp_path}/a\x1bb\n"
