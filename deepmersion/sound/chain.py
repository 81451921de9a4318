"""A base sound as an endless chain of stretches."""

from __future__ import annotations

import math

import numpy as np

from deepmersion.sound.bank import BaseSound
from deepmersion.sound.loop import Loop
from deepmersion.sound.stretches import Stretches


class Chain:
    """Endless samples of a base sound, without noticeable repetition.

    Parameters
    ----------
    sound : BaseSound
    random : numpy.random.Generator
        Draws the stretches.

    Raises
    ------
    SoundBankError
        When the file cannot be decoded or used.
    """

    def __init__(self, sound: BaseSound, random: np.random.Generator) -> None:
        self._loop = Loop(sound)
        self._segments = Stretches(self._loop.n_samples, self._loop.cuts, random).segments()
        self._segment = next(self._segments)
        self._passed = 0

    @property
    def decoded_share(self) -> float:
        """Share of the sound that has been decoded, from 0 to 1."""
        return self._loop.decoded_share

    def add_to(self, block: np.ndarray, gains: np.ndarray) -> None:
        """Add the next samples, times gains [samples] (float32), to a block [samples, 2] in place.

        Raises
        ------
        SoundBankError
            When the file turns out to be truncated.
        """
        done = 0
        while done < len(block):
            n = min(len(block) - done, self._segment.n_samples - self._passed)
            part = slice(done, done + n)
            self._add_part(block[part], gains[part])
            done += n
            self._passed += n
            if self._passed == self._segment.n_samples:
                self._segment, self._passed = next(self._segments), 0

    def _add_part(self, block: np.ndarray, gains: np.ndarray) -> None:
        start, n_samples, leaving = self._segment
        if leaving is None:
            self._loop.add_to(block, start + self._passed, gains)
            return
        # Stretches from different places are uncorrelated, so an equal-power crossfade keeps the
        # level.
        passed = np.arange(self._passed, self._passed + len(block), dtype=np.float32)
        phase = (passed + np.float32(0.5)) * np.float32(math.pi / 2 / n_samples)
        self._loop.add_to(block, leaving + self._passed, gains * np.cos(phase))
        self._loop.add_to(block, start + self._passed, gains * np.sin(phase))
