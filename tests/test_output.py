from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile
from material import RATE, assert_one_line, distance, joined, noise, tone

from deepmersion.errors import OutputError
from deepmersion.sound.output import FORMATS, check_output, dithered, write_file, write_wav_stream

HEADER_BYTES = 44
N = 3 * RATE


def blocks_of(samples: np.ndarray, size: int = 8192) -> Iterator[np.ndarray]:
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def chord() -> np.ndarray:
    overtone = tone(1000, N, amplitude=0.05) * np.array([1, 0.5], np.float32)
    return np.asarray(tone(220, N) + overtone)


@pytest.mark.parametrize("suffix", [*FORMATS, ".WAV"])
def test_what_is_written_can_be_read_back(tmp_path: Path, suffix: str) -> None:
    path, samples = tmp_path / f"a{suffix}", chord()
    told: list[tuple[int, int]] = []
    write_file(path, blocks_of(samples), RATE, N, lambda *figures: told.append(figures))
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.format) == (RATE, 2, FORMATS[suffix.lower()][0])
    found, _ = soundfile.read(path, dtype="float32")
    assert found.shape == samples.shape
    lossless = info.subtype == "PCM_16"
    assert distance(found, samples) < (2 / 32768 if lossless else 0.02)
    assert told[-1] == (N, N)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"older")
    write_file(path, blocks_of(chord()), RATE, N)
    assert soundfile.info(path).frames == N


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_one_and_what_it_leads_to_is_written(tmp_path: Path, there: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "b.wav"
    if there:
        target.write_bytes(b"older")
    link = tmp_path / "a.wav"
    link.symlink_to(target)
    write_file(link, blocks_of(chord()), RATE, N)
    assert link.is_symlink()
    assert soundfile.info(target).frames == N
    assert [path.name for path in target.parent.iterdir()] == ["b.wav"]


def test_who_may_read_a_file_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.touch(mode=0o600)
    write_file(path, blocks_of(chord()), RATE, N)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, OSError])
def test_an_interrupted_file_leaves_nothing(
    tmp_path: Path, suffix: str, error: type[BaseException]
) -> None:
    def blocks() -> Iterator[np.ndarray]:
        yield chord()
        raise error

    with pytest.raises(OutputError if error is OSError else error):
        write_file(tmp_path / f"a{suffix}", blocks(), RATE, 2 * N)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_file_leaves_the_older_one(tmp_path: Path) -> None:
    def blocks() -> Iterator[np.ndarray]:
        yield chord()
        raise KeyboardInterrupt

    path = tmp_path / "a.wav"
    path.write_bytes(b"older")
    with pytest.raises(KeyboardInterrupt):
        write_file(path, blocks(), RATE, 2 * N)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_without_room_for_its_temporary_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 251 + ".wav")
    with pytest.raises(OutputError) as caught:
        write_file(path, blocks_of(chord()), RATE, N)
    assert_one_line(caught.value, path, "cannot be written")
    assert list(tmp_path.iterdir()) == []


def test_wav_files_end_where_their_sizes_do(tmp_path: Path) -> None:
    hours = 3600.0
    check_output(tmp_path / "a.wav", 6.7 * hours, RATE)
    check_output(tmp_path / "a.flac", 24 * hours, RATE)
    with pytest.raises(OutputError) as caught:
        check_output(tmp_path / "a.wav", 6.8 * hours, RATE)
    assert_one_line(caught.value, tmp_path / "a.wav", "FLAC")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("a.aac", ".wav, .flac, .ogg, .mp3"),
        ("a", ".wav, .flac, .ogg, .mp3"),
        (".wav", ".wav, .flac, .ogg, .mp3"),
        ("folder.wav", "is a folder"),
        ("pipe.wav", "is a device or a named pipe"),
        ("linked.wav", "is a device or a named pipe"),
        ("missing/a.wav", "does not exist"),
        ("file.wav/a.wav", "does not exist"),
        ("a" * 300 + ".wav", "cannot be written"),
    ],
)
def test_targets_that_cannot_be_are_refused(tmp_path: Path, name: str, part: str) -> None:
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "file.wav").touch()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "linked.wav").symlink_to(os.devnull)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutputError) as caught:
        check_output(tmp_path / name, 1.0, RATE)
    assert_one_line(caught.value, part)
    with pytest.raises(OutputError) as caught:
        write_file(tmp_path / name, [], RATE, 0)
    assert_one_line(caught.value, part)
    assert sorted(tmp_path.iterdir()) == before


@pytest.fixture
def nobodys_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in which this process may not write: root is nobody as long as the test runs."""
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "old.wav").touch()
    folder.chmod(0o555)
    if os.geteuid() != 0:
        yield folder
        return
    for parent in folder.parents:
        if parent.stat().st_mode & 0o001 == 0:
            parent.chmod(parent.stat().st_mode | 0o011)
    os.setresuid(65534, 65534, 0)
    yield folder
    os.setresuid(0, 0, 0)


@pytest.mark.skipif(not hasattr(os, "setresuid"), reason="permissions work otherwise here")
@pytest.mark.parametrize("name", ["new.wav", "old.wav"])
def test_a_folder_without_permission_is_refused(nobodys_folder: Path, name: str) -> None:
    with pytest.raises(OutputError) as caught:
        check_output(nobodys_folder / name, 1.0, RATE)
    assert_one_line(caught.value, name, "check the permissions")


SMALL = """
import resource, sys, numpy
from pathlib import Path
from deepmersion.errors import OutputError
from deepmersion.sound.output import write_file
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
rng = numpy.random.default_rng(0)
for path in sys.argv[1:]:
    blocks = (rng.uniform(-0.5, 0.5, (8192, 2)).astype(numpy.float32) for _ in range(100))
    try:
        write_file(Path(path), blocks, 44100, 819200)
    except OutputError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX resource limits")
