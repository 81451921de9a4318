"""The sound index: what SoundNet hears in each superimposition, in an HDF5 file.

Attributes: ``format``, ``version``, ``soundnet`` (SHA-256 of the weights), ``soundbank``
(fingerprint), ``sample_rate`` (Hz), ``window_s`` (s), ``level_rms``, ``created`` (ISO 8601).
Datasets: ``sounds`` [sounds] (UTF-8 names), ``gains`` [entries, sounds] (float32), ``objects``
[entries, 1000] and ``scenes`` [entries, 401] (uint16). A number n of the last two is the
log-probability -n / 2048 nats: a probability from 1 down to exp(-32), within 0.025 %.

Finding the best entry for a photo means reading all of them (`deepmersion.index.scan`), so they are
stored as they are read: contiguous, two bytes each, neither compressed nor chunked. A million
entries take 2.8 GB. Compressed floating-point numbers would take as much, and sixty times as long
to read.

An index may come from another machine, so its layout is checked before anything is read. Without
compression, no dataset can be larger than its file, and any number in it is a valid
log-probability; `log_probs` checks that those of an entry form a distribution.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from string import hexdigits
from typing import TYPE_CHECKING, Any

import numpy as np

from deepmersion.errors import REMEDIES, IndexFileError, in_one_line, why
from deepmersion.files import open_regular, whole_file
from deepmersion.labels import CLASSES

if TYPE_CHECKING:
    import h5py

FORMAT = "deepmersion sound index"
REBUILD = "rebuild it with: deepmersion build-index"
VERSION = 2

LIBRARY_BOUNDS = ("earliest", "v110")
"""Written files are readable by HDF5 1.10 and later, whichever version writes them."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""Beginning of an HDF5 file."""

TRUNCATED = "truncated file"
"""Part of HDF5's message about a file that is shorter than it says."""

UNLOCKED = False
"""HDF5's own locks are not used: an index appears whole and is never changed, so a lock held by
another program does not matter, and neither does a disk without locks (NFS, SMB)."""

_UNREADABLE = (
    OSError,
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    MemoryError,
    AssertionError,
    SystemError,
)
"""Errors that h5py raises on damaged files."""

PRECISION_NATS = 2.0**-11
"""Log-probabilities are rounded to this, far below the differences between mixes."""

MAX_CODE = 2**16 - 1
"""The lowest log-probability, in steps of `PRECISION_NATS`: 32 nats, twice as low as SoundNet's
lowest. Lower ones are raised to this: no class is impossible."""

MAX_GAINS = 400_000_000
MAX_NAME_BYTES = 1_000
"""Limits for the reader: a file that claims more (here 1.6 GB of gains) is damaged or malicious."""

ROWS_READ_BACK = 1024
"""Entries read at once after writing: 6 MB."""

_KINDS = {
    "sounds": (1, "S", range(1, MAX_NAME_BYTES + 1)),
    "gains": (2, "f", range(2, 9)),
    **dict.fromkeys(CLASSES, (2, "u", range(2, 3))),
}
"""Each dataset's number of axes, kind of elements and their sizes in bytes."""

RATES_HZ = (1_000, 1_000_000)
WINDOWS_S = (0.1, 86_400.0)
LEVELS_RMS = (1e-6, 1e3)
"""Bounds of what an index may say of how its mixes were heard: far beyond any use, and finite."""

N_DIGEST_DIGITS = 64
"""Of a SHA-256."""

SUM_TOLERANCE = 0.01
"""Tolerance for the sum of an entry's probabilities, which is 1; rounding accounts for 0.0003."""


@dataclass(frozen=True)
class Header:
    """The origin of an index.

    Attributes
    ----------
    soundnet : str
        SHA-256 of SoundNet's weights, in hexadecimal digits.
    soundbank : str
        Fingerprint of the sound bank (`deepmersion.sound.bank.SoundBank.fingerprint`).
    sample_rate : int
        Rate of the mixes that SoundNet heard, in Hz.
    window_s : float
        Length of each mix that it heard, in seconds.
    level_rms : float
        RMS of each mix, of full scale 1.
    created : str
        Time of creation, ISO 8601, UTC.
    """

    soundnet: str
    soundbank: str
    sample_rate: int
    window_s: float
    level_rms: float
    created: str


