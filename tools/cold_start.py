"""Measure how long a new process takes to match a photo, and where the time goes.

    python tools/cold_start.py --before CHECKOUT

prints the tables of docs/performance.md. It compares the checkout that it lies in with another
version, such as a worktree of an earlier commit. The two take turns, in the same environment. A
first match has an empty cache folder; a later one has the folder that the first one left. Figures
are medians.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click

CHECKOUT = Path(__file__).resolve().parents[1]

REPEATS = 5

PHOTO = CHECKOUT / "deepmersion/data/examples/campfire.jpg"

PROBE = """
import json, sys, time
stages = {"Python starts": time.time() - float(sys.argv[1])}
def timed(stage, function):
    def run(*arguments, **options):
        start = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            stages[stage] = stages.get(stage, 0) + time.perf_counter() - start
    return run
for name, title in (("numpy", "NumPy"), ("PIL.Image", "Pillow"), ("h5py", "h5py")):
    timed(f"import {title}", __import__)(name)
import os
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
timed("import ONNX Runtime", __import__)("onnxruntime")
def own():
    import deepmersion.cli.match, deepmersion.pipeline, deepmersion.vision.choose
    import deepmersion.vision.lite
timed("import deepmersion, Click and the rest", own)()
from deepmersion import pipeline
for stage, name in (
    ("read the sound bank's description", "open_bank"),
    ("read the networks, make the session", "load_networks"),
):
    setattr(pipeline, name, timed(stage, getattr(pipeline, name)))
before = sum(stages.values())
start = time.perf_counter()
matcher = pipeline.Matcher(networks="lite")
rest = time.perf_counter() - start - (sum(stages.values()) - before)
stages["open the index, kinds and labels"] = rest
pipeline.open_photo = timed("decode the photo", pipeline.open_photo)
matcher.networks.classify = timed("run the networks", matcher.networks.classify)
before = sum(stages.values())
start = time.perf_counter()
matcher.match(sys.argv[2])
stages["rank the mixes"] = time.perf_counter() - start - (sum(stages.values()) - before)
print(json.dumps(stages))
"""


def wall_s(checkout: Path, cache: Path) -> float:
    """Return how long the command of a checkout takes to match a photo, in seconds."""
    start = time.perf_counter()
    _run(checkout, cache, "-m", "deepmersion", "match", PHOTO, "--networks", "lite", "--json")
    return time.perf_counter() - start


def _run(checkout: Path, cache: Path, *arguments: str | Path) -> str:
    env = os.environ | {"PYTHONPATH": str(checkout), "DEEPMERSION_CACHE": str(cache)}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, cwd=checkout, env=env, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def stages() -> dict[str, float]:
    """Return the seconds of each stage of a match in a new process, in their order."""
    with TemporaryDirectory() as cache:
        found: dict[str, Any] = json.loads(
            _run(CHECKOUT, Path(cache), "-c", PROBE, str(time.time()), PHOTO)
        )
    return found


def first_and_later(checkout: Path) -> tuple[float, float]:
    """Return the seconds of a match with an empty cache folder, and of one after it."""
    with TemporaryDirectory() as cache:
        return wall_s(checkout, Path(cache)), wall_s(checkout, Path(cache))


def medians(measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure over `REPEATS` measurements."""
    turns = [measure() for _ in range(REPEATS)]
    return {name: median(turn[name] for turn in turns) for name in turns[0]}


def compared(before: Path) -> dict[str, float]:
    """Return the seconds of first and later matches of both versions."""
    was, now = first_and_later(before), first_and_later(CHECKOUT)
    return {"was first": was[0], "was later": was[1], "first": now[0], "later": now[1]}


@click.command()
@click.option(
    "--before",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Checkout of an earlier version to compare with.",
)
def main(before: Path | None) -> None:
    """Print tables of a cold start, in Markdown."""
    stages()  # the disk's cache is warm from here on
    if before is not None:
        s = medians(lambda: compared(before.resolve()))
        click.echo("| one photo, a new process | before | now | ratio |")
        click.echo("| --- | --- | --- | --- |")
        for name, title in (("first", "first match, empty cache folder"), ("later", "later match")):
            was, now = s[f"was {name}"], s[name]
            click.echo(f"| {title} | {was:.2f} s | {now:.2f} s | {was / now:.2f} |")
        click.echo(f"\nThe first match takes {s['first'] / s['later']:.2f} times a later one.\n")
    click.echo("| stage | time | share |")
    click.echo("| --- | --- | --- |")
    parts = medians(stages)
    total = sum(parts.values())
    for stage, seconds in parts.items():
        click.echo(f"| {stage} | {1000 * seconds:.0f} ms | {seconds / total:.0%} |")
    click.echo(f"| together | {1000 * total:.0f} ms | |")


if __name__ == "__main__":
    main()
