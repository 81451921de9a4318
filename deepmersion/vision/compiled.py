"""Networks compiled once, and from then on run without PyTorch.

Importing PyTorch takes longer than all else that finding a sound for a photo does. So a network
is exported to ONNX at its first use, kept in the cache folder, and run by ONNX Runtime, which is
also the faster of the two on a CPU. The cache is a convenience: an entry that is missing,
outdated or damaged is made anew, and where none can be kept, PyTorch runs the network.

An entry is the ONNX file and, after it, its SHA-256. What it was made from is part of its name.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from deepmersion.fetching.cache import cache_folder, make_cache_folder, require_space
from deepmersion.files import whole_file

if TYPE_CHECKING:
    from torch import nn

INPUT = "pictures"

PROBABILITIES = ("objects", "scenes", "conditions")
"""Outputs that are wanted of every photo, [pictures, classes] each."""

LAST_LAYER = ("cells", "features", "object weights")
"""What maps of the classes are made from (`class_maps`): the last layer [pictures, channels, rows,
columns], all that the heads see of it and of others [pictures, features], and the weights
[objects, channels] that take the last layer's means to objects. They cost next to nothing."""

OUTPUTS = (*PROBABILITIES, *LAST_LAYER)


class Run(Protocol):
    """Runs a network."""

    def __call__(
        self, pictures: np.ndarray, outputs: Sequence[str] = PROBABILITIES
    ) -> tuple[np.ndarray, ...]:
        """Return those of `OUTPUTS` that are named, float32."""


TOLERANCE = 1e-4
"""By how much a compiled network's probabilities may differ from PyTorch's. They differ by 1e-6."""

KEPT_ENTRIES = 4
"""Entries of a network that are kept, the newest: one for each environment that shares a cache."""

OPSET = 17
"""Version of the ONNX operators that is written; ONNX Runtime knows it since 2022."""

ENTRY_BYTES = 25_000_000
"""About what an entry takes on the disk."""

FATAL = 4
"""Severity below which ONNX Runtime is silent: it tells standard error of GPUs it did not find."""

NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""Environment variable that keeps ONNX Runtime from sending anything anywhere."""

NAME_DIGITS = 16
"""Hexadecimal digits in an entry's name: 64 bits, which no two environments will share."""

DIGEST_BYTES = hashlib.sha256().digest_size


def entry(name: str, module: str, weights: Mapping[str, str]) -> Path:
    """Return where a network's entry lies, or would lie, in the cache.

    Parameters
    ----------
    name : str
        Of the network.
    module : str
        The module that defines it, by its full name. It is not imported.
    weights : mapping of str to str
        Identities of its weights.
    """
    made_from = hashlib.sha256(_code(module).encode())
    packages = {package: version(package) for package in ("torch", "onnx", "onnxruntime")}
    made_from.update(repr((sorted(weights.items()), packages, OPSET)).encode())
    return cache_folder() / f"{name}-{made_from.hexdigest()[:NAME_DIGITS]}.onnx"


def _code(module: str) -> str:
    """Return what a module computes, as text.

    Comments, docstrings and imports are left out: to edit one, or to move a file, changes no
    network.
    """
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [part for part in node.body if not _says_nothing(part)]
    return ast.dump(tree)


def _says_nothing(node: ast.stmt) -> bool:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or isinstance(node, ast.Import | ast.ImportFrom)


def load(path: Path) -> Run | None:
    """Return what runs a network on the CPU, or None when there is no sound entry of it."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    network, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if hashlib.sha256(network).digest() != digest:
        return None
    del content
    with suppress(Exception):  # its own errors have no common class, and all mean the same here
        return _session(network)
    return None


def _session(network: bytes) -> Run:
    # Its published builds tell their maker about each run, unless this is set when it is loaded.
    os.environ[NO_TELEMETRY] = "1"
    import onnxruntime

    onnxruntime.set_default_logger_severity(FATAL)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    # Threads that wait for work by spinning take the time from those that decode photos.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])

    def run(pictures: np.ndarray, outputs: Sequence[str] = PROBABILITIES) -> tuple[np.ndarray, ...]:
        return tuple(session.run(outputs, {INPUT: pictures}))

    return run


def make(path: Path, network: nn.Module, example: np.ndarray) -> Run | None:
    """Compile a network for `load` and return what runs it, or None when that cannot be done.

    It cannot be where the cache folder cannot be written to or is full, or when the compiled
    network does not agree with the network.

    Parameters
    ----------
    path : Path
        As `entry` returns it.
    network : Module
        In evaluation mode, on the CPU; takes pictures [n, ...] to `OUTPUTS`.
    example : ndarray, shape = (n, ...), float32
        Pictures that the agreement is checked on.
    """
    try:
        require_space(make_cache_folder(), ENTRY_BYTES)
        with whole_file(path) as temporary:
            temporary.touch()  # fails at once where nothing can be kept
            _export(network, example, temporary)
            content = temporary.read_bytes()
            run = _session(content)
            _require_agreement(network, run, example)
            with temporary.open("ab") as file:
                file.write(hashlib.sha256(content).digest())
        with suppress(OSError):  # another process may be removing them as well
            _remove_old(path)
    except Exception:  # each version fails in its own way; PyTorch runs the network then
        return None
    return run


def _export(network: nn.Module, example: np.ndarray, path: Path) -> None:
    """Write a network as ONNX, the number of pictures left open."""
    import torch

    with warnings.catch_warnings():
        # The exporter by tracing is said to be outdated. Its successor needs another package and
        # ten seconds instead of half a second, while a person waits for the first answer.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.from_numpy(example),),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "pictures"} for name in (INPUT, *OUTPUTS[:-1])},
        )


def _require_agreement(network: nn.Module, run: Run, example: np.ndarray) -> None:
    """Raise ValueError when a compiled network gives other probabilities than the network."""
    import torch

    for pictures in (example, example[:1]):
        with torch.inference_mode():
            expected = network(torch.from_numpy(pictures))[: len(PROBABILITIES)]
        for found, wanted in zip(run(pictures), expected, strict=True):
            # Written so that NaN fails too.
            if not np.abs(found - wanted.numpy()).max() <= TOLERANCE:
                raise ValueError("the compiled network does not agree with the network")


def _remove_old(path: Path) -> None:
    name, _ = path.name.rsplit("-", 1)
    # Nothing else is deleted: the user may keep networks of their own in the folder.
    ours = re.compile(rf"{re.escape(name)}-[0-9a-f]{{{NAME_DIGITS}}}\.onnx")
    entries = [entry for entry in path.parent.iterdir() if ours.fullmatch(entry.name)]
    for old in sorted(entries, key=lambda p: p.stat().st_mtime)[:-KEPT_ENTRIES]:
        old.unlink(missing_ok=True)
