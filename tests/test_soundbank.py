from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from material import assert_one_line, noise, write

from deepmersion.errors import SoundBankError
from deepmersion.kinds.table import all_kinds
from deepmersion.shipped import shipped_soundbank
from deepmersion.sound.bank import DESCRIPTION, open_bank


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two recordings, and other things that lie in such folders."""
    path = tmp_path / "bank"
    path.mkdir()
    write(path / "rain.wav", noise(1.0, seed=1))
    write(path / "Far-birds.flac", noise(1.0, seed=2))
    (path / "notes.txt").write_text("recorded in May")
    (path / "._rain.wav").write_bytes(b"\0\5\26\7")
    (path / "old.wav").mkdir()
    return path


SOUND = '[[sound]]\nname = "rain"\nfile = "rain.wav"\n'


def describe(folder: Path, text: str) -> Path:
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")
    return folder


def test_a_folder_without_a_description_is_a_bank_of_its_audio_files(folder: Path) -> None:
    bank = open_bank(folder)
    assert bank.names == ("Far-birds", "rain")
    assert bank.title == "bank"
    birds = bank.sounds[0]
    assert birds.title == "Far birds"
    assert birds.path == folder / "Far-birds.flac"
    assert (birds.loudness_lufs, birds.gain_db, birds.loops, birds.licence) == (None, 0, False, "")
    assert open_bank(str(folder)).names == bank.names


def test_a_description_says_what_the_sounds_are(folder: Path) -> None:
    bank = open_bank(
        describe(
            folder,
            """
            schema = 1
            title = "Mine"
            [[sound]]
            name = "rain"
            title = "Rain on a roof"
            file = "rain.wav"
            licence = "MIT"
            loudness_lufs = -20
            gain_db = -3.5
            loops = true
            cuts = [[0, 0.25], [0.5, 1.0]]
            [[sound]]
            name = "birds"
            file = "Far-birds.flac"
            """,
        )
    )
    assert bank.title == "Mine"
    assert bank.names == ("rain", "birds"), "the description's order, and its names"
    rain, birds = bank.sounds
    assert rain.path.read_bytes() == (folder / "rain.wav").read_bytes()
    assert (rain.title, rain.licence) == ("Rain on a roof", "MIT")
    assert (rain.loudness_lufs, rain.gain_db, rain.loops) == (-20.0, -3.5, True)
    assert rain.cuts == ((0.0, 0.25), (0.5, 1.0))
    assert (birds.title, birds.loudness_lufs, birds.loops) == ("birds", None, False)
    assert birds.cuts is None


def test_a_sound_is_of_the_kind_that_its_bank_or_its_name_says(folder: Path) -> None:
    undescribed = open_bank(folder)
    birds, rain = (sound.known_kind for sound in undescribed.sounds)
    assert (birds, rain) == (all_kinds()["bird"], all_kinds()["rain"])
    said = open_bank(describe(folder, SOUND + 'kind = "wind chime"'))
    assert said.sounds[0].known_kind is all_kinds()["wind chime"]
    unknown = open_bank(describe(folder, '[[sound]]\nname = "7"\nfile = "rain.wav"'))
    assert unknown.sounds[0].known_kind is None
    titled = open_bank(describe(folder, '[[sound]]\nname="7"\nfile="rain.wav"\ntitle="Frogs"'))
    assert titled.sounds[0].known_kind is all_kinds()["frog"]


def test_a_bank_says_where_its_sounds_are_at_home(folder: Path) -> None:
    own = 'places = ["temple", "abbey"]\nobjects = []\nconditions = ["night"]'
    kind = open_bank(describe(folder, SOUND + own)).sounds[0].known_kind
    assert kind is not None
    assert kind.name == "rain"
    assert set(kind.scenes) == {"abbey", "temple/asia", "temple/east_asia", "temple/south_asia"}
    assert (kind.objects, kind.conditions) == ((), ("night",))
    rain = open_bank(describe(folder, SOUND + "places = []")).sounds[0].known_kind
    assert rain == replace(all_kinds()["rain"], scenes=())
    nameless = '[[sound]]\nname = "7"\nfile = "rain.wav"\nobjects = ["gong"]'
    kind = open_bank(describe(folder, nameless)).sounds[0].known_kind
    assert kind is not None
    assert (kind.name, kind.scenes, kind.objects) == ("", (), ("gong",))


def test_the_shipped_bank_is_the_default() -> None:
    bank = open_bank()
    assert bank.folder == shipped_soundbank()
    assert all(sound.loops and sound.loudness_lufs is not None for sound in bank.sounds)
    assert all(sound.kind for sound in bank.sounds), "known without a look at its name"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("title = ", "not valid TOML"),
        ("a = 1\na = 2", "not valid TOML"),
        ("schema = 2", "schema 2"),
        ('schema = "1"', 'the schema "1"'),
        ('sound = "rain.wav"', "[[sound]]"),
        ('sound = ["rain.wav"]', "[[sound]]"),
        ("sound = []", "holds no sound"),
        ("", "holds no sound"),
        ('[[sound]]\nfile = "rain.wav"', "without a name"),
        ('[[sound]]\nname = ""\nfile = "rain.wav"', "without a name"),
        ("[[sound]]\nname = 7", "without a name"),
        ('[[sound]]\nname = "rain"', "gives no file"),
        ('[[sound]]\nname = "rain"\nfile = 1', "gives no file"),
        ('[[sound]]\nname = "rain"\nfile = "a\\u0000b.wav"', "gives no file"),
        ('[[sound]]\nname = "a\\nb\\u001b[1m"\nfile = "rain.wav"', "rename it"),
        ('[[sound]]\nname = "rain"\nfile = "snow.wav"', "snow.wav"),
        ('[[sound]]\nname = "rain"\nfile = "old.wav"', "not there"),
        ('[[sound]]\nname = "rain"\nfile = "."', "not there"),
        ('[[sound]]\nname = "rain"\nfile = "' + "x" * 5000 + '"', "cannot be read"),
        ('[[sound]]\nname = "rain"\nfile = "../outside.wav"', "outside its folder"),
        ('[[sound]]\nname = "rain"\nfile = "old.wav/../../outside.wav"', "outside its folder"),
        ('[[sound]]\nname = "rain"\nfile = "/etc/hostname"', "outside its folder"),
        ('[[sound]]\nname = "rain"\nfile = "link.wav"', "outside its folder"),
        ('[[sound]]\nname = "rain"\nfile = "links/outside.wav"', "outside its folder"),
        ('[[sound]]\nname = "rain"\nfile = "round.wav"', "not there"),
        (SOUND + 'title = "A\\u001b[31mred\\nline"', "control character ('A\\x1b[31mred\\nline')"),
        ('title = "A\\u0007"\n' + SOUND, "control character"),
        (SOUND + SOUND, "more than one sound called rain"),
        (SOUND + 'loudness_lufs = "-20"', "loudness_lufs of rain must be a number"),
        (SOUND + "loudness_lufs = true", "must be a number"),
        (SOUND + "loudness_lufs = nan", "loudness_lufs of rain must be"),
        (SOUND + "gain_db = -inf", "gain_db of rain must be"),
        (SOUND + "gain_db = 1" + "0" * 400, "gain_db of rain must be"),
        (SOUND + "gain_db = 1e300", "gain_db of rain must be"),
        (SOUND + "cuts = 3", "cuts of rain must be spans"),
        (SOUND + "cuts = [1, 2]", "cuts of rain must be spans"),
        (SOUND + "cuts = [[1, 2, 3]]", "cuts of rain must be spans"),
        (SOUND + "cuts = [[2, 1]]", "cuts of rain must be spans"),
        (SOUND + "cuts = [[1, 3], [2, 4]]", "cuts of rain must be spans"),
        (SOUND + "cuts = [[-1, 3]]", "cuts of rain must be spans"),
        (SOUND + "cuts = [[1, inf]]", "cuts of rain must be spans"),
        (SOUND + "cuts = [[nan, 1]]", "cuts of rain must be spans"),
        (SOUND + "cuts = []", "cuts of rain must be spans"),
        (SOUND + 'loops = "no"', "loops of rain must be true or false"),
        (SOUND + 'kind = "rian"', "'rian', the kind of rain, is unknown; did you mean rain?"),
        (SOUND + 'kind = "cafe"', "did you mean café?"),
        (SOUND + 'kind = ""', "kinds.toml lists them"),
        (SOUND + 'kind = "qqq\\n\\u001b"', "kinds.toml lists them"),
        (SOUND + "kind = 3", "the kind of rain"),
        (SOUND + 'kind = ["rain"]', "the kind of rain"),
        (SOUND + 'places = "forest"', "places of rain must be a list of names"),
        (SOUND + "places = [1]", "places of rain must be a list of names"),
        (SOUND + 'places = ["abbey", "coffee shop"]', "did you mean coffee_shop?"),
        (SOUND + 'places = ["qqq\\n"]', "among the places of rain, is unknown; the files in"),
        (SOUND + 'objects = ["umbrela"]', "did you mean umbrella?"),
        (SOUND + 'conditions = ["rainy"]', "did you mean rain?"),
        (SOUND + 'conditions = ["fog"]', "there are rain, lightning, snow"),
    ],
)
def test_wrong_descriptions_are_refused_in_one_line(folder: Path, text: str, part: str) -> None:
    write(folder.parent / "outside.wav", noise(1.0))
    (folder / "link.wav").symlink_to(folder.parent / "outside.wav")
    (folder / "links").symlink_to(folder.parent)
    (folder / "round.wav").symlink_to(folder / "round.wav")
    with pytest.raises(SoundBankError) as caught:
        open_bank(describe(folder, text))
    assert_one_line(caught.value, folder, part)


def test_a_description_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / DESCRIPTION).write_bytes(b"title = '\xff'")
    with pytest.raises(SoundBankError) as caught:
        open_bank(folder)
    assert_one_line(caught.value, "not valid TOML")


def test_a_bank_reached_through_a_link_is_no_escape(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert open_bank(describe(link, SOUND)).names == ("rain",)


def test_a_link_within_the_folder_is_followed(folder: Path) -> None:
    (folder / "link.wav").symlink_to("rain.wav")
    bank = open_bank(describe(folder, '[[sound]]\nname = "rain"\nfile = "link.wav"'))
    assert bank.sounds[0].path.read_bytes() == (folder / "rain.wav").read_bytes()


def test_two_recordings_of_one_name_are_refused(folder: Path) -> None:
    write(folder / "rain.flac", noise(1.0))
    with pytest.raises(SoundBankError) as caught:
        open_bank(folder)
    assert_one_line(caught.value, folder, "more than one sound called rain")


def test_a_file_name_in_no_known_encoding_is_refused(folder: Path) -> None:
    shutil.copy(folder / "rain.wav", folder / os.fsdecode(b"caf\xe9.wav"))
    with pytest.raises(SoundBankError) as caught:
        open_bank(folder)
    assert_one_line(caught.value, r"caf\udce9", "rename it")


def test_missing_and_empty_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name, part in [
        ("missing", "does not exist"),
        ("empty", "holds no sound"),
        ("file", "is not a folder"),
    ]:
        with pytest.raises(SoundBankError) as caught:
            open_bank(tmp_path / name)
        assert_one_line(caught.value, tmp_path / name, part)


TWO = """
[[sound]]
name = "rain"
file = "rain.wav"
gain_db = 1
loudness_lufs = -20
loops = true
[[sound]]
name = "birds"
file = "Far-birds.flac"
"""


def reversed_order(folder: Path) -> None:
    first, second = TWO.split("[[sound]]")[1:]
    describe(folder, f"[[sound]]{second}\n[[sound]]{first}")


def nothing(_folder: Path) -> None:
    """Leave everything as it was."""


def other_contents(folder: Path) -> None:
    write(folder / "rain.wav", noise(1.0, seed=9))


CHANGES: list[tuple[Callable[[Path], object], bool]] = [
    (other_contents, True),
    (reversed_order, True),
    (lambda folder: describe(folder, TWO.replace('"rain"', '"shower"')), True),
    (lambda folder: describe(folder, TWO.replace("gain_db = 1", "gain_db = 2")), True),
    (lambda folder: describe(folder, TWO.replace("gain_db = 1", "")), True),
    (lambda folder: describe(folder, TWO.replace("-20", "-20.5")), True),
    (lambda folder: describe(folder, TWO.replace("loudness_lufs = -20", "")), True),
    (lambda folder: describe(folder, TWO.replace("true", "false")), True),
    (lambda folder: describe(folder, TWO.partition('[[sound]]\nname = "birds"')[0]), True),
    (lambda folder: describe(folder, 'title = "Mine"' + TWO), False),
    (lambda folder: describe(folder, TWO + 'title = "Birds"\nlicence = "MIT"'), False),
    (lambda folder: describe(folder, TWO + 'kind = "owl"\nplaces = ["abbey"]'), False),
    (lambda folder: describe(folder, TWO + 'objects = ["gong"]\nconditions = ["night"]'), False),
    (lambda folder: describe(folder, TWO.replace("true", "true\ncuts = [[0, 1]]")), False),
    (lambda folder: write(folder / "snow.wav", noise(1.0)), False),
    (nothing, False),
]


@pytest.mark.parametrize(("change", "matters"), CHANGES)
def test_the_fingerprint_is_of_what_is_heard(
    folder: Path, change: Callable[[Path], object], matters: bool
) -> None:
    before = open_bank(describe(folder, TWO)).fingerprint
    moved = folder.rename(folder.with_name("elsewhere"))
    change(moved)
    assert (open_bank(moved).fingerprint != before) == matters


def test_a_recording_that_has_gone_meanwhile_is_named(folder: Path) -> None:
    bank = open_bank(folder)
    (folder / "rain.wav").unlink()
    with pytest.raises(SoundBankError) as caught:
        _ = bank.fingerprint
    assert_one_line(caught.value, folder / "rain.wav", "cannot be read")
