"""Lets SoundNet listen to mixes of one bank's sounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deepmersion.errors import SoundBankError
from deepmersion.sound.recording import open_loop, ring_window
from deepmersion.torch_device import enough_memory

if TYPE_CHECKING:
    from deepmersion.callbacks import OnProgress
    from deepmersion.hearing.soundnet import SoundNet
    from deepmersion.sound.bank import BaseSound, SoundBank

WINDOW_S = 60.0
"""Length of each mix that SoundNet hears, in seconds: one round of the shipped sounds. A peal of
thunder then counts by its share of the time, not by chance of falling into a short window."""

LEVEL_RMS = 0.015
"""RMS to which mixes are normalised for SoundNet (-36 dBFS). To SoundNet, loudness has meaning: it
distinguishes real and rendered sounds best from 0.01 to 0.02, and from 0.04 on hears more and more
of them as trains and motorways."""

SILENT_RMS = 10 ** (-70 / 20)
"""BS.1770's absolute gate: anything below counts as silence."""


@dataclass(frozen=True)
class Settings:
    """The part of each mix that SoundNet hears, and its level.

    Attributes
    ----------
    window_s : float
        Length that SoundNet hears, in seconds.
    level_rms : float
        RMS after normalisation, of full scale 1.
    """

    window_s: float = WINDOW_S
    level_rms: float = LEVEL_RMS


class Block(NamedTuple):
    """Mixes to process together.

    Attributes
    ----------
    rows : ndarray, shape = (mixes,), int64
        Their rows in the index.
    gains : ndarray, shape = (mixes, sounds), float32
        Linear.
    """

    rows: np.ndarray
    gains: np.ndarray


class Heard(NamedTuple):
    """SoundNet's predictions for a block.

    Attributes
    ----------
    rows : ndarray, shape = (mixes,), int64
        As in the block.
    log_probs : ndarray, shape = (mixes, 1000 + 401), float32
        In nats: objects, then scenes.
    """

    rows: np.ndarray
    log_probs: np.ndarray


def heard_sounds(bank: SoundBank, sample_rate: int, window_s: float) -> np.ndarray:
    """Return SoundNet's input for each sound: the beginning of its loop, float32.

    A minute of one takes 5.3 MB.

    Returns
    -------
    ndarray, shape = (sounds, samples)
        The mean of the channels.

    Raises
    ------
    SoundBankError
        When a sound cannot be used, or is silent in that part.
    """
    n_samples = round(window_s * sample_rate)
    heard = np.empty((len(bank.sounds), n_samples), np.float32)
    for row, sound in zip(heard, bank.sounds, strict=True):
        row[:] = mono_window(sound, sample_rate, n_samples)
    return heard


def mono_window(sound: BaseSound, sample_rate: int, n_samples: int) -> np.ndarray:
    """Return the beginning of a sound's loop, its channels averaged, float32 [samples].

    Raises
    ------
    SoundBankError
        When the sound cannot be used, or is silent there.
    """
    loop = open_loop(sound, sample_rate)[:n_samples].mean(axis=1)
    samples = ring_window(loop, 0, n_samples)
    if np.sqrt(np.mean(samples**2)) < SILENT_RMS:
        raise SoundBankError(
            f"{sound.path} is silent for its first {n_samples / sample_rate:g} s, or its channels "
            "cancel out; cut it or replace it"
        )
    return samples


def load_soundnet(device: str = "cpu", on_fetch: OnProgress | None = None) -> SoundNet:
    """Return SoundNet, downloading its weights if necessary.

    Parameters
    ----------
    device : str
        PyTorch device to run it on.
    on_fetch : callable or None
        Follows the download.

    Raises
    ------
    WeightsError
        When the weights cannot be obtained.
    RequestError
        When the device has too little memory.
    """
    from deepmersion.hearing.soundnet import SoundNet
    from deepmersion.weights.store import ensure_soundnet

    weights = ensure_soundnet(on_fetch)
    with enough_memory(device):
        return SoundNet.load(weights, device)


class Listener:
    """SoundNet, ready to hear mixes of some sounds.

    Parameters
    ----------
    network : SoundNet
    sounds : ndarray, shape = (sounds, samples), float32
        As `heard_sounds` returns them.
    level_rms : float
        RMS to which each mix is normalised.
    """

    def __init__(self, network: SoundNet, sounds: np.ndarray, level_rms: float) -> None:
        from deepmersion.hearing.fast_soundnet import SuperimposedSoundNet

        self._device = next(network.parameters()).device
        with enough_memory(self._device):
            self._network = SuperimposedSoundNet(network, sounds, level_rms)

    def hear(self, gains: np.ndarray) -> np.ndarray:
        """Return SoundNet's predictions for mixes.

        Parameters
        ----------
        gains : ndarray, shape = (mixes, sounds), float32

        Returns
        -------
        ndarray, shape = (mixes, 1000 + 401), float32
            Log-probabilities in nats, averaged over time: objects, then scenes.

        Raises
        ------
        RequestError
            When the device runs out of memory.
        """
        with enough_memory(self._device):
            return np.concatenate(self._network.predict(gains), axis=1)

    def hear_all(self, blocks: Iterable[Block]) -> Iterator[Heard]:
        """Yield SoundNet's predictions for blocks of mixes, in order."""
        for block in blocks:
            yield Heard(block.rows, self.hear(block.gains))
