"""The errors that deepmersion raises on purpose.

Every message is one line that states what is wrong and what to do about it. The command prints it
after ``Error: `` and exits with the class's exit code.
"""

from __future__ import annotations

import os


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
