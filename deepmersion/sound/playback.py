"""Plays a stream of samples through the sound card (PortAudio, through sounddevice)."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from deepmersion.errors import PlaybackError
from deepmersion.sound.recording import N_CHANNELS
from deepmersion.sound.ring_buffer import FadeOut, Feeder, Ring

BUFFER_S = 1.0
"""Time rendered ahead, to ride out a busy machine."""

PRIME_S = 0.5
"""Time rendered before playing begins, which is when the machine is busiest."""

DEVICE_LATENCY_S = 0.15
"""Buffer of the sound card itself: enough for a late Python callback, short enough that Ctrl-C
takes effect at once."""

STOP_FADE_S = 0.3
"""Fade-out after Ctrl-C, here and in a pipe: smooth, and fast enough to feel immediate."""

TAIL_S = DEVICE_LATENCY_S + 0.05
"""Silence after the end, longer than the device's buffer, whose contents may be lost when it
stops."""

STALL_S = 3.0
"""A device that has fetched no samples for this long counts as gone."""

CLOSE_S = 1.0
"""Longest wait for a device to close."""

NOT_FOUND = "PortAudio library not found"
"""sounddevice's own message where there is no such library."""

POLL_S = 0.05
"""Interval between checks for the end of playing; Ctrl-C is answered in between."""


@dataclass(frozen=True)
class Playback:
    """The end of playing.

    Attributes
    ----------
    n_underruns : int
        Times that the sound card ran out of samples and played silence.
    interrupted : bool
        True if it was stopped.
    """

    n_underruns: int
    interrupted: bool


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except OSError as error:
        if NOT_FOUND not in str(error):
            raise PlaybackError(
                f"PortAudio cannot be loaded, so nothing can be played ({_reason(error)}); "
                "install it anew, or write a file with -o"
            ) from error
        raise PlaybackError(
            "PortAudio is not installed, so nothing can be played; install it "
            "(Debian and Ubuntu: apt install libportaudio2; macOS: brew install portaudio) "
            "or write a file with -o"
        ) from error
    except Exception as error:
        # PortAudioError, whose module cannot be imported then; else the package itself is broken.
        if type(error).__name__ != "PortAudioError":
            raise
        raise PlaybackError(
            f"PortAudio cannot be started, so nothing can be played ({_reason(error)}); start the "
            "system's sound service, or write a file with -o"
        ) from error
    assert isinstance(sounddevice, ModuleType)
    return sounddevice


def output_devices() -> list[tuple[int, str, bool]]:
    """Return number, name and "is the default" for every device that plays stereo.

    Raises
    ------
    PlaybackError
        When PortAudio is missing or cannot be started.
    """
    sounddevice = _sounddevice()
    default = sounddevice.default.device[1]
    return [
        (number, str(device["name"]), number == default)
        for number, device in enumerate(sounddevice.query_devices())
        if device["max_output_channels"] >= N_CHANNELS
    ]


def check_playback(device: str | int | None = None) -> None:
    """Check that sound can be played, before any other work is done.

    Raises
    ------
    PlaybackError
        When PortAudio is missing or cannot be started, or there is no such sound card.
    """
    sounddevice = _sounddevice()
    try:
        sounddevice.query_devices(device, kind="output")
    except (sounddevice.PortAudioError, ValueError) as error:
        if device is not None:
            raise _unusable(device, error) from error
        raise PlaybackError(
            "no sound card was found; connect one, or write a file with -o, or a pipe with -o -"
        ) from error


def _unusable(device: str | int | None, error: Exception) -> PlaybackError:
    name = "default output device" if device is None else f"output device {device}"
    return PlaybackError(
        f"the {name} cannot be used ({_reason(error)}); choose one that `deepmersion devices` "
        "lists, or write a file with -o"
    )


def _reason(error: Exception) -> str:
    # PortAudio's own message; sounddevice may append that of the system's sound layer.
    return " ".join(str(error.args[0] if error.args else error).split())


def play(
    blocks: Iterable[np.ndarray],
    sample_rate: int,
    device: str | int | None = None,
    stop: threading.Event | None = None,
) -> Playback:
    """Play a stream until its end, or until it is stopped, which fades it out.

    Parameters
    ----------
    blocks : iterable of ndarray, shape = (samples, 2), float32 in [-1, 1]
        Consumed in another thread. Resampled if the device does not play this rate.
    sample_rate : int
        In Hz.
    device : str, int or None
        Output device by name or number; None for the system's default.
    stop : threading.Event, optional
        Set to stop it.

    Raises
    ------
    PlaybackError
        When PortAudio cannot be used, there is no such device, or it vanishes.
    """
    sounddevice = _sounddevice()
    with _using(sounddevice, device):
        rate = _device_rate(sounddevice, device, sample_rate)
    if rate != sample_rate:
        blocks = _resampled(blocks, sample_rate, rate)
    return _play(sounddevice, blocks, rate, device, stop or threading.Event())


