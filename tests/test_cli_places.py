"""Places from the installed command: kept, seen again, renamed, moved, forgotten."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from commandline import Result, run, run_here, succeeded, the_error
from PIL import Image, ImageEnhance
from webserver import keeping

from deepmersion.pipeline import Matcher
from deepmersion.shipped import EXAMPLES, shipped_soundbank
from deepmersion.vision import photo as photo_files

CAMPFIRE = EXAMPLES / "campfire.jpg"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("DEEPMERSION_DATA", str(folder))
    return folder


def match(*arguments: str | Path) -> Result:
    return run_here("match", "--networks", "lite", *arguments)


def record(*arguments: str | Path) -> dict[str, object]:
    result = run_here("match", "--networks", "lite", "--json", *arguments)
    found: dict[str, object] = json.loads(succeeded(result).stdout)
    return found


def test_a_kept_place_plays_its_mix_when_it_is_seen_again(
    tmp_path: Path, data: Path, china_jpg: Path
) -> None:
    output = ["-o", str(tmp_path / "x.flac"), "--duration", "1s"]
    keep = ["match", "--networks", "lite", str(china_jpg), "--keep", "palace"]
    first = succeeded(run(*keep, *output))
    assert f"Kept as palace in {data / 'places.sqlite3'}" in first.stderr.decode()
    assert "your place" not in first.stdout.decode()
    succeeded(run_here("places", "change", "palace", "bells=1,rain=0.5"))

    photo = Image.open(china_jpg)
    view = photo.crop((60, 20, photo.width, photo.height))
    ImageEnhance.Brightness(view).enhance(1.25).save(tmp_path / "again.png")
    lines = succeeded(match(tmp_path / "again.png", *output)).stdout.decode().splitlines()
    assert lines[4].startswith("  your place: palace (similarity 0.9")
    assert lines[5].split(maxsplit=1)[0] == "mix"
    assert lines[6] == "  again       deepmersion play bells=1,rain=0.5"

    seen = record(tmp_path / "again.png")
    assert seen["place"] == {
        "id": 1,
        "name": "palace",
        "mix": "bells=1,rain=0.5",
        "similarity": pytest.approx(0.95, abs=0.05),
    }
    for anew in [["--no-places"], ["--chatter", "0.5"], ["--without", "palace"]]:
        assert record(tmp_path / "again.png", *anew)["place"] is None
    assert record(CAMPFIRE)["place"] is None
    in_turn = succeeded(match(CAMPFIRE, tmp_path / "again.png", "-o", "-", "--duration", "1s"))
    assert "your place: palace" in in_turn.stderr.decode()


def test_a_name_is_not_overwritten_unless_that_is_said(china_jpg: Path) -> None:
    assert record(china_jpg, "--keep", "desk")["place"] is None
    before = succeeded(run_here("places", "list", "--json")).stdout
    message = the_error(match(CAMPFIRE, "--keep", "desk", "--json"))
    assert "a place named desk is kept already; add --replace" in message
    assert succeeded(run_here("places", "list", "--json")).stdout == before
    record(CAMPFIRE, "--keep", "desk", "--replace")
    (desk,) = map(json.loads, succeeded(run_here("places", "list", "--json")).stdout.splitlines())
    assert (desk["name"], desk["mix"]) == ("desk", "fire=1")
    for wrong in [["--replace"], [str(china_jpg), "--keep", "x"], ["--keep", "a\nb"]]:
        result = run_here("match", CAMPFIRE, *wrong)
        assert (result.returncode, b"Traceback" in result.stderr) == (2, False), result.stderr


def test_a_file_is_kept_from_its_place_and_a_pipe_is_read_once(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, matcher: Matcher
) -> None:
    """Only what is no plain file is read into memory, within the bounds of a pipe."""
    monkeypatch.setattr(photo_files, "MAX_STREAM_BYTES", 1000)
    lite = ["--networks", "lite", "--json"]
    succeeded(run_here("match", CAMPFIRE, "--keep", "file", *lite))
    with keeping(matcher, data / "places.sqlite3") as keeper:
        keeper.keep("library", CAMPFIRE)
    heat = ["--heatmap", str(tmp_path / "heat.png")]
    succeeded(
        run("match", "/dev/stdin", "--keep", "pipe", *lite, *heat, stdin=CAMPFIRE.read_bytes())
    )
    listed = succeeded(run_here("places", "list", "--json")).stdout.splitlines()
    assert [json.loads(line)["name"] for line in listed] == ["file", "library", "pipe"]


def test_a_mix_that_the_bank_cannot_play_is_told_and_matched_anew(
    tmp_path: Path, data: Path
) -> None:
    record(CAMPFIRE, "--keep", "camp")
    with sqlite3.connect(data / "places.sqlite3") as database:
        database.execute("UPDATE place SET mix = 'dragons=1'")
    database.close()
    shown = succeeded(match(CAMPFIRE, "-o", tmp_path / "x.wav", "--duration", "1s"))
    assert "your place: camp, matched anew: there is no sound called dragons" in (
        shown.stdout.decode()
    )
    assert "deepmersion play fire=1" in shown.stdout.decode()
    found = record(CAMPFIRE)
    assert found["place"] is None
    assert "dragons" in str(found["place_problem"])


def test_a_place_of_another_sound_bank_is_not_played_with_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the shipped bank has sounds of the same names, and the same index fits it."""
    copy = tmp_path / "own"
    shutil.copytree(shipped_soundbank(), copy)
    monkeypatch.chdir(tmp_path)
    record(CAMPFIRE, "--keep", "camp", "--soundbank", "own")
    shown = succeeded(run_here("places", "show", "camp")).stdout.decode()
    assert f"deepmersion play --soundbank {copy} fire=1" in shown
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "wind=1 now" in succeeded(run_here("places", "change", "camp", "wind")).stderr.decode()
    problem = f"it was kept with --soundbank {copy}"
    found = record(CAMPFIRE)
    assert (found["place"], found["place_problem"]) == (None, f"camp: {problem}")
    lines = succeeded(match(CAMPFIRE, "-o", tmp_path / "x.wav", "--duration", "1s")).stdout.decode()
    assert f"your place: camp, matched anew: {problem}" in lines
    assert "deepmersion play fire=1" in lines
    assert record(CAMPFIRE, "--soundbank", "../own")["place"] is not None
    record(CAMPFIRE, "--keep", "camp", "--replace")
    of_own = record(CAMPFIRE, "--soundbank", "../own")
    assert (
        of_own["place_problem"] == "camp: it was kept with the shipped sounds, without --soundbank"
    )


