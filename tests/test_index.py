"""The index file: what is written can be read, and nothing else can."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from material import assert_one_line, distance

from deepmersion.errors import IndexFileError
from deepmersion.index.file import MAX_CODE, PRECISION_NATS, Header, open_index, write_index
from deepmersion.labels import CLASSES

SOUNDS = ("birds", "Regen über Zürich", "waves")
HEADER = Header(
    soundnet="0" * 64,
    soundbank="f" * 64,
    sample_rate=22_050,
    window_s=60.0,
    level_rms=0.01,
    created="2024-05-01T12:00:00+00:00",
)
N = 150


def some_log_probs(n_rows: int, n_classes: int, seed: int = 0) -> np.ndarray:
    logits = 3 * np.random.default_rng(seed).normal(size=(n_rows, n_classes))
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float32)


OBJECTS, SCENES = (some_log_probs(N, n) for n in CLASSES.values())
GAINS = np.random.default_rng(0).uniform(0.1, 1, (N, len(SOUNDS))).astype(np.float32)


def blocks(size: int = 40) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, N, size):
        yield OBJECTS[start : start + size], SCENES[start : start + size]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("index") / "a.h5"
    write_index(path, HEADER, SOUNDS, GAINS, blocks())
    return path


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(written, tmp_path / "copy.h5"))


def read_all(path: Path) -> None:
    with open_index(path) as index:
        for head in CLASSES:
            index.log_probs(head)


def refusal(path: Path) -> str:
    """Return the one line by which an index is refused."""
    with pytest.raises(IndexFileError) as caught:
        read_all(path)
    assert_one_line(caught.value, path)
    return str(caught.value)


def test_what_is_written_can_be_read(written: Path) -> None:
    with open_index(written) as index:
        assert index.header == HEADER
        assert index.sounds == SOUNDS
        assert len(index) == N
        assert index.path == written
        assert np.array_equal(index.gains, GAINS)
        for head, expected in (("objects", OBJECTS), ("scenes", SCENES)):
            found = index.log_probs(head)
            assert found.dtype == np.float32
            assert distance(found, expected) <= PRECISION_NATS / 2 + 1e-6
            assert np.array_equal(index.log_probs(head, 70, 75), found[70:75])
            assert np.array_equal(index.log_probs(head, 140), found[140:])


def test_how_rows_come_in_does_not_matter(written: Path, tmp_path: Path) -> None:
    write_index(tmp_path / "b.h5", HEADER, SOUNDS, GAINS, blocks(1))
    assert (tmp_path / "b.h5").read_bytes() == written.read_bytes()


def test_hdf5_1_10_can_read_it(written: Path) -> None:
    content = written.read_bytes()
    assert content[:8] == b"\x89HDF\r\n\x1a\n"
    assert content[8] <= 3, "a superblock later than version 3"
    with h5py.File(written, libver=("earliest", "v110")) as file:
        assert set(file) == {"sounds", "gains", "objects", "scenes"}
        # Later messages would have come with later versions of the object headers.
        for name in file:
            assert file[name].id.get_create_plist().get_layout() in (
                h5py.h5d.CHUNKED,
                h5py.h5d.CONTIGUOUS,
            )


def test_it_takes_two_bytes_a_number(written: Path) -> None:
    assert written.stat().st_size < (OBJECTS.nbytes + SCENES.nbytes) / 2 + GAINS.nbytes + 5000


def test_what_is_nearly_impossible_is_kept_possible(tmp_path: Path) -> None:
    certain = np.full((1, 1000), -np.inf, np.float32)
    certain[0, :2] = 0.0, -1000.0
    write_index(tmp_path / "a.h5", HEADER, ("a",), GAINS[:1, :1], iter([(certain, SCENES[:1])]))
    with open_index(tmp_path / "a.h5") as index:
        found = index.log_probs("objects")[0]
    assert found[0] == 0
    assert set(found[1:]) == {np.float32(-MAX_CODE * PRECISION_NATS)}


def test_it_is_read_alike_where_positions_cannot_be_read_at(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_index(written) as index:
        expected = index.log_probs("objects", 3, 77)
        monkeypatch.delattr(os, "preadv")
        assert np.array_equal(index.log_probs("objects", 3, 77), expected)


def test_an_index_cut_off_while_it_is_read_is_refused(copy: Path) -> None:
    with open_index(copy) as index:
        os.truncate(copy, 10_000)
        with pytest.raises(IndexFileError) as caught:
            index.log_probs("scenes")
    assert_one_line(caught.value, copy, "damaged")


@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt])
def test_an_interrupted_rewrite_leaves_the_old_index(
    copy: Path, error: type[BaseException]
) -> None:
    def interrupted() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield next(blocks())
        raise error

    before = copy.read_bytes()
    with pytest.raises(error):
        write_index(copy, HEADER, SOUNDS, GAINS, interrupted())
    assert copy.read_bytes() == before
    assert list(copy.parent.iterdir()) == [copy]


def test_an_index_with_rows_missing_is_never_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="40 rows of predictions for 150 mixes"):
        write_index(tmp_path / "a.h5", HEADER, SOUNDS, GAINS, iter([next(blocks())]))
    assert list(tmp_path.iterdir()) == []


def test_an_index_is_replaced_whole(copy: Path) -> None:
    write_index(copy, HEADER, SOUNDS[:1], GAINS[:40, :1], iter([next(blocks())]))
    with open_index(copy) as index:
        assert (len(index), index.sounds) == (40, SOUNDS[:1])


def test_a_full_disk_is_an_error_and_leaves_the_old_index(small_disk: Path, written: Path) -> None:
    path = Path(shutil.copy(written, small_disk / "a.h5"))
    before = path.read_bytes()
    with pytest.raises(IndexFileError) as caught:
        write_index(path, HEADER, SOUNDS, GAINS, blocks())
    assert_one_line(caught.value, path, "No space left", "make room on the disk")
    assert path.read_bytes() == before
    assert list(small_disk.iterdir()) == [path]


TOO_LARGE = """
import resource, sys
from pathlib import Path
from test_index import *
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    write_index(Path(sys.argv[1]), HEADER, SOUNDS, GAINS, blocks())
except IndexFileError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX resource limits")
def test_an_index_that_grows_too_large_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    ended = subprocess.run(
        [sys.executable, "-c", TOO_LARGE, path],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.splitlines()) == 1
    assert ended.stdout.startswith(f"the index {path} cannot be written (File too large)")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/a.h5", "folder", "a" * 300])
