"""Files of exactly the published files' structure, with other values in them.

The published VGG-16 and Places365 weights cannot be had where the tests run. What is made here
has their names, shapes, types and file formats; only the values, and so the hashes, are others.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from deepmersion.fetching.digests import identity_of
from deepmersion.weights.store import SPECS, WeightsSpec

FIRST_KEY = 94_306_183_927_136
"""PyTorch named storages after their memory address: 14 digits on 64-bit Linux."""


@dataclass(frozen=True)
class Storage:
    key: str
    tensor: Tensor
    on_gpu: bool


# The standard library's pickler in Python, whose output can be changed; typeshed lacks it.
_Pickler: Any = pickle._Pickler  # type: ignore[attr-defined]


class Python2Pickler(_Pickler):
    """Writes what Python 2's pickle and PyTorch 0.2 wrote: byte strings, and no tensor hooks."""

    dispatch = _Pickler.dispatch.copy()

    def __init__(self, file: BinaryIO, on_gpu: bool) -> None:
        super().__init__(file, protocol=2)
        self.storages: list[Storage] = []
        self._on_gpu = on_gpu

    def save_str(self, text: str) -> None:
        self.write(pickle.SHORT_BINSTRING + bytes([len(text)]) + text.encode("ascii"))
        self.memoize(text)

    dispatch[str] = save_str

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            storage = Storage(str(FIRST_KEY + 64 * len(self.storages)), value, self._on_gpu)
            self.storages.append(storage)
            rebuild = torch._utils._rebuild_tensor
            return rebuild, (storage, 0, tuple(value.shape), value.stride())
        if isinstance(value, OrderedDict):
            return OrderedDict, ([list(item) for item in value.items()],)
        return NotImplemented

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, Storage):
            return None
        kind = torch.cuda.FloatStorage if value.on_gpu else torch.FloatStorage
        place = "cuda:0" if value.on_gpu else "cpu"
        return ("storage", kind, value.key, place, value.tensor.numel(), None)


def save_as_python2(value: Any, path: Path, *, on_gpu: bool) -> None:
    """Write a checkpoint in the format of PyTorch before 1.6 under Python 2."""
    sizes = {"short": 2, "int": 4, "long": 4}
    info = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
    with path.open("wb") as file:
        for header in (0x1950A86A20F9469CFC6C, 1001):
            pickle.dump(header, file, protocol=2)
        Python2Pickler(file, on_gpu).dump(info)
        pickler = Python2Pickler(file, on_gpu)
        pickler.dump(value)
        Python2Pickler(file, on_gpu).dump([storage.key for storage in pickler.storages])
        for storage in pickler.storages:
            file.write(struct.pack("<q", storage.tensor.numel()))
            storage.tensor.numpy().tofile(file)


def random_state(
    network: torch.nn.Module, seed: int, scales: Mapping[str, float]
) -> OrderedDict[str, Tensor]:
    """Return random weights for a network on the meta device, of sizes that keep signals alive.

    `scales` makes the last layer's smaller, so that its answers are neither flat nor certain.
    """
    random = torch.Generator().manual_seed(seed)
    state: OrderedDict[str, Tensor] = OrderedDict()
    for name, wanted in network.state_dict().items():
        if name.endswith("num_batches_tracked"):  # PyTorch 0.2 had none
            continue
        value = torch.empty(wanted.shape)
        if value.dim() > 1:
            bound = (6 / value[0].numel()) ** 0.5 * scales.get(name, 1.0)
            value.uniform_(-bound, bound, generator=random)
        elif name.endswith(("running_var", "weight")):
            value.uniform_(0.5, 1.5, generator=random)
        else:
            value.uniform_(-0.2, 0.2, generator=random)
        state[name] = value
    return state


def vgg16_state() -> OrderedDict[str, Tensor]:
    from torchvision.models import vgg16  # takes a second and a half

    with torch.device("meta"):
        network = vgg16()
    return random_state(network, 16, {"classifier.6.weight": 1.0})


def places365_state() -> OrderedDict[str, Tensor]:
    from torchvision.models import resnet18

    with torch.device("meta"):
        network = resnet18(num_classes=365)
    return random_state(network, 18, {"fc.weight": 0.007})


def save_vgg16(path: Path, state: OrderedDict[str, Tensor]) -> None:
    save_as_python2(state, path, on_gpu=False)


def save_places365(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write a checkpoint like Places365's training script: a network inside DataParallel, on a
    GPU."""
    weights = OrderedDict((f"module.{k}", v) for k, v in state.items())
    checkpoint = {
        "epoch": 90,
        "arch": "resnet18",
        "state_dict": weights,
        "best_prec1": 54.65,
    }
    save_as_python2(checkpoint, path, on_gpu=True)


def spec_for(name: str, path: Path, url: str | None = None) -> WeightsSpec:
    """Return the spec of some weights with the identity of a stand-in.

    The checks still run: only the stand-in passes.
    """
    spec = SPECS[name]
    return replace(
        spec,
        url=url or spec.url,
        size=path.stat().st_size,
        identity=identity_of(path, spec.identity.kind),
    )
