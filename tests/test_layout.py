"""Imports go down: the folders of the package form a pipeline, and nothing runs back up it."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import deepmersion

PACKAGE = Path(deepmersion.__file__).parent

FLOORS = [
    {"__main__"},
    {"cli"},
    {"web", "__init__", "slideshow"},
    {"pipeline", "indexing", "soundbank_check", "soundbank_plot"},
    {"ambience"},
    {"heatmap", "places"},
    {"vision", "matching", "hearing"},
    {"weights", "index", "sound"},
    {"kinds", "fetching"},
    {"toml"},
    {"files", "labels", "request", "torch_device"},
    {"shipped", "version", "errors", "callbacks", "undo"},
]
"""Folders and modules of the package, from the top down. Each imports from lower floors only."""

FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def _modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
    }


MODULES = _modules()


def _imports(path: Path) -> set[str]:
    """Return the modules of the package that one imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deepmersion"):
            base = (node.module or "").removeprefix("deepmersion").lstrip(".")
            names = [f"{base}.{alias.name}".lstrip(".") for alias in node.names]
            found |= {name if name in MODULES else base for name in names}
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix("deepmersion").lstrip(".")
                for alias in node.names
                if alias.name.split(".")[0] == "deepmersion"
            }
    return {_named(name) for name in found}


def _named(name: str) -> str:
    """Return a module's own name: that of a package is its ``__init__``."""
    return name if name in MODULES else f"{name}.__init__".lstrip(".")


@pytest.mark.parametrize("module", MODULES)
def test_no_module_imports_what_stands_above_it(module: str) -> None:
    room = module.split(".")[0]
    for imported in _imports(MODULES[module]):
        other = imported.split(".")[0]
        assert other == room or FLOOR[other] > FLOOR[room], f"{module} imports {imported}"


def test_no_imports_run_in_a_circle() -> None:
    graph = {module: _imports(path) for module, path in MODULES.items()}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert len(order) == len(MODULES)


def _needed(module: str) -> set[str]:
    """Return a module and all of the package that it imports, directly or not."""
    found, left = set(), [module]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += _imports(MODULES[name])
    return found


def _analyses(module: str) -> bool:
    nodes = list(ast.walk(ast.parse(MODULES[module].read_text("utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return "librosa" in {name.split(".")[0] for name in names}


def test_only_the_check_of_a_sound_bank_needs_librosa() -> None:
    assert any(map(_analyses, _needed("cli.soundbank")))
    for command in ("match", "play", "serve", "slideshow", "build_index"):
        assert not list(filter(_analyses, _needed(f"cli.{command}"))), command


def test_lines_for_people_are_printed_in_one_place() -> None:
    """Where what could steer a terminal is escaped; others print JSON, and a path for programs."""
    printing = {
        name
        for name, path in MODULES.items()
        if name.startswith("cli") and "click.echo" in path.read_text("utf-8")
    }
    assert printing == {"cli.say", "cli.report", "cli.weights"}
