"""Measure how well matches fit photos: the rule as it is, and what it would be otherwise.

    python tools/ablation.py scenes.tar expectations.csv [--index FILE] [--bank other-scenes.tar]

Prints a table in Markdown: for each variant of the rule the hit rate (see `tools/hits.py`) with its
95 % interval, the kind of scene that does worst, the mean number of sounds in a mix and how many
different mixes were chosen. Then the rates by kind of scene, and those of choices that look at no
photo, for scale. Last two checks: the two figures that were fitted, chosen on one half
of the scenes and measured on the other, both ways; and how far the choice survives changes to a
photo that change nothing about the place.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import numpy as np
from hits import (
    Change,
    Photos,
    by_kind,
    hit_rate,
    hits,
    interval,
    read_expectations,
    read_photos,
)
from PIL import Image, ImageOps
from rules import Sounds, Variant, scores

from deepmersion.index.file import open_index
from deepmersion.shipped import shipped_index
from deepmersion.vision.lite import Lite

SHARES = (0.5, 0.75, 0.95, 1.0)
TEMPERATURES = (0.4, 0.8, 1.2, 1.5)
"""What α and τ are chosen from in the check on scenes left out."""

ALIKE_NATS = 0.1
"""Two mixes whose scores for a photo are this near are alike to it: a tenth of what separates the
best mix from the best of wholly other sounds, in the middle."""


BANK_EVERY = 15
"""Of the bank's photos, one of so many is enough."""

MIX_ALONE = Variant(
    "KL(photo ‖ mix)", centring=0, sounds_share=0, temperature_nats=0, max_sounds=99
)
IN_USE = Variant("**in use**")

STEPS = (
    Variant("2018: KL(mix ‖ photo)", reversed=True),
    MIX_ALONE,
    replace(MIX_ALONE, name="… centred", centring=1),
    replace(MIX_ALONE, name="… and 0.4 nats a further sound", centring=1, penalty_nats=0.4),
    replace(MIX_ALONE, name="… centred, mixes of two sounds at most", centring=1, max_sounds=2),
    Variant("… and 0.95 by its sounds: the best single sound", temperature_nats=0),
    IN_USE,
)
OTHERS = (
    *(Variant(f"τ = {t}", temperature_nats=t) for t in (0.4, 0.8, 1.5)),
    *(Variant(f"α = {a}", sounds_share=a) for a in (0.5, 0.75, 0.9, 1.0)),
    *(Variant(f"mixes of {n} sounds at most", max_sounds=n) for n in (3, 4, 10)),
    Variant("objects alone", weights=(1, 0)),
    Variant("scenes alone", weights=(0, 1)),
    Variant("objects half", weights=(0.5, 1)),
    Variant("objects twice", weights=(2, 1)),
    *(Variant(f"centred by {c}", centring=c) for c in (0.9, 0.7, 0.5)),
    Variant("photo's probabilities to the power of 0.7", sharpness=0.7),
    Variant("photo's probabilities to the power of 1.4", sharpness=1.4),
    *(Variant(f"entries levelled by {g}", levelling=g) for g in (0.25, 0.5, 1.0)),
    *(Variant(f"photo smoothed over classes alike, {s}", smoothing=s) for s in (0.3, 0.6)),
    *(Variant(f"hubs corrected by {h}", hubs=h) for h in (0.25, 0.5, 1.0)),
)


def row(variant: Variant, sounds: Sounds, photos: Photos, bank: Photos | None) -> str:
    """Return a variant's line of the table."""
    chosen = scores(variant, sounds, photos, bank).argmin(axis=0)
    hit = hits(sounds.mixes(chosen), photos.expected)
    low, high = interval(hit, photos.expected)
    kinds = by_kind(hit, photos.expected)
    worst = min(kinds, key=lambda kind: kinds[kind])
    size = np.count_nonzero(sounds.gains[chosen], axis=1).mean()
    rate = hit_rate(hit, photos.expected)
    return (
        f"| {variant.name} | {rate:.3f} | {low:.2f} to {high:.2f} | {worst} {kinds[worst]:.2f} | "
        f"{size:.2f} | {len(set(chosen.tolist()))} |"
    )


def for_scale(sounds: Sounds, photos: Photos) -> list[str]:
    """Return lines on each kind of scene, and on choices that look at no photo."""
    chosen = scores(IN_USE, sounds, photos).argmin(axis=0)
    kinds = by_kind(hits(sounds.mixes(chosen), photos.expected), photos.expected)
    best_first = sorted(kinds.items(), key=lambda item: -item[1])
    rates = []
    for entry in range(len(sounds.gains)):
        always = sounds.mixes(np.full(len(photos.scenes), entry))
        rates.append(hit_rate(hits(always, photos.expected), photos.expected))
    alone = np.count_nonzero(sounds.gains, axis=1) == 1
    return [
        f"- by kind of scene: {', '.join(f'{kind} {rate:.2f}' for kind, rate in best_first)}",
        f"- always the one best sound: {np.array(rates)[alone].max():.3f}",
        f"- a random mix: {np.mean(rates):.3f}",
    ]


