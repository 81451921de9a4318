"""Samples in memory or, where they are many, in a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, Protocol

import numpy as np

from deepmersion.errors import SoundBankError, why

MAX_IN_MEMORY = 8 << 20
"""Stereo samples kept in memory: three minutes at 44.1 kHz, 64 MB."""

BLOCK_SAMPLES = 1 << 18
"""Samples of a long recording that are processed at once: six seconds, 2 MB."""

BYTES_PER_SAMPLE = 8
"""Two channels, float32."""


class Samples(Protocol):
    """An array of samples [samples, 2], or what can be sliced like one."""

    def __len__(self) -> int: ...

    def __getitem__(self, span: slice, /) -> np.ndarray: ...


def blocks(samples: Samples, n_samples: int = BLOCK_SAMPLES) -> Iterator[np.ndarray]:
    """Yield consecutive blocks [samples, 2] of at most `n_samples`."""
    for start in range(0, len(samples), n_samples):
        yield samples[start : start + n_samples]


class Spool:
    """Samples [samples, 2], float32, that are appended to and sliced.

    More than `MAX_IN_MEMORY` move to a temporary file, which has no name and goes with the program.
    It is read, not mapped: mapped pages would count as the program's memory.

    Raises
    ------
    SoundBankError
        When the temporary folder cannot hold them.
    """

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []
        self._file: IO[bytes] | None = None
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def append(self, part: np.ndarray) -> None:
        """Add samples [samples, 2] at the end."""
        if not len(part):
            return
        self._n += len(part)
        if self._file is None and self._n <= MAX_IN_MEMORY:
            self._parts.append(np.array(part, dtype=np.float32))
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
                for earlier in self._parts:
                    self._write(earlier)
                self._parts = []
            self._write(part)
        except OSError as error:
            raise _too_long(error) from error

    def _write(self, part: np.ndarray) -> None:
        assert self._file is not None
        unwritten = memoryview(np.ascontiguousarray(part, dtype=np.float32).data).cast("B")
        while unwritten:
            unwritten = unwritten[self._file.write(unwritten) :]

    def __getitem__(self, span: slice, /) -> np.ndarray:
        start, stop, _ = span.indices(self._n)
        if self._file is None:
            if len(self._parts) > 1:
                self._parts = [np.concatenate(self._parts)]
            whole = self._parts[0] if self._parts else np.zeros((0, 2), np.float32)
            return whole[start:stop]
        found = np.empty((max(0, stop - start), 2), np.float32)
        if not len(found):
            return found
        unread = memoryview(found.data).cast("B")
        try:
            self._file.seek(start * BYTES_PER_SAMPLE)
            while unread:
                n_read = self._file.readinto(unread)  # type: ignore[attr-defined]
                if not n_read:
                    raise SoundBankError("a temporary file was cut short; check the disk")
                unread = unread[n_read:]
        except OSError as error:
            raise _too_long(error) from error
        return found


def _too_long(error: OSError) -> SoundBankError:
    return SoundBankError(
        f"a long recording cannot be kept in the temporary folder {tempfile.gettempdir()} "
        f"{why(error)}, or name another folder in the environment variable TMPDIR"
    )
