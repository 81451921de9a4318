"""Generates sounds and sound banks for the tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from deepmersion.sound.bank import BaseSound, SoundBank
from deepmersion.sound.keys import Cuts

RATE = 44_100


def noise(
    duration_s: float, *, rate: int = RATE, channels: int = 2, slope: float = 0.0, seed: int = 0
) -> np.ndarray:
    """Return noise [samples, channels] with an RMS of 0.05; power falls with frequency^slope."""
    n = round(duration_s * rate)
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=(n, channels)), axis=0)
    frequency = np.fft.rfftfreq(n, 1 / rate)
    shape = np.maximum(frequency, 20.0) ** (-slope / 2) * (frequency > 20.0)
    samples = np.fft.irfft(spectrum * shape[:, None], n, axis=0)
    return np.asarray(samples * (0.05 / samples.std()), dtype=np.float32)


def tone(
    frequency_hz: float, n_samples: int, *, rate: int = RATE, amplitude: float = 0.1
) -> np.ndarray:
    """Return a sine [samples, 2]."""
    wave = amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(n_samples) / rate)
    return np.asarray(np.stack([wave, wave], axis=1), dtype=np.float32)


def write(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str | None = None) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def sound(
    path: Path,
    *,
    loudness_lufs: float | None = None,
    gain_db: float = 0.0,
    loops: bool = False,
    cuts: Cuts | None = None,
) -> BaseSound:
    return BaseSound(path.stem, path.stem, path, "", loudness_lufs, gain_db, loops, cuts=cuts)


def bank(folder: Path, sounds: Iterable[BaseSound]) -> SoundBank:
    return SoundBank(folder, folder.name, tuple(sounds))


def write_random_index(path: Path, bank: SoundBank) -> None:
    """Write an index of all mixes of a bank, heard by nobody: its predictions are random."""
    from deepmersion.hearing.mixes import superimpositions
    from deepmersion.index.file import Header, write_index
    from deepmersion.weights.specs import SOUNDNET_SHA256

    gains = superimpositions(len(bank.sounds)).astype(np.float32)
    random = np.random.default_rng(3)
    objects, scenes = (
        np.log(random.dirichlet(np.ones(n), len(gains))).astype("f4") for n in (1000, 401)
    )
    header = Header(SOUNDNET_SHA256, bank.fingerprint, 22_050, 3.0, 0.01, "2020-01-01T00:00")
    write_index(path, header, bank.names, gains, iter([(objects, scenes)]))


def joined(blocks: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(blocks))


def distance(a: np.ndarray, b: np.ndarray | float) -> float:
    """Return the largest difference between two arrays; NaN if either has one."""
    return float(np.abs(a - b).max())


def assert_one_line(error: BaseException, *parts: object) -> None:
    """Check that an error is one line that names all of `parts`."""
    message = str(error)
    assert message
    assert len(message.splitlines()) == 1, message
    for part in parts:
        assert str(part) in message, message


def flac_claiming(path: Path, n_samples: int) -> Path:
    """Rewrite the number of samples in a FLAC file's header (36 bits at byte 21.5)."""
    content = bytearray(path.read_bytes())
    fields = int.from_bytes(content[18:26], "big")
    content[18:26] = ((fields & ~(2**36 - 1)) | n_samples).to_bytes(8, "big")
    path.write_bytes(content)
    return path
