"""Turns an audio file into a seamless loop: decodes, resamples and normalises it.

Everything is done block by block, and long recordings wait in a temporary file (`Spool`), so an
hour takes no more memory than three minutes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepmersion.errors import SoundBankError, in_one_line, rounded, why
from deepmersion.files import open_regular
from deepmersion.sound.bank import PHONE_SUFFIXES, BaseSound, undecodable
from deepmersion.sound.loudness import integrated_loudness
from deepmersion.sound.spool import Samples, Spool, blocks

if TYPE_CHECKING:
    import soundfile

SAMPLE_RATE = 44_100
"""Rate at which mixes are rendered, in Hz; the shipped sounds have it already."""

N_CHANNELS = 2
"""Everything that is played or written is stereo."""

BASE_LOUDNESS_LUFS = -27.0
"""Integrated loudness to which every base sound is normalised: equal gains sound equally loud. The
shipped files have it already and play as they are."""

MIN_DURATION_S = 1.0
"""Anything shorter is too short for an ambient sound and for BS.1770's gating."""

MAX_SAMPLE = 1e3
"""60 dB beyond full scale: floating-point files may exceed it a little, damaged ones by any
factor."""

MIN_RATE_HZ = 4_000
"""Below this, the filters that measure loudness (BS.1770, annex 1) are undefined."""

UNDECODABLE = (OSError, RuntimeError, TypeError, ValueError)
"""Errors that soundfile raises on a file that it cannot open or decode: its own, which are
RuntimeErrors; TypeError for headerless formats (``.raw``); and Python's."""

NOT_THERE = "does not exist"
"""Part of libsndfile's message about some files that do exist."""

SILENT_PEAK = 1e-6
"""-120 dBFS: what is left of a constant when its mean is taken off."""

DECODE_SAMPLES = 65_536
"""Samples decoded at once: a second and a half."""

CROSSFADE_S = 2.0
"""Length of the crossfade that closes a recording into a loop: long compared with the edge of any
event, short compared with the recording."""

RING_MARGIN_S = 0.1
"""Length of a loop's other end that the resampler sees: its filter lasts a few milliseconds."""

MAX_CROSSFADE_SHARE = 0.25
"""Largest share of a short recording that the crossfade may use."""


class Recording:
    """A decoded recording without its constant offset, in bounded memory.

    Parameters
    ----------
    sound : BaseSound

    Attributes
    ----------
    rate : int
        In Hz.
    offset : ndarray, shape = (2,), float64
        The mean of each channel, of full scale 1, which is taken off: it is inaudible, but SoundNet
        hears it, and a cut within it clicks.

    Raises
    ------
    SoundBankError
        When the file cannot be decoded, is shorter than a second, not finite or far beyond full
        scale, or its rate is too low.
    """

    def __init__(self, sound: BaseSound) -> None:
        self._samples = Spool()
        total = np.zeros(2)
        with decoding(sound) as (self.rate, parts):
            for part in parts:
                total += part.sum(axis=0, dtype=np.float64)
                if not np.abs(part).max() <= MAX_SAMPLE:  # written so that NaN fails too
                    raise SoundBankError(
                        f"{sound.path} holds samples that are not finite or far beyond full scale; "
                        "export it again"
                    )
                self._samples.append(part)
        if self.rate < MIN_RATE_HZ:
            raise SoundBankError(
                f"{sound.path} has a rate of {self.rate} Hz; give recordings of at least "
                f"{MIN_RATE_HZ} Hz"
            )
        if len(self) < MIN_DURATION_S * self.rate:
            length_s = rounded(len(self) / self.rate, MIN_DURATION_S)
            raise SoundBankError(
                f"{sound.path} lasts {length_s} s; give recordings of at least {MIN_DURATION_S:g} s"
            )
        self.offset = total / len(self)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, span: slice, /) -> np.ndarray:
        return self._samples[span] - self.offset.astype(np.float32)

    @property
    def stored(self) -> Samples:
        """The samples as they are in the file, with the offset."""
        return self._samples

    @property
    def duration_s(self) -> float:
        """Its length in seconds, as decoded."""
        return len(self) / self.rate


