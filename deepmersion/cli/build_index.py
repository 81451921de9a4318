"""``deepmersion build-index``: build the index of a sound bank."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deepmersion.cli.options import PATH, SOUND_BANK
from deepmersion.cli.progress import progress_bar
from deepmersion.cli.say import note
from deepmersion.cli.signals import ending
from deepmersion.hearing.mixes import MAX_PAIRED_SOUNDS
from deepmersion.matching.rule import MAX_SOUNDS

if TYPE_CHECKING:
    from deepmersion.indexing import Plan

STOPPED = "Stopped. Run the same command with --resume to continue."


@click.command("build-index")
@click.option(
    "--soundbank",
    type=SOUND_BANK,
    metavar="DIR|blanket",
    help="Folder of recordings.  [default: the shipped sound bank]",
)
@click.option(
    "-o",
    "--output",
    type=PATH,
    default=Path("index.h5"),
    show_default=True,
    metavar="FILE.h5",
    help="Index file to write.",
)
@click.option(
    "--max-layers",
    type=click.IntRange(0),
    metavar="N",
    help="The most sounds in one mix; 0 for all mixes, which only `match --rule 2018` uses.  "
    f"[default: {MAX_SOUNDS}, as many as `match` chooses; 1 for more than "
    f"{MAX_PAIRED_SOUNDS} sounds, whose pairs it then judges by their sounds]",
)
@click.option("--resume", is_flag=True, help="Continue a build that was interrupted.")
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="DEVICE",
    help="Where SoundNet runs: cpu, cuda, mps.",
)
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Run on a dask.distributed cluster, given its scheduler, such as tcp://host:8786.",
)
def build_index(
    soundbank: Path | str | None,
    output: Path,
    max_layers: int | None,
    resume: bool,
    device: str,
    dask: str | None,
) -> None:
    """Mix the base sounds, run SoundNet on every mix, and write its predictions to an index.

    Finished mixes are kept in FILE.h5.partial until the index is complete.

    \b
      deepmersion build-index -o index.h5
      deepmersion build-index --soundbank recordings/ -o mine.h5
      deepmersion build-index --soundbank recordings/ --dask tcp://host:8786 -o mine.h5
    """  # noqa: D301  (click looks for the sign itself)
    from deepmersion import indexing
    from deepmersion.sound.bank import open_bank

    if left_out := open_bank(soundbank).left_out:
        note(f"Note: {left_out}")
    with (
        ending(STOPPED),
        ExitStack() as fetching,
        progress_bar("Listening", "mix") as on_progress,
    ):
        on_fetch = fetching.enter_context(progress_bar("Fetching SoundNet", "B", unit_scale=True))

        def on_mix(done: int, total: int) -> None:
            fetching.close()
            on_progress(done, total)

        indexing.build_index(
            output,
            soundbank,
            max_layers=max_layers,
            resume=resume,
            device=device,
            dask=dask,
            on_plan=lambda plan: note(_announced(plan)),
            on_progress=on_mix,
            on_fetch=on_fetch,
        )
    note(f"Wrote {output}")


def _announced(plan: Plan) -> str:
    """Return what is going to be made, in one line."""
    n_mixes = f"{plan.n_mixes:,} mix{'es' if plan.n_mixes > 1 else ''}"
    layers = "one sound" if plan.layers == 1 else f"up to {plan.layers} sounds"
    line = f"Making {n_mixes} of {layers}: an index of {max(1, round(plan.n_bytes / 1e6)):,} MB"
    return line if plan.seconds is None else f"{line}, in about {_duration(plan.seconds)}"


def _duration(seconds: float) -> str:
    """Return a duration in the largest unit of which it has two or more."""
    for unit, unit_s in (("h", 3600), ("min", 60)):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
