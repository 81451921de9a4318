"""``deepmersion match``: find and play the mixes for photos."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from deepmersion.cli.deliver import deliver, renderer
from deepmersion.cli.idle_options import MATCH, warn_of_idle
from deepmersion.cli.matcher_options import matcher_options
from deepmersion.cli.options import PATH, WATCHED, duration, label_sets, wait, witnesses
from deepmersion.cli.place_options import PlaceOptions, place_options
from deepmersion.cli.report import Report
from deepmersion.cli.say import note
from deepmersion.cli.signals import ending
from deepmersion.cli.slideshow import ChangingScenes, Watching, source
from deepmersion.cli.sound_options import SoundOptions, sound_options
from deepmersion.cli.streams import require_stdout
from deepmersion.errors import DeepmersionError, PhotoError
from deepmersion.request import WITNESSES, Request, Rule

if TYPE_CHECKING:
    from deepmersion.ambience import Ambience
    from deepmersion.fetching.address import Address
    from deepmersion.pipeline import Matcher

EVERY = "1m"
"""From one look at a webcam to the next: places change slowly, and the server is not ours."""


@click.command()
@click.argument("photos", nargs=-1, metavar="PHOTO...")
@sound_options
@click.option(
    "--watch",
    "watched",
    type=WATCHED,
    metavar="FOLDER|URL",
    help="Instead of PHOTO, follow the photos that arrive in a folder, or a webcam.",
)
@click.option(
    "--every",
    "every_s",
    type=wait,
    default=EVERY,
    show_default=True,
    metavar="DURATION",
    help="Time from one look at the webcam to the next.",
)
@click.option("--recursive", is_flag=True, help="Take the photos in subfolders as well.")
@click.option(
    "--fade",
    "crossfade_s",
    type=duration,
    metavar="DURATION",
    help="Length of the crossfade from one photo's sound to the next.  [default: 5s]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per photo.")
@click.option(
    "--top",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="K",
    help="Show K mixes: the best one, which is played, and alternatives of other sounds.",
)
@click.option(
    "--explain",
    "explain",
    is_flag=True,
    help="Explain why the best mix was chosen; with -v also in nats, class by class.",
)
@click.option(
    "--heatmap",
    type=PATH,
    metavar="FILE",
    help="Explain, and write a picture (.png or .jpg) of where in the photo the sound comes from.",
)
@click.option(
    "--chatter",
    type=click.FloatRange(0, 1),
    metavar="LEVEL",
    help="Mix all sounds; the better a sound fits, the louder it is: from 0, the best one alone, "
    "to 1, all equally loud.",
)
@click.option(
    "--use",
    "label_sets",
    type=label_sets,
    metavar="objects,scenes",
    default="objects,scenes",
    show_default=True,
    help="Whether objects or scenes in the photo decide, or both.",
)
@click.option(
    "--listen",
    type=witnesses,
    metavar="WITNESSES",
    default=",".join(WITNESSES),
    show_default=True,
    help="What decides: what SoundNet hears in the sounds (soundnet; alone, the system as "
    "published), where sounds of their kind are heard (kinds), or the weather, light and the like "
    "in the photo (conditions).",
)
@click.option(
    "--rule",
    type=click.Choice(get_args(Rule)),
    default="centred",
    show_default=True,
    help="How mixes are ranked; 2018 is the rule of the first prototype, which ranks mixes of any "
    "number of sounds: it needs an index built with --max-layers 0.",
)
@place_options
@matcher_options
def match(
    photos: tuple[str, ...],
    watched: Path | Address | None,
    every_s: float,
    recursive: bool,
    crossfade_s: float | None,
    as_json: bool,
    top: int,
    explain: bool,
    heatmap: Path | None,
    chatter: float | None,
    label_sets: tuple[str, ...],
    listen: tuple[str, ...],
    rule: Rule,
    without: tuple[str, ...],
    keep: str | None,
    replace: bool,
    no_places: bool,
    networks: Literal["auto", "lite", "paper"],
    index: Path | None,
    soundbank: Path | str | None,
    device: str,
    **sound: Any,
) -> None:
    """Find the ambient sound that belongs to each PHOTO, and play or write it.

    Without -o or --json the sound plays until Ctrl-C, or for --duration. Several photos play one
    after another, each for --duration (default 5m). A folder stands for the photos in it, an
    address (http:// or https://) for the photo that is there, '-' for standard input. A photo of a
    place that you keep plays its mix (`deepmersion places`).

    \b
      deepmersion match photo.jpg
      deepmersion match photo.jpg -o sound.flac --duration 1h
      deepmersion match photo.jpg -o - | mpv -
      deepmersion match photo.jpg --heatmap why.png
      deepmersion match desk.jpg --keep desk
      deepmersion match holiday/ --duration 2m --fade 10s
      deepmersion match --watch webcam/
      deepmersion match --watch https://example.org/webcam.jpg --every 10m
      deepmersion match *.jpg --json
    """  # noqa: D301  (click looks for the sign itself)
    # Who keeps a place, asks for all sounds or strikes a reading out wants a new match.
    recognise = not (no_places or keep is not None or without or chatter is not None)
    request = Request(
        top,
        explain,
        chatter,
        rule,
        label_sets,
        listen,
        heatmap=heatmap is not None,
        without=without,
        places=recognise,
    )
    places = PlaceOptions(keep, replace, recognise)
    options = SoundOptions(**sound)
    sources = _expanded(photos, recursive=recursive)
    _check_usage(sources, watched, options, as_json=as_json)
    _check_heatmap(heatmap, sources, watched)
    places.check(sources, watched)
    require_stdout()
    changing = watched is not None or len(sources) > 1
    warn_of_idle(
        MATCH,
        changing=changing,
        address=watched is not None and not isinstance(watched, Path),
        folders=isinstance(watched, Path) or any(map(os.path.isdir, photos)),
    )
    scenes = None
    if changing and not as_json:
        watching = None if watched is None else Watching(watched, every_s, recursive)
        scenes = ChangingScenes.of(sources, watching, options, crossfade_s)
    if options.output is not None or not as_json:
        options = options.checked(scenes.each_s if scenes else None)
    from deepmersion.pipeline import Matcher

    report = Report(as_json, to_stderr=options.is_pipe, verbose=options.verbose)
    with Matcher(
        networks=networks,
        index=index,
        soundbank=soundbank,
        device=device,
        on_choice=lambda choice: note(f"Networks: {choice}"),
        places=places.open(),
    ) as matcher:
        if scenes is not None:
            all_succeeded = scenes.play(
                lambda photo: matcher.match(photo, request), options, report
            )
        else:
            results = _matched(matcher, sources, request, places)
            all_succeeded = _deliver_all(results, options, report, heatmap)
    if not all_succeeded:
        sys.exit(1)


def _expanded(photos: Sequence[str], *, recursive: bool) -> list[str]:
    """Return the named photos, each folder replaced by the photos in it."""
    from deepmersion.vision.folder import photos_in

    expanded: list[str] = []
    for photo in photos:
        # Path.is_dir raises if a name is too long or a folder may not be entered.
        inside = photos_in(Path(photo), recursive=recursive) if os.path.isdir(photo) else []  # noqa: PTH112
        # An empty folder stays in the list and is reported in its turn.
        expanded += map(str, inside) if inside else [photo]
    return expanded


def _check_usage(
    photos: Sequence[str], watched: Path | Address | None, options: SoundOptions, *, as_json: bool
) -> None:
    if watched is None and not photos:
        raise click.UsageError("Missing argument 'PHOTO...'; name a photo, or --watch a folder")
    if watched is not None and photos:
        raise click.UsageError("--watch finds its own photos; leave PHOTO out")
    if options.is_file and (watched is not None or len(photos) > 1):
        raise click.UsageError(
            "-o FILE writes the sound of one photo; for several write a pipe with -o -"
        )
    if as_json and watched is not None:
        raise click.UsageError("--watch plays the photos it finds; leave --json out")
    if as_json and options.is_pipe:
        raise click.UsageError("--json and -o - both write to standard output; leave one out")


def _check_heatmap(
    heatmap: Path | None, photos: Sequence[str], watched: Path | Address | None
) -> None:
    if heatmap is None:
        return
    if watched is not None or len(photos) > 1:
        raise click.UsageError("--heatmap FILE shows one photo; name one, or leave --heatmap out")
    from deepmersion.vision.overlay import check_picture

    check_picture(heatmap)


def _matched(
    matcher: Matcher, photos: Sequence[str], request: Request, places: PlaceOptions
) -> Iterator[tuple[str, Ambience | PhotoError]]:
    """Return the name of each photo with its result, or with its error."""
    from deepmersion.vision.photo import name_of

    opened = [source(photo) for photo in photos]
    if places.keep is None:
        results = matcher.match_all(opened, request)
    else:
        results = places.kept(matcher, opened[0], request)
    return zip(map(name_of, opened), results, strict=True)


def _deliver_all(
    results: Iterable[tuple[str, Ambience | PhotoError]],
    options: SoundOptions,
    report: Report,
    heatmap: Path | None,
) -> bool:
    """Show each photo's mixes, and write or play a single one's; return whether all succeeded."""
    all_succeeded = True
    for photo, result in results:
        if isinstance(result, PhotoError):
            report.fail(photo, result)
            all_succeeded = False
            continue
        if not report.as_json:
            report.show(result)
        try:
            if heatmap is not None:
                with ending():
                    result.write_heatmap(heatmap)
                note(f"Wrote {heatmap}")
            if options.output is not None or not report.as_json:
                deliver(renderer(result.bank, result.gains, options), options)
        except DeepmersionError as error:
            report.fail(photo, error)
            sys.exit(error.exit_code)
        if report.as_json:
            report.show(result, options.output)
    return all_succeeded
