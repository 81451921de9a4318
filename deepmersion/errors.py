"""The errors that deepmersion raises on purpose.

Every message is one line that states what is wrong and what to do about it. The command prints it
after ``Error: `` and exits with the class's exit code.
"""

from __future__ import annotations

import errno
import os

_ADVICE = {
    "EACCES EPERM": "check its permissions",
    "ENOENT": "check the name",
    "ENOTDIR ELOOP": "check the path",
    "EISDIR": "give the name of a file",
    "ENOSPC EDQUOT": "make room on the disk",
    "EFBIG": "the disk or a limit (ulimit -f) allows no larger file, so write elsewhere",
    "EROFS": "the disk is read-only, so choose another folder",
    "EMFILE ENFILE": "close other programs, or raise the limit of open files (ulimit -n)",
    "ENOMEM": "close other programs",
    "EIO": "the disk fails, so copy the file to another one",
    "ESTALE ENODEV ENXIO ETIMEDOUT ENOTCONN EHOSTDOWN EHOSTUNREACH": "check the disk's connection",
    "ENAMETOOLONG": "choose a shorter name",
    "EAGAIN EWOULDBLOCK EDEADLK EBUSY ETXTBSY": "close the program that uses it",
    "ENOLCK ENOTSUP EOPNOTSUPP ENOSYS": "its disk cannot do this, so choose a local one",
    "EPIPE": "the program that read it has ended",
}
"""What to do about each of the system's errors, by their names in `errno`."""

REMEDIES: dict[int, str] = {
    getattr(errno, name): advice
    for names, advice in _ADVICE.items()
    for name in names.split()
    if hasattr(errno, name)  # Windows lacks some
}
"""The same by number."""

MAX_DECIMALS = 9
"""Numbers closer than this to a limit are equal to it for a person."""

DEBUG_VARIABLE = "DEEPMERSION_DEBUG"
"""Environment variable that, set to anything, shows what libraries write to standard error."""

OUT_OF_MEMORY = "failed to map segment"
"""Part of the loader's message when a shared library does not fit into memory."""


def in_one_line(error: BaseException) -> str:
    """Return an error's message without line breaks, or its class if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def reason(error: BaseException) -> str:
    """Return the cause of an error in the system's own words, for the parentheses of a message.

    An error without a system error number gives its own message, in one line.
    """
    number, words = getattr(error, "errno", None), getattr(error, "strerror", None)
    # h5py raises Python's own errors with a system error number and its own message. Classes that
    # libraries derive from OSError (gaierror, SSLError) have other numbers.
    if number and type(error).__module__ == "builtins":
        return os.strerror(number)
    return (words or in_one_line(error)).rstrip(".")


def why(error: OSError, otherwise: str = "check the path") -> str:
    """Return the cause of a system error and what to do about it, to end a message with.

    Parameters
    ----------
    error : OSError
    otherwise : str
        What to do about an error that has no remedy of its own.

    Returns
    -------
    str
        Such as "(No space left on device); make room on the disk".
    """
    return f"({reason(error)}); {REMEDIES.get(error.errno or 0, otherwise)}"


def rounded(value: float, limit: float, decimals: int = 2) -> str:
    """Return a number with as many decimals as tell it from the limit that it misses.

    Otherwise a length of 0.99998 s would read "1.00 s; give at least 1 s".

    Parameters
    ----------
    value, limit : float
    decimals : int
        As many as it has if these suffice.
    """
    for n in range(decimals, MAX_DECIMALS):
        text = f"{value:.{n}f}"
        if (float(text) < limit) == (value < limit) and (float(text) > limit) == (value > limit):
            return text
    return f"{value:.{MAX_DECIMALS}f}"


class DeepmersionError(Exception):
    """Root of all errors that a user, a file or the machine can cause."""

    exit_code = 1


class PhotoError(DeepmersionError):
    """A photo cannot be opened or decoded."""


class FetchError(DeepmersionError):
    """A published file cannot be fetched, or not be kept in the cache folder."""


class WeightsError(FetchError):
    """A network's weights are missing, or are not the published ones."""


class SoundBankError(DeepmersionError):
    """A sound bank, or a sound in it, cannot be used."""


class IndexFileError(DeepmersionError):
    """A sound index is missing, damaged, of another version or for another sound bank."""


class ClusterError(DeepmersionError):
    """A dask cluster cannot be reached, or its workers cannot do the work."""


class PlacesError(DeepmersionError):
    """The kept places cannot be read or changed."""


class NameTakenError(PlacesError):
    """A place of that name is kept already."""


class NoPlaceError(PlacesError):
    """There is no such kept place."""


class OutputError(DeepmersionError):
    """A sound or picture cannot be written to the requested place."""


class PlaybackError(DeepmersionError):
    """Sound cannot be played."""


class ServerError(DeepmersionError):
    """The page cannot be served here."""


class RequestError(DeepmersionError):
    """A request is invalid or out of bounds (exit code 2)."""

    exit_code = 2
