"""Writes a stream of samples to an audio file, or as WAV into a pipe."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from deepmersion.callbacks import OnShare
from deepmersion.errors import OutputError, reason, why
from deepmersion.files import check_place, output_file
from deepmersion.sound.recording import N_CHANNELS

FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
"""File suffix to libsndfile's format and encoding."""

FILE_DURATION_S = 300.0
"""Default length of a written file: five minutes, 25 MB as FLAC."""

BYTES_PER_SAMPLE = 2
ENDLESS_BYTES = 0xFFFF_FFFF
"""Length in the WAV header of a stream whose length is unknown or does not fit; players then read
until the pipe ends."""

PROBE_BYTES = 1 << 20
"""Bytes written to find out why writing failed: more than a disk's last free block."""

READ_BACK_SAMPLES = 44_100
"""Decoded at the end of a finished file: one that breaks off or lacks its index fails there."""

MAX_WAV_BYTES = 0xFFFF_FFFF - 1024
"""Largest size in a 32-bit WAV header, less the header itself: 6.7 hours."""


def check_output(path: Path, duration_s: float, sample_rate: int) -> None:
    """Check that an output file can be written, before any work is done.

    Parameters
    ----------
    path : Path
    duration_s : float
        Length of the sound, in seconds.
    sample_rate : int
        In Hz.

    Raises
    ------
    OutputError
        When the suffix is unknown, the folder is missing or not writable, the path is a folder,
        or the sound does not fit into the format.
    """
    if path.suffix.lower() not in FORMATS:
        raise OutputError(
            f"{path} has no suffix of an audio format; end it in one of {', '.join(FORMATS)}"
        )
    check_place(path, OutputError)
    n_bytes = duration_s * sample_rate * N_CHANNELS * BYTES_PER_SAMPLE
    if path.suffix.lower() == ".wav" and n_bytes > MAX_WAV_BYTES:
        raise OutputError(f"{path}: {duration_s:g} s do not fit into a WAV file; write FLAC")


def write_file(
    path: Path,
    blocks: Iterable[np.ndarray],
    sample_rate: int,
    n_samples: int,
    on_progress: OnShare | None = None,
) -> None:
    """Write a stereo stream to an audio file, which appears under its name only when complete.

    Parameters
    ----------
    path : Path
        Its suffix chooses the format (`FORMATS`).
    blocks : iterable of ndarray, shape = (samples, 2), float32 in [-1, 1]
        WAV and FLAC hold them as 16-bit integers with triangular dither.
    sample_rate : int
        In Hz.
    n_samples : int
        Total number of samples, for the progress.
    on_progress : callable or None
        Called with the number of samples written and the total.

    Raises
    ------
    OutputError
        When the file cannot be written, for example on a full disk.
    """
    check_output(path, n_samples / sample_rate, sample_rate)
    import soundfile

    kind, encoding = FORMATS[path.suffix.lower()]
    written = 0
    try:
        with output_file(path, OutputError, lambda file: _read_back(file, written)) as temporary:
            try:
                with soundfile.SoundFile(
                    temporary, "w", sample_rate, N_CHANNELS, format=kind, subtype=encoding
                ) as file:
                    for block in dithered(blocks) if encoding == "PCM_16" else blocks:
                        file.write(block)
                        written += len(block)
                        if on_progress:
                            on_progress(written, n_samples)
            except soundfile.SoundFileError:
                _probe(temporary)
                raise
    except soundfile.SoundFileError as error:
        raise OutputError(
            f"{path} cannot be written ({reason(error)}); choose another format or folder"
        ) from error


def _read_back(path: Path, n_samples: int) -> None:
    """Decode the end of a finished file; raises SoundFileError if it is not what was written."""
    import soundfile

    with soundfile.SoundFile(path) as file:
        file.seek(max(0, n_samples - READ_BACK_SAMPLES))
        n_read = len(file.read(READ_BACK_SAMPLES, dtype="float32"))
        if file.frames != n_samples or n_read != min(n_samples, READ_BACK_SAMPLES):
            raise soundfile.SoundFileRuntimeError(
                f"read back, it has {file.frames} samples instead of {n_samples}, or no end"
            )


def _probe(path: Path) -> None:
    """Raise the system's own error if a file cannot grow; libsndfile's is "System error"."""
    with path.open("ab") as stream:
        stream.write(bytes(PROBE_BYTES))


def dithered(blocks: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    """Yield float32 blocks in [-1, 1] as int16, with triangular dither of two steps.

    The seed is fixed: equal streams give equal files.
    """
    rng = np.random.default_rng(0)
    for block in blocks:
        numbers = _uniform(rng, 2 * block.size).reshape(2, *block.shape)
        # In place where possible: this takes more time than all else that is done to a sample.
        steps = np.subtract(*numbers, dtype=np.float32)
        steps *= np.float32(2**-16)
        # Silence stays silence: it has no rounding error to mask.
        steps *= block != 0
        steps += block * np.float32(32767)
        yield np.clip(np.rint(steps, out=steps), -32768, 32767, out=steps).astype(np.int16)


def _uniform(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return random numbers of 16 bits, four for each that is drawn."""
    return rng.integers(0, 2**64, -(-n // 4), dtype=np.uint64).view(np.uint16)[:n]


def write_wav_stream(
    stream: BinaryIO,
    blocks: Iterable[np.ndarray],
    sample_rate: int,
    n_samples: int | None,
) -> None:
    """Write a stereo stream as 16-bit WAV into a pipe, which cannot be rewound.

    Parameters
    ----------
    stream : binary file
    blocks : iterable of ndarray, shape = (samples, 2), float32 in [-1, 1]
    sample_rate : int
        In Hz.
    n_samples : int or None
        None for an endless stream: the header then gives the largest possible length.

    Raises
    ------
    BrokenPipeError
        When the reader has gone, which is the ordinary end of an endless stream.
    OutputError
        When writing fails otherwise.
    """
    try:
        stream.write(_wav_header(sample_rate, n_samples))
        for block in dithered(blocks):
            stream.write(block.astype("<i2", copy=False).tobytes())
            stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"standard output cannot be written {why(error, 'send it elsewhere')}"
        ) from error


def _wav_header(sample_rate: int, n_samples: int | None) -> bytes:
    frame = N_CHANNELS * BYTES_PER_SAMPLE
    n_bytes = ENDLESS_BYTES if n_samples is None else min(n_samples * frame, ENDLESS_BYTES)
    form = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, 1, N_CHANNELS, sample_rate, sample_rate * frame, frame, 16
    )
    data = struct.pack("<4sI", b"data", n_bytes)
    riff = struct.pack("<4sI4s", b"RIFF", min(n_bytes + 36, ENDLESS_BYTES), b"WAVE")
    return riff + form + data
