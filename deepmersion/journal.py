"""The journal of an index being built: finished rows survive whatever ends the program.

A journal is one file: a header that says what is being built, one byte for every row (1 when it
is finished), and the rows, float32. A row is written before its byte, so that a byte never
vouches for a row that is not there. Rows may come in any order.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from deepmersion.errors import IndexFileError

HEADER_BYTES = 4096
"""Room for the header: enough for its few fields, and a whole page."""


class Journal:
    """Rows of float32 in a file that can be gone on with.

    Parameters
    ----------
    path : Path
        The journal's file.
    job : dict
        Whatever decides what the rows are, as JSON holds it. A journal is gone on with only if
        its job is the same.
    n_rows, n_columns : int
        Shape of the whole.
    resume : bool
        Go on with the file if it exists; otherwise begin anew.

    A file that was cut off within its header holds nothing yet, and is begun anew.

    Raises
    ------
    IndexFileError
        When the journal to go on with belongs to another job, or the file cannot be made.
    """

    def __init__(
        self, path: Path, job: dict[str, Any], n_rows: int, n_columns: int, *, resume: bool
    ) -> None:
        self.path = path
        self._row_bytes = 4 * n_columns
        self._shape = (n_rows, n_columns)
        header = json.dumps({**job, "shape": self._shape}, sort_keys=True).encode()
        header = header.ljust(HEADER_BYTES)
        if len(header) > HEADER_BYTES:
            raise ValueError("the job does not fit in the journal's header")
        try:
            if resume and path.exists() and path.stat().st_size >= HEADER_BYTES:
                self._file = path.open("r+b", buffering=0)
                if self._file.read(HEADER_BYTES) != header:
                    raise IndexFileError(
                        f"{path} is from another sound bank, other weights or other options; "
                        "build without --resume to begin anew"
                    )
            else:
                self._file = path.open("w+b", buffering=0)
                self._write(0, header + bytes(n_rows))
        except OSError as error:
            raise self._failed(error) from error

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
        """Return which rows are finished, bool [rows]."""
        self._file.seek(HEADER_BYTES)
        flags = np.zeros(self._shape[0], dtype=np.uint8)
        stored = np.frombuffer(self._file.read(self._shape[0]), dtype=np.uint8)
        flags[: len(stored)] = stored
        # After a power failure the disk may hold a row's byte, but not the row.
        n_bytes = max(0, self._file.seek(0, os.SEEK_END) - self._offset(0))
        flags[n_bytes // self._row_bytes :] = 0
        return np.asarray(flags == 1)

    def write(self, start: int, rows: np.ndarray) -> None:
        """Write finished rows, float32 [rows, columns], from row `start` on."""
        data = np.ascontiguousarray(rows, dtype=np.float32)
        try:
            self._write(self._offset(start), data.tobytes())
            self._write(HEADER_BYTES + start, b"\1" * len(data))
        except OSError as error:
            raise self._failed(error) from error

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return rows `start` to `stop`, float32 [rows, columns]."""
        self._file.seek(self._offset(start))
        data = self._file.read((stop - start) * self._row_bytes)
        return np.frombuffer(data, dtype=np.float32).reshape(stop - start, -1)

    def remove(self) -> None:
        """Close and delete the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _offset(self, row: int) -> int:
        return HEADER_BYTES + self._shape[0] + row * self._row_bytes

    def _write(self, position: int, data: bytes) -> None:
        view = memoryview(data)
        self._file.seek(position)
        while view:
            view = view[self._file.write(view) :]

    def _failed(self, error: OSError) -> IndexFileError:
        reason = os.strerror(error.errno) if error.errno else str(error)
        return IndexFileError(
            f"{self.path} cannot be written ({reason}); "
            "check the folder, its permissions and the free space, then go on with --resume"
        )