@contextmanager
def _using(sounddevice: ModuleType, device: str | int | None) -> Iterator[None]:
    """Turn sounddevice's errors into one that names the device."""
    try:
        yield
    except (sounddevice.PortAudioError, ValueError) as error:
        raise _unusable(device, error) from error


def _device_rate(sounddevice: ModuleType, device: str | int | None, sample_rate: int) -> int:
    """Return `sample_rate` if the device supports it, else the device's preferred rate."""
    try:
        sounddevice.check_output_settings(
            device=device, channels=N_CHANNELS, dtype="float32", samplerate=sample_rate
        )
    except sounddevice.PortAudioError:
        preferred: float = sounddevice.query_devices(device, kind="output")["default_samplerate"]
        return round(preferred)
    return sample_rate


def _resampled(blocks: Iterable[np.ndarray], rate: int, new_rate: int) -> Iterator[np.ndarray]:
    import soxr

    stream = soxr.ResampleStream(rate, new_rate, N_CHANNELS, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros((0, N_CHANNELS), np.float32), last=True)


def _play(
    sounddevice: ModuleType,
    blocks: Iterable[np.ndarray],
    rate: int,
    device: str | int | None,
    stop: threading.Event,
) -> Playback:
    ring = Ring(round(BUFFER_S * rate))
    feeder = Feeder(blocks, ring, round(PRIME_S * rate))
    speaker = _Speaker(ring, rate, sounddevice.CallbackStop, stop)
    feeder.start()
    try:
        while not (feeder.primed.wait(POLL_S) or stop.is_set()):
            pass
        if not stop.is_set():
            with _stream(sounddevice, speaker, rate, device):
                speaker.wait()
    finally:
        feeder.stop()
    if feeder.failure is not None:
        raise feeder.failure
    if not (ring.drained or stop.is_set()):
        raise PlaybackError("the output device has disappeared; reconnect it and start again")
    return Playback(speaker.n_underruns, interrupted=stop.is_set())


class _Speaker:
    """The callback that feeds the sound card and stops it after the last sample."""

    def __init__(self, ring: Ring, rate: int, end: type[Exception], stop: threading.Event) -> None:
        self.fade = FadeOut(round(STOP_FADE_S * rate))
        self.ended = threading.Event()
        self._ring = ring
        self._end = end
        self._stop = stop
        self._n_tail = round(TAIL_S * rate)
        self._n_calls = 0
        self._n_late = 0

    @property
    def n_underruns(self) -> int:
        """Number of times that samples ran out, here or in the sound card."""
        return self._ring.n_underruns + self._n_late

    def __call__(self, out: np.ndarray, n_samples: int, _time: Any, status: Any) -> None:
        # An underflow reported with the first call happened before playing began.
        self._n_late += bool(status.output_underflow and self._n_calls)
        self._n_calls += 1
        over = self._ring.drained or self.fade.finished
        self._ring.read_into(out)
        self.fade.apply(out)
        self._n_tail -= over * n_samples
        if self._n_tail <= 0:
            raise self._end

    def wait(self) -> None:
        """Wait until playing has ended, on its own or faded out because it was stopped."""
        n_calls, since = self._n_calls, time.monotonic()
        while not self.ended.wait(POLL_S):
            self.fade.begun = self._stop.is_set()
            if self._n_calls != n_calls:
                n_calls, since = self._n_calls, time.monotonic()
            elif time.monotonic() - since > STALL_S:
                return


@contextmanager
def _stream(
    sounddevice: ModuleType, speaker: _Speaker, rate: int, device: str | int | None
) -> Iterator[None]:
    with _using(sounddevice, device):
        stream = sounddevice.OutputStream(
            samplerate=rate,
            device=device,
            channels=N_CHANNELS,
            dtype="float32",
            latency=DEVICE_LATENCY_S,
            callback=speaker,
            finished_callback=speaker.ended.set,
        )
    try:
        with _using(sounddevice, device):
            stream.start()
        yield
    finally:
        _close(sounddevice, stream)


def _close(sounddevice: ModuleType, stream: Any) -> None:
    """Close a stream; abandon it if its device has gone and never answers."""

    def close() -> None:
        with suppress(sounddevice.PortAudioError):
            stream.abort()
        with suppress(sounddevice.PortAudioError):
            stream.close()

    closing = threading.Thread(target=close, daemon=True)
    closing.start()
    try:
        closing.join(CLOSE_S)
    finally:
        if closing.is_alive():
            # At the end of the program, sounddevice would wait for the device for ever.
            atexit.unregister(sounddevice._exit_handler)
