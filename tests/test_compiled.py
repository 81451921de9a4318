"""Networks compiled once: what is in the cache is used if it is sound, and made if it is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE
from typing import Any

import numpy as np
import pytest
from commandline import TIMEOUT_S, Result, run, run_here, succeeded
from material import distance
from torch import Tensor, nn

from deepmersion.vision import compiled, lite
from deepmersion.vision.compiled import (
    DIGEST_BYTES,
    KEPT_ENTRIES,
    NAME_DIGITS,
    OUTPUTS,
    PROBABILITIES,
    TOLERANCE,
)
from deepmersion.vision.lite import NETWORK, Lite
from deepmersion.vision.lite_network import LiteNetwork, example, runner
from deepmersion.vision.lite_views import prepare, views
from deepmersion.vision.photo import load_photo

WEIGHTS = {"some": "0" * 64}


@pytest.fixture(scope="module")
def network() -> LiteNetwork:
    return LiteNetwork.load()


@pytest.fixture(scope="module")
def content(network: LiteNetwork, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound entry."""
    path = tmp_path_factory.mktemp("compiled") / "lite-0.onnx"
    cache = os.environ.get("DEEPMERSION_CACHE")
    os.environ["DEEPMERSION_CACHE"] = str(path.parent)
    try:
        assert compiled.make(path, network, example())
    finally:
        del os.environ["DEEPMERSION_CACHE"]
        if cache is not None:
            os.environ["DEEPMERSION_CACHE"] = cache
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    return path.read_bytes()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("DEEPMERSION_CACHE", str(folder))
    return folder


def answer(result: Result) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(succeeded(result).stdout)
    return record


def test_a_compiled_network_agrees_with_pytorch_on_photos(
    network: LiteNetwork, content: bytes, tmp_path: Path, china_jpg: Path, flower_jpg: Path
) -> None:
    (tmp_path / "lite-0.onnx").write_bytes(content)
    run_compiled = compiled.load(tmp_path / "lite-0.onnx")
    assert run_compiled
    photos = [load_photo(china_jpg), load_photo(flower_jpg)]
    pictures = prepare(np.concatenate([views(photo) for photo in photos]))
    for batch in (pictures, pictures[:1], np.tile(pictures, (2, 1, 1, 1))):
        for found, expected in zip(run_compiled(batch), runner(network)(batch), strict=True):
            assert found.shape == expected.shape
            assert found.dtype == np.float32
            assert distance(found, expected) <= TOLERANCE


class Small(nn.Module):
    """A network with the inputs and outputs of a real one, compiled in no time."""

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        return tuple((i * pictures).mean((2, 3)).softmax(1) for i in range(len(OUTPUTS)))


SMALL = np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 4)).astype(np.float32)
"""Pictures for it."""