@dataclass(frozen=True)
class SoundIndex:
    """An open index, whose log-probabilities are read from the file on demand.

    Attributes
    ----------
    path : Path
    header : Header
    sounds : tuple of str
        Names of the base sounds.
    gains : ndarray, shape = (entries, sounds), float32
        Linear gains of each mix, none negative and at least one above zero.
    """

    path: Path
    header: Header
    sounds: tuple[str, ...]
    gains: np.ndarray
    _file: h5py.File
    _offsets: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.gains)

    def log_probs(self, label_set: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Return the log-probabilities of a range of entries in nats, float32 [entries, classes].

        Parameters
        ----------
        label_set : {"objects", "scenes"}
        start, stop : int
            Range of entries.

        Raises
        ------
        IndexFileError
            When the data are damaged.
        """
        start, stop, _ = slice(start, stop).indices(len(self))
        codes = np.empty((max(0, stop - start), CLASSES[label_set]), "<u2")
        self.read_codes(label_set, start, codes)
        return self._in_nats(label_set, codes)

    def log_probs_of(self, label_set: str, entries: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the log-probabilities of some entries, wherever they are, as `log_probs` does."""
        codes = np.empty((len(entries), CLASSES[label_set]), "<u2")
        for row, entry in enumerate(entries):
            self.read_codes(label_set, int(entry), codes[row : row + 1])
        return self._in_nats(label_set, codes)

    def _in_nats(self, label_set: str, codes: np.ndarray) -> np.ndarray:
        values = codes * np.float32(-PRECISION_NATS)
        if not _are_distributions(values):
            raise _damaged(self.path, f"{label_set} holds values that are not log-probabilities")
        return values

    def read_codes(self, label_set: str, start: int, codes: np.ndarray) -> None:
        """Read log-probabilities as they are stored, in steps of -`PRECISION_NATS`.

        Fast: does not check that they form distributions, as `log_probs` does.

        Parameters
        ----------
        label_set : {"objects", "scenes"}
        start : int
            The first entry.
        codes : ndarray, shape = (entries, classes), little-endian uint16
            Filled with the entries from `start` on.
        """
        if not hasattr(os, "preadv"):
            try:
                codes[...] = self._file[label_set][start : start + len(codes)]
            except _UNREADABLE as error:
                raise _unopened(self.path, error) from error
            return
        # HDF5 itself is half as fast at reading blocks small enough for a core's cache.
        position = self._offsets[label_set] + start * codes.strides[0]
        descriptor, unread = self._file.id.get_vfd_handle(), memoryview(codes.data).cast("B")
        while unread:
            try:
                n_read = os.preadv(descriptor, [unread], position)
            except OSError as error:
                raise IndexFileError(
                    f"the index {self.path} cannot be read {why(error)}"
                ) from error
            if not n_read:
                raise _damaged(self.path, f"{label_set} is truncated")
            unread, position = unread[n_read:], position + n_read


def _are_distributions(log_probs: np.ndarray) -> bool:
    """Check that the probabilities of every row sum to 1."""
    return bool((abs(np.exp(log_probs).sum(axis=1) - 1) <= SUM_TOLERANCE).all())


def _damaged(path: Path, reason: str) -> IndexFileError:
    return IndexFileError(f"the index {path} is damaged ({reason}); {REBUILD}")


@contextmanager
def open_index(path: Path) -> Iterator[SoundIndex]:
    """Open an index for reading, after checking its layout.

    Raises
    ------
    IndexFileError
        When the file is missing, is not an HDF5 file or not an index, has another version, or its
        layout deviates from that of an index.
    """
    import h5py

    _require_hdf5(path)
    try:
        file = h5py.File(path, "r", locking=UNLOCKED)
    except _UNREADABLE as error:
        raise _unopened(path, error) from error
    with file:
        try:
            header = _read_header(path, file)
            _check_layout(path, file)
            gains = np.asarray(file["gains"][...], dtype=np.float32)
            sounds = tuple(bytes(name).decode() for name in file["sounds"][...])
        except _UNREADABLE as error:
            raise _unopened(path, error) from error
        if not (np.isfinite(gains).all() and (gains >= 0).all() and gains.any(axis=1).all()):
            raise _damaged(path, "a mix has invalid gains")
        offsets = {label_set: file[label_set].id.get_offset() for label_set in CLASSES}
        if not all(sounds) or len(set(sounds)) < len(sounds):
            raise _damaged(path, "its sounds have no names, or one name twice")
        yield SoundIndex(path, header, sounds, gains, file, offsets)


def _require_hdf5(path: Path) -> None:
    """Refuse what the system does not let be read, and what is no HDF5 file."""
    try:
        with open_regular(path) as file:
            start = file.read(len(SIGNATURE))
    except FileNotFoundError as error:
        raise IndexFileError(
            f"the index {path} does not exist; build one with: deepmersion build-index"
        ) from error
    except OSError as error:
        raise IndexFileError(f"the index {path} cannot be read {why(error)}") from error
    if start != SIGNATURE:
        what = "is not an HDF5 file" if start else "is empty"
        raise IndexFileError(f"the index {path} {what}; give another --index, or {REBUILD}")


def _unopened(path: Path, error: BaseException) -> IndexFileError:
    """Return the refusal of a file that HDF5 cannot read, by its true cause."""
    if TRUNCATED in str(error):
        return IndexFileError(f"the index {path} is truncated; copy it again, or {REBUILD}")
    if isinstance(error, OSError) and error.errno in REMEDIES:
        return IndexFileError(f"the index {path} cannot be read {why(error)}")
    if isinstance(error, MemoryError):
        return IndexFileError(f"there is too little memory for the index {path}; close programs")
    return _damaged(path, in_one_line(error))


def _read_header(path: Path, file: h5py.File) -> Header:
    if _attribute(path, file, "format", str) != FORMAT:
        raise IndexFileError(f"{path} is an HDF5 file, but no sound index; give another --index")
    version = _attribute(path, file, "version", int)
    if version != VERSION:
        todo = "use a newer deepmersion" if version > VERSION else REBUILD
        raise IndexFileError(
            f"the index {path} has version {version}, but this program reads version "
            f"{VERSION}; {todo}"
        )
    kinds = {"str": str, "int": int, "float": float}
    header = Header(
        **{f.name: _attribute(path, file, f.name, kinds[str(f.type)]) for f in fields(Header)}
    )
    _check_header(path, header)
    return header


def _check_header(path: Path, header: Header) -> None:
    """Refuse figures that no index has, such as infinity, and digests that are none."""
    for name, (least, most) in {
        "sample_rate": RATES_HZ,
        "window_s": WINDOWS_S,
        "level_rms": LEVELS_RMS,
    }.items():
        value = getattr(header, name)
        if not least <= value <= most:  # written so that NaN fails too
            raise _damaged(path, f"attribute {name} is {value:g}")
    for name in ("soundnet", "soundbank"):
        digits = getattr(header, name)
        if len(digits) != N_DIGEST_DIGITS or not set(digits) <= set(hexdigits):
            raise _damaged(path, f"attribute {name} is no SHA-256")


def _attribute(path: Path, file: h5py.File, name: str, kind: type) -> Any:
    import h5py

    if name not in file.attrs:
        if name == "format":
            return ""
        raise _damaged(path, f"attribute {name} is missing")
    attribute = h5py.h5a.open(file.id, name.encode())
    # Only plain fixed-size scalars: reading a variable-length string would follow a pointer.
    dtype = attribute.dtype
    accepted = {str: "S", int: "iu", float: "iuf"}[kind]
    if attribute.shape != () or dtype.kind not in accepted or dtype.itemsize > MAX_NAME_BYTES:
        raise _damaged(path, f"attribute {name} has an unknown type")
    value = file.attrs[name]
    try:
        return bytes(value).decode() if kind is str else kind(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _damaged(path, f"attribute {name} has an unknown type") from error


def _check_layout(path: Path, file: h5py.File) -> None:
    """Refuse a file whose layout deviates from that of an index."""
    names = {"sounds", "gains", *CLASSES}
    if set(file) != names:
        raise _damaged(path, "it does not hold the datasets of an index")
    for name in names:
        if fault := _fault_of_dataset(path, file, name):
            raise _damaged(path, fault)
    n_sounds = file["sounds"].shape[0]
    n_entries = file["gains"].shape[0]
    expected = {"sounds": (n_sounds,), "gains": (n_entries, n_sounds)} | {
        label_set: (n_entries, n_classes) for label_set, n_classes in CLASSES.items()
    }
    if any(file[name].shape != shape for name, shape in expected.items()):
        raise _damaged(path, "its datasets' shapes do not fit together")
    if not 0 < n_entries * n_sounds <= MAX_GAINS:
        raise _damaged(path, f"it claims {n_entries} mixes of {n_sounds} sounds")


def _fault_of_dataset(path: Path, file: h5py.File, name: str) -> str | None:
    """Return what is wrong with a dataset, None if it is as an index has it.

    A traceback would keep the dataset open beyond its file, and HDF5 crashes at exit if it is
    virtual.
    """
    import h5py

    # The kind of link comes first: opening an external one would read another file.
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return f"{name} is a link"
    if file.get(name, getclass=True) is not h5py.Dataset:
        return f"{name} is not a dataset"
    dataset = file[name]
    if dataset.external or dataset.is_virtual:
        return f"{name} lies in another file"
    ndim, kind, sizes = _KINDS[name]
    if dataset.ndim != ndim or dataset.dtype.kind != kind:
        return f"{name} has an unknown type"
    if dataset.dtype.itemsize not in sizes:
        return f"{name} has elements of {dataset.dtype.itemsize} bytes"
    if dataset.dtype.kind == "u" and dataset.dtype != np.dtype("<u2"):
        return f"{name} has another byte order"
    # A compressed or unallocated dataset can claim more than the file holds, and only a contiguous
    # one can be read directly from an offset.
    if dataset.id.get_create_plist().get_layout() != h5py.h5d.CONTIGUOUS:
        return f"{name} is not stored in one piece"
    if not dataset.id.get_storage_size() == dataset.nbytes <= path.stat().st_size:
        return f"{name} claims more than the file holds"
    return None


def index_bytes(n_entries: int, n_sounds: int) -> int:
    """Return the size of an index, but for its header of a few kB."""
    return n_entries * (2 * sum(CLASSES.values()) + 4 * n_sounds)


def write_index(
    path: Path,
    header: Header,
    sounds: tuple[str, ...],
    gains: np.ndarray,
    blocks: Iterator[tuple[np.ndarray, np.ndarray]],
) -> None:
    """Write an index; the file appears under its name only when it is complete and on disk.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    header : Header
    sounds : tuple of str
        Names of the base sounds.
    gains : ndarray, shape = (entries, sounds), float32
    blocks : iterator of (ndarray, ndarray)
        Log-probabilities in nats, objects [rows, 1000] and scenes [rows, 401], in the order of
        the entries.

    Raises
    ------
    IndexFileError
        When the file cannot be written (missing folder, permissions, full disk).
    """
    import h5py

    n_bytes = index_bytes(*gains.shape)
    try:
        with whole_file(path, lambda written: _read_back(written, path)) as temporary:
            _require_space(temporary, n_bytes)
            with h5py.File(temporary, "w", libver=LIBRARY_BOUNDS, locking=UNLOCKED) as file:
                _write(file, header, sounds, gains, blocks)
    except RuntimeError as error:  # on a full disk, h5py raises either
        raise IndexFileError(
            f"the index {path} cannot be written ({in_one_line(error)}); check the free space"
        ) from error
    except OSError as error:
        raise IndexFileError(
            f"the index {path} cannot be written {why(error, 'check the folder')}"
        ) from error


def _read_back(written: Path, path: Path) -> None:
    """Read a finished index as `match` will, before it gets its name."""
    try:
        with open_index(written) as index:
            for start in range(0, len(index), ROWS_READ_BACK):
                for label_set in CLASSES:
                    index.log_probs(label_set, start, start + ROWS_READ_BACK)
    except IndexFileError as error:
        raise IndexFileError(
            f"the index {path} cannot be read back after writing it "
            f"({in_one_line(error.__cause__ or error)}); check the disk"
        ) from error


def _require_space(temporary: Path, n_bytes: int) -> None:
    """Raise OSError if a file cannot grow to this size: HDF5 can crash on a full disk."""
    with temporary.open("wb") as file:
        if hasattr(os, "posix_fallocate"):  # respects quotas too
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        elif shutil.disk_usage(temporary.parent).free < n_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write(
    file: h5py.File,
    header: Header,
    sounds: tuple[str, ...],
    gains: np.ndarray,
    blocks: Iterator[tuple[np.ndarray, np.ndarray]],
) -> None:
    for name, value in {"format": FORMAT, "version": VERSION, **asdict(header)}.items():
        file.attrs[name] = np.bytes_(value.encode()) if isinstance(value, str) else value
    file["sounds"] = np.array([name.encode() for name in sounds], dtype=np.bytes_)
    file["gains"] = gains.astype(np.float32)
    datasets = [
        file.create_dataset(label_set, (len(gains), n_classes), "<u2")
        for label_set, n_classes in CLASSES.items()
    ]
    start = 0
    for block in blocks:
        stop = start + len(block[0])
        for dataset, log_probs in zip(datasets, block, strict=True):
            if not _are_distributions(log_probs):
                raise ValueError(f"mixes {start} to {stop - 1} have no probability distributions")
            dataset[start:stop] = np.clip(np.round(log_probs / -PRECISION_NATS), 0, MAX_CODE)
        start = stop
    if start != len(gains):
        raise ValueError(f"{start} rows of predictions for {len(gains)} mixes")
