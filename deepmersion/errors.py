"""The errors deepmersion raises on purpose.

Every message is one line that says what is wrong and what to do about it: the
command prints it behind ``Error: `` and exits with the class's exit code.
"""

from __future__ import annotations

import os


def in_one_line(error: BaseException) -> str:
    """Return an error's message without line breaks, or its kind if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def reason(error: BaseException) -> str:
    """Return why something failed, for the parentheses of a message: in the system's own words.

    An error without a number of the system's gives its own message, in one line.
    """
    number, words = getattr(error, "errno", None), getattr(error, "strerror", None)
    # h5py gives Python's own errors a number of the system's, and words of its own. What libraries
    # derive from OSError (gaierror, SSLError) has numbers of its own.
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
    """A dask cluster cannot be reached, or its workers cannot do what is asked of them."""


class OutputError(DeepmersionError):
    """A sound or a picture cannot be written where it was asked for."""


class PlaybackError(DeepmersionError):
    """Sound cannot be played."""


class ServerError(DeepmersionError):
    """The page cannot be served here."""


class RequestError(DeepmersionError):
    """A request makes no sense or is out of bounds (exit code 2)."""

    exit_code = 2
