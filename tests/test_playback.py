"""Playing: the parts by themselves, and the command through a real sound server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from commandline import TIMEOUT_S, run, start, succeeded, the_error
from soundserver import (
    ATTEMPTS,
    WAIT_S,
    SoundServer,
    find,
    is_heard,
    played,
    recorded,
    wait_for,
)

from deepmersion.errors import SoundBankError
from deepmersion.sound.playback import _resampled
from deepmersion.sound.ring_buffer import FadeOut, Feeder, Ring

RATE = 44_100


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (n_samples, 2)).astype(np.float32)


# The ring between renderer and sound card


def test_what_goes_through_a_ring_comes_out_in_order() -> None:
    samples, ring = noise(10_000), Ring(1000)
    rng = np.random.default_rng(1)
    heard, n_written = [], 0
    while n_written < len(samples) or ring.filled:
        n_written += ring.write(samples[n_written : n_written + int(rng.integers(1, 700))])
        out = np.full((min(ring.filled, int(rng.integers(1, 700))), 2), 9, np.float32)
        ring.read_into(out)
        heard.append(out)
    np.testing.assert_array_equal(np.concatenate(heard), samples)
    assert ring.n_underruns == 0


def test_a_full_ring_takes_no_more_and_loses_nothing() -> None:
    samples, ring = noise(150), Ring(100)
    assert ring.write(samples) == 100
    assert ring.write(samples[100:]) == 0
    out = np.empty((100, 2), np.float32)
    ring.read_into(out)
    np.testing.assert_array_equal(out, samples[:100])


def test_missing_samples_are_silence_and_counted_but_not_at_the_end() -> None:
    samples, ring = noise(30), Ring(100)
    ring.write(samples)
    out = np.full((50, 2), 9, np.float32)
    ring.read_into(out)
    np.testing.assert_array_equal(out[:30], samples)
    assert not out[30:].any()
    assert ring.n_underruns == 1
    ring.write(samples)
    ring.closed = True
    assert not ring.drained
    ring.read_into(out)
    assert ring.drained
    assert ring.n_underruns == 1


def test_a_fade_out_is_smooth_and_ends_in_silence() -> None:
    fade = FadeOut(1000)
    out = np.ones((300, 2), np.float32)
    fade.apply(out)
    assert (out == 1).all()
    fade.begun = True
    parts = []
    while not fade.finished:
        part = np.ones((300, 2), np.float32)
        fade.apply(part)
        parts.append(part)
    curve = np.concatenate(parts)[:, 0]
    assert curve[0] == pytest.approx(1, abs=1e-3)
    steps = np.diff(curve)
    assert steps.max() <= 0
    assert steps.min() > -0.002
    assert not curve[999:].any()
    after = np.ones((300, 2), np.float32)
    fade.apply(after)
    assert not after.any()


def test_what_the_sound_card_calls_allocates_nothing_that_grows_with_it() -> None:
    ring, fade = Ring(50_000), FadeOut(20_000)
    ring.write(noise(50_000))
    fade.begun = True
    out = np.empty((10_000, 2), np.float32)
    ring.read_into(out)
    fade.apply(out)
    tracemalloc.start()
    ring.read_into(out)
    fade.apply(out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2000 < out.nbytes


def test_a_feeder_stays_ahead_and_stops_when_told() -> None:
    ring = Ring(1000)
    rendered = 0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal rendered
        while True:
            rendered += 1
            yield noise(300)

    feeder = Feeder(blocks(), ring, n_ahead=500)
    feeder.start()
    assert feeder.primed.wait(WAIT_S)
    assert ring.filled >= 500
    wait_for(lambda: ring.filled == 1000)
    assert rendered == 4
    feeder.stop()
    assert not feeder.is_alive()
    assert ring.closed


def test_a_feeder_keeps_what_went_wrong_for_later() -> None:
    def blocks() -> Iterator[np.ndarray]:
        yield noise(10)
        raise SoundBankError("a file is cut off")

    feeder = Feeder(blocks(), Ring(1000), n_ahead=500)
    feeder.start()
    assert feeder.primed.wait(WAIT_S)
    feeder.stop()
    assert isinstance(feeder.failure, SoundBankError)


@pytest.mark.parametrize("rate", [48_000, 22_050])
def test_blocks_are_resampled_as_the_whole_would_be(rate: int) -> None:
    samples = noise(RATE)
    whole = soxr.resample(samples, RATE, rate)
    blocks = np.concatenate(
        list(_resampled((samples[i : i + 1000] for i in range(0, RATE, 1000)), RATE, rate))
    )
    assert len(blocks) == rate
    np.testing.assert_allclose(blocks, whole, atol=1e-4)


# A real sound server


def wait_until_heard(recording: Path) -> None:
    wait_for(lambda: bool(played(recording).any()))


def test_what_is_heard_is_what_a_file_holds(
    pulseaudio: SoundServer, china_jpg: Path, tmp_path: Path
) -> None:
    path = tmp_path / "sound.wav"
    succeeded(run("match", china_jpg, "-o", path, "--duration", "2"))
    expected, _ = soundfile.read(path, dtype="int16")
    arguments: list[str | Path] = ["match", china_jpg, "--duration", "2", "--seed", "0"]
    result, heard = recorded(pulseaudio, *arguments, expected=expected)
    assert succeeded(result).stderr.decode().splitlines()[-2:] == [
        "Playing; Ctrl-C ends it.",
        "Underruns: 0",
    ]
    assert is_heard(expected, heard)
    assert np.sqrt((expected.astype(float) ** 2).mean()) > 100


@pytest.mark.parametrize("own_pulseaudio", [48_000], indirect=True)
def test_a_sound_card_of_another_rate(
    own_pulseaudio: SoundServer, china_jpg: Path, tmp_path: Path
) -> None:
    path = tmp_path / "sound.wav"
    succeeded(run("match", china_jpg, "-o", path, "--duration", "2"))
    result, heard = recorded(own_pulseaudio, "match", china_jpg, "--duration", "2", "--seed", "0")
    assert succeeded(result).stderr.endswith(b"Underruns: 0\n")
    expected = soxr.resample(soundfile.read(path, dtype="float32")[0] * 32_768, RATE, 48_000)
    heard = heard[find(expected, heard) :][: len(expected)]
    # PulseAudio's own resampler is a short one, so a few per cent of the treble differ.
    assert np.corrcoef(heard[:, 0], expected[:, 0])[0, 1] > 0.99


def test_a_rate_that_the_device_does_not_play_is_resampled_here(pulseaudio: SoundServer) -> None:
    code = (
        "import numpy as np\n"
        "from deepmersion.sound.playback import play\n"
        "t = np.arange(2_000_000) / 1_000_000\n"
        "tone = np.repeat(0.5 * np.sin(2 * np.pi * 1000 * t)[:, None], 2, 1).astype('float32')\n"
        "blocks = (tone[i : i + 8192] for i in range(0, len(tone), 8192))\n"
        "print(play(blocks, 1_000_000).n_underruns)"
    )
    for _ in range(ATTEMPTS):
        with pulseaudio.recording() as recording:
            ended = subprocess.run(
                [sys.executable, "-c", code],
                env=os.environ | pulseaudio.environment,
                check=True,
                stdout=subprocess.PIPE,
            )
        if ended.stdout == b"0\n":
            break
    heard = played(recording)[:, 0] / 32_768
    sounding = np.flatnonzero(heard)
    assert sounding[-1] - sounding[0] == pytest.approx(2 * RATE, rel=0.01)
    second = heard[sounding[0] + RATE // 2 :][:RATE]
    amplitudes = np.abs(np.fft.rfft(second)) / (RATE / 2)
    assert int(amplitudes.argmax()) == 1000
    assert amplitudes[1000] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_fades_out_and_is_no_failure(
    number: signal.Signals, pulseaudio: SoundServer
) -> None:
    play = ["play", "white-noise", "-v", "--fade-in", "0"]  # which is as loud at any time
    for _ in range(ATTEMPTS):  # a busy machine may be late
        with pulseaudio.recording() as recording:
            process = start(*play, env=pulseaudio.environment)
            wait_until_heard(recording)
            time.sleep(1)
            n_before = len(played(recording))
            process.send_signal(number)
            _, said = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, said.decode()
        assert said.decode().splitlines()[-1].startswith("Underruns: ")
        heard = np.abs(played(recording).max(axis=1).astype(float))
        end = int(np.flatnonzero(heard)[-1]) + 1
        if end - n_before < RATE:
            break
    assert end - n_before < RATE, "it was not silent within a second"
    # The last tenth of a second is far softer than before, and there is no edge.
    tail, before = heard[end - RATE // 10 : end], heard[end - RATE : end - RATE // 2]
    assert tail.max() < 0.5 * before.max()
    assert heard[end - 10 : end].max() < 0.05 * before.max()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_device_that_vanishes_or_hangs(
    number: signal.Signals, own_pulseaudio: SoundServer, china_jpg: Path
) -> None:
    with own_pulseaudio.recording() as recording:
        process = start("match", china_jpg, env=own_pulseaudio.environment)
        wait_until_heard(recording)
        own_pulseaudio.process.send_signal(number)
        _, said = process.communicate(timeout=TIMEOUT_S)
        own_pulseaudio.process.send_signal(signal.SIGCONT)
    lines = said.decode().splitlines()
    assert lines[-2:] == [
        "Playing; Ctrl-C ends it.",
        "Error: the output device has disappeared; reconnect it and start again",
    ]
    assert len(lines) == 3
    assert process.returncode == 1


def test_devices_are_listed_and_can_be_named(pulseaudio: SoundServer, china_jpg: Path) -> None:
    lines = succeeded(run("devices", env=pulseaudio.environment)).stdout.decode().splitlines()
    found = [re.fullmatch(r" *(\d+)  (.+?)(  \(default\))?", line) for line in lines]
    named = {match[2]: (match[1], match[3]) for match in found if match}
    assert len(named) == len(lines)
    assert named["default"][1]
    number, default = named["pulse"]
    assert not default
    for device in ("pulse", number):
        with pulseaudio.recording() as recording:
            succeeded(
                run(
                    "match", china_jpg, "--duration", "1", "--output-device", device,
                    env=pulseaudio.environment,
                )
            )  # fmt: skip
        assert played(recording).any()


def test_a_mistake_in_the_stream_is_not_blamed_on_the_device(pulseaudio: SoundServer) -> None:
    code = (
        "from deepmersion.sound.playback import play\n"
        "def blocks():\n"
        "    raise ValueError('3 gains for 10 sounds')\n"
        "    yield\n"
        "try:\n"
        "    play(blocks(), 44_100)\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | pulseaudio.environment,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert ended.stdout == b"3 gains for 10 sounds\n"


def test_an_unknown_device(pulseaudio: SoundServer, china_jpg: Path) -> None:
    result = run("match", china_jpg, "--output-device", "gramophone", env=pulseaudio.environment)
    error = the_error(result)
    assert error.startswith("the output device gramophone cannot be used")
    assert "`deepmersion devices`" in error
    number = "9" * 20
    result = run("play", "rain", "--output-device", number, env=pulseaudio.environment)
    assert the_error(result).startswith(f"the output device {number} cannot be used")
