"""Photos are decoded within bounds of time and memory, by processes that can be ended."""

from __future__ import annotations

import io
import resource
import signal
import struct
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from commandline import TIMEOUT_S, run, start, the_error
from pictures import chunk, scene, tiff
from PIL import Image
from soundserver import wait_for

from deepmersion.errors import PhotoError
from deepmersion.vision import decoders
from deepmersion.vision.decode import RefusedError
from deepmersion.vision.decoders import Decoders, _Budget, _Worker
from deepmersion.vision.formats import JPEG_MAGIC
from deepmersion.vision.lite_views import CANVAS_SIDE, squash
from deepmersion.vision.photo import load_photo

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, or limits memory")


@pytest.fixture(scope="module")
def large_png(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 million pixels with alpha, all of them clear."""
    side = 7_750
    packer = zlib.compressobj(1)
    rows = [packer.compress(bytes(1 + 4 * side)) for _ in range(side)]
    path = tmp_path_factory.mktemp("photos") / "large.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0))
        + chunk(b"IDAT", b"".join(rows) + packer.flush())
        + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
def test_the_networks_get_the_very_pixels(china_jpg: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo.{suffix}"
    with Image.open(china_jpg) as image:
        image.convert("RGB").save(path)
    expected = squash(load_photo(path), CANVAS_SIDE)
    with Decoders() as some:
        for source in (path, io.BytesIO(path.read_bytes()), path):
            found = some.load(source, "photo", canvas_side=CANVAS_SIDE)
            assert np.array_equal(found, expected)
        whole = some.load(path, "photo")
        assert np.array_equal(whole, load_photo(path))


def test_a_very_large_photo_is_reduced(large_png: Path) -> None:
    with Decoders() as some:
        reduced = some.load(large_png, "photo")
        assert reduced.shape == (2_584, 2_584, 3)
        assert (reduced == 127).all()


def test_errors_of_a_worker_are_those_of_the_photo(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    with Decoders() as some:
        with pytest.raises(PhotoError, match=r"photo\.png: there is no such file"):
            some.load(path, "photo.png")
        path.write_bytes(b"")
        with pytest.raises(PhotoError, match=r"photo\.png: is empty"):
            some.load(path, "photo.png")
        path.write_bytes(tiff(scene(), planar=2, bits=16))
        with pytest.raises(PhotoError, match=r"photo\.png: is a TIFF of a rare kind"):
            some.load(path, "photo.png")
        Image.new("RGB", (64, 64)).save(path)
        assert some.load(path, "photo.png").shape == (64, 64, 3)


@linux
def test_a_photo_whose_disk_fails_is_refused_alone(china_jpg: Path) -> None:
    failing = Path("/sys/class/net/lo/speed")  # there is none, so that to read it is an error
    if not failing.exists():
        pytest.skip("the system does not show its network")
    with Decoders() as some:
        with pytest.raises(PhotoError, match=r"speed: cannot be read \(Invalid argument\); check"):
            some.load(failing, str(failing))
        assert some.load(china_jpg, "photo").shape == (427, 640, 3)


@linux
def test_a_disk_that_fails_while_a_worker_reads_is_no_damage() -> None:
    request = {"path": "/proc/self/mem", "header_cpu_s": 5, "min_side": None, "max_pixels": 10**6}
    worker = _Worker()
    try:
        with pytest.raises(RefusedError, match=r"cannot be read \(Input/output error\); the disk"):
            worker.ask(request)
    finally:
        worker.end()


def test_a_photo_that_takes_too_long_is_given_up(
    large_png: Path, china_jpg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Decoders() as some:
        monkeypatch.setattr(decoders, "DECODE_CPU_S", 0.05)
        with pytest.raises(PhotoError, match="takes too long to decode"):
            some.load(large_png, "photo")
        monkeypatch.undo()
        assert some.load(china_jpg, "photo").shape == (427, 640, 3)


def test_a_slow_photo_is_told_from_little_memory_where_no_signal_ends_it(
    large_png: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import signal; del signal.setitimer\n"  # Windows has none
        "from deepmersion.vision import decode_worker; decode_worker.main()"
    )
    monkeypatch.setattr(decoders, "WORKER", (sys.executable, "-c", code))
    monkeypatch.setattr(decoders, "DECODE_CPU_S", 0.05)
    with Decoders() as some, pytest.raises(PhotoError, match="takes too long to decode"):
        some.load(large_png, "photo")


@linux
def test_too_few_open_files_are_not_taken_for_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.new("RGB", (64, 64)).save(path)
    with path.open("rb") as last:
        n_files = last.fileno() + 1  # enough to open the photo, not for a worker's pipes
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Decoders() as some:
        resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, limits[1]))
        try:
            with pytest.raises(PhotoError, match=r"cannot be decoded \(Too many open files\); clo"):
                some.load(path, "photo")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert some.load(path, "photo").shape == (64, 64, 3)


def test_a_photo_is_not_read_before_it_has_a_share_of_the_memory(china_jpg: Path) -> None:
    class Counted(io.BytesIO):
        n_read = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.n_read += len(data)
            return data

    file = Counted(china_jpg.read_bytes())
    request = {"min_side": None, "max_pixels": 10**6, "canvas_side": None}
    with Decoders() as some, ThreadPoolExecutor(1) as pool:
        with some._memory.share(decoders.MEMORY_BYTES):
            photo = pool.submit(some._load_here, file, request)
            while not some._memory._queue:
                assert not photo.done()
            assert file.n_read == len(JPEG_MAGIC)
        pixels = photo.result()
    assert pixels is not None
    assert pixels.shape == (427, 640, 3)


def test_a_photo_beyond_all_memory_is_refused_before_it_is_decoded(
    large_png: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "MEMORY_BYTES", 200 * 2**20)
    with Decoders() as some, pytest.raises(PhotoError, match="MiB of memory to decode, more than"):
        some.load(large_png, "photo")


def test_no_more_memory_is_lent_than_there_is() -> None:
    budget, lent, most, lock = _Budget(100), 0, 0, threading.Lock()

    def borrow(n_bytes: int) -> None:
        nonlocal lent, most
        with budget.share(n_bytes):
            with lock:
                lent += n_bytes
                most = max(most, lent)
            with lock:
                lent -= n_bytes

    sizes = np.random.default_rng(0).integers(1, 101, 400).tolist()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(borrow, sizes))
    assert most <= 100
    with budget.share(100):  # all of it has been given back
        pass


def test_closing_ends_a_photo_that_is_being_decoded(large_png: Path) -> None:
    some = Decoders()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(some.load, large_png, "photo") for _ in range(3)]
        while not some._busy:
            pass
        some.close()
        for photo in waiting:
            with pytest.raises(PhotoError, match="the program is ending"):
                photo.result()


@linux
def test_where_memory_runs_out_that_photo_alone_fails(large_png: Path, china_jpg: Path) -> None:
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from deepmersion.errors import PhotoError\n"
        "from deepmersion.vision.decoders import Decoders\n"
        "resource.setrlimit(resource.RLIMIT_AS, (300_000_000, 300_000_000))\n"
        "with Decoders() as decoders:\n"
        "    for path in sys.argv[1:]:\n"
        "        try:\n"
        "            print(decoders.load(Path(path), 'photo').shape)\n"
        "        except PhotoError as error:\n"
        "            print(error)\n"
    )
    small = large_png.with_name("small.png")
    with Image.open(china_jpg) as image:
        image.save(small)
    photos = [china_jpg, large_png, small, large_png, china_jpg]
    result = subprocess.run(
        [sys.executable, "-c", code, *photos], check=True, capture_output=True, text=True
    )
    assert result.stderr == ""
    first, refused, *others = result.stdout.splitlines()
    assert refused.startswith("photo: there is not enough memory to decode it (it takes ")
    assert [first, *others] == ["(427, 640, 3)", "(427, 640, 3)", refused, "(427, 640, 3)"]


@linux
@pytest.mark.parametrize("megabytes", [300, 500, 1_500])
def test_a_photo_is_matched_in_little_address_space(china_jpg: Path, megabytes: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes * 10**6, megabytes * 10**6))

    result = run("match", china_jpg, "--json", "--networks", "lite", preexec=limit)
    if megabytes >= 500:
        assert result.returncode == 0, result.stderr
    elif result.returncode != 0:  # another build of the libraries may fit
        assert "there is not enough memory" in the_error(result)


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_decode_can_be_interrupted(large_png: Path, number: signal.Signals) -> None:
    process = start("match", large_png, "--json", "--networks", "lite")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_for(lambda: bool(children.read_text()))
    workers = children.read_text().split()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert stdout == b""
    assert b"Traceback" not in stderr
    for worker in workers:
        wait_for(lambda worker=worker: not _runs(worker))  # type: ignore[misc]


def _runs(pid: str) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_only_our_own_lines_are_written_about_a_damaged_tiff(
    china_jpg: Path, tmp_path: Path
) -> None:
    path = tmp_path / "photo.tif"
    with Image.open(china_jpg) as image:
        image.save(path, compression="tiff_lzw")
    data = bytearray(path.read_bytes())
    data[5_000:5_100] = bytes(100)
    path.write_bytes(data)
    result = run("match", path, "--json", "--networks", "lite")
    assert "is damaged or cut short" in the_error(result)