def cut_off(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    damaged = bytearray(content)
    damaged[len(content) // 3] ^= 1
    return bytes(damaged)


def other_file(_content: bytes) -> bytes:
    """Something whose digest is right, but that is no network."""
    import hashlib

    return b"no network" + hashlib.sha256(b"no network").digest()


DAMAGES: list[Callable[[bytes], bytes]] = [
    cut_off,
    flipped,
    other_file,
    lambda content: content[:-DIGEST_BYTES],
    lambda _content: b"",
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_none(
    content: bytes, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "lite-0.onnx"
    path.write_bytes(damage(content))
    assert compiled.load(path) is None
    assert compiled.load(tmp_path / "missing.onnx") is None


@pytest.mark.usefixtures("cache")
def test_an_entry_belongs_to_its_weights_code_and_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    first = compiled.entry("lite", NETWORK, WEIGHTS)
    assert compiled.entry("lite", NETWORK, WEIGHTS) == first
    assert compiled.entry("lite", NETWORK, {"some": "1" * 64}) != first
    monkeypatch.setattr(compiled, "OPSET", compiled.OPSET + 1)
    assert compiled.entry("lite", NETWORK, WEIGHTS) != first
    monkeypatch.undo()
    monkeypatch.setattr(compiled, "version", lambda package: f"{package} of tomorrow")
    assert compiled.entry("lite", NETWORK, WEIGHTS).name != first.name


@pytest.mark.usefixtures("cache")
def test_an_entry_belongs_to_what_the_code_computes_and_not_to_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    names = []
    for i, source in enumerate(
        [
            "import os\n\ndef f(x):\n    return x + 1\n",
            '"""Words."""\nimport sys\n\ndef f(x):\n    """More."""\n    #\n    return x + 1\n',
            "import os\n\ndef f(x):\n    return x + 2\n",
        ]
    ):
        (tmp_path / f"network_{i}.py").write_text(source)
        names.append(compiled.entry("lite", f"network_{i}", WEIGHTS))
    assert names[0] == names[1] != names[2]


def test_old_entries_are_removed(cache: Path) -> None:
    entries = [cache / f"lite-{i:0{NAME_DIGITS}x}.onnx" for i in range(KEPT_ENTRIES + 2)]
    others = [cache / name for name in ("other-0.onnx", "lite-mine.onnx", f"lite-{0:017x}.onnx")]
    for i, path in enumerate([*others, *entries]):
        path.write_bytes(b"an entry")
        os.utime(path, (i, i))
    new = cache / f"lite-{'f' * NAME_DIGITS}.onnx"
    assert compiled.make(new, Small().eval(), SMALL)
    assert set(cache.iterdir()) == {new, *entries[-KEPT_ENTRIES + 1 :], *others}


def test_what_does_not_agree_is_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "TOLERANCE", -1.0)
    assert compiled.make(cache / "lite-0.onnx", Small().eval(), SMALL) is None
    assert list(cache.iterdir()) == []


def test_where_nothing_can_be_kept_pytorch_runs_the_network(
    tmp_path: Path, china_jpg: Path
) -> None:
    """A file stands where the folder should be, which stops even root."""
    (tmp_path / "cache").write_text("in the way")
    env = {"DEEPMERSION_CACHE": str(tmp_path / "cache")}
    command = ("match", "--networks", "lite", "--json", china_jpg)
    uncached = run(*command, env=env)
    assert succeeded(uncached).stderr == b""
    (usual,) = answer(run_here(*command))["matches"]
    (found,) = answer(uncached)["matches"]
    assert found["sounds"] == pytest.approx(usual["sounds"], rel=1e-4)
    assert (tmp_path / "cache").read_text() == "in the way"


MODULES_AND_PEAK = """
import json, sys
from deepmersion.cli import main
try:
    main(["match", "--networks", "lite", "--json", sys.argv[1]])
except SystemExit as end:
    code = end.code
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps([code, "torch" in sys.modules, int(status["VmHWM"].split()[0])]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_damaged_entry_is_made_anew_and_later_uses_need_no_pytorch(
    cache: Path, content: bytes, china_jpg: Path
) -> None:
    path = compiled.entry("lite", NETWORK, Lite.load().weights)
    path.write_bytes(flipped(content))
    command = [sys.executable, "-c", MODULES_AND_PEAK, str(china_jpg)]

    def uses(n: int) -> tuple[list[str], list[bool], list[int]]:
        """Use lite in processes at once; return records, whether PyTorch was imported, peaks."""
        started = [subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True) for _ in range(n)]
        ended = [process.communicate(timeout=TIMEOUT_S) for process in started]
        assert [stderr for _, stderr in ended] == [""] * n
        records, figures = zip(*(stdout.splitlines() for stdout, _ in ended), strict=True)
        codes, imports, peaks_kb = zip(*map(json.loads, figures), strict=True)
        assert codes == (0,) * n
        return list(records), list(imports), list(peaks_kb)

    # Two first uses at once leave one sound entry.
    records, imports, peaks_kb = uses(2)
    made = path.read_bytes()
    assert imports[0] or imports[1]
    assert made != flipped(content)
    assert compiled.load(path)
    later_records, later_imports, later_peaks_kb = uses(1)
    assert later_imports == [False], "the later use had the entry that the first ones made"
    assert {*records, *later_records} == {records[0]}
    assert later_peaks_kb[0] < max(peaks_kb) / 2
    assert path.read_bytes() == made
    assert list(cache.iterdir()) == [path]


def test_on_another_device_pytorch_runs_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path | None, str]] = []

    def from_torch(entry: Path | None, device: str) -> compiled.Run:
        asked.append((entry, device))
        return lambda pictures, outputs=PROBABILITIES: (pictures,) * len(outputs)

    monkeypatch.setattr(lite, "_from_torch", from_torch)
    Lite.load("cuda")
    assert asked == [(None, "cuda")]
