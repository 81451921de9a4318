"""One file over HTTP: resumed where it broke off, tried again, checked before it gets its name."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from deepmersion.callbacks import OnProgress, ignore
from deepmersion.errors import FetchError, why
from deepmersion.fetching.cache import require_space
from deepmersion.fetching.digests import Identity, identity_of
from deepmersion.fetching.http import BrokenError, RefusedError, n_bytes, receive
from deepmersion.fetching.published import PublishedFile
from deepmersion.files import install


@dataclass(frozen=True)
class Patience:
    """Times to wait for a server.

    Attributes
    ----------
    timeout_s : float
        Longest silence of the server, in seconds.
    pauses_s : tuple of float
        Pauses before each further try, in seconds. Only tries that bring nothing new count, so
        that a large file gets through a line which breaks now and then.
    """

    timeout_s: float = 30.0
    pauses_s: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)


PATIENCE = Patience()


def part_path(path: Path) -> Path:
    """Return where the bytes of an unfinished download of `path` are kept."""
    return path.with_name(path.name + ".part")


def n_fetched(path: Path) -> int:
    """Return how many bytes of an unfinished download of `path` are there."""
    return n_bytes(part_path(path))


def download(
    file: PublishedFile,
    path: Path,
    on_progress: OnProgress | None = None,
    patience: Patience = PATIENCE,
) -> None:
    """Fetch a published file from its address. The caller holds the lock on `path`.

    Proxies are taken from ``http_proxy``, ``https_proxy`` and ``no_proxy``; certificates from the
    system, ``SSL_CERT_FILE``, ``SSL_CERT_DIR``, ``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE``.

    Parameters
    ----------
    file : PublishedFile
        With an address, ``http`` or ``https``; redirects are followed.
    path : Path
        Where the file goes, once its identity has been checked.
    on_progress : callable, optional
    patience : Patience

    Raises
    ------
    FetchError
        When there is no room, no answer, or another file at that address (which is deleted).
    """
    url, by_hand = file.address or "", file.by_hand.format(path=path)
    if not url.startswith(("http://", "https://")):
        raise FetchError(f"{url} is not an http address: {by_hand}")
    part = part_path(path)
    require_space(path.parent, file.size - n_fetched(path))
    try:
        _receive_patiently(url, part, file.size, on_progress or ignore, patience)
        _check(url, part, file.identity)
        install(part, path)
    except OSError as error:
        raise FetchError(f"{part} cannot be written {why(error)}") from error
    except RefusedError as refused:
        raise FetchError(f"{refused}: {by_hand}") from refused
    except BrokenError as broken:
        raise FetchError(f"{_gave_up(url, broken, part, file.size)}, or {by_hand}") from broken


def _check(url: str, part: Path, identity: Identity) -> None:
    found = identity_of(part, identity.kind)
    if found != identity:
        part.unlink()
        raise RefusedError(
            f"what {url} gave is not the published file and was deleted (expected {identity}, "
            f"found {found})"
        )


def _receive_patiently(
    url: str, part: Path, size: int, on_progress: OnProgress, patience: Patience
) -> None:
    """Receive a file in as many tries as it takes; raises the last try's error when giving up."""
    longest = at_first = n_bytes(part)
    failures = 0
    while True:
        try:
            return receive(url, part, size, on_progress, patience.timeout_s)
        except BrokenError as broken:
            reached = n_bytes(part)
            failures = 1 if reached > longest else failures + 1
            longest = max(longest, reached)
            # A name that cannot be looked up at the very start means that there is no connection.
            offline = broken.is_offline and longest == at_first
            if offline or failures > len(patience.pauses_s):
                raise
        time.sleep(patience.pauses_s[failures - 1])


def _gave_up(url: str, broken: BrokenError, part: Path, size: int) -> str:
    reached = n_bytes(part)
    got = f" after {reached / 1e6:.1f} of {size / 1e6:.1f} MB" if reached else ""
    again = "run the command again to go on from there" if reached else "check the connection"
    return f"{url} could not be fetched{got} ({broken}): {again}"
