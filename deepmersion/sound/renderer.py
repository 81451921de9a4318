"""Renders a mix as a stream of samples at one loudness, with fades and limited peaks.

The same stream feeds files, pipes and the sound card. It is rendered block by block: an hour takes
as little memory as a minute, and the first block is ready at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from deepmersion.errors import RequestError
from deepmersion.sound.bank import BaseSound, SoundBank
from deepmersion.sound.chain import Chain
from deepmersion.sound.ebb import EBB, Ebb
from deepmersion.sound.limiter import Limiter
from deepmersion.sound.recording import BASE_LOUDNESS_LUFS, SAMPLE_RATE

LOUDNESS_LUFS = -27.0
"""Integrated loudness of every mix. EBU R128 puts programmes at -23 LUFS; ambient sound is a
background and lies lower, which leaves enough headroom to keep the limiter idle."""

PEAK_CEILING_DBTP = -1.0
"""True peaks stay below this to keep converters and lossy codecs from clipping."""

FADE_IN_S = 2.0
FADE_OUT_S = 4.0
"""Slow enough not to startle, short enough to show that it works."""

MAX_FADE_SHARE = 0.25
"""Each default fade takes at most this share of a short duration."""

BLOCK_SAMPLES = 8192
"""0.19 s: the first block is ready soon, and there are few calls per second."""


class _Voice:
    """One base sound in the mix, with the transition of its gain from one mix to the next."""

    def __init__(self, sound: BaseSound, ebb: float, random: np.random.Generator) -> None:
        self._chain = Chain(sound, random)
        self._ebb = Ebb(ebb, random)
        self._gain = self._from = self._to = 0.0

    @property
    def leaving(self) -> bool:
        """True if it is fading out or silent."""
        return self._to == 0

    @property
    def silent(self) -> bool:
        """True if it is silent and will stay so."""
        return self._gain == 0 and self.leaving

    def aim(self, gain: float) -> None:
        """Start the transition from the present gain to another."""
        self._from, self._to = self._gain, gain

    def add_to(self, block: np.ndarray, share: np.ndarray | None) -> None:
        """Add the next samples to a block, each `share` (0 to 1) of the way to the target gain."""
        gains = self._ebb.gains(len(block))
        if share is None:
            self._gain = self._to
            self._chain.add_to(block, gains * np.float32(self._gain))
            return
        # Interpolate powers, not gains: the mixes' sounds are uncorrelated.
        power = self._from**2 + (self._to**2 - self._from**2) * np.sin(share * (math.pi / 2)) ** 2
        self._gain = math.sqrt(power[-1])
        self._chain.add_to(block, gains * np.sqrt(power, dtype=np.float32))


class Change(NamedTuple):
    """Another mix, ready to play.

    Attributes
    ----------
    gains : ndarray, shape = (sounds,), float64
        Linear; scaled to the standard loudness of mixes.
    voices : dict of int to _Voice
        The sounds, by number, that are not playing yet.
    """

    gains: np.ndarray
    voices: dict[int, _Voice]


class Renderer:
    """An ambient sound: a mix of a bank's sounds, for a duration or until `finish` is called.

    Parameters
    ----------
    bank : SoundBank
    gains : ndarray, shape = (sounds,), float32
        Linear gains relative to the sounds' common loudness.
    duration_s : float or None
        In seconds, fades included; None is endless.
    volume_db : float
        Relative to `LOUDNESS_LUFS`.
    fade_in_s, fade_out_s : float or None
        In seconds; None takes the default, shortened if the duration is short.
    ebb : float
        Amount of ebb and swell of each sound, from 0 to 1; see `deepmersion.sound.ebb`.
    seed : int
        Zero or more. The same seed gives the same stretches and swells.

    Raises
    ------
    RequestError
        When a duration is not positive, a fade is negative, fades are longer than the duration,
        a figure is not finite, no gain is above zero, the ebb is not from 0 to 1, or the seed is
        below zero.
    SoundBankError
        When a sound cannot be used.
    """

    def __init__(
        self,
        bank: SoundBank,
        gains: np.ndarray,
        *,
        duration_s: float | None = None,
        volume_db: float = 0.0,
        fade_in_s: float | None = None,
        fade_out_s: float | None = None,
        ebb: float = EBB,
        seed: int = 0,
    ) -> None:
        if not math.isfinite(volume_db):
            raise RequestError("the volume must be a finite number of dB")
        if not 0 <= ebb <= 1:
            raise RequestError("the ebb must be from 0 to 1")
        if seed < 0:
            raise RequestError("the seed must be zero or more")
        fade_in_s, fade_out_s = fade_lengths(duration_s, fade_in_s, fade_out_s)
        self.n_samples = None if duration_s is None else max(1, round(duration_s * SAMPLE_RATE))
        self._fade_in = round(fade_in_s * SAMPLE_RATE)
        self._fade_out = round(fade_out_s * SAMPLE_RATE)
        self._bank = bank
        self._level = 10 ** ((LOUDNESS_LUFS - BASE_LOUDNESS_LUFS + volume_db) / 20)
        self._ebb = ebb
        self._seeds = np.random.SeedSequence(seed)
        self._voices: dict[int, _Voice] = {}
        self._position = 0
        self._change_start = self._change_samples = 0
        self._requested: tuple[Change, float] | None = None
        self._aim(self.prepare(gains))

    def prepare(self, gains: np.ndarray) -> Change:
        """Open the sounds that another mix needs, and return the change for `change_to`.

        Call this from another thread: some recordings have to be decoded in full, for which a
        stream cannot wait.

        Raises
        ------
        RequestError
            When no gain is above zero.
        SoundBankError
            When a sound cannot be used.
        """
        checked = self._checked(gains)
        # A voice that is leaving may be gone when the change comes.
        staying = {number for number, voice in self._voices.items() if not voice.leaving}
        missing = [number for number in map(int, np.flatnonzero(checked)) if number not in staying]
        return Change(checked, {number: self._voice(number) for number in missing})

    def _voice(self, number: int) -> _Voice:
        # Each voice has its own random numbers: a sound that returns does not repeat its beginning.
        (seed,) = self._seeds.spawn(1)
        return _Voice(self._bank.sounds[number], self._ebb, np.random.default_rng(seed))

    def change_to(self, mix: Change, crossfade_s: float) -> None:
        """Start a crossfade to another mix at the next block; may be called from another thread.

        Sounds in both mixes play on. The power of the others is exchanged smoothly, which keeps the
        loudness constant.

        Parameters
        ----------
        mix : Change
            The result of `prepare`.
        crossfade_s : float
            In seconds.
        """
        self._requested = mix, crossfade_s

    def finish(self, fade_out_s: float, end_s: float = 0.0) -> None:
        """Fade out and end; may be called from another thread.

        If the sound is already fading out, nothing changes.

        Parameters
        ----------
        fade_out_s : float
            In seconds.
        end_s : float
            Time of the end, in seconds from the beginning. By default, or if too little time is
            left for the fade, the fade begins with the next block.
        """
        n_samples = max(1, round(fade_out_s * SAMPLE_RATE))
        start = max(self._position + BLOCK_SAMPLES, round(end_s * SAMPLE_RATE) - n_samples)
        if self.n_samples is None or start < self.n_samples - self._fade_out:
            self._fade_out, self.n_samples = n_samples, start + n_samples

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the sound, float32 [samples, 2] in [-1, 1] at 44,100 Hz, block by block."""
        for samples in self._limited():
            left = None if self.n_samples is None else self.n_samples - self._position
            block = samples[:left]
            yield self._faded(block)
            self._position += len(block)
            if self._position == self.n_samples:
                return

    def _checked(self, gains: np.ndarray) -> np.ndarray:
        """Return the gains scaled so that the mix has the standard loudness."""
        if len(gains) != len(self._bank.sounds):
            raise ValueError(f"{len(gains)} gains for {len(self._bank.sounds)} sounds")
        own = np.array([10 ** (sound.gain_db / 20) for sound in self._bank.sounds])
        # Different sounds are uncorrelated, so their powers add up.
        power = float(np.sum((gains * own) ** 2))
        if not 0 < power < math.inf or (gains < 0).any():
            raise RequestError("gains must be zero or more, and at least one above zero")
        return np.asarray(gains / math.sqrt(power) * self._level)

    def _aim(self, change: Change) -> None:
        gains, voices = change
        self._voices = {**voices, **self._voices}
        for number in map(int, np.flatnonzero(gains)):
            if number not in self._voices:  # it fell silent after `prepare` saw it playing
                self._voices[number] = self._voice(number)
        for number, voice in self._voices.items():
            voice.aim(float(gains[number]))

    def _limited(self) -> Iterator[np.ndarray]:
        limiter = Limiter(PEAK_CEILING_DBTP, SAMPLE_RATE)
        start = 0
        while True:
            samples = limiter.process(self._mixed(start))
            start += BLOCK_SAMPLES
            if len(samples):
                yield samples

    def _mixed(self, start: int) -> np.ndarray:
        """Return the next block of the mix, `start` samples from its beginning."""
        if self._requested is not None:
            (change, crossfade_s), self._requested = self._requested, None
            self._aim(change)
            self._change_start, self._change_samples = start, round(crossfade_s * SAMPLE_RATE)
        share: np.ndarray | None = None
        if start < self._change_start + self._change_samples:
            passed = np.arange(1, BLOCK_SAMPLES + 1) + (start - self._change_start)
            share = np.minimum(passed / self._change_samples, 1)
        block = np.zeros((BLOCK_SAMPLES, 2), dtype=np.float32)
        for voice in self._voices.values():
            voice.add_to(block, share)
        self._voices = {n: voice for n, voice in self._voices.items() if not voice.silent}
        return block

    def _faded(self, block: np.ndarray) -> np.ndarray:
        """Return a block at the current position with equal-power fades applied."""
        start, stop = self._position, self._position + len(block)
        envelope: np.ndarray | None = None
        if start < self._fade_in:
            envelope = _quarter_sine(np.arange(start, stop) / self._fade_in)
        if self.n_samples is not None and stop > self.n_samples - self._fade_out:
            left = (self.n_samples - np.arange(start, stop)) / max(1, self._fade_out)
            envelope = _quarter_sine(left) * (1 if envelope is None else envelope)
        if envelope is None:
            return block
        return np.asarray(block * envelope[:, None], dtype=np.float32)


