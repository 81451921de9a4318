"""``deepmersion places``: list, show, rename, change, forget, export and import kept places."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deepmersion.cli.describe import command
from deepmersion.cli.options import PATH
from deepmersion.cli.say import n_columns, note, padded, say
from deepmersion.cli.streams import require_stdout
from deepmersion.errors import OutputError, PlacesError, RequestError, why

if TYPE_CHECKING:
    from deepmersion.places.place import Place
    from deepmersion.places.store import Places

PICTURE_SUFFIXES = (".jpg", ".jpeg")
"""Of a small picture, which is written as it is stored."""


@click.group()
def places() -> None:
    """Your places: photos that you keep, each with its mix.

    `deepmersion match desk.jpg --keep desk` keeps one: its name, mix and time, a picture of 320
    pixels, and what the embedded network saw. When `match` sees the place again, it plays the kept
    mix. All places are in one file on this machine; DEEPMERSION_DATA names another folder for it.
    """


def _opened() -> Places:
    from deepmersion.places.store import Places

    return Places()


@places.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per place.")
def list_(as_json: bool) -> None:
    """List the kept places."""
    kept = _opened()
    found = kept.all()
    width = max((n_columns(place.name) for place in found), default=0)
    for place in found:
        if as_json:
            say(json.dumps(place.record()))
        else:
            say(f"{padded(place.name, width)}  {place.kept[:10]}  {place.mix}")
    if not found:
        note("No places are kept; `deepmersion match PHOTO --keep NAME` keeps one")


@places.command()
@click.argument("name")
@click.option("--picture", type=PATH, metavar="FILE", help="Write its small picture (.jpg).")
def show(name: str, picture: Path | None) -> None:
    """Show what is kept of the place NAME."""
    if picture is not None and picture.suffix.lower() not in PICTURE_SUFFIXES:
        raise RequestError(f"{picture} would be a JPEG; end its name in .jpg")
    kept = _opened()
    place = kept.named(name)
    say(f"name    {place.name}")
    say(f"mix     {place.mix}")
    say(f"kept    {place.kept}")
    say(f"seen by {place.network}")
    say(f"file    {kept.path}")
    say(f"again   {command(place.mix, place.soundbank)}")
    if picture is not None:
        _write(picture, kept.thumbnail(place.id))


@places.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def forget(names: tuple[str, ...]) -> None:
    """Delete what is kept of the places NAME..."""
    kept = _opened()
    for place in dict.fromkeys(kept.named(name) for name in names):
        kept.forget(place.id)
        note(f"Forgot {place.name}")


@places.command()
@click.argument("old")
@click.argument("new")
def rename(old: str, new: str) -> None:
    """Give the place OLD the name NEW."""
    kept = _opened()
    place = kept.change(kept.named(old).id, name=new)
    note(f"{old} is {place.name} now")


@places.command()
@click.argument("name")
@click.argument("mix")
def change(name: str, mix: str) -> None:
    """Let the place NAME play MIX, as `deepmersion play` takes it."""
    from deepmersion.sound.bank import open_bank
    from deepmersion.sound.recipe import gains_vector, parse_mix

    kept = _opened()
    place = kept.named(name)
    gains_vector(parse_mix(mix), open_bank(_bank(place)).names)
    note(f"{name} plays {kept.change(place.id, mix=mix).mix} now")


def _bank(place: Place) -> Path | str | None:
    from deepmersion.sound.names import BLANKET

    return place.soundbank if place.soundbank in (None, BLANKET) else Path(place.soundbank)


@places.command()
@click.argument("file", type=click.Path(path_type=Path, readable=False, allow_dash=True))
def export(file: Path) -> None:
    """Write all places to FILE (JSON); '-' stands for standard output."""
    from deepmersion.places.exchange import exported

    text = exported(_opened())
    if str(file) == "-":
        require_stdout()
        sys.stdout.write(text)
    else:
        _write(file, text.encode())


@places.command("import")
@click.argument("file", type=PATH)
def import_(file: Path) -> None:
    """Keep the places in FILE, which `places export` wrote.

    A place whose name is taken is skipped: rename or forget yours first.
    """
    from deepmersion.places.exchange import MAX_FILE_BYTES, import_into

    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise PlacesError(f"{file} cannot be read {why(error)}") from error
    became = import_into(_opened(), data)
    for name in became.added:
        note(f"Kept {name}")
    for name, cause in became.skipped:
        note(f"Skipped {name}: {cause}")
    if became.skipped:
        sys.exit(1)


def _write(path: Path, content: bytes) -> None:
    from deepmersion.files import check_place, output_file

    check_place(path, OutputError)
    with output_file(path, OutputError) as temporary:
        temporary.write_bytes(content)
    note(f"Wrote {path}")
