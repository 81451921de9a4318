"""The samples of a base sound, kept in memory for one round of the loop."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from deepmersion.errors import SoundBankError
from deepmersion.sound.bank import BaseSound
from deepmersion.sound.cuts import find_cuts
from deepmersion.sound.keys import Cuts
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
"""Magnitude of the smallest 16-bit integer; the largest is one less."""

MAX_ROUND_SAMPLES = 4 * 3600 * SAMPLE_RATE
"""Four hours, in samples: a header that claims more is not trusted before the file is decoded."""

LEAD_SAMPLES = 8192
"""Samples decoded and discarded when decoding begins in the middle of a file: a Vorbis block
depends on the one before, which has 8192 samples at most."""


class Loop:
    """A base sound that can be read from any position and wraps around.

    A file that the bank declares as a seamless loop, with its cuts, is decoded piece by piece as
    needed and begins to play at once; any other is loaded and made into a loop first. One round is
    kept as 16-bit integers: their rounding noise lies 70 dB below sound at -27 LUFS, and they take
    half the memory.

    Parameters
    ----------
    sound : BaseSound

    Attributes
    ----------
    n_samples : int
        Length of a round.
    cuts : Cuts
        Spans in which it may be cut.

    Raises
    ------
    SoundBankError
        When the file cannot be decoded or used (see `deepmersion.sound.recording.load_loop`).
    """

    def __init__(self, sound: BaseSound) -> None:
        self._sound = sound
        self._file = _open_seamless(sound)
        if self._file is not None:
            assert sound.loudness_lufs is not None
            assert sound.cuts is not None
            self.cuts: Cuts = sound.cuts
            self._round = np.zeros((self._file.frames, 2), dtype=np.int16)
            self._decoded = np.zeros(-(-self._file.frames // DECODE_SAMPLES), dtype=np.bool_)
            gain_db = BASE_LOUDNESS_LUFS + sound.gain_db - sound.loudness_lufs
            self._scale = 10 ** (gain_db / 20) / FULL_SCALE
        else:
            samples = load_loop(sound)
            self.cuts = find_cuts(samples) if sound.cuts is None else sound.cuts
            self._scale = float(np.abs(samples).max()) / (FULL_SCALE - 1)
            self._round = np.round(samples / self._scale).astype(np.int16)
        self.n_samples = len(self._round)

    @property
    def decoded_share(self) -> float:
        """Share that has been decoded, from 0 to 1."""
        return 1.0 if self._file is None else float(self._decoded.mean())

    def add_to(self, block: np.ndarray, start: int, gains: np.ndarray) -> None:
        """Add samples from a position on, times gains [samples], to a block [samples, 2] in place.

        Parameters
        ----------
        block : ndarray, shape = (samples, 2), float32
        start : int
            In samples; may lie beyond the end, which wraps around.
        gains : ndarray, shape = (samples,), float32
            Linear.

        Raises
        ------
        SoundBankError
            When the file turns out to be truncated.
        """
        # As wide as the samples: numpy is slow at broadcasting over a last axis of two.
        factors = np.repeat(gains * np.float32(self._scale), 2).reshape(-1, 2)
        done = 0
        while done < len(block):
            position = (start + done) % self.n_samples
            stop = min(position + len(block) - done, self.n_samples)
            self._decode(position, stop)
            part = slice(done, done + stop - position)
            block[part] += self._round[position:stop] * factors[part]
            done = part.stop

    def _decode(self, start: int, stop: int) -> None:
        """Decode the samples from `start` to `stop` unless they are decoded already."""
        if self._file is None:
            return
        pieces = slice(start // DECODE_SAMPLES, -(-stop // DECODE_SAMPLES))
        if self._decoded[pieces].all():
            return
        for piece in range(pieces.start, pieces.stop):
            if not self._decoded[piece]:
                self._decode_piece(self._file, piece * DECODE_SAMPLES)
                self._decoded[piece] = True
        if self._decoded.all():
            self._file.close()
            self._file = None

    def _decode_piece(self, file: soundfile.SoundFile, start: int) -> None:
        import soundfile

        wanted = self._round[start : start + DECODE_SAMPLES]
        part = np.zeros((0, 2), dtype=np.float32)
        with suppress(soundfile.SoundFileError):
            if file.tell() != start:
                lead = min(start, LEAD_SAMPLES)
                file.seek(start - lead)
                file.read(lead, dtype="float32")
            part = file.read(len(wanted), dtype="float32")
        if len(part) < len(wanted):
            raise SoundBankError(f"{self._sound.path} is truncated; replace it")
        # Lossy codecs overshoot; libsndfile would let such samples wrap around.
        wanted[:] = np.clip(np.round(part * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)


def _open_seamless(sound: BaseSound) -> soundfile.SoundFile | None:
    """Return a sound's open file if it can be played as it is, else None."""
    if not sound.loops or sound.loudness_lufs is None or sound.cuts is None:
        return None
    import soundfile

    try:
        file = soundfile.SoundFile(sound.path)
    except UNDECODABLE:
        return None  # loading it in full reports the error
    # Floating-point samples may be beyond full scale or not finite, which loading in full checks.
    if (
        (file.samplerate, file.channels) == (SAMPLE_RATE, 2)
        and 0 < file.frames <= MAX_ROUND_SAMPLES
        and file.subtype not in ("FLOAT", "DOUBLE")
    ):
        return file
    file.close()
    return None
