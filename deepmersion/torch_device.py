"""The device that networks run on: whether it can be used, and how much of its memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deepmersion.errors import RequestError

if TYPE_CHECKING:
    import torch

MEMORY_SHARE = 0.5
"""Share of a GPU's free memory that a computation plans for. The rest is for what its libraries
take as they work, and for other programs."""

UNKNOWN_MEMORY_BYTES = 2_000_000_000
"""Planned for on a device that does not tell its free memory."""


def require_device(name: str) -> None:
    """Check that PyTorch can use a device on this machine, before anything is loaded.

    Parameters
    ----------
    name : str
        PyTorch's name: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Raises
    ------
    RequestError
        When the device does not exist, or cannot compute.
    """
    if name == "cpu":  # always available; no need to import PyTorch
        return
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.zeros(1, device=name).cpu()
    except Exception as error:  # each kind of device fails in its own way
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise RequestError(
            f"the device {name} cannot be used here ({reason[0].rstrip('.')}); choose another "
            "--device: cpu always works"
        ) from error


def memory_share(device: torch.device) -> int | None:
    """Return the bytes to plan for on a device; None for the CPU, which shares this program's."""
    import torch

    if device.type == "cpu":
        return None
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(MEMORY_SHARE * free)
    return UNKNOWN_MEMORY_BYTES


@contextmanager
def enough_memory(device: object) -> Iterator[None]:
    """Raise RequestError in place of PyTorch's own error when a device has no memory left."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise RequestError(
            f"the device {device} has too little free memory; close other programs that use it, "
            "or choose another --device: cpu always works"
        ) from error
