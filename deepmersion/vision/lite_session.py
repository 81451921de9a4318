"""Runs the embedded networks without PyTorch, whose import takes longer than a whole match.

``data/lite.onnx``, written by ``tools/export_lite.py``, has the layers of all networks and the
backbone's weights. The parameters of the heads are inputs of the graph and come from their own
files: a head can be trained again while the large file stays as it is. ONNX Runtime, which is also
the faster of the two on a CPU, runs it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from deepmersion.errors import WeightsError, why
from deepmersion.weights.lite_weights import (
    BACKBONE,
    BACKBONE_SHA256,
    CONDITION_HEAD,
    SCENE_HEAD,
)

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

INPUT = "pictures"

PROBABILITIES = ("objects", "scenes", "conditions")
"""Outputs that are wanted of every photo, [pictures, classes] each."""

LAST_LAYER = ("cells", "features", "object weights")
"""What maps of the classes are made from (`class_maps`): the last layer [pictures, channels, rows,
columns], all that the heads see of it and of others [pictures, features], and the weights
[objects, channels] that take the last layer's means to objects."""

N_FEATURES = 1280
"""Channels of the last layer, whose means the objects and kept places are recognised by."""

OUTPUTS = (*PROBABILITIES, *LAST_LAYER)

HEADS = {"scenes": SCENE_HEAD, "conditions": CONDITION_HEAD}
"""The parameters of the heads, by label set."""

FATAL = 4
"""Severity below which ONNX Runtime is silent: it tells standard error of GPUs it did not find."""

NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""Environment variable that keeps ONNX Runtime from sending anything anywhere."""


class Run(Protocol):
    """Runs the networks."""

    def __call__(
        self, pictures: np.ndarray, outputs: Sequence[str] = PROBABILITIES
    ) -> tuple[np.ndarray, ...]:
        """Return those of `OUTPUTS` that are named, float32.

        `pictures` are as `lite_views.prepare` returns them.
        """


def open_session(network: Path = BACKBONE, heads: Mapping[str, Path] = HEADS) -> Run:
    """Return what runs the networks on the CPU.

    Raises
    ------
    WeightsError
        When a file is missing, or is not the one that belongs to this version.
    """
    session = _session(_read(network))
    shapes = {given.name: given.shape for given in session.get_inputs() if given.name != INPUT}
    parameters: dict[str, np.ndarray] = {}
    for label_set, path in heads.items():
        own = {name: shape for name, shape in shapes.items() if name.startswith(f"{label_set}.")}
        parameters |= _parameters(path, label_set, own)

    def run(pictures: np.ndarray, outputs: Sequence[str] = PROBABILITIES) -> tuple[np.ndarray, ...]:
        with _memory_errors():
            return tuple(session.run(outputs, {INPUT: pictures, **parameters}))

    return run


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Turn ONNX Runtime's words for running out of memory into Python's."""
    try:
        yield
    except Exception as error:  # its classes have no other base
        if "alloc" in str(error).lower():
            raise MemoryError from error
        raise


def _read(path: Path) -> bytes:
    """Return the network's file if it is the one that belongs here."""
    try:
        network = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read {why(error)}, or reinstall deepmersion"
        ) from error
    if hashlib.sha256(network).hexdigest() != BACKBONE_SHA256:
        raise WeightsError(
            f"{path}: is not the network that belongs to this version; reinstall deepmersion"
        )
    return network


def _session(network: bytes) -> InferenceSession:
    # Its published builds tell their maker about each run, unless this is set when it is loaded.
    os.environ[NO_TELEMETRY] = "1"
    import onnxruntime

    onnxruntime.set_default_logger_severity(FATAL)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    # Threads that wait for work by spinning take the time from those that decode photos.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with _memory_errors():
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def _parameters(
    path: Path, label_set: str, shapes: Mapping[str, Sequence[int]]
) -> dict[str, np.ndarray]:
    """Return a head's parameters by the names of the graph's inputs, float32."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    problem = WeightsError(
        f"{path}: does not hold the head that belongs here; reinstall deepmersion"
    )
    try:
        held = load_file(path)
    except (OSError, SafetensorError) as error:
        raise problem from error
    found = {f"{label_set}.{name.removeprefix(f'{label_set}.')}": held[name] for name in held}
    if {name: values.shape for name, values in found.items()} != {
        name: tuple(shape) for name, shape in shapes.items()
    }:
        raise problem
    return {name: values.astype(np.float32) for name, values in found.items()}
