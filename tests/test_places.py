"""The file of kept places: whole whatever happens, and shared by several programs."""

from __future__ import annotations

import base64
import io
import json
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deepmersion.errors import NameTakenError, NoPlaceError, PlacesError, RequestError
from deepmersion.places import store
from deepmersion.places.exchange import exported, import_into
from deepmersion.places.place import Place
from deepmersion.places.recognition import MARGIN, THRESHOLD, recognise, signature
from deepmersion.places.store import MAX_PLACES, SCHEMA, NewPlace, Places
from deepmersion.places.thumbnail import thumbnail
from deepmersion.vision.lite_session import N_FEATURES
from deepmersion.vision.photo import load_photo


def unit(*numbers: float) -> np.ndarray:
    """Return a signature that begins with some numbers, and has length 1 by its last."""
    vector = np.zeros(N_FEATURES, np.float32)
    vector[: len(numbers)] = numbers
    vector[-1] = np.sqrt(1 - vector @ vector)
    return vector


@pytest.fixture(scope="module")
def new(china_jpg: Path) -> NewPlace:
    return NewPlace("desk", "rain=1", None, "net", unit(1), thumbnail(load_photo(china_jpg)))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "data" / "places.sqlite3")


def test_asking_makes_no_file_and_only_the_owner_can_read_it(places: Places, new: NewPlace) -> None:
    assert places.all() == []
    assert not places.path.parent.exists()
    kept = places.keep(new)
    assert stat.S_IMODE(places.path.stat().st_mode) == 0o600
    assert list(places.path.parent.iterdir()) == [places.path], "no log is left beside it"
    assert places.all() == [kept]
    np.testing.assert_allclose(kept.signature, new.signature, atol=1e-3)
    with sqlite3.connect(places.path) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    database.close()


def test_names_are_unique_and_numbers_are_never_given_again(places: Places, new: NewPlace) -> None:
    desk = places.keep(new)
    with pytest.raises(NameTakenError, match="desk is kept already"):
        places.keep(replace(new, mix="fan=1"))
    assert places.keep(replace(new, mix="fan=1"), replace=True).id == desk.id
    bed = places.keep(replace(new, name="  bed "))
    with pytest.raises(NameTakenError):
        places.change(bed.id, name="desk")
    assert [(p.name, p.mix) for p in places.all()] == [("desk", "fan=1"), ("bed", "rain=1")]
    places.forget(bed.id)
    assert places.keep(replace(new, name="sofa")).id > bed.id
    with pytest.raises(NoPlaceError, match="there are: desk, sofa"):
        places.named("bed")
    for wrong in ["", " ", "a\nb", "x" * 61, "\u202e"]:
        with pytest.raises(RequestError, match="1 to 60 characters"):
            places.keep(replace(new, name=wrong))
    with pytest.raises(RequestError, match="is not a mix"):
        places.keep(replace(new, name="x", mix="rain=loud"))
    half = "\ud800"
    for changed in [
        replace(new, name="x", mix=half),
        replace(new, name="x", soundbank=half),
        replace(new, name="x", network=half),
        replace(new, name="x", kept=half),
    ]:
        with pytest.raises(RequestError, match="not valid in UTF-8"):
            places.keep(changed)
    with pytest.raises(RequestError, match="not valid in UTF-8"):
        places.change(desk.id, mix=half)


def test_what_was_forgotten_is_nowhere_on_the_disk(places: Places, new: NewPlace) -> None:
    places.keep(replace(new, name="other"))
    kept = places.keep(replace(new, name="secret garden"))
    part = new.thumbnail[-2000:-1900]
    assert all(content in places.path.read_bytes() for content in [b"secret garden", part])
    places.forget(places.named("other").id)
    places.forget(kept.id)
    left = b"".join(path.read_bytes() for path in places.path.parent.iterdir())
    assert b"secret garden" not in left
    assert part not in left


KEEPS = """
import sys
from pathlib import Path
from dataclasses import replace
import numpy as np
from deepmersion.places.store import NewPlace, Places
signature = np.zeros(1280, np.float32)
signature[0] = 1
new = NewPlace("", "rain=1", None, "net", signature, bytes(50_000))
places = Places(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    places.keep(replace(new, name=f"{sys.argv[2]} {number}"))
    print(number, flush=True)
"""


