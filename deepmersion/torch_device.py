"""The device that networks run on."""

from __future__ import annotations

import warnings

from deepmersion.errors import RequestError


def require_device(name: str) -> None:
    """Refuse a device that PyTorch cannot use on this machine, before anything is loaded.

    Parameters
    ----------
    name : str
        As PyTorch names it: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Raises
    ------
    RequestError
        When the device does not exist, or cannot compute.
    """
    if name == "cpu":  # which is everywhere, and PyTorch need not be imported to know it
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
            "--device: cpu is everywhere"
        ) from error