def test_places_are_managed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, china_jpg: Path
) -> None:
    assert "No places are kept" in run_here("places", "list").stderr.decode()
    record(china_jpg, "--keep", "garden")
    record(CAMPFIRE, "--keep", "camp")
    succeeded(run_here("places", "rename", "garden", "palace"))
    listed = succeeded(run_here("places", "list")).stdout.decode()
    assert [line.split()[0] for line in listed.splitlines()] == ["palace", "camp"]
    picture = tmp_path / "picture.jpg"
    shown = succeeded(run_here("places", "show", "camp", "--picture", picture)).stdout.decode()
    assert "deepmersion play fire=1" in shown
    assert max(Image.open(picture).size) == 320
    as_png = run_here("places", "show", "camp", "--picture", tmp_path / "picture.png")
    assert "end its name in .jpg" in the_error(as_png, exit_code=2)
    assert as_png.stdout == b""
    assert not (tmp_path / "picture.png").exists()
    assert "there are: palace, camp" in the_error(run_here("places", "show", "garden"))
    assert "camp is kept already" in the_error(run_here("places", "rename", "palace", "camp"))
    assert "no sound called drums" in the_error(
        run_here("places", "change", "camp", "drums"), exit_code=2
    )

    exported = tmp_path / "places.json"
    succeeded(run_here("places", "export", exported))
    assert succeeded(run("places", "export", "-")).stdout == exported.read_bytes()
    succeeded(run_here("places", "forget", "camp", " camp"))
    back = run_here("places", "import", exported)
    said = back.stderr.decode()
    assert "Kept camp" in said
    assert "Skipped palace: a place of that name is kept already" in said
    assert back.returncode == 1
    monkeypatch.setenv("DEEPMERSION_DATA", str(tmp_path / "elsewhere"))
    succeeded(run_here("places", "import", exported))
    assert record(CAMPFIRE)["place"] is not None
    assert "cannot be read" in the_error(run_here("places", "import", tmp_path / "none.json"))
    assert "not JSON" in the_error(run_here("places", "import", picture), exit_code=2)
    half = exported.read_text().replace("fire=1", "\\ud800=1").replace("camp", "half")
    exported.write_text(half)
    skipped = run_here("places", "import", exported).stderr.decode()
    assert "Skipped half: a sound of the mix has a character that is not valid in UTF-8" in skipped


def test_a_damaged_file_and_a_folder_that_cannot_be_made_end_in_one_line(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.mkdir()
    (data / "places.sqlite3").write_text("nothing")
    assert "is damaged, or is no file of places" in the_error(match(CAMPFIRE, "--json"))
    record(CAMPFIRE, "--no-places")
    (tmp_path / "file").touch()
    monkeypatch.setenv("DEEPMERSION_DATA", str(tmp_path / "file" / "data"))
    assert "cannot be made" in the_error(match(CAMPFIRE, "--json", "--keep", "x"))
    monkeypatch.setenv("DEEPMERSION_DATA", "~nobody-at-all/data")
    assert "no such user" in the_error(run_here("places", "list"))


def test_readings_that_are_struck_out_do_not_decide(tmp_path: Path) -> None:
    struck = "flames,stove,matchstick,candle,campsite,volcano"
    output = ["-o", str(tmp_path / "x.wav"), "--duration", "1s"]
    shown = succeeded(match(CAMPFIRE, "--explain", "--without", struck, *output)).stdout.decode()
    assert f"  struck out  {struck.replace(',', ', ')}" in shown
    assert "fire" not in shown.splitlines()[-1]
    message = the_error(match(CAMPFIRE, "--json", "--without", "flame"), exit_code=2)
    assert message == "the networks know no class called 'flame'; did you mean flames?"
    every = ",".join(Path("deepmersion/data/labels/conditions.txt").read_text().split("\n")[:-1])
    assert record(CAMPFIRE, "--without", every)["conditions"] == []
