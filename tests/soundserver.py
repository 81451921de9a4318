"""A private sound server that records its output, to compare it with what was played.

The path is that of a desktop: PortAudio, ALSA, its PulseAudio plugin, PulseAudio, a sink. Only the
sink is virtual.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from commandline import Result, run

ALSA_CONF = """
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
"""

WAIT_S = 120.0
"""Longest wait for anything: a busy machine takes long to start a process."""

ATTEMPTS = 10
"""Attempts to play something without a gap caused by the machine."""

MAX_DITHER = 3
"""Steps of 16 bits that two dithered renderings of a sound differ by."""


@dataclass
class SoundServer:
    folder: Path
    rate: int
    process: subprocess.Popen[bytes]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "ALSA_CONFIG_PATH": str(self.folder / "asound.conf"),
            "PULSE_SERVER": f"unix:{self.folder / 'socket'}",
            "XDG_RUNTIME_DIR": str(self.folder),
            "PULSE_COOKIE": str(self.folder / "cookie"),
        }

    @contextmanager
    def recording(self) -> Iterator[Path]:
        """Record the sink into the yielded file, raw 16-bit stereo."""
        path = self.folder / f"{time.monotonic_ns()}.raw"
        recorder = subprocess.Popen(
            ["parec", "--device=out.monitor", "--raw", "--format=s16le", "--channels=2",
             f"--rate={self.rate}", "--latency-msec=50", str(path)],
            env=os.environ | self.environment,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for(lambda: path.exists() and path.stat().st_size > 0)
            yield path
            # The last samples are still on their way through the monitor.
            size = path.stat().st_size
            wait_for(
                lambda: (
                    path.stat().st_size > size + self.rate * 4 * 0.5
                    or self.process.poll() is not None
                )
            )
        finally:
            recorder.send_signal(signal.SIGTERM)
            recorder.wait()


def wait_for(condition: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def played(recording: Path) -> np.ndarray:
    """Return the samples recorded so far, int16 [samples, 2]."""
    data = recording.read_bytes()
    return np.frombuffer(data[: len(data) // 4 * 4], "<i2").reshape(-1, 2)


def recorded(
    server: SoundServer, *arguments: str | Path, expected: np.ndarray | None = None
) -> tuple[Result, np.ndarray]:
    """Run a command that plays; return its result and the recorded samples.

    If a busy machine leaves a gap, it is run again: the player counts its own, and the recorder's
    are where the recording is not what is `expected` in one piece.
    """
    for _ in range(ATTEMPTS):
        with server.recording() as recording:
            result = run(*arguments, "-v", env=server.environment)
        heard = played(recording)
        whole = expected is None or is_heard(expected, heard)
        if result.stderr.endswith(b"Underruns: 0\n") and whole:
            break
    return result, heard


def missing() -> str:
    """Return why a sound server cannot run here; empty if it can."""
    programs = [name for name in ("pulseaudio", "parec") if not shutil.which(name)]
    if programs:
        return f"{' and '.join(programs)} not installed (Debian: pulseaudio, pulseaudio-utils)"
    try:
        import sounddevice  # noqa: F401
    except OSError:
        return "PortAudio is not installed (Debian: libportaudio2)"
    if not list(Path("/usr/lib").glob("**/alsa-lib/libasound_module_pcm_pulse.so")):
        return "ALSA's PulseAudio plugin is not installed (Debian: libasound2-plugins)"
    return ""


@contextmanager
def running_server(folder: Path, rate: int = 44_100) -> Iterator[SoundServer]:
    socket = folder / "socket"
    (folder / "asound.conf").write_text(ALSA_CONF)
    (folder / "default.pa").write_text(
        # Without norewinds, the recording misses the beginning, which the sink mixes in later.
        f"load-module module-null-sink sink_name=out rate={rate} channels=2 format=s16le "
        "norewinds=1\n"
        f"load-module module-native-protocol-unix socket={socket} auth-anonymous=1\n"
        "set-default-sink out\n"
    )
    with (folder / "pulseaudio.log").open("wb") as log:
        process = subprocess.Popen(
            ["pulseaudio", "-n", "--file", str(folder / "default.pa"), "--daemonize=no",
             "--use-pid-file=no", "--exit-idle-time=-1", "--system=false"],
            env=os.environ | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)},
            stderr=log,
        )  # fmt: skip
    try:
        wait_for(socket.exists)
        yield SoundServer(folder, rate, process)
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def find(sound: np.ndarray, recording: np.ndarray) -> int:
    """Return where in a recording [samples, 2] a sound [samples, 2] begins."""
    from scipy.signal import correlate

    likeness = correlate(
        recording[:, 0].astype(float), sound[:, 0].astype(float), "valid", method="fft"
    )
    return int(likeness.argmax())


def is_heard(sound: np.ndarray, recording: np.ndarray) -> bool:
    """Return whether a recording is a sound, 16-bit [samples, 2] both, between silence."""
    if len(recording) < len(sound):
        return False
    begin = find(sound, recording)
    end = begin + len(sound)
    # The sound's dither is at most one step and so is each rounding; PortAudio dithers as well.
    difference = recording[begin:end].astype(int) - sound
    around = recording[:begin].any() or recording[end:].any()
    return bool(np.abs(difference).max() <= MAX_DITHER and not around)
