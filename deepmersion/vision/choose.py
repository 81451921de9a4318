"""Chooses and loads the image networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from deepmersion.errors import FetchError, RequestError
from deepmersion.vision.networks import ImageNetworks

Choice = Literal["auto", "lite", "paper"]

OnChoice = Callable[[str], None]
"""Called with a line that states which networks ``auto`` chose, and why."""

HOW_TO_GET_PAPER = "`deepmersion weights fetch paper` gets those of the paper"


def load_networks(
    choice: Choice = "auto", device: str = "cpu", on_choice: OnChoice | None = None
) -> ImageNetworks:
    """Load the image networks.

    Parameters
    ----------
    choice : {"auto", "lite", "paper"}
        ``auto`` chooses the paper's networks if the weights of both are present, else lite.
    device : str
        PyTorch device to run them on, such as ``"cpu"`` or ``"cuda"``.
    on_choice : callable, optional

    Raises
    ------
    WeightsError
        When the weights are missing or are not the published ones.
    RequestError
        When the choice is unknown.
    """
    if choice not in get_args(Choice):
        known = ", ".join(get_args(Choice))
        raise RequestError(f"unknown networks {choice}; choose from {known}")
    if choice == "paper":
        return _load_paper(device)
    if choice == "lite":
        return _load_lite(device)
    reason = HOW_TO_GET_PAPER
    if _paper_is_present():
        try:
            networks = _load_paper(device)
        except FetchError as error:
            reason = str(error)
        else:
            _tell(on_choice, "paper")
            return networks
    _tell(on_choice, f"lite, the embedded ones; {reason}")
    return _load_lite(device)


def _load_paper(device: str) -> ImageNetworks:
    from deepmersion.vision.paper import Paper

    return Paper.load(device)


def _load_lite(device: str) -> ImageNetworks:
    from deepmersion.vision.lite import Lite

    return Lite.load(device)


def _tell(on_choice: OnChoice | None, message: str) -> None:
    if on_choice is not None:
        on_choice(message)


def _paper_is_present() -> bool:
    from deepmersion.weights.specs import GROUPS, SPECS

    return all(SPECS[name].is_present for name in GROUPS["paper"])
