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
    open_loop,
)
from deepmersion.sound.spool import MAX_IN_MEMORY, Samples

if TYPE_CHECKING:
    import soundfile

FULL_SCALE = 32_768
"""Magnitude of the smallest 16-bit integer; the largest is one less."""

MAX_PIECES = MAX_IN_MEMORY // DECODE_SAMPLES
"""Most decoded pieces that are kept, three minutes; the oldest make room."""

MAX_OFFSET = 1e-3
"""Mean of the first piece, of full scale, from which a file is loaded in full to take its offset
off. Rumble alone stays below it; an offset below it, -60 dBFS, is inaudible."""

LEAD_SAMPLES = 8192
"""Samples decoded and discarded when decoding begins in the middle of a file: a Vorbis block
depends on the one before, which has 8192 samples at most."""


class Loop:
    """A base sound that can be read from any position and wraps around.

    A file that the bank declares as a seamless loop, with its cuts, is decoded piece by piece as
    needed and begins to play at once; any other is loaded and made into a loop first. Up to three
    minutes are kept as 16-bit integers: their rounding noise lies 70 dB below sound at -27 LUFS,
    and they take half the memory. Of longer ones, what was decoded last is kept, or they wait in a
    temporary file.

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
        When the file cannot be decoded or used (see `deepmersion.sound.recording.open_loop`).
    """

    def __init__(self, sound: BaseSound) -> None:
        self._sound = sound
        self._file = None if sound.cuts is None else open_seamless(sound)
        self._pieces: dict[int, np.ndarray] = {}
        self._round: Samples = np.zeros((0, 2), dtype=np.int16)
        if self._file is not None:
            assert sound.loudness_lufs is not None
            assert sound.cuts is not None
            self.cuts: Cuts = sound.cuts
            self.n_samples = int(self._file.frames)
            gain_db = BASE_LOUDNESS_LUFS + sound.gain_db - sound.loudness_lufs
            self._scale = 10 ** (gain_db / 20) / FULL_SCALE
            return
        self._round = loop = open_loop(sound)
        self._scale = 1.0
        self.cuts = find_cuts(loop) if sound.cuts is None else sound.cuts
        self.n_samples = len(loop)
        if len(loop) <= MAX_IN_MEMORY:
            samples = loop[:]
            self._scale = float(np.abs(samples).max()) / (FULL_SCALE - 1)
            self._round = np.round(samples / self._scale).astype(np.int16)

    @property
    def decoded_share(self) -> float:
        """Share that is decoded, from 0 to 1."""
        if self._file is None:
            return 1.0
        return sum(map(len, self._pieces.values())) / self.n_samples

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
        layer = np.empty_like(block)
        layer[:, 0] = layer[:, 1] = gains * np.float32(self._scale)
        done = 0
        while done < len(block):
            position = (start + done) % self.n_samples
            samples = self._from(position, len(block) - done)
            part = slice(done, done + len(samples))
            layer[part] *= samples
            done = part.stop
        block += layer

    def _from(self, position: int, n: int) -> np.ndarray:
        """Return some of the `n` samples from a position on, at least one."""
        if self._file is None:
            return self._round[position : position + n]
        number, offset = divmod(position, DECODE_SAMPLES)
        if number not in self._pieces:
            if len(self._pieces) >= MAX_PIECES:
                del self._pieces[next(iter(self._pieces))]
            self._pieces[number] = self._decoded(self._file, number * DECODE_SAMPLES)
            self._close_if_decoded()
        if self._file is None:
            return self._round[position : position + n]
        return self._pieces[number][offset : offset + n]

    def _close_if_decoded(self) -> None:
        """Put the pieces together and let go of the file once there is nothing left to decode."""
        if self.decoded_share < 1 or self._file is None:
            return
        self._round = np.concatenate([self._pieces[number] for number in sorted(self._pieces)])
        self._file.close()
        self._file, self._pieces = None, {}

    def _decoded(self, file: soundfile.SoundFile, start: int) -> np.ndarray:
        import soundfile

        n = min(DECODE_SAMPLES, self.n_samples - start)
        part = np.zeros((0, 2), dtype=np.float32)
        with suppress(soundfile.SoundFileError):
            if file.tell() != start:
                lead = min(start, LEAD_SAMPLES)
                file.seek(start - lead)
                file.read(lead, dtype="float32")
            part = file.read(n, dtype="float32")
        if len(part) < n:
            raise SoundBankError(f"{self._sound.path} is truncated; replace it")
        # Lossy codecs overshoot; libsndfile would let such samples wrap around.
        return np.clip(np.round(part * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def open_seamless(sound: BaseSound) -> soundfile.SoundFile | None:
    """Return a sound's open file if its samples can be played as they are, else None.

    They can if the bank declares a loop and its loudness, and the file is at 44,100 Hz in stereo,
    without an offset, and as long as its header claims.
    """
    if not sound.loops or sound.loudness_lufs is None:
        return None
    import soundfile

    try:
        file = soundfile.SoundFile(sound.path)
    except UNDECODABLE:
        return None  # loading it in full reports the error
    # Floating-point samples may be beyond full scale or not finite, which loading in full checks.
    if (
        (file.samplerate, file.channels) == (SAMPLE_RATE, 2)
        and file.frames > 0
        and file.subtype not in ("FLOAT", "DOUBLE")
        and _is_centred_and_whole(file)
    ):
        return file
    file.close()
    return None


def _is_centred_and_whole(file: soundfile.SoundFile) -> bool:
    """Return whether a file needs no offset taken off, and is as long as its header claims."""
    import soundfile

    try:
        offset = file.read(DECODE_SAMPLES, dtype="float32").mean(axis=0)
        start = max(0, file.frames - LEAD_SAMPLES)
        file.seek(start)
        whole = len(file.read(LEAD_SAMPLES, dtype="float32")) == file.frames - start
        file.seek(0)
    except soundfile.SoundFileError:
        return False
    return whole and bool((np.abs(offset) <= MAX_OFFSET).all())
