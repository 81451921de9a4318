"""deepmersion: a photo of where you are goes in, an ambient sound that belongs there comes out.

Online (`pipeline`), from a photo to its sound::

    photo ──> vision: objects, scenes ──> matching: the best mix ──> sound: renderer ──> speakers
                                              ^                                          or file
    sound bank ──> sound: recordings ──> hearing: SoundNet ──> index ──┘

Offline (`indexing`), the lower row. For a photo of a kept place (`places`), the kept mix is played
instead. ``cli`` and ``web`` are above both; ``weights`` fetches what the networks need. No module
imports one above it (``tests/test_layout.py``).

Public names are imported on first use, which keeps ``import deepmersion`` fast.
"""

from __future__ import annotations

from importlib import import_module

from deepmersion.version import __version__

TYPE_CHECKING = False  # that of typing, whose import would take longer than all of this file
if TYPE_CHECKING:
    from typing import Any

    from deepmersion.ambience import Ambience as Ambience
    from deepmersion.errors import DeepmersionError as DeepmersionError
    from deepmersion.indexing import build_index as build_index
    from deepmersion.pipeline import Matcher as Matcher
    from deepmersion.pipeline import match as match
    from deepmersion.places.store import Places as Places
    from deepmersion.request import Request as Request
    from deepmersion.sound.bank import open_bank as open_bank

_HOMES = {
    "Ambience": "deepmersion.ambience",
    "Matcher": "deepmersion.pipeline",
    "match": "deepmersion.pipeline",
    "Places": "deepmersion.places.store",
    "Request": "deepmersion.request",
    "build_index": "deepmersion.indexing",
    "open_bank": "deepmersion.sound.bank",
    "DeepmersionError": "deepmersion.errors",
}

__all__ = [
    "Ambience",
    "DeepmersionError",
    "Matcher",
    "Places",
    "Request",
    "__version__",
    "build_index",
    "match",
    "open_bank",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
