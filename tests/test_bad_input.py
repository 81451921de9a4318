"""What the command says when something is wrong: one line, never a traceback."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
import soundfile
from commandline import COMMAND, TIMEOUT_S, Result, run, run_here, succeeded, the_error
from PIL import Image

from deepmersion.errors import IndexFileError, RequestError
from deepmersion.hearing.listener import Settings
from deepmersion.index.journal import HEADER_BYTES
from deepmersion.indexing import build_index
from deepmersion.shipped import shipped_index
from deepmersion.torch_device import require_device

RATE = 22_050

SETTINGS = Settings(window_s=10.0)
"""As short as SoundNet hears anything, where what it hears is no matter."""

WITHOUT_PRIVILEGE = [
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
]
"""Root without the right to pass over file permissions."""


@pytest.fixture
def bound_by_permissions() -> list[str]:
    """What to put before a command so that file permissions hold for it."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv") or subprocess.run([*WITHOUT_PRIVILEGE, "true"]).returncode:
        pytest.skip("root passes over file permissions, and cannot put that right aside here")
    return WITHOUT_PRIVILEGE


def make_bank(folder: Path, n_sounds: int, seed: int = 0, seconds: float = 2.0) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for i in range(n_sounds):
        noise = rng.standard_normal(round(seconds * RATE)) * np.hanning(round(seconds * RATE))
        spectrum = np.fft.rfft(noise)
        spectrum[200 * (i + 1) :] = 0
        sound = np.fft.irfft(spectrum)
        soundfile.write(folder / f"sound-{i:02}.wav", 0.1 * sound / np.abs(sound).max(), RATE)
    return folder


# Photos


def test_bad_photos(china_jpg: Path, tmp_path: Path) -> None:
    whole = china_jpg.read_bytes()
    (tmp_path / "text.jpg").write_text("this is no photo")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "folder.jpg").mkdir()
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    Image.new("1", (10_000, 10_000)).save(tmp_path / "smaller-bomb.png")
    said = {
        f"{'x' * 300}.jpg": os.strerror(errno.ENAMETOOLONG),
        "text.jpg": "not a photo",
        "empty.jpg": "is empty",
        "cut.jpg": "damaged or cut short",
        "folder.jpg": "is a folder",
        "missing.jpg": "no such file",
        "dot.png": "too few",
        "bomb.png": "pixels; scale it down",
        "smaller-bomb.png": "pixels; scale it down",
    }
    result = run("match", *said, china_jpg, "--json", cwd=tmp_path)
    assert result.returncode == 1
    *failed, well = map(json.loads, result.stdout.splitlines())
    assert well["matches"]
    errors = [line for line in result.stderr.decode().splitlines() if line.startswith("Error: ")]
    assert len(errors) == len(result.stderr.splitlines()) - 1 == len(said)
    for (name, what), record, line in zip(said.items(), failed, errors, strict=True):
        assert record == {"photo": name, "error": line.removeprefix("Error: ")}
        assert what in line
        assert name in line


