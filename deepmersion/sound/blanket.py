"""The recordings of the Blanket application: a sound bank that is fetched, not shipped.

They lie in the cache folder, where a soundbank.toml beside them says that they are complete.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deepmersion.callbacks import OnProgress, ignore
from deepmersion.errors import FetchError, SoundBankError, why
from deepmersion.fetching.cache import cache_folder
from deepmersion.fetching.digests import Identity
from deepmersion.fetching.published import PublishedFile, fetch_once
from deepmersion.files import whole_file
from deepmersion.shipped import DATA
from deepmersion.sound.names import BLANKET
from deepmersion.toml import load_toml

DESCRIPTION = DATA / BLANKET / "soundbank.toml"
"""Master copy of the bank's soundbank.toml. Beyond the usual keys, it has each recording's size,
SHA-256, editor and page, and the address of the folder in which they are published."""

CREDITS = "CREDITS.txt"


def fetched_folder() -> Path:
    """Return the folder of the recordings.

    Raises
    ------
    SoundBankError
        When they have not been fetched.
    """
    folder = _folder()
    if not (folder / DESCRIPTION.name).is_file():
        raise SoundBankError(
            f"the sound bank {BLANKET} is not here: run `deepmersion soundbank fetch {BLANKET}` (a "
            f"folder of that name is ./{BLANKET})"
        )
    return folder


def _folder() -> Path:
    return cache_folder() / BLANKET


def fetch(on_progress: OnProgress | None = None) -> Path:
    """Return the folder of the recordings, having fetched what is missing or damaged.

    Parameters
    ----------
    on_progress : callable, optional
        Follows the bytes of all recordings together.

    Raises
    ------
    FetchError
        When one cannot be had, or the cache folder cannot be used. What has come is kept.
    """
    content = load_toml(DESCRIPTION)
    files = _files(content)
    n_bytes, before = sum(file.size for file in files), 0
    for file in files:
        _fetch_file(file, _shifted(on_progress or ignore, before, n_bytes))
        before += file.size
    folder = _folder()
    try:
        _write(folder / CREDITS, _credits(content))
        _write(folder / DESCRIPTION.name, DESCRIPTION.read_text("utf-8"))
    except OSError as error:
        raise FetchError(f"{folder} cannot be written to {why(error)}") from error
    return folder


def _files(content: dict[str, Any]) -> list[PublishedFile]:
    names = ", ".join(sound["file"] for sound in content["sound"])
    return [
        PublishedFile(
            url=content["source"] + sound["file"],
            filename=f"{BLANKET}/{sound['file']}",
            size=sound["size"],
            identity=Identity("sha256", sound["sha256"]),
            by_hand=f"copy {names} from there into {{path.parent}} and run "
            f"`deepmersion soundbank fetch {BLANKET}` again",
        )
        for sound in content["sound"]
    ]


def _fetch_file(file: PublishedFile, on_progress: OnProgress) -> None:
    from deepmersion.fetching.download import download, n_fetched

    fetch_once(
        file,
        lambda path: download(file, path, on_progress),
        lambda: on_progress(n_fetched(file.path), file.size),
        lock=_folder(),
    )


def _shifted(on_progress: OnProgress, before: int, n_bytes: int) -> OnProgress:
    """Return what follows one file of several, `before` bytes of which have come already."""
    return lambda done, _: on_progress(before + done, n_bytes)


def _credits(content: dict[str, Any]) -> str:
    lines = [f"{content['title']}, from", content["source"], ""]
    for sound in content["sound"]:
        edited = f", edited by {sound['editor']}" if "editor" in sound else ""
        lines += [f"{sound['file']}: {sound['licence']}{edited}", f"    {sound['page']}"]
    return "\n".join([*lines, ""])


def _write(path: Path, text: str) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(text, "utf-8")