def _quarter_sine(share: np.ndarray) -> np.ndarray:
    return np.asarray(np.sin(np.clip(share, 0, 1) * (math.pi / 2)))


def fade_lengths(
    duration_s: float | None, fade_in_s: float | None, fade_out_s: float | None
) -> tuple[float, float]:
    """Return the lengths of a sound's fade-in and fade-out, in seconds.

    Parameters
    ----------
    duration_s : float or None
        Of the whole sound, in seconds; None if endless.
    fade_in_s, fade_out_s : float or None
        Requested lengths; None takes the default, shortened if the duration is short.

    Raises
    ------
    RequestError
        When a length is negative or not finite, or the fades are longer than the duration.
    """
    if duration_s is not None and not 0 < duration_s < math.inf:
        raise RequestError("the duration must be longer than zero, and finite")
    if any(fade is not None and not 0 <= fade < math.inf for fade in (fade_in_s, fade_out_s)):
        raise RequestError("a fade must be zero or longer, and finite")
    whole = math.inf if duration_s is None else duration_s
    fade_in = (
        fade_in_s
        if fade_in_s is not None
        else min(FADE_IN_S, MAX_FADE_SHARE * whole, max(0.0, whole - (fade_out_s or 0.0)))
    )
    fade_out = (
        fade_out_s
        if fade_out_s is not None
        else min(FADE_OUT_S, MAX_FADE_SHARE * whole, max(0.0, whole - fade_in))
    )
    if duration_s is not None and fade_in + fade_out > duration_s:
        raise RequestError(
            f"fades of {fade_in:g} s and {fade_out:g} s do not fit into a duration of "
            f"{duration_s:g} s; make them shorter"
        )
    return fade_in, fade_out
