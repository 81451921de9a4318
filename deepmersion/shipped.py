"""Paths of the data that ships with deepmersion.

In an installed package the sound bank and the index are below ``deepmersion/data``; in a
checkout they are the folders ``soundbank/`` and ``index/`` at its top.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

DATA = _PACKAGE / "data"

EXAMPLES = DATA / "examples"
"""Pictures to try, painted by ``tools/paint_examples.py``."""


def _shipped(folder: str) -> Path:
    installed = DATA / folder
    return installed if installed.is_dir() else _PACKAGE.parent / folder


def shipped_soundbank() -> Path:
    """Return the folder of the ten base sounds."""
    return _shipped("soundbank")


def shipped_index(bank: str | None = None) -> Path:
    """Return the ready-made index of a published sound bank; of the shipped one if None."""
    return _shipped("index") / f"{bank or 'default'}.h5"
