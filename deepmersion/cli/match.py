"""``deepmersion match``: photos in, mixes out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from deepmersion.cli.describe import describe
from deepmersion.cli.exits import in_one_line, require_stdout
from deepmersion.cli.options import PATH, label_sets
from deepmersion.cli.sound import SoundOptions, deliver, sound_options
from deepmersion.errors import DeepmersionError, PhotoError

if TYPE_CHECKING:
    from deepmersion.pipeline import Ambience
    from deepmersion.reading import Photo


@dataclass(frozen=True)
class _Report:
    """How results are shown."""

    as_json: bool
    to_stderr: bool

    def show(self, ambience: Ambience, output: str | None) -> None:
        if self.as_json:
            click.echo(json.dumps(ambience.record(output)))
        else:
            stream = sys.stderr if self.to_stderr else sys.stdout
            click.echo(describe(ambience, bars=stream.isatty()), file=stream)

    def fail(self, photo: str, error: Exception) -> None:
        message = in_one_line(error)
        if self.as_json:
            click.echo(json.dumps({"photo": photo, "error": message}))
        click.echo(f"Error: {message}", err=True)


@click.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...")
@sound_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line per photo.")
@click.option(
    "--top",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="K",
    help="Show the K best mixes; the best one is played.",
)
@click.option(
    "--explain",
    "explained",
    is_flag=True,
    help="Show which classes decided between the best mix and the next one.",
)
@click.option(
    "--networks",
    type=click.Choice(["auto", "lite", "paper"]),
    default="auto",
    show_default=True,
    help="Image networks; auto takes the paper's if they are there.",
)
@click.option(
    "--use",
    type=label_sets,
    metavar="objects,scenes",
    default="objects,scenes",
    show_default=True,
    help="Which label sets decide.",
)
@click.option(
    "--rule",
    type=click.Choice(["centred", "2018"]),
    default="centred",
    show_default=True,
    help="What mixes are ranked by; 2018 is the rule of the first prototype.",
)
@click.option(
    "--index",
    type=PATH,
    metavar="FILE",
    help="Sound index.  [default: the shipped one]",
)
@click.option(
    "--soundbank",
    type=PATH,
    metavar="DIR",
    help="Sound bank that the index was made for.  [default: the shipped one]",
)
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="DEVICE",
    help="Where the networks run: cpu, cuda, mps.",
)
def match(
    photos: tuple[str, ...],
    as_json: bool,
    top: int,
    explained: bool,
    networks: Literal["auto", "lite", "paper"],
    use: tuple[str, ...],
    rule: Literal["centred", "2018"],
    index: Path | None,
    soundbank: Path | None,
    device: str,
    **sound: Any,
) -> None:
    r"""Find the ambient sound that belongs to each PHOTO, and play it or write it.

    Without -o and without --json the sound plays until Ctrl-C, or for --duration. A PHOTO '-' is
    read from standard input.

    \b
      deepmersion match photo.jpg
      deepmersion match photo.jpg -o sound.flac --duration 1h
      deepmersion match photo.jpg -o - | mpv -
      deepmersion match *.jpg --json
    """
    wanted = SoundOptions(**sound, wanted=sound["output"] is not None or not as_json)
    if wanted.output is not None and len(photos) > 1:
        raise click.UsageError("-o writes one sound; give one photo, or --json for several")
    if as_json and wanted.is_pipe:
        raise click.UsageError("--json and -o - both want standard output; leave one out")
    if explained and rule != "centred":
        raise click.UsageError("--explain explains the rule centred; leave --rule out")
    require_stdout()
    wanted.check()
    from deepmersion.pipeline import Matcher

    with Matcher(
        networks=networks,
        use=use,
        rule=rule,
        index=index,
        soundbank=soundbank,
        device=device,
        on_choice=lambda choice: click.echo(f"Networks: {choice}", err=True),
    ) as matcher:
        results = matcher.match_all([_source(photo) for photo in photos], top, explained=explained)
        report = _Report(as_json, to_stderr=wanted.is_pipe)
        if not _deliver_all(photos, results, wanted, report):
            sys.exit(1)


def _deliver_all(
    photos: tuple[str, ...],
    results: Iterator[Ambience | PhotoError],
    sound: SoundOptions,
    report: _Report,
) -> bool:
    """Show each photo's mixes and play or write the best; return whether all went well."""
    all_well = True
    for photo, result in zip(photos, results, strict=False):
        if isinstance(result, PhotoError):
            report.fail(photo, result)
            all_well = False
            continue
        if not report.as_json:
            report.show(result, None)
        try:
            finished = deliver(result, sound, alone=len(photos) == 1)
        except DeepmersionError as error:
            # What hinders one sound, such as a full disk, would hinder the next one too.
            report.fail(photo, error)
            sys.exit(error.exit_code)
        if report.as_json:
            report.show(result, sound.output)
        if not finished:
            break
    return all_well


def _source(photo: str) -> Photo:
    if photo != "-":
        return photo
    if sys.stdin is None:
        raise click.ClickException("standard input is closed; give a photo's path instead of -")
    return sys.stdin.buffer
