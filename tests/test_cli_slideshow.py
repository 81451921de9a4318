"""Several photos in turn, and a folder that is watched: the command, to the sound server."""

from __future__ import annotations

import io
import itertools
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commandline import TIMEOUT_S, run, start, succeeded
from PIL import Image
from soundserver import SoundServer, is_heard, played, recorded, wait_for

RATE = 44_100


class Running:
    """A command that is running, and what it has printed so far, unless its output is read."""

    def __init__(
        self,
        *arguments: str | Path,
        folder: Path,
        env: dict[str, str] | None = None,
        piped: bool = False,
    ) -> None:
        self._out, self._err = folder / "stdout", folder / "stderr"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            stdout = subprocess.PIPE if piped else out
            self.process = start(*arguments, env=env, stdout=stdout, stderr=err)

    @property
    def out(self) -> bytes:
        return self._out.read_bytes()

    @property
    def lines(self) -> list[str]:
        return [*self.out.decode().splitlines(), *self.notes]

    @property
    def notes(self) -> list[str]:
        return self._err.read_text().splitlines()

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send a signal, and see the command end with exit code 0."""
        self.process.send_signal(number)
        assert self.process.wait(timeout=TIMEOUT_S) == 0, self.notes


def put(photo: Path, path: Path) -> None:
    shutil.copyfile(photo, path)


def test_photos_in_turn_are_one_sound_at_the_speakers_and_in_a_pipe(
    pulseaudio: SoundServer, china_jpg: Path, flower_jpg: Path
) -> None:
    photos: list[str | Path] = [china_jpg, "missing.jpg", flower_jpg, flower_jpg, china_jpg]
    arguments: list[str | Path] = ["match", *photos, "--duration", "2", "--fade", "0.5"]
    arguments += ["--seed", "0"]
    piped = run(*arguments, "-o", "-")
    expected, _ = soundfile.read(io.BytesIO(piped.stdout), dtype="int16")
    assert len(expected) == 4 * 2 * RATE
    result, heard = recorded(pulseaudio, *arguments, expected=expected)
    notes = result.stderr.decode().splitlines()
    assert result.returncode == piped.returncode == 1
    assert sorted(notes) == sorted(
        [
            notes[0],
            "Error: missing.jpg: there is no such file; check the path",
            "Playing; Ctrl-C ends it.",
            notes[-1],
        ]
    )
    assert notes[-1].startswith("Underruns: ")
    assert notes[0].startswith("Networks: ")
    shown = [line for line in result.stdout.decode().splitlines() if line[:1] != " "]
    assert shown == [str(photo) for photo in photos if photo != "missing.jpg"]
    assert is_heard(expected, heard)
    assert not [s for s in np.split(expected, 80)[3:-5] if np.abs(s).max() < 100], "no silence"


def band_levels_db(samples: np.ndarray) -> np.ndarray:
    """Return the levels of a sound [samples, 2] in 25 thirds of an octave from 50 Hz on."""
    power = np.abs(np.fft.rfft(samples.mean(axis=1))) ** 2 / len(samples) ** 2
    places = (50 * 2 ** (np.arange(26) / 3) * len(samples) / RATE).astype(int)
    bands = [power[begin:end].sum() for begin, end in itertools.pairwise(places)]
    return 10 * np.log10(np.array(bands) + 1e-12)


def distance_db(a: np.ndarray, b: np.ndarray) -> float:
    """Return how much two sounds differ in the levels of their bands, on average."""
    return float(np.abs(band_levels_db(a) - band_levels_db(b)).mean())


def test_each_photo_in_turn_has_its_own_mix(china_jpg: Path, flower_jpg: Path) -> None:
    options = ["-o", "-", "--fade-in", "0", "--fade-out", "0", "--duration", "3"]
    turn = succeeded(run("match", china_jpg, flower_jpg, "--fade", "0.5", *options)).stdout
    samples, _ = soundfile.read(io.BytesIO(turn))
    china, flower = (
        soundfile.read(io.BytesIO(succeeded(run("match", photo, *options)).stdout))[0]
        for photo in (china_jpg, flower_jpg)
    )
    first, second = samples[: 2 * RATE], samples[4 * RATE : 6 * RATE]
    assert np.corrcoef(first[:, 0], china[: 2 * RATE, 0])[0, 1] > 0.99
    # The second draws other stretches of its sounds than it does alone.
    assert distance_db(second, flower) < distance_db(second, china)


def test_photos_of_which_none_can_be_opened(pulseaudio: SoundServer, tmp_path: Path) -> None:
    result = run("match", tmp_path / "a.jpg", tmp_path / "b.jpg", env=pulseaudio.environment)
    assert result.returncode == 1
    assert result.stdout == b""
    assert [line[:7] for line in result.stderr.decode().splitlines()[1:]] == ["Error: "] * 2


def test_a_photo_that_takes_long_does_not_hold_up_the_end(
    pulseaudio: SoundServer, china_jpg: Path, tmp_path: Path
) -> None:
    # Noise is what compressed pictures take longest over.
    noise = np.random.default_rng(0).integers(0, 255, (3000, 4000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png", compress_level=1)
    # And from a pipe that nobody writes to comes none in all eternity.
    os.mkfifo(tmp_path / "endless.png")
    for name, options, env in (
        ("large.png", ["-o", "-"], {}),
        ("endless.png", ["-o", "-"], {}),
        ("endless.png", [], pulseaudio.environment),
    ):
        photos = [china_jpg, tmp_path / name, tmp_path / name]
        running = Running("match", *photos, "--duration", "1", *options, folder=tmp_path, env=env)
        wait_for(lambda running=running: len(running.out) > 44 and len(running.notes) > 1)  # type: ignore[misc]
        running.stop()
        assert "rror" not in "".join(running.notes)
        assert "terminate" not in "".join(running.notes)


def test_new_photos_are_followed(
    pulseaudio: SoundServer, china_jpg: Path, flower_jpg: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    with pulseaudio.recording() as recording:
        running = Running(
            "match", "--watch", folder, "--fade", "0.5", "-v", folder=tmp_path,
            env=pulseaudio.environment,
        )  # fmt: skip
        wait_for(lambda: f"Watching {folder}; Ctrl-C ends it." in running.notes)
        assert not played(recording).any()
        put(china_jpg, folder / "1.jpg")
        wait_for(lambda: bool(played(recording).any()))
        (folder / "2.jpg").write_bytes(b"broken")
        wait_for(lambda: any(line.startswith("Error: ") for line in running.notes))
        put(china_jpg, folder / "3.jpg")
        wait_for(lambda: str(folder / "3.jpg") in running.lines)
        put(flower_jpg, folder / "4.jpg")
        wait_for(lambda: str(folder / "4.jpg") in running.lines)
        # What was rendered ahead is heard first, then the crossfade.
        n_before = len(played(recording))
        wait_for(lambda: len(played(recording)) > n_before + 5 * RATE)
        n_stopped = len(played(recording))
        running.stop()
    assert [line for line in running.lines if line[:1] == str(folder)[:1]] == [
        str(folder / f"{number}.jpg") for number in (1, 3, 4)
    ]
    errors = [line for line in running.notes if line.startswith("Error: ")]
    assert len(errors) == 1
    assert errors[0].startswith(f"Error: {folder / '2.jpg'}: is not a photo")
    assert sum(line.startswith("Networks: ") for line in running.notes) == 1
    assert running.notes[-1].startswith("Underruns: ")
    heard = played(recording)
    sounding = np.flatnonzero(heard.any(axis=1))
    # One sound without a gap but for the machine's, that is another one in the end.
    assert np.diff(sounding[RATE:]).max() < RATE // 20 or running.notes[-1] != "Underruns: 0"
    again = [line.split()[-1] for line in running.lines if line.startswith("  again ")]
    china, flower = (
        soundfile.read(io.BytesIO(run("play", mix, "-o", "-", "--duration", "10").stdout))[0]
        for mix in (again[0], again[-1])
    )
    last = heard[n_stopped - 2 * RATE : n_stopped] / 2**15
    assert distance_db(last, flower) < distance_db(last, china)


def test_a_folder_that_vanishes_ends_it_in_one_line(
    pulseaudio: SoundServer, china_jpg: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    put(china_jpg, folder / "1.jpg")
    running = Running(
        "match", "--watch", folder, "--duration", "20", "--fade-out", "0.5", folder=tmp_path,
        env=pulseaudio.environment,
    )  # fmt: skip
    wait_for(lambda: "Playing; Ctrl-C ends it." in running.notes)
    folder.rename(tmp_path / "elsewhere")
    assert running.process.wait(timeout=TIMEOUT_S) == 1
    assert running.notes[-1].startswith(f"Error: the folder {folder} is missing")
    assert len([line for line in running.notes if line.startswith("Error: ")]) == 1
    assert len(running.notes) == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_first_photo_is_no_failure(
    number: signal.Signals, pulseaudio: SoundServer, tmp_path: Path
) -> None:
    running = Running("match", "--watch", tmp_path, folder=tmp_path, env=pulseaudio.environment)
    wait_for(lambda: len(running.notes) == 2)
    running.stop(number)
    assert len(running.notes) == 2


def test_watching_lasts_as_long_as_it_is_told_to(china_jpg: Path, tmp_path: Path) -> None:
    put(china_jpg, tmp_path / "1.jpg")
    result = succeeded(run("match", "--watch", tmp_path, "-o", "-", "--duration", "2"))
    samples, _ = soundfile.read(io.BytesIO(result.stdout))
    assert len(samples) == 2 * RATE
    assert np.abs(samples[RATE]).max() > 0


def test_a_pipe_follows_too_and_fades_out_when_stopped(
    china_jpg: Path, flower_jpg: Path, tmp_path: Path
) -> None:
    put(china_jpg, tmp_path / "1.jpg")
    running = Running(
        "match", "--watch", tmp_path, "-o", "-", "--fade", "0.5",
        folder=tmp_path, piped=True,
    )  # fmt: skip
    stdout = running.process.stdout
    assert stdout
    heard = [stdout.read(44 + RATE * 4)]
    assert str(tmp_path / "1.jpg") in running.notes
    put(flower_jpg, tmp_path / "2.jpg")

    def follows() -> bool:
        heard.append(stdout.read(RATE * 4 // 10))
        time.sleep(0.1)  # the pace of a player
        return str(tmp_path / "2.jpg") in running.notes

    wait_for(follows)
    running.process.send_signal(signal.SIGINT)
    rest, _ = running.process.communicate(timeout=TIMEOUT_S)
    assert running.process.returncode == 0
    samples = np.frombuffer((b"".join(heard) + rest)[44:], "<i2").reshape(-1, 2)
    assert np.abs(samples[-100:]).max() < 0.05 * np.abs(samples[-RATE : -RATE // 2]).max()


def test_a_reader_who_goes_away_ends_watching_quietly(china_jpg: Path, tmp_path: Path) -> None:
    put(china_jpg, tmp_path / "1.jpg")
    process = start("match", "--watch", tmp_path, "-o", "-")
    assert process.stdout
    process.stdout.read(1000)
    process.stdout.close()
    assert process.wait(timeout=TIMEOUT_S) == 0
    assert process.stderr
    assert b"rror" not in process.stderr.read()
    process.stderr.close()