class Round:
    """A recording as a seamless loop at the bank's common loudness, sliced like an array.

    Parameters
    ----------
    recording : Samples
        At the rate of the loop.
    gain : float
        Linear.
    n_crossfade : int
        Samples of its end that are laid over its beginning.
    """

    def __init__(self, recording: Samples, gain: float, n_crossfade: int) -> None:
        self._recording = recording
        self._gain = np.float32(gain)
        self._n_crossfade = n_crossfade

    def __len__(self) -> int:
        return len(self._recording) - self._n_crossfade

    def __getitem__(self, span: slice, /) -> np.ndarray:
        start, stop, _ = span.indices(len(self))
        found = self._recording[start:stop]
        n = self._n_crossfade
        if start < n:
            part = slice(start, min(stop, n))
            tail = self._recording[len(self) + part.start : len(self) + part.stop]
            found = np.array(found)
            found[: len(tail)] = _crossfaded(found[: len(tail)], tail, part, n)
        return np.asarray(found * self._gain)


def load_loop(sound: BaseSound, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Return a base sound as a seamless stereo loop in memory; see `open_loop`.

    Returns
    -------
    ndarray, shape = (samples, 2), float32
    """
    return open_loop(sound, sample_rate)[:]


def open_loop(
    sound: BaseSound, sample_rate: int = SAMPLE_RATE, recording: Recording | None = None
) -> Round:
    """Return a base sound as a seamless stereo loop at the bank's common loudness.

    Parameters
    ----------
    sound : BaseSound
        Any rate, one or more channels (more than two are mixed down).
    sample_rate : int
        Rate of the result, in Hz.
    recording : Recording or None
        The sound, if it is decoded already.

    Returns
    -------
    Round
        Slices are float32 [samples, 2], at `BASE_LOUDNESS_LUFS` plus the sound's own ``gain_db``.
        Unless the recording is marked as a loop, its end is crossfaded into its beginning with
        equal power.

    Raises
    ------
    SoundBankError
        When it cannot be used (see `Recording`), or is silent apart from a constant offset.
    """
    recording = recording or Recording(sound)
    rate = recording.rate
    loudness = sound.loudness_lufs
    if loudness is None:
        # Loudness is measured at the rate of mixes: frequencies above it are not played.
        audible_rate = min(rate, SAMPLE_RATE)
        loudness = integrated_loudness(resample_ring(recording, rate, audible_rate), audible_rate)
    # A silent file may declare a loudness, and would be divided by its own peak.
    if not (math.isfinite(loudness) and is_heard(recording)):
        raise SoundBankError(f"{sound.path} is silent; remove it from the sound bank")
    samples = resample_ring(recording, rate, sample_rate)
    n = 0 if sound.loops else n_of_crossfade(len(samples), sample_rate)
    return Round(samples, 10 ** ((BASE_LOUDNESS_LUFS + sound.gain_db - loudness) / 20), n)


def is_heard(samples: Samples) -> bool:
    """Return whether any sample is louder than `SILENT_PEAK`, which rounding alone can reach."""
    return any(np.abs(part).max() > SILENT_PEAK for part in blocks(samples))


@contextmanager
def decoding(sound: BaseSound) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """Open a sound; yield its rate in Hz and its samples piece by piece, float32 [samples, 2].

    Raises
    ------
    SoundBankError
        When the file cannot be read or decoded.
    """
    require_content(sound.path)
    if sound.path.suffix.lower() in PHONE_SUFFIXES:
        from deepmersion.sound.phone import decoding_phone

        with decoding_phone(sound.path) as (rate, parts):
            yield rate, map(_stereo, parts)
        return
    import soundfile

    try:
        file = soundfile.SoundFile(sound.path)
    except UNDECODABLE as error:
        raise undecodable(sound.path, _cause(error)) from error
    with file:
        yield int(file.samplerate), map(_stereo, _pieces(sound.path, file))


def _pieces(path: Path, file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    # Piece by piece, to the end: the length in the header may be missing or wrong.
    while True:
        try:
            part = file.read(DECODE_SAMPLES, dtype="float32", always_2d=True)
        except UNDECODABLE as error:
            raise undecodable(path, _cause(error)) from error
        if not len(part):
            return
        yield part


def require_content(path: Path) -> None:
    """Raise SoundBankError, by its cause, if a sound cannot be opened or is empty."""
    try:
        with open_regular(path) as file:
            empty = not file.read(1)
    except OSError as error:
        raise SoundBankError(f"{path} cannot be read {why(error)}") from error
    if empty:
        raise SoundBankError(f"{path} is empty; replace it")


def _cause(error: BaseException) -> str:
    cause = in_one_line(error).rstrip(".").rsplit(": ", 1)[-1]
    # What libsndfile says of MP3 that it does not recognise.
    return "Format not recognised" if NOT_THERE in cause else cause


def decode(sound: BaseSound) -> tuple[np.ndarray, int]:
    """Return a sound's samples as float32 [samples, 2] in [-1, 1], and their rate in Hz.

    They are as they are in the file, its constant offset included.

    Raises
    ------
    SoundBankError
        When the file cannot be read or decoded.
    """
    with decoding(sound) as (rate, parts):
        return np.concatenate([np.zeros((0, 2), dtype=np.float32), *parts]), rate


def length(sound: BaseSound) -> tuple[int, int]:
    """Return a sound's number of samples, and their rate in Hz, by decoding it.

    A header may claim any length.

    Raises
    ------
    SoundBankError
        When the file cannot be read or decoded.
    """
    with decoding(sound) as (rate, parts):
        return sum(map(len, parts)), rate


def _stereo(samples: np.ndarray) -> np.ndarray:
    if samples.shape[1] > 2:
        samples = samples.mean(axis=1, keepdims=True)
    return np.broadcast_to(samples, (len(samples), 2))


def resample_ring(samples: Samples, rate: int, new_rate: int) -> Samples:
    """Return a loop at another rate in Hz, its end still leading into its start.

    Samples that have the rate already are returned as they are.
    """
    if rate == new_rate:
        return samples
    import soxr

    # Beyond either end of a loop, the resampler's filter must see the other end.
    n = len(samples)
    margin = min(n, round(RING_MARGIN_S * rate))
    start, n_left = round(margin * new_rate / rate), round(n * new_rate / rate)
    stream = soxr.ResampleStream(rate, new_rate, 2, dtype="float32")
    found = Spool()
    nothing = np.zeros((0, 2), np.float32)
    for part in chain([samples[n - margin : n]], blocks(samples), [samples[:margin]], [nothing]):
        out = stream.resample_chunk(np.ascontiguousarray(part), last=not len(part))
        kept = out[start : start + n_left]
        start, n_left = max(0, start - len(out)), n_left - len(kept)
        found.append(kept)
    return found


def n_of_crossfade(n_samples: int, sample_rate: int) -> int:
    """Return the length of the crossfade that closes a recording, in samples."""
    return int(min(CROSSFADE_S * sample_rate, MAX_CROSSFADE_SHARE * n_samples))


def _crossfaded(body: np.ndarray, tail: np.ndarray, part: slice, n_crossfade: int) -> np.ndarray:
    places = np.arange(part.start, part.stop, dtype=np.float32)
    phase = ((places + np.float32(0.5)) / n_crossfade * (math.pi / 2))[:, None]
    return np.asarray(body * np.sin(phase) + tail * np.cos(phase), dtype=np.float32)


def at_level(waveforms: np.ndarray, level_rms: float) -> np.ndarray:
    """Return waveforms [..., samples] scaled so that each has an RMS of `level_rms`.

    Raises
    ------
    ValueError
        When a waveform is silent.
    """
    rms = np.sqrt(np.mean(np.square(waveforms, dtype=np.float64), axis=-1, keepdims=True))
    if not (rms > 0).all():
        raise ValueError("a silent waveform cannot be normalised")
    return np.asarray(waveforms * (level_rms / rms), dtype=np.float32)


def ring_window(loop: np.ndarray, start: int, n_samples: int) -> np.ndarray:
    """Return `n_samples` of a loop [samples, ...] from `start` on, wrapping around."""
    return np.take(loop, np.arange(start, start + n_samples), axis=0, mode="wrap")