def test_a_file_that_grows_too_large_leaves_nothing(tmp_path: Path) -> None:
    paths = [tmp_path / f"a{suffix}" for suffix in FORMATS]
    ended = subprocess.run(
        [sys.executable, "-c", SMALL, *paths], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    for path, line in zip(paths, ended.stdout.splitlines(), strict=True):
        assert line.startswith(f"{path} cannot be written")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_full_disk_is_an_error_and_leaves_nothing(small_disk: Path, suffix: str) -> None:
    path = small_disk / f"a{suffix}"
    with pytest.raises(OutputError) as caught:
        write_file(path, blocks_of(np.tile(noise(5.0), (12, 1))), RATE, 60 * RATE)
    assert_one_line(caught.value, path, "make room on the disk")
    assert list(small_disk.iterdir()) == []


def header_of(n_samples: int | None) -> dict[str, int | bytes]:
    """Return the fields of a stream's header, read byte by byte."""
    stream = io.BytesIO()
    write_wav_stream(stream, [], 44_100, n_samples)
    data = stream.getvalue()
    assert len(data) == HEADER_BYTES
    assert (data[:4], data[8:16], data[36:40]) == (b"RIFF", b"WAVEfmt ", b"data")
    spans = {"riff": (4, 8), "fmt": (16, 20), "format": (20, 22), "channels": (22, 24)}
    spans |= {"rate": (24, 28), "bytes_per_s": (28, 32), "frame": (32, 34), "bits": (34, 36)}
    spans |= {"data": (40, 44)}
    return {name: int.from_bytes(data[i:j], "little") for name, (i, j) in spans.items()}


def test_the_header_describes_the_stream() -> None:
    assert header_of(1000) == {
        "riff": 36 + 4000, "fmt": 16, "format": 1, "channels": 2, "rate": 44_100,
        "bytes_per_s": 176_400, "frame": 4, "bits": 16, "data": 4000,
    }  # fmt: skip


@pytest.mark.parametrize("n_samples", [None, 2**30, 2**40])
def test_the_header_of_an_endless_stream_names_the_greatest_length(n_samples: int | None) -> None:
    header = header_of(n_samples)
    assert header["riff"] == header["data"] == 0xFFFF_FFFF


def test_the_header_of_the_longest_stream_that_fits() -> None:
    assert header_of(2**30 - 10)["data"] == 2**32 - 40
    assert header_of(2**30 - 10)["riff"] == 2**32 - 4


@pytest.mark.parametrize("n_samples", [N, None])
def test_a_stream_can_be_read_back(n_samples: int | None) -> None:
    stream = io.BytesIO()
    write_wav_stream(stream, blocks_of(chord()), RATE, n_samples)
    assert len(stream.getvalue()) == HEADER_BYTES + 4 * N
    found, rate = soundfile.read(io.BytesIO(stream.getvalue()), dtype="float32")
    assert rate == RATE
    assert distance(found, chord()) < 2 / 32768


def test_a_stream_into_a_full_device_is_an_error() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OutputError) as caught:  # noqa: PTH123
        write_wav_stream(full, blocks_of(chord()), RATE, N)
    assert_one_line(caught.value, "standard output", "No space left")


def test_a_reader_that_has_gone_ends_the_stream() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream: BinaryIO
    with open(writing, "wb", buffering=0) as stream, pytest.raises(BrokenPipeError):  # noqa: PTH123
        write_wav_stream(stream, blocks_of(chord()), RATE, None)


def test_dither_keeps_what_is_quieter_than_one_step() -> None:
    quiet = tone(1000, 10 * RATE, amplitude=0.4 / 32768)
    steps = joined(dithered(blocks_of(quiet)))
    assert steps.dtype == np.int16
    assert np.abs(steps).max() <= 2
    spectrum = np.abs(np.fft.rfft(steps[:, 0])) / (len(steps) / 2)
    assert spectrum[10_000] == pytest.approx(0.4, rel=0.1)
    assert spectrum[30_000] < 0.03, "rounding shows as a harmonic"


def test_dither_leaves_silence_alone_and_clips_what_is_too_loud() -> None:
    assert not joined(dithered([np.zeros((1000, 2), np.float32)])).any()
    loud = joined(dithered([np.array([[2.0, -2.0]], np.float32)]))
    assert loud.tolist() == [[32767, -32768]]


def test_equal_streams_give_equal_files(tmp_path: Path) -> None:
    for suffix in (".wav", ".flac"):
        for name in "ab":
            write_file(tmp_path / f"{name}{suffix}", blocks_of(chord()), RATE, N)
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