def test_damaged_exif_data_are_no_news(china_jpg: Path, tmp_path: Path) -> None:
    with Image.open(china_jpg) as image:
        image.save(tmp_path / "photo.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    result = succeeded(run("match", "--networks", "lite", "--json", tmp_path / "photo.jpg"))
    assert result.stderr == b""


def test_an_unreadable_photo(
    china_jpg: Path, tmp_path: Path, bound_by_permissions: list[str]
) -> None:
    photo = tmp_path / "secret.jpg"
    shutil.copy(china_jpg, photo)
    photo.chmod(0)
    error = the_error(run("match", photo, "-o", "-", before=bound_by_permissions))
    assert error == f"{photo}: is not readable; check the file's permissions"


# Indexes


def with_attribute(name: str, value: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        shutil.copy(shipped_index(), path)
        with h5py.File(path, "r+") as file:
            file.attrs[name] = value

    return change


def other_sounds(path: Path) -> None:
    shutil.copy(shipped_index(), path)
    with h5py.File(path, "r+") as file:
        file["sounds"][...] = file["sounds"][...][::-1]


def cut_off(path: Path) -> None:
    whole = shipped_index().read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def no_index(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = 1


BAD_INDEXES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "does not exist; build one"),  # noqa: ARG005
    "empty": (lambda path: path.touch(), "is empty"),
    "text": (lambda path: path.write_text("no index"), "not an HDF5 file"),
    "cut off": (cut_off, "is truncated; copy it again"),
    "folder": (lambda path: path.mkdir(), "it is a folder"),
    "other data": (no_index, "no sound index"),
    "other version": (with_attribute("version", 99), "version 99"),
    "other SoundNet": (with_attribute("soundnet", np.bytes_(b"0" * 64)), "weights of SoundNet"),
    "other sounds": (other_sounds, "another sound bank"),
    "other bank": (with_attribute("soundbank", np.bytes_(b"0" * 64)), "another sound bank"),
}


@pytest.mark.parametrize("kind", BAD_INDEXES)
def test_bad_indexes(kind: str, china_jpg: Path, tmp_path: Path) -> None:
    make, what = BAD_INDEXES[kind]
    path = tmp_path / "bad.h5"
    make(path)
    result = run_here("match", china_jpg, "--json", "--index", path)
    error = the_error(result)
    assert what in error
    assert str(path) in error
    assert result.stdout == b""


def test_an_index_that_is_damaged_where_it_is_read(china_jpg: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.h5"
    shutil.copy(shipped_index(), path)
    with h5py.File(path, "r+") as file:
        file["scenes"][:, 0] = 0  # which is certainty
    assert "is damaged" in the_error(run_here("match", china_jpg, "--json", "--index", path))


def test_an_index_whose_data_lie_elsewhere_ends_in_one_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "bad.h5"
    shutil.copy(shipped_index(), path)
    with h5py.File(path, "r+") as file:
        layout = h5py.VirtualLayout(file["scenes"].shape, np.uint16)
        layout[:10] = h5py.VirtualSource("other.h5", "scenes", (10, layout.shape[1]), np.uint16)
        del file["scenes"]
        file.create_virtual_dataset("scenes", layout)
    # By a process of its own: HDF5 can crash when it ends.
    assert "scenes lies in another file" in the_error(run("index", "info", path))


def test_an_unreadable_index(
    china_jpg: Path, tmp_path: Path, bound_by_permissions: list[str]
) -> None:
    path = tmp_path / "secret.h5"
    shutil.copy(shipped_index(), path)
    path.chmod(0)
    result = run("match", china_jpg, "--json", "--index", path, before=bound_by_permissions)
    assert "cannot be read (Permission denied); check its permissions" in the_error(result)


# Outputs


@pytest.mark.parametrize(
    ("output", "what"),
    [
        ("sound", "no suffix"),
        ("sound.aac", "end it in one of .wav, .flac, .ogg, .mp3"),
        ("nowhere/sound.wav", "does not exist; create it first"),
        ("folder.wav", "is a folder"),
        (f"{'x' * 300}.wav", "File name too long"),
    ],
)
def test_outputs_that_cannot_be(
    output: str, what: str, china_jpg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder.wav").mkdir()
    monkeypatch.chdir(tmp_path)
    assert what in the_error(run_here("match", china_jpg, "-o", output))


def test_ten_hours_do_not_fit_into_a_wav_file(china_jpg: Path, tmp_path: Path) -> None:
    result = run_here("match", china_jpg, "-o", tmp_path / "x.wav", "--duration", "10h")
    assert "write FLAC" in the_error(result)


def test_an_output_folder_that_cannot_be_written(
    china_jpg: Path, tmp_path: Path, bound_by_permissions: list[str]
) -> None:
    tmp_path.chmod(0o500)
    result = run("match", china_jpg, "-o", tmp_path / "x.wav", before=bound_by_permissions)
    assert "cannot be written; check the permissions" in the_error(result)


def no_large_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_file_that_grows_too_large(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}"
    result = run("play", "rain", "-o", path, "--duration", "10", preexec=no_large_files)
    assert f"{path} cannot be written ({os.strerror(errno.EFBIG)})" in the_error(result)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(china_jpg: Path, small_disk: Path) -> None:
    result = run_here("match", china_jpg, "-o", small_disk / "x.flac", "--json", "--duration", "60")
    error = the_error(result)
    assert os.strerror(errno.ENOSPC) in error
    assert json.loads(result.stdout) == {"photo": str(china_jpg), "error": error}
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("options", [["--json"], ["-o", "-"]])
def test_standard_output_on_a_full_disk(options: list[str], china_jpg: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [COMMAND, "match", str(china_jpg), *options],
            stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    last = result.stderr.decode().splitlines()[-1]
    assert result.returncode == 1
    assert last.startswith("Error: standard output")
    assert os.strerror(errno.ENOSPC) in last
    assert b"Traceback" not in result.stderr
    assert b"Exception" not in result.stderr


# Sound


def test_no_portaudio(china_jpg: Path, tmp_path: Path) -> None:
    # The real sounddevice, in an interpreter that finds no such library, or a file that is none.
    finding = (
        "import ctypes.util\n"
        "find = ctypes.util.find_library\n"
        "ctypes.util.find_library = lambda name: {} if 'portaudio' in name else find(name)\n"
    )
    without = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    (tmp_path / "sitecustomize.py").write_text(finding.format("__file__"))
    error = the_error(run("devices", env=without))
    assert error.startswith("PortAudio cannot be loaded")
    (tmp_path / "sitecustomize.py").write_text(finding.format("None"))
    for arguments in (["match", str(china_jpg)], ["devices"]):
        error = the_error(run(*arguments, env=without))
        assert error.startswith("PortAudio is not installed")
        assert "libportaudio2" in error
    assert succeeded(run("match", china_jpg, "--json", env=without)).stdout


def test_portaudio_that_cannot_be_started(china_jpg: Path, tmp_path: Path) -> None:
    # The real sounddevice and PortAudio, but for how the library answers to its first call.
    (tmp_path / "sitecustomize.py").write_text(
        "import _sounddevice\n"
        "class Instead:\n"
        "    def __init__(self, real, **instead):\n"
        "        self.real, self.instead = real, instead\n"
        "    def __getattr__(self, name):\n"
        "        return self.instead.get(name) or getattr(self.real, name)\n"
        "ffi = _sounddevice.ffi\n"
        "internal_error = -9986\n"
        "def dlopen(name):\n"
        "    return Instead(ffi.dlopen(name), Pa_Initialize=lambda: internal_error)\n"
        "_sounddevice.ffi = Instead(ffi, dlopen=dlopen)\n"
    )
    broken = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    for arguments in (["match", str(china_jpg)], ["devices"]):
        error = the_error(run(*arguments, env=broken))
        if error.startswith("PortAudio is not installed"):
            pytest.skip(error)
        assert error.startswith("PortAudio cannot be started")
        assert "Internal PortAudio error" in error


@pytest.fixture
def no_sound_card(tmp_path: Path) -> dict[str, str]:
    if list(Path("/dev/snd").glob("pcm*p")):
        pytest.skip("there is a sound card in this machine")
    try:
        import sounddevice  # noqa: F401
    except OSError:
        pytest.skip("PortAudio is not installed")
    return {"PULSE_SERVER": f"unix:{tmp_path / 'nowhere'}", "XDG_RUNTIME_DIR": str(tmp_path)}


def test_no_sound_card(china_jpg: Path, no_sound_card: dict[str, str]) -> None:
    error = the_error(run("match", china_jpg, env=no_sound_card))
    assert error.startswith("no sound card was found; connect one, or write a file with -o")
    listed = succeeded(run("devices", env=no_sound_card))
    assert listed.stdout == b""
    assert listed.stderr == b"No sound card was found.\n"


@pytest.mark.parametrize("device", ["nonsense", "99"])
def test_an_unknown_output_device(
    device: str, china_jpg: Path, no_sound_card: dict[str, str]
) -> None:
    result = run("match", china_jpg, "--output-device", device, env=no_sound_card)
    error = the_error(result)
    assert error.startswith(f"the output device {device} cannot be used")
    assert "deepmersion devices" in error


LENGTHS = {
    "play waves --duration 5 --fade-out 6": "fades of 0 s and 6 s do not fit into",
    "play waves --duration 5 --fade-in 3 --fade-out 3": "do not fit into a duration of 5 s",
    "play waves --fade-out 5m": "--fade-out is part of --duration",
    "play waves -o x.wav --fade-in 301": "do not fit into a duration of 300 s",
    "match a.jpg --duration 5 --fade-out 6": "do not fit into a duration of 5 s",
    "match a.jpg b.jpg --duration 5 --fade 6": "crossfade (--fade) of 6 s does not fit",
    "match a.jpg b.jpg --fade-out 301": "do not fit into a duration of 300 s",
    "match --watch . --duration 5 --fade 6": "crossfade (--fade) of 6 s does not fit",
}


@pytest.mark.parametrize("command", LENGTHS)
def test_lengths_that_do_not_fit(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run_here(*command.split())
    assert LENGTHS[command] in the_error(result, exit_code=2)
    # Said before anything slow begins.
    assert b"Networks: " not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("mix", "exit_code", "what"),
    [
        ("kazoo", 2, "there is no sound called kazoo; choose from bells, "),
        ("waves=loud", 2, "'waves=loud' is not a mix"),
        ("waves=-1", 2, "is not a mix"),
        ("waves=0", 2, "at least one above zero"),
        ("waves=1000001", 2, "gains must be zero or more"),
        ("waves,waves", 2, "names waves twice"),
    ],
)
def test_mixes_that_cannot_be(mix: str, exit_code: int, what: str, tmp_path: Path) -> None:
    assert what in the_error(run_here("play", mix, "-o", tmp_path / "x.wav"), exit_code)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_watched(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        result = run_here("match", "--watch", tmp_path / name)
        assert the_error(result).startswith(f"the folder {tmp_path / name} is missing")
        assert b"Networks: " not in result.stderr


# Where networks run


def test_a_device_that_is_not_there(china_jpg: Path, tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank", 1)
    matching = run_here("match", china_jpg, "--json", "--device", "nonsense")
    building = build(bank, tmp_path / "x.h5", "--device", "nonsense")
    for result in (matching, building):
        error = the_error(result, exit_code=2)
        assert error.startswith("the device nonsense cannot be used here (")
    assert not list(tmp_path.glob("x.h5*"))


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_a_device_that_cannot_compute(device: str) -> None:
    if device == "cuda":
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has CUDA")
    with pytest.raises(RequestError, match=f"the device {device} cannot be used here"):
        require_device(device)


# Sound banks


def test_sound_banks_that_cannot_be(tmp_path: Path) -> None:
    empty, described = tmp_path / "empty", make_bank(tmp_path / "described", 1)
    empty.mkdir()
    (described / "soundbank.toml").write_text("[[sound]\n")
    for bank, what in {
        tmp_path / "nowhere": "does not exist",
        empty: "holds no sound; put recordings in it",
        described: "is not valid TOML",
    }.items():
        for command in ("list", "check"):
            assert what in the_error(run_here("soundbank", command, bank))


def test_a_sound_that_says_nothing_of_its_format_is_listed(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank", 1)
    (bank / "noise.raw").write_bytes(bytes(1000))
    (bank / "empty.mp3").touch()
    (bank / "soundbank.toml").write_text(
        '[[sound]]\nname = "noise"\nfile = "noise.raw"\n'
        '[[sound]]\nname = "nothing"\nfile = "empty.mp3"\n'
    )
    listed = succeeded(run_here("soundbank", "list", bank)).stdout.decode().splitlines()
    assert "  cannot be decoded (" in listed[1]
    assert listed[3].endswith("  is empty; replace it")


def test_a_bad_sound_does_not_hide_the_others(soundnet_weights: Path, tmp_path: Path) -> None:
    assert soundnet_weights.is_file()
    bank = make_bank(tmp_path / "bank", 2)
    (bank / "noise.ogg").write_bytes(b"OggS is how it should begin")
    soundfile.write(bank / "nothing.wav", np.zeros(5 * RATE), RATE)
    soundfile.write(bank / "short.wav", np.ones(100), RATE)
    opposite = np.random.default_rng(0).normal(0, 0.1, (2 * RATE, 1)) * [1, -1]
    soundfile.write(bank / "opposite.wav", opposite, RATE)
    result = run_here("soundbank", "check", bank)
    assert result.returncode == 1
    notes = result.stderr.decode().splitlines()
    errors = [line for line in notes if line.startswith("Error: ")]
    for error, what in zip(
        errors,
        [
            "noise.ogg cannot be decoded",
            "nothing.wav is silent",
            "opposite.wav is silent for its first 60 s, or its channels cancel out",
            "short.wav lasts 0.00 s",
        ],
        strict=True,
    ):
        assert what in error
    assert notes[-1] == "2 of 6 sounds can be used."
    named = [line for line in result.stdout.decode().splitlines() if line[:1] != " "]
    assert named == ["sound-00", "sound-01"]
    assert result.stdout.decode().count("    hears ") == 2
    listed = succeeded(run_here("soundbank", "list", bank)).stdout.decode().splitlines()
    assert len(listed) == 13
    assert "  cannot be decoded (" in listed[1]


def test_without_soundnet_a_sound_bank_is_measured_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = make_bank(tmp_path / "bank", 1)
    nowhere = {"DEEPMERSION_CACHE": str(tmp_path / "cache"), "PIP_INDEX_URL": "http://127.0.0.1:9"}
    nowhere |= {"PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1", "PIP_EXTRA_INDEX_URL": ""}
    for name, value in nowhere.items():
        monkeypatch.setenv(name, value)
    result = run_here("soundbank", "check", bank)
    assert result.returncode == 1
    assert [line[:7] for line in result.stderr.decode().splitlines()].count("Error: ") == 1
    assert "true peak" in result.stdout.decode()
    assert "hears" not in result.stdout.decode()


def build(bank: Path, output: Path, *options: str | Path) -> Result:
    return run_here("build-index", "--soundbank", bank, "-o", output, *options)


def test_a_bank_with_a_broken_file_is_not_indexed(soundnet_weights: Path, tmp_path: Path) -> None:
    assert soundnet_weights.is_file()
    bank = make_bank(tmp_path / "bank", 1)
    (bank / "noise.ogg").write_bytes(b"OggS is how it should begin")
    assert "noise.ogg cannot be decoded" in the_error(build(bank, tmp_path / "x.h5"))
    assert not list(tmp_path.glob("x.h5*"))


def test_more_mixes_than_an_index_holds(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank", 30, seconds=1.1)
    error = the_error(build(bank, tmp_path / "x.h5", "--max-layers", "0"), exit_code=2)
    assert "1,073,741,823" in error
    assert "--max-layers 2" in error


@pytest.mark.parametrize("output", ["nowhere/x.h5", "bank"])
def test_an_index_that_cannot_be_put_there(output: str, tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank", 1)
    error = the_error(build(bank, tmp_path / output))
    assert "does not exist" in error or "is a folder" in error


# Builds that are stopped


@pytest.fixture(scope="module")
def small_bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bank(tmp_path_factory.mktemp("banks") / "bank", 4)


@pytest.fixture(scope="module")
def whole_index(
    soundnet_weights: Path, small_bank: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The index of the small bank, resumed though it was never begun, which begins it."""
    assert soundnet_weights.is_file()
    output = tmp_path_factory.mktemp("index") / "whole.h5"
    return build_index(output, small_bank, max_layers=0, settings=SETTINGS, resume=True)


STOPPING = """
import functools, os, sys
import torch
from deepmersion import indexing
from deepmersion.index import journal
from deepmersion.__main__ import main

bank, folder, window_s, *numbers = sys.argv[1:]
indexing.Settings = functools.partial(indexing.Settings, float(window_s))
indexing.BATCH_SIZE = 1
write = journal.Journal.write

def write_and_stop(self, row, log_probs):
    write(self, row, log_probs)
    if row == 4:
        assert not {'dask', 'distributed', 'tornado'} & set(sys.modules)
        os.kill(os.getpid(), int(number))

journal.Journal.write = write_and_stop
for number in numbers:
    os.mkdir(f"{folder}/{number}")
    if process := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
    else:
        os.dup2(os.open(f"{folder}/{number}.txt", os.O_WRONLY | os.O_CREAT), sys.stderr.fileno())
        output = f"{folder}/{number}/x.h5"
        sys.argv[1:] = ["build-index", "--soundbank", bank, "-o", output, "--max-layers", "0"]
        main()
"""
"""The command, given a bank, a folder, how much to hear of a mix, and signals to get half way.

A process for each signal, but PyTorch is imported before they part. Nothing of dask is imported: it
was not asked for.
"""


MAKING = "Making 15 mixes of up to 4 sounds: an index of 1 MB, in about 1 s\n"
STOPPED = "Stopped. Run the same command with --resume to continue.\n"


class Stopped(NamedTuple):
    """What a build leaves that a signal stops half way."""

    exit_code: int
    said: str
    journal: bytes


@pytest.fixture(scope="module")
def stopped(
    soundnet_weights: Path, small_bank: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[signal.Signals, Stopped]:
    assert soundnet_weights.is_file()
    folder = tmp_path_factory.mktemp("stopped")
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
    words = [small_bank, folder, SETTINGS.window_s, *map(int, numbers)]
    ended = subprocess.run(
        [sys.executable, "-c", STOPPING, *map(str, words)],
        stdout=subprocess.PIPE, timeout=TIMEOUT_S, check=True,
    )  # fmt: skip
    found = {}
    for number, exit_code in zip(numbers, ended.stdout.split(), strict=True):
        (journal,) = (folder / str(int(number))).iterdir()
        assert journal.name == "x.h5.partial"
        said = (folder / f"{int(number)}.txt").read_text("utf-8")
        found[number] = Stopped(int(exit_code), said, journal.read_bytes())
        checksums = np.frombuffer(found[number].journal, "<u4", 15, HEADER_BYTES)
        assert np.count_nonzero(checksums) == 5
    return found


def assert_alike(a: np.ndarray, b: np.ndarray) -> None:
    """Check that two tables of an index agree to one step of their rounding.

    Mixes that fall into other batches differ in their last bits before it.
    """
    assert a.shape == b.shape
    assert np.abs(a.astype(int) - b).max() <= 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_build_that_was_stopped_goes_on(
    number: signal.Signals,
    stopped: dict[signal.Signals, Stopped],
    small_bank: Path,
    whole_index: Path,
    tmp_path: Path,
) -> None:
    output = tmp_path / "x.h5"
    output.with_name("x.h5.partial").write_bytes(stopped[number].journal)
    assert stopped[number].exit_code == -number
    assert stopped[number].said == MAKING + ("" if number == signal.SIGKILL else STOPPED)
    told: list[int] = []
    build_index(
        output,
        small_bank,
        max_layers=0,
        resume=True,
        settings=SETTINGS,
        on_progress=lambda done, _all: told.append(done),
    )
    assert told[0] == 5, "finished mixes were made again"
    assert list(tmp_path.iterdir()) == [output]
    with h5py.File(whole_index) as whole, h5py.File(output) as resumed:
        for name, value in whole.attrs.items():
            assert name == "created" or np.array_equal(resumed.attrs[name], value)
        for name in whole:
            if name in ("objects", "scenes"):
                assert_alike(whole[name][...], resumed[name][...])
            else:
                np.testing.assert_array_equal(whole[name][...], resumed[name][...])


def test_a_build_does_not_go_on_with_another_one(
    stopped: dict[signal.Signals, Stopped], small_bank: Path, whole_index: Path, tmp_path: Path
) -> None:
    output = tmp_path / "x.h5"
    exit_code, said, journal = stopped[signal.SIGTERM]
    assert (exit_code, said) == (-signal.SIGTERM, MAKING + STOPPED)
    output.with_name("x.h5.partial").write_bytes(journal)
    other = make_bank(tmp_path / "other", 4, seed=1)
    for bank, max_layers, settings in (
        (other, 0, SETTINGS),
        (small_bank, 1, SETTINGS),
        (small_bank, 0, Settings(SETTINGS.window_s, level_rms=0.02)),
    ):
        with pytest.raises(IndexFileError, match="build without --resume to start over"):
            build_index(output, bank, resume=True, max_layers=max_layers, settings=settings)
    assert output.with_name("x.h5.partial").read_bytes() == journal
    # Without --resume the build begins anew, and its index is the one for that bank.
    build_index(output, small_bank, max_layers=1, settings=SETTINGS)
    with h5py.File(output) as short, h5py.File(whole_index) as whole:
        assert len(short["gains"]) == 4
        assert len(whole["gains"]) == 15
        assert_alike(short["scenes"][...], whole["scenes"][:4])


def test_an_index_that_does_not_fit_on_the_disk(
    small_bank: Path, soundnet_weights: Path, small_disk: Path
) -> None:
    assert soundnet_weights.is_file()
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 40_000))
    output = small_disk / "x.h5"
    options = ["--max-layers", "2"]
    error = the_error(build(small_bank, output, *options))
    assert os.strerror(errno.ENOSPC) in error
    assert not output.exists()
    filler.unlink()
    succeeded(build(small_bank, output, *options, "--resume"))
    assert list(small_disk.iterdir()) == [output]
