"""A base sound, read round and round."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from deepmersion.errors import SoundBankError
from deepmersion.sound.bank import BaseSound
from deepmersion.sound.recording import (
    BASE_LOUDNESS_LUFS,
    DECODE_SAMPLES,
    SAMPLE_RATE,
    UNDECODABLE,
    load_loop,
)

if TYPE_CHECKING:
    import soundfile

FULL_SCALE = 32_768
"""Magnitude of the lowest 16-bit integer; the highest is one less."""

MAX_ROUND_SAMPLES = 4 * 3600 * SAMPLE_RATE
"""Four hours, in samples: a header that names more is not believed before the file is decoded."""


class Loop:
    """The samples of a base sound, one round of them kept in memory.

    A file that is a seamless loop already is decoded as it is needed, so that it begins to play
    at once; any other is loaded and made into a loop first. One round is kept as 16-bit
    integers: their rounding lies 70 dB below sound at -27 LUFS, and they take half the memory.

    Parameters
    ----------
    sound : BaseSound

    Raises
    ------
    SoundBankError
        When the file cannot be decoded or used (see `deepmersion.sound.recording.load_loop`).
    """

    def __init__(self, sound: BaseSound) -> None:
        self._sound = sound
        self._position = 0
        self._file = _open_seamless(sound)
        if self._file is not None and sound.loudness_lufs is not None:
            self._round = np.zeros((self._file.frames, 2), dtype=np.int16)
            self._n_decoded = 0
            gain_db = BASE_LOUDNESS_LUFS + sound.gain_db - sound.loudness_lufs
            self._scale = 10 ** (gain_db / 20) / FULL_SCALE
        else:
            samples = load_loop(sound)
            self._scale = float(np.abs(samples).max()) / (FULL_SCALE - 1)
            self._round = np.round(samples / self._scale).astype(np.int16)
            self._n_decoded = len(self._round)

    def add_to(self, block: np.ndarray, gain: float) -> None:
        """Add the next samples, times a linear gain, to a block [samples, 2] in place."""
        factor = np.float32(gain * self._scale)
        done = 0
        while done < len(block):
            start = self._position
            stop = min(start + len(block) - done, len(self._round))
            self._decode_to(stop)
            block[done : done + stop - start] += self._round[start:stop] * factor
            done += stop - start
            self._position = stop % len(self._round)

    def _decode_to(self, stop: int) -> None:
        while self._file is not None and self._n_decoded < stop:
            part = self._decode_part(self._file)
            self._round[self._n_decoded : self._n_decoded + len(part)] = part
            self._n_decoded += len(part)
            if self._n_decoded == len(self._round):
                self._file.close()
                self._file = None

    def _decode_part(self, file: soundfile.SoundFile) -> np.ndarray:
        import soundfile

        part = np.zeros((0, 2), dtype=np.float32)
        with suppress(soundfile.SoundFileError):
            part = file.read(DECODE_SAMPLES, dtype="float32")
        if not len(part):
            raise SoundBankError(f"{self._sound.path} is cut off; replace it")
        # Lossy codecs overshoot; left to libsndfile, such samples would wrap around.
        return np.clip(np.round(part * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)


def _open_seamless(sound: BaseSound) -> soundfile.SoundFile | None:
    """Return a sound's open file if it can be played as it is, else None."""
    if not sound.loops or sound.loudness_lufs is None:
        return None
    import soundfile

    try:
        file = soundfile.SoundFile(sound.path)
    except UNDECODABLE:
        return None  # loading it the ordinary way says what is wrong
    # Samples in floating point may be beyond full scale, or not finite: they are looked at first.
    if (
        (file.samplerate, file.channels) == (SAMPLE_RATE, 2)
        and 0 < file.frames <= MAX_ROUND_SAMPLES
        and file.subtype not in ("FLOAT", "DOUBLE")
    ):
        return file
    file.close()
    return None
