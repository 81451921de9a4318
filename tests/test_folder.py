"""Folders into which a camera drops photos."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from material import assert_one_line
from soundserver import WAIT_S, wait_for

from deepmersion.errors import PhotoError
from deepmersion.vision.folder import SETTLE_S, check_folder, photos_in, watch
from deepmersion.vision.photo import load_photo

HOUR_S = 3600.0


class Watcher(threading.Thread):
    """Watches a folder in a thread of its own, and keeps what comes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.found: list[tuple[str, str]] = []
        self.error: PhotoError | None = None
        self.stop = threading.Event()
        self.n_looks = 0
        self._folder = folder

    def run(self) -> None:
        try:
            for name in watch(self._folder, self._look, self._give_up, self.stop):
                self.found.append((name, "photo"))
        except PhotoError as error:
            self.error = error

    def _look(self, path: str) -> str:
        self.n_looks += 1
        load_photo(Path(path))
        return Path(path).name

    def _give_up(self, path: str, error: PhotoError) -> None:
        self.found.append((Path(path).name, str(error)))

    @property
    def names(self) -> list[str]:
        return [name for name, what in self.found if what == "photo"]


@contextmanager
def watching(folder: Path) -> Iterator[Watcher]:
    watcher = Watcher(folder)
    watcher.start()
    yield watcher
    watcher.stop.set()
    watcher.join(WAIT_S)
    assert not watcher.is_alive()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how long a photo that cannot be opened is given, in seconds."""
    return lambda seconds: monkeypatch.setattr("deepmersion.vision.folder.PATIENCE_S", seconds)


def put(photo: Path, path: Path, age_s: float = 0.0) -> Path:
    shutil.copyfile(photo, path)
    then = time.time() - age_s
    os.utime(path, (then, then))
    return path


def test_the_newest_photo_is_taken_and_then_each_that_comes(
    china_jpg: Path, flower_jpg: Path, tmp_path: Path
) -> None:
    for age_s, name in ((60, "b.jpg"), (3600, "c.jpg"), (7200, "a.jpg")):
        put(china_jpg, tmp_path / name, age_s)
    (tmp_path / "notes.txt").write_text("no photo")
    (tmp_path / "folder.jpg").mkdir()
    with watching(tmp_path) as watcher:
        wait_for(lambda: watcher.names == ["b.jpg"])
        put(flower_jpg, tmp_path / ".hidden.jpg")
        put(flower_jpg, tmp_path / "0.JPG")
        wait_for(lambda: watcher.names == ["b.jpg", "0.JPG"])
        # One that is written anew, as by a camera that has one name for all.
        put(china_jpg, tmp_path / "0.JPG")
        wait_for(lambda: watcher.names == ["b.jpg", "0.JPG", "0.JPG"])
        # One that was moved here with an older date has come all the same.
        put(china_jpg, tmp_path / "z.jpg", age_s=9999)
        wait_for(lambda: watcher.names[3:] == ["z.jpg"])
    assert len(watcher.found) == 4


def test_a_photo_that_is_being_written_is_waited_for(
    china_jpg: Path, flower_jpg: Path, tmp_path: Path, patience: Callable[[float], None]
) -> None:
    patience(HOUR_S)
    whole = flower_jpg.read_bytes()
    put(china_jpg, tmp_path / "old.jpg", 60)
    with watching(tmp_path) as watcher:
        wait_for(lambda: watcher.names == ["old.jpg"])
        with (tmp_path / "new.jpg").open("wb") as file:
            for part in range(4):
                file.write(whole[part * len(whole) // 4 : (part + 1) * len(whole) // 4])
                file.flush()
                # Also with a pause in which it looks finished.
                time.sleep(SETTLE_S + 1 if part == 1 else 0.2)
        wait_for(lambda: watcher.names == ["old.jpg", "new.jpg"])
    assert len(watcher.found) == 2


def test_a_broken_photo_is_named_once_and_passed_over(
    china_jpg: Path, flower_jpg: Path, tmp_path: Path, patience: Callable[[float], None]
) -> None:
    patience(HOUR_S)
    with watching(tmp_path) as watcher:
        (tmp_path / "broken.jpg").write_bytes(china_jpg.read_bytes()[:20_000])
        wait_for(lambda: watcher.n_looks > 0)
        put(flower_jpg, tmp_path / "whole.jpg")
        wait_for(lambda: watcher.names == ["whole.jpg"])  # which does not wait for the other
        assert len(watcher.found) == 1
        patience(0)
        wait_for(lambda: len(watcher.found) == 2)
        name, what = watcher.found[1]
        assert name == "broken.jpg"
        assert "damaged or cut short" in what
        put(china_jpg, tmp_path / "broken.jpg")
        wait_for(lambda: watcher.names == ["whole.jpg", "broken.jpg"])
    assert len(watcher.found) == 3


def test_a_folder_whose_newest_photo_is_broken_starts_with_the_next(
    china_jpg: Path, tmp_path: Path, patience: Callable[[float], None]
) -> None:
    patience(HOUR_S)
    put(china_jpg, tmp_path / "whole.jpg", 3 * HOUR_S)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    os.utime(broken, (time.time() - 2 * HOUR_S,) * 2)
    with watching(tmp_path) as watcher:
        wait_for(lambda: watcher.names == ["whole.jpg"])
    assert [name for name, _ in watcher.found] == ["broken.jpg", "whole.jpg"]


def test_a_folder_that_vanishes_is_an_error(china_jpg: Path, tmp_path: Path) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    put(china_jpg, folder / "a.jpg")
    with watching(folder) as watcher:
        wait_for(lambda: watcher.names == ["a.jpg"])
        folder.rename(tmp_path / "elsewhere")
        wait_for(lambda: watcher.error is not None)
    assert watcher.error is not None
    assert_one_line(watcher.error, folder, "is missing")


def test_folders_that_cannot_be_watched_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        with pytest.raises(PhotoError) as caught:
            check_folder(tmp_path / name)
        assert_one_line(caught.value, tmp_path / name, "check the path")


def test_a_folder_stands_for_its_photos_by_name(china_jpg: Path, tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "c.jpeg", ".d.jpg", "notes.txt", "e.jpg.part"):
        put(china_jpg, tmp_path / name)
    (tmp_path / "f.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert [path.name for path in photos_in(tmp_path)] == ["a.PNG", "b.jpg", "c.jpeg"]
    assert photos_in(tmp_path / "nowhere") == []


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_subfolders_are_taken_on_request_and_circles_of_links_once(
    china_jpg: Path, tmp_path: Path
) -> None:
    below = tmp_path / "2024" / "harbour"
    below.mkdir(parents=True)
    (tmp_path / ".private").mkdir()
    for folder in (tmp_path, below, tmp_path / ".private"):
        shutil.copyfile(china_jpg, folder / "a.jpg")
    (below / "up").symlink_to(tmp_path)
    (below / "self").symlink_to(below)
    (below / "nowhere").symlink_to(below / "gone")
    assert photos_in(tmp_path) == [tmp_path / "a.jpg"]
    assert photos_in(tmp_path, recursive=True) == [below / "a.jpg", tmp_path / "a.jpg"]
    found = watch(tmp_path, str, lambda *_: None, threading.Event(), recursive=True)
    shutil.copyfile(china_jpg, below / "b.jpg")
    assert next(found) == str(below / "b.jpg")
