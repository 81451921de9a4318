"""The journal of an index being built: finished rows survive if the build is interrupted.

A journal is one file: a header that identifies the build, a checksum of every row (0 until it is
finished), and the rows, float32. A row is written before its checksum; if a power failure saves
only one of the two, the row counts as unfinished. Rows may come in any order. Only one program can
write a journal at a time.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from deepmersion.errors import IndexFileError, why

try:
    import fcntl
except ImportError:  # Windows, where two programs are not kept apart
    fcntl = None  # type: ignore[assignment]

FORMAT = 2
"""Of the file; other versions are not resumed."""

HEADER_BYTES = 4096
"""Room for the header: one page, plenty for its few fields."""

CHECKSUM = np.dtype("<u4")
"""CRC-32, with 1 in place of 0."""


class Journal:
    """Rows of float32 in a file that an interrupted build can resume.

    Parameters
    ----------
    path : Path
        The journal's file.
    job : dict
        Everything that the contents of the rows depend on, as JSON. A journal is resumed only if
        its job is the same.
    n_rows, n_columns : int
        Shape of all rows together.
    resume : bool
        Resume the file if it exists; otherwise begin anew.

    A file that ends within its header holds no rows yet and is begun anew.

    Raises
    ------
    IndexFileError
        When the journal to resume belongs to another job, another program is writing it, or the
        file cannot be created.
    """

    def __init__(
        self, path: Path, job: dict[str, Any], n_rows: int, n_columns: int, *, resume: bool
    ) -> None:
        self.path = path
        self._row_bytes = 4 * n_columns
        self._shape = (n_rows, n_columns)
        header = json.dumps(
            {**job, "journal": FORMAT, "shape": self._shape}, sort_keys=True
        ).encode()
        header = header.ljust(HEADER_BYTES)
        if len(header) > HEADER_BYTES:
            raise ValueError("the job does not fit in the journal's header")
        try:
            self._open()
            try:
                self._begin(header, resume=resume)
            except BaseException:
                self._file.close()
                raise
        except OSError as error:
            raise self._failed(error) from error

    def _open(self) -> None:
        """Open the file for this program alone, leaving its contents unchanged."""
        while True:
            self.path.touch()
            self._file = self.path.open("r+b", buffering=0)
            try:
                self._lock()
                if os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
                    return
            except FileNotFoundError:
                pass
            except BaseException:
                self._file.close()
                raise
            self._file.close()  # another program finished with it and has deleted it

    def _begin(self, header: bytes, *, resume: bool) -> None:
        if resume and self._file.seek(0, os.SEEK_END) >= HEADER_BYTES:
            if self._read(0, HEADER_BYTES) != header:
                raise IndexFileError(
                    f"{self.path} is from another sound bank, other weights, other options or "
                    "another deepmersion; build without --resume to start over"
                )
            return
        self._file.truncate(0)
        self._write(0, header + bytes(self._shape[0] * CHECKSUM.itemsize))

    def _lock(self) -> None:
        """Keep other programs from writing the file until it is closed."""
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise IndexFileError(
                f"{self.path} is being written by another build; wait until it is done, or give "
                "another file"
            ) from error
        except OSError:
            return  # a file system without locks

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def finished(self) -> np.ndarray:
        """Return True for each finished row, bool [rows]."""
        n_bytes = self._shape[0] * CHECKSUM.itemsize
        checksums = np.frombuffer(self._read(HEADER_BYTES, n_bytes).ljust(n_bytes, b"\0"), CHECKSUM)
        whole = np.zeros(self._shape[0], dtype=bool)
        for row in np.flatnonzero(checksums):
            data = self._read(self._offset(int(row)), self._row_bytes)
            whole[row] = _checksum(data) == checksums[row]
        return whole

    def write(self, start: int, rows: np.ndarray) -> None:
        """Write finished rows, float32 [rows, columns], from row `start` on."""
        data = np.ascontiguousarray(rows, dtype=np.float32)
        try:
            self._write(self._offset(start), data.tobytes())
            checksums = np.array([_checksum(row.tobytes()) for row in data], CHECKSUM)
            self._write(HEADER_BYTES + start * CHECKSUM.itemsize, checksums.tobytes())
        except OSError as error:
            raise self._failed(error) from error

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return rows `start` to `stop`, float32 [rows, columns]; all must be finished.

        Raises
        ------
        IndexFileError
            When they are not what was written.
        """
        data = self._read(self._offset(start), (stop - start) * self._row_bytes)
        stored = self._read(HEADER_BYTES + start * CHECKSUM.itemsize, (stop - start) * 4)
        found = [
            _checksum(data[at : at + self._row_bytes])
            for at in range(0, len(data), self._row_bytes)
        ]
        if np.array(found, CHECKSUM).tobytes() != stored:
            raise IndexFileError(
                f"{self.path} is damaged; check the disk, then go on with --resume"
            )
        return np.frombuffer(data, dtype=np.float32).reshape(stop - start, -1)

    def remove(self) -> None:
        """Close and delete the file."""
        if fcntl is None:  # Windows cannot delete an open file
            self._file.close()
        # Elsewhere it stays locked until it is gone, which keeps other processes from writing it.
        self.path.unlink(missing_ok=True)
        self._file.close()

    def _offset(self, row: int) -> int:
        return HEADER_BYTES + self._shape[0] * CHECKSUM.itemsize + row * self._row_bytes

    def _read(self, position: int, n_bytes: int) -> bytes:
        """Return some bytes of the file, fewer at its end."""
        data = bytearray()
        try:
            self._file.seek(position)
            while len(data) < n_bytes and (part := self._file.read(n_bytes - len(data))):
                data += part
        except OSError as error:
            raise self._failed(error, "read") from error
        return bytes(data)

    def _write(self, position: int, data: bytes) -> None:
        view = memoryview(data)
        self._file.seek(position)
        while view:
            view = view[self._file.write(view) :]

    def _failed(self, error: OSError, what: str = "written") -> IndexFileError:
        return IndexFileError(
            f"{self.path} cannot be {what} {why(error)}, then go on with --resume"
        )


def _checksum(row: bytes) -> int:
    return zlib.crc32(row) or 1
