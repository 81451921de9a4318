"""Checks the device for networks."""

from __future__ import annotations

import warnings

from deepmersion.errors import RequestError


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