def test_targets_that_cannot_be_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IndexFileError) as caught:
        write_index(tmp_path / name, HEADER, SOUNDS, GAINS, blocks())
    assert_one_line(caught.value, tmp_path / name, "cannot be written")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "missing.h5")
    assert "it is a folder" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"no index at all\n" * 100, "is not an HDF5 file"),
        (b"\x89HDF\r\n\x1a\n", "is damaged"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    assert what in refusal(path)


def test_a_locked_index_is_read_all_the_same(copy: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    with copy.open("rb+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        read_all(copy)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX pipes and resource limits")
def test_a_refusal_names_its_own_cause(copy: Path, tmp_path: Path) -> None:
    import resource

    os.mkfifo(tmp_path / "pipe.h5")
    assert "it is a named pipe" in refusal(tmp_path / "pipe.h5")
    os.truncate(copy, copy.stat().st_size - 1000)
    assert "is truncated; copy it again" in refusal(copy)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        said = refusal(copy)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert os.strerror(errno.EMFILE) in said
    assert "ulimit -n" in said


def test_what_cannot_be_read_back_is_never_there(tmp_path: Path) -> None:
    with pytest.raises(IndexFileError) as caught:
        write_index(tmp_path / "a.h5", HEADER, ("x" * 1001, *SOUNDS[1:]), GAINS, blocks())
    assert_one_line(caught.value, tmp_path / "a.h5", "cannot be read back", "1001 bytes")
    assert list(tmp_path.iterdir()) == []


def test_an_index_cut_off_anywhere_is_refused(copy: Path) -> None:
    size = copy.stat().st_size
    for length in [*range(size - 1, 0, -size // 60), size - 2, 100, 1]:
        os.truncate(copy, length)
        refusal(copy)


def test_damage_anywhere_is_refused_or_harmless(written: Path, copy: Path) -> None:
    content = written.read_bytes()
    rng = np.random.default_rng(0)
    # Most of the file is packed data; its structure lies at the beginning.
    for position in [*rng.integers(0, 4000, 250), *rng.integers(0, len(content), 50)]:
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(rng.integers(8))
        copy.write_bytes(damaged)
        try:
            read_all(copy)
        except IndexFileError as error:
            assert_one_line(error, copy)


Change = Callable[[h5py.File], Any]


def replace(name: str, data: Any = None, **options: Any) -> Change:
    """Return a change that puts another dataset in the place of one."""

    def change(file: h5py.File) -> None:
        old = file[name][...]
        del file[name]
        file.create_dataset(
            name, data=old if data is None and "shape" not in options else data, **options
        )

    return change


def set_value(name: str, where: Any, value: Any) -> Change:
    def change(file: h5py.File) -> None:
        file[name][where] = value

    return change


def set_attribute(name: str, value: Any) -> Change:
    def change(file: h5py.File) -> None:
        file.attrs[name] = value

    return change


def link(name: str, target: Callable[[], Any]) -> Change:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = target()

    return change


def soft_link(file: h5py.File) -> None:
    file.move("gains", "elsewhere")
    file["gains"] = h5py.SoftLink("/elsewhere")


def soft_link_to_another(file: h5py.File) -> None:
    del file["gains"]
    file["gains"] = h5py.SoftLink("/objects")


def virtual(file: h5py.File) -> None:
    del file["scenes"]
    layout = h5py.VirtualLayout((N, 401), np.float32)
    layout[...] = h5py.VirtualSource("other.h5", "scenes", (N, 401), np.float32)
    file.create_virtual_dataset("scenes", layout)


def external(file: h5py.File) -> None:
    del file["gains"]
    file.create_dataset("gains", GAINS.shape, np.float32, external=[("/etc/hostname", 0, 2000)])


def compact(file: h5py.File) -> None:
    del file["gains"]
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(GAINS.shape)
    gains = h5py.h5d.create(file.id, b"gains", h5py.h5t.NATIVE_FLOAT, space, properties)
    gains.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(GAINS, np.float32))


def group(file: h5py.File) -> None:
    del file["gains"]
    file.create_group("gains")


def giant(file: h5py.File) -> None:
    for name, kind, n_columns in (("gains", "f4", 3), *((h, "u2", n) for h, n in CLASSES.items())):
        del file[name]
        file.create_dataset(name, (10**8, n_columns), kind)


def never_written(file: h5py.File) -> None:
    del file["scenes"]
    file.create_dataset("scenes", (N, 401), np.uint16)


NAMES = np.array([name.encode() for name in SOUNDS])

DAMAGES: dict[str, tuple[Change, str]] = {
    "no format": (lambda file: file.attrs.pop("format"), "no sound index"),
    "other format": (set_attribute("format", np.bytes_(b"a recipe book")), "no sound index"),
    "numeric format": (set_attribute("format", 7), ""),
    "earlier version": (set_attribute("version", 1), "version 1"),
    "later version": (set_attribute("version", 3), "use a newer deepmersion"),
    "infinite rate": (set_attribute("sample_rate", np.inf), "sample_rate has an unknown type"),
    "absurd rate": (set_attribute("sample_rate", 10**18), "sample_rate is 1e+18"),
    "infinite length": (set_attribute("window_s", np.inf), "window_s is inf"),
    "endless length": (set_attribute("window_s", 1e300), "window_s is 1e+300"),
    "no number": (set_attribute("level_rms", np.nan), "level_rms is nan"),
    "no digest": (set_attribute("soundbank", np.bytes_(b"z" * 64)), "soundbank is no SHA-256"),
    "text for a number": (set_attribute("version", np.bytes_(b"2")), "version has an unknown type"),
    "one name twice": (set_value("sounds", slice(None), b"a"), "one name twice"),
    "no version": (lambda file: file.attrs.pop("version"), "version is missing"),
    "text version": (set_attribute("version", np.bytes_(b"one")), "version"),
    "no weights": (lambda file: file.attrs.pop("soundnet"), "soundnet is missing"),
    "vlen attribute": (set_attribute("soundnet", "0" * 64), "soundnet has an unknown type"),
    "array attribute": (set_attribute("sample_rate", [1, 2]), "unknown type"),
    "long attribute": (set_attribute("created", np.bytes_(b"x" * 50_000)), "unknown type"),
    "not UTF-8 attribute": (set_attribute("created", np.bytes_(b"\xff")), "unknown type"),
    "missing dataset": (lambda file: file.pop("scenes"), "does not hold"),
    "extra dataset": (lambda file: file.create_dataset("x", data=1), "does not hold"),
    "external link": (link("gains", lambda: h5py.ExternalLink("b.h5", "gains")), "is a link"),
    "soft link": (soft_link, ""),
    "soft link to another": (soft_link_to_another, "is a link"),
    "external storage": (external, "another file"),
    "virtual": (virtual, "another file"),
    "group": (group, "not a dataset"),
    "vlen names": (replace("sounds", list(SOUNDS), dtype=h5py.string_dtype()), "unknown type"),
    "vlen numbers": (replace("gains", shape=(N,), dtype=h5py.vlen_dtype(np.float32)), ""),
    "long names": (replace("sounds", NAMES.astype("S2000")), "2000 bytes"),
    "names not UTF-8": (replace("sounds", np.array([b"\xff", b"b", b"c"])), "damaged"),
    "chunks": (replace("scenes", chunks=(64, 401)), "in one piece"),
    "gzip": (replace("scenes", compression="gzip"), "in one piece"),
    "lzf": (replace("scenes", compression="lzf"), "in one piece"),
    "compact": (compact, "in one piece"),
    "floating-point predictions": (replace("scenes", SCENES), "unknown type"),
    "signed predictions": (replace("scenes", np.ones((N, 401), np.int16)), "unknown type"),
    "one byte": (replace("scenes", np.ones((N, 401), np.uint8)), "1 bytes"),
    "big-endian": (replace("scenes", np.ones((N, 401), ">u2")), "byte order"),
    "integers": (replace("gains", np.ones((N, 3), int)), "unknown type"),
    "compound": (replace("gains", np.ones((N, 3), [("a", "f4")])), "unknown type"),
    "complex": (replace("gains", np.ones((N, 3), complex)), ""),
    "long doubles": (replace("gains", np.ones((N, 3), np.longdouble)), ""),
    "scalar": (replace("gains", 1.0), "unknown type"),
    "empty": (replace("gains", h5py.Empty("f4")), ""),
    "three axes": (replace("scenes", np.ones((N, 401, 1), np.uint16)), "unknown type"),
    "one class less": (replace("scenes", np.ones((N, 400), np.uint16)), "shapes"),
    "one entry less": (replace("objects", np.ones((N - 1, 1000), np.uint16)), "shapes"),
    "one sound less": (replace("gains", GAINS[:, 1:]), "shapes"),
    "no entries": (replace("gains", GAINS[:0]), ""),
    "compressed gains": (replace("gains", compression="gzip"), "in one piece"),
    "giant": (giant, "more than the file holds"),
    "predictions never written": (never_written, "more than the file holds"),
    "two certain classes": (set_value("scenes", (149, slice(2)), 0), "not log-probabilities"),
    "row of zeros": (set_value("scenes", 12, 0), "not log-probabilities"),
    "row of the lowest": (set_value("objects", 70, MAX_CODE), "not log-probabilities"),
    "silent mix": (set_value("gains", 7, 0.0), "invalid gains"),
    "negative gain": (set_value("gains", (7, 0), -1.0), "invalid gains"),
    "infinite gain": (set_value("gains", (7, 0), np.inf), "invalid gains"),
    "NaN gain": (set_value("gains", (7, 0), np.nan), "invalid gains"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_no_index_is_refused_in_one_line(copy: Path, name: str) -> None:
    change, part = DAMAGES[name]
    with h5py.File(copy, "r+") as file:
        change(file)
    tracemalloc.start()
    try:
        assert part in refusal(copy)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000, "memory was taken for a claim"


def test_an_external_link_is_not_followed(copy: Path) -> None:
    other = copy.with_name("other.h5")
    copy.rename(other)
    with h5py.File(copy, "w") as file:
        with h5py.File(other) as source:
            for name, value in source.attrs.items():
                file.attrs[name] = value
        for name in ("sounds", "gains", "objects", "scenes"):
            file[name] = h5py.ExternalLink("other.h5", name)
    assert "is a link" in refusal(copy)


def test_the_changes_are_what_is_refused(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        replace("gains", GAINS.astype(np.float64))(file)
        set_attribute("note", "by hand")(file)
    read_all(copy)