def halves(sounds: Sounds, photos: Photos) -> list[str]:
    """Return lines on α and τ chosen on every other scene and measured on the rest, both ways."""
    grid = [
        Variant(f"α = {a}, τ = {t}", sounds_share=a, temperature_nats=t)
        for a, t in itertools.product(SHARES, TEMPERATURES)
    ]
    outcomes = {
        v.name: hits(sounds.mixes(scores(v, sounds, photos).argmin(axis=0)), photos.expected)
        for v in [*grid, IN_USE]
    }
    order = sorted(set(photos.scenes))
    even = np.array([order.index(scene) % 2 == 0 for scene in photos.scenes])
    lines = []
    for fitted in (even, ~even):
        best = max(grid, key=lambda v: _rate_on(fitted, outcomes[v.name], photos)).name
        chosen_on, left_out, in_use = (
            _rate_on(part, outcomes[name], photos)
            for part, name in ((fitted, best), (~fitted, best), (~fitted, IN_USE.name))
        )
        lines.append(
            f"- {best} is best on one half of the scenes ({chosen_on:.3f}); on the other it has "
            f"{left_out:.3f}, the rule in use {in_use:.3f}"
        )
    return lines


def _rate_on(part: np.ndarray, hit: np.ndarray, photos: Photos) -> float:
    return hit_rate(
        hit[part], [e for e, inside in zip(photos.expected, part, strict=True) if inside]
    )


def _edited(edit: Callable[[Image.Image], Image.Image], quality: int) -> Change:
    def change(data: bytes) -> bytes:
        photo = edit(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
        file = io.BytesIO()
        photo.save(file, "JPEG", quality=quality)
        return file.getvalue()

    return change


def _cropped(photo: Image.Image) -> Image.Image:
    width, height = photo.size
    return photo.crop((width // 20, height // 20, width - width // 20, height - height // 20))


CHANGES = {
    "half the size": _edited(lambda photo: photo.reduce(2), 95),
    "JPEG of quality 40": _edited(lambda photo: photo, 40),
    "mirrored": _edited(ImageOps.mirror, 95),
    "a tenth cropped": _edited(_cropped, 95),
}


def robustness(sounds: Sounds, photos: Photos, look: Callable[[Change], Photos]) -> list[str]:
    """Return lines on how often a changed photo keeps its best mix, or gets one that is alike."""
    score = scores(IN_USE, sounds, photos)
    before, at = score.argmin(axis=0), np.arange(score.shape[1])
    lines = []
    for name, change in CHANGES.items():
        after = scores(IN_USE, sounds, look(change)).argmin(axis=0)
        same = before == after
        alike = score[after, at] - score[before, at] <= ALIKE_NATS
        lines.append(
            f"- {name}: the same mix {same.mean():.0%}, that or one alike {alike.mean():.0%}"
        )
    return lines


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("tar", type=FILE)
@click.argument("expectations", type=FILE)
@click.option("--index", type=FILE, help="Sound index.  [default: the shipped one]")
@click.option("--bank", type=FILE, help="TAR of other photos, for the correction of hubs.")
@click.option("--checks/--no-checks", default=True, help="Whether to make the two checks.")
def main(
    tar: Path, expectations: Path, index: Path | None, bank: Path | None, checks: bool
) -> None:
    """Measure variants of the rule on the photos of TAR, of which EXPECTATIONS are known."""
    expected, networks = read_expectations(expectations), Lite.load()
    photos = read_photos(tar, networks, expected)
    with open_index(index or shipped_index()) as opened:
        sounds = Sounds.of(opened)
    others = None if bank is None else read_photos(bank, networks, every=BANK_EVERY)
    click.echo("| rule | hit rate | 95 % | worst kind | sounds | mixes |")
    click.echo("| --- | --- | --- | --- | --- | --- |")
    for variant in STEPS + OTHERS:
        if others is not None or not variant.hubs:
            click.echo(row(variant, sounds, photos, others))
    click.echo("\nFor scale:\n")
    click.echo("\n".join(for_scale(sounds, photos)))
    if checks:
        click.echo("\nScenes left out:\n")
        click.echo("\n".join(halves(sounds, photos)))
        click.echo("\nChanged photos:\n")
        look = partial(read_photos, tar, networks, expected)
        click.echo("\n".join(robustness(sounds, photos, look)))


if __name__ == "__main__":
    main()
