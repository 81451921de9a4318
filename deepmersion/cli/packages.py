"""Tells a broken installation of a package from a mistake of this program."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from types import FrameType, ModuleType, TracebackType

import click

from deepmersion.errors import in_one_line

MAX_CHARACTERS = 160
"""Of a package's own words: NumPy's take a page."""


def broken_package(error: BaseException) -> click.ClickException | None:
    """Return the one line for an error that a broken package has caused, None for any other.

    Broken is a package that is missing, whatever its import raises, or that lacks what its intact
    version has: a shared library that cannot be loaded is an OSError, half an installation an
    AttributeError, a file of zeros a ValueError.
    """
    name = _importing(error) or _incomplete(error)
    if name is None:
        return None
    from importlib.metadata import packages_distributions  # slow, as dis below

    distribution = packages_distributions().get(name, [name])[0]
    why = in_one_line(_root(error))
    if _is_missing(name):
        return click.ClickException(
            f"this needs the package {distribution}, which is not installed; "
            "install all that is missing with: pip install deepmersion"
        )
    why = why if len(why) <= MAX_CHARACTERS else f"{why[:MAX_CHARACTERS]}…"
    return click.ClickException(
        f"the package {distribution} cannot be used ({why}); "
        f"repair it with: pip install --force-reinstall {distribution}"
    )


def _is_missing(name: str) -> bool:
    # pip calls deepmersion itself installed, and installs what its dependencies lack: after
    # requirements/listen.txt that is PyTorch and more.
    return importlib.util.find_spec(name) is None


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _importing(error: BaseException) -> str | None:
    """Return the package that raised an error while it was imported."""
    # Python leaves the frames of its import system out of tracebacks. What remains is the
    # instruction of this program that imports, and the code of the modules that it began to run.
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "<module>" and (name := _package(_module(frame))):
            return name
    own = [tb for tb in _tracebacks(error) if not _package(_module(tb.tb_frame))]
    if own and (name := _package(_imported_at(own[-1]))):
        return name
    return _package(error.name or "") if isinstance(error, ImportError) else None


def _tracebacks(error: BaseException) -> Iterator[TracebackType]:
    entry = error.__traceback__
    while entry is not None:
        yield entry
        entry = entry.tb_next


def _imported_at(entry: TracebackType) -> str:
    """Return the module that a frame was importing, or "" if it did something else."""
    import dis

    for instruction in dis.get_instructions(entry.tb_frame.f_code):
        if instruction.offset == entry.tb_lasti and instruction.opname == "IMPORT_NAME":
            return str(instruction.argval)
    return ""


def _incomplete(error: BaseException) -> str | None:
    """Return the package whose module lacks an attribute that this program uses."""
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        return _package(error.obj.__name__)
    return None


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _package(module: str) -> str | None:
    """Return the package of a module; None for this program's own and Python's."""
    name = module.partition(".")[0]
    ours = name in ("", "__main__", "deepmersion") or name in sys.stdlib_module_names
    return None if ours else name