def keeper(path: Path, name: str, n_places: int) -> subprocess.Popen[str]:
    """Return a program that keeps places one after another, once it is told to begin."""
    process = subprocess.Popen(
        [sys.executable, "-c", KEEPS, str(path), name, str(n_places)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_programs_keep_places_at_once(places: Places) -> None:
    programs = [keeper(places.path, name, 20) for name in ["one", "two"]]
    for program in programs:
        begin(program)
    for program in programs:
        program.communicate()
        assert program.returncode == 0
    assert len({place.name for place in places.all()}) == 40


def test_a_program_that_is_killed_leaves_whole_places(places: Places, new: NewPlace) -> None:
    for attempt in range(3):
        program = keeper(places.path, f"killed {attempt}", 10_000)
        begin(program)
        assert program.stdout is not None
        for _ in range(3 + attempt):
            last = program.stdout.readline()
        program.send_signal(signal.SIGKILL)
        program.communicate()
        names = [place.name for place in places.all() if place.name.startswith(f"killed {attempt}")]
        assert names == [f"killed {attempt} {i}" for i in range(len(names))]
        assert len(names) > int(last), "what was kept is there"
        for place in places.all():
            assert (len(place.signature), place.mix) == (N_FEATURES, "rain=1")
            assert len(places.thumbnail(place.id)) in (50_000, len(new.thumbnail))
        places.keep(replace(new, name=f"after {attempt}"))


def spoil(sql: str) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        with sqlite3.connect(path) as database:
            database.executescript(sql)
        database.close()

    return change


def of_another_program(path: Path) -> None:
    path.unlink()
    spoil("CREATE TABLE bookmarks (url TEXT)")(path)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (
            lambda path: path.write_bytes(b"no database" * 999),
            "is damaged, or is no file of places",
        ),
        (lambda path: path.write_bytes(path.read_bytes()[:9000]), "is damaged"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be used"),
        (spoil("PRAGMA user_version = 99"), "newer deepmersion"),
        (of_another_program, "another program's database"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_in_one_line_and_left_alone(
    places: Places, new: NewPlace, change: Callable[[Path], object], part: str
) -> None:
    places.keep(new)
    change(places.path)
    before = places.path.read_bytes() if places.path.is_file() else None
    for act in [places.all, lambda: places.keep(replace(new, name="other"))]:
        with pytest.raises(PlacesError, match=part) as caught:
            act()
        assert len(str(caught.value).splitlines()) == 1
    assert before == (places.path.read_bytes() if places.path.is_file() else None)


def test_a_full_or_read_only_disk_keeps_what_was_there(small_disk: Path, new: NewPlace) -> None:
    places = Places(small_disk / "places.sqlite3")

    def keep_all() -> None:
        for number in range(MAX_PLACES):
            places.keep(replace(new, name=str(number)))

    with pytest.raises(PlacesError, match="is full"):
        keep_all()
    kept = [place.name for place in places.all()]
    assert kept == [str(number) for number in range(len(kept))]
    assert len(kept) > 3
    first = places.all()[0].id
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(remount, check=True)
    assert [place.name for place in places.all()] == kept
    with pytest.raises(PlacesError, match="cannot be used"):
        places.forget(first)


def test_a_file_system_without_shared_memory_is_written_in_the_older_way(
    places: Places, new: NewPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def without_shared_memory(address: str, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(f"{address}&vfs=unix-dotfile", **options)
        return connection

    monkeypatch.setattr(sqlite3, "connect", without_shared_memory)
    desk = places.keep(new)
    assert places.all() == [desk]
    with connect(places.path) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    database.close()


def test_the_nearest_place_is_recognised_unless_two_are_as_near() -> None:
    def at(similarity: float, number: int) -> Place:
        vector = np.zeros(N_FEATURES, np.float32)
        vector[0], vector[number] = similarity, np.sqrt(1 - similarity**2)
        return Place(number, str(number), "rain=1", None, "", "net", vector)

    seen = np.eye(1, N_FEATURES, dtype=np.float32)[0]
    near, nearer = at(THRESHOLD + 0.02, 1), at(THRESHOLD + 0.02 + 2 * MARGIN, 2)
    found = recognise(seen, "net", [near, nearer, at(0.1, 3)])
    assert found is not None
    assert found[0] is nearer
    assert found[1] == pytest.approx(THRESHOLD + 0.02 + 2 * MARGIN)
    assert recognise(seen, "net", [near, at(THRESHOLD + 0.02 + MARGIN / 2, 2)]) is None
    assert recognise(seen, "net", [at(THRESHOLD - 0.01, 1)]) is None
    assert recognise(seen, "another net", [near]) is None
    assert recognise(seen, "net", []) is None
    assert not signature(np.zeros((6, 2128), np.float32)).any()


def with_exif() -> str:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[271] = "a camera"
    Image.new("RGB", (99, 99)).save(stream, "JPEG", exif=exif)
    return base64.b64encode(stream.getvalue()).decode()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"name": "a\nb"}, "name"),
        ({"mix": "rain=-1"}, "not a mix"),
        ({"mix": 7}, "its mix is no text"),
        ({"mix": "\ud800=1"}, "UTF-8"),
        ({"kept": "yesterday"}, "its time"),
        ({"thumbnail": "%%%"}, "base64"),
        ({"thumbnail": base64.b64encode(b"GIF89a").decode()}, "thumbnail"),
        ({"thumbnail": with_exif()}, "own data"),
        ({"signature": base64.b64encode(bytes(2 * N_FEATURES)).decode()}, "its signature"),
        ({"network": None}, "its network"),
    ],
)
def test_an_import_takes_nothing_that_is_wrong(
    places: Places, new: NewPlace, tmp_path: Path, wrong: dict[str, Any], why: str
) -> None:
    places.keep(new)
    content = json.loads(exported(places))
    good = content["places"][0]
    content["places"] = [good | wrong, good | {"name": "good"}, 5]
    became = import_into(others := Places(tmp_path / "others"), json.dumps(content).encode())
    assert became.added == ("good",)
    assert why in became.skipped[0][1]
    assert became.skipped[1] == ("(without a name)", "it is no place")
    assert [place.name for place in others.all()] == ["good"]


def test_what_is_forgotten_meanwhile_disturbs_no_reader(
    places: Places, new: NewPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program forgets the place as soon as one connection has been closed."""
    connect = sqlite3.connect

    class Closing(sqlite3.Connection):
        def close(self) -> None:
            super().close()
            with connect(places.path) as other:
                other.execute("DELETE FROM place")
            other.close()

    def watched(address: str, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(address, factory=Closing, **options)
        return connection

    places.keep(new)
    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", watched)
        assert '"name": "desk"' in exported(places)
    assert places.all() == []
    kept = places.keep(new)
    monkeypatch.setattr(sqlite3, "connect", watched)
    assert places.thumbnail(kept.id) == new.thumbnail
    with pytest.raises(NoPlaceError):
        places.thumbnail(kept.id)


def test_there_is_a_most(places: Places, new: NewPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_PLACES", 2)
    for name in "ab":
        places.keep(replace(new, name=name))
    with pytest.raises(PlacesError, match="forget some first"):
        places.keep(replace(new, name="c"))


def test_an_import_that_cannot_be_stored_whole_is_not_stored(
    places: Places, new: NewPlace, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        places.keep(replace(new, name=str(number)))
    data = exported(places).encode()
    small = Places(small_disk / "places.sqlite3")
    small.keep(replace(new, name="7"))
    with pytest.raises(PlacesError, match="is full, nothing was changed"):
        import_into(small, data)
    assert [place.name for place in small.all()] == ["7"]
    places.forget(places.named("59").id)
    monkeypatch.setattr(store, "MAX_PLACES", 59)
    with pytest.raises(PlacesError, match="nothing was changed; forget some first"):
        import_into(places, data.replace(b'"name": "7"', b'"name": "x"'))
    assert len(places.all()) == 59
    assert import_into(places, data.replace(b'"name": "59"', b'"name": "58"')).added == ()
