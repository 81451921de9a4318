"""Loads PyTorch checkpoints into networks, treating the files as untrusted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepmersion.errors import WeightsError

ZIP_MAGIC = b"PK\x03\x04"

BATCH_COUNTER = "num_batches_tracked"
"""Batch normalisation's count of training steps, which PyTorch has stored since 0.4.1 and which is
irrelevant to prediction."""

SHOWN_KEYS = 3


def read_state_dict(path: Path, entry: str | None = None, prefix: str = "") -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name.

    Only tensors and plain containers are unpickled (``weights_only``). A checkpoint in PyTorch's
    zip format (1.6 and later) is mapped into memory; older ones are read.

    Parameters
    ----------
    path : Path
    entry : str, optional
        Entry of the checkpoint that holds the tensors; by default the checkpoint itself.
    prefix : str
        Prefix to strip from every name: ``module.`` if the network was saved inside
        `torch.nn.DataParallel`.

    Raises
    ------
    WeightsError
        When the file is damaged or holds something else.
    """
    checkpoint = _read(path)
    if entry is not None:
        checkpoint = checkpoint.get(entry) if isinstance(checkpoint, dict) else None
    if not isinstance(checkpoint, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in checkpoint.items()
    ):
        raise WeightsError(f"{path} holds no network's weights: fetch it again")
    strange = [name for name in checkpoint if not name.startswith(prefix)]
    if strange:
        raise WeightsError(f"{path} has names that do not begin with {prefix}: {_some(strange)}")
    return {name.removeprefix(prefix): value for name, value in checkpoint.items()}


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            is_zip = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except Exception as error:
        # On damaged files, the unpickler raises IndexError, struct.error and others as well.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path} cannot be read ({reason}): fetch it again") from error


def fill(network: nn.Module, state: Mapping[str, Tensor], name: str) -> nn.Module:
    """Return a network with the weights of `state`, ready to predict.

    Parameters
    ----------
    network : Module
        May be on the ``meta`` device: it uses the tensors themselves, without a copy.
    state : mapping of str to Tensor, float32
    name : str
        The weights' name in errors.

    Raises
    ------
    WeightsError
        When a tensor is missing, left over, of another shape or type, or not finite.
    """
    wanted = {key: value for key, value in network.state_dict().items() if _counts(key)}
    given = {key: value for key, value in state.items() if _counts(key)}
    _check_names(set(wanted), set(given), name)
    for key, value in given.items():
        _check_tensor(value, wanted[key], f"the weights {name}, {key}")
    counters = {key: torch.tensor(0) for key in network.state_dict() if key.endswith(BATCH_COUNTER)}
    network.load_state_dict(given | counters, strict=True, assign=True)
    return network.requires_grad_(False).eval()


def _counts(key: str) -> bool:
    return not key.endswith(BATCH_COUNTER)


def _check_names(wanted: set[str], given: set[str], name: str) -> None:
    for what, keys in (("lack", wanted - given), ("have too much", given - wanted)):
        if keys:
            raise WeightsError(
                f"the weights {name} {what}: {_some(sorted(keys))}; fetch them again"
            )


def _check_tensor(value: Tensor, wanted: Tensor, name: str) -> None:
    if value.shape != wanted.shape or value.dtype != wanted.dtype:
        raise WeightsError(
            f"{name}: {_kind(value)} where {_kind(wanted)} belongs; fetch them again"
        )
    # The extremes are finite only if all values are; isfinite would take as much memory again.
    if not torch.stack(torch.aminmax(value)).isfinite().all():
        raise WeightsError(f"{name}: holds values that are not finite; fetch them again")


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return ", ".join(keys[:SHOWN_KEYS]) + more
