"""Measure how well matches fit photos, for the rule in use and for variants of it.

    python tools/ablation.py photos.tar expectations.csv [--soundbank FOLDER --index FILE]

Prints a Markdown table with, for each variant, the hit rate (see `tools/hits.py`) with its 95 %
interval, the worst kind of photo, the mean number of sounds in a mix and the number of distinct
mixes chosen: first each witness alone and all together, then other constants. The rates by kind of
photo follow, with those of choices that ignore the photo, for scale. Two checks come last: the
constants chosen on half of the kinds of photo and measured on the other half, both ways; and the
stability of the choice under edits to a photo that leave the place unchanged.
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
from deepmersion.matching.witnesses import HOME_NATS
from deepmersion.shipped import shipped_index
from deepmersion.sound.bank import open_bank
from deepmersion.vision.lite import Lite

KIND_NATS = (2.0, 3.0, 4.0, 6.0)
CONDITION_NATS = (2.0, 4.0, 6.0, 8.0)
TEMPERATURES = (0.8, 1.2, 1.6)
"""Values of L and τ to choose from in the check on kinds of photo left out."""

ALIKE_NATS = 0.1
"""Two mixes whose scores for a photo are this close count as equivalent."""


def nats(kinds: float, conditions: float) -> dict[str, float]:
    """Return L by label set, without zeros."""
    by_set = {"objects": kinds, "scenes": kinds, "conditions": conditions}
    return {name: value for name, value in by_set.items() if value}


CONDITIONS = HOME_NATS["conditions"]
KINDS_ALONE = {name: value for name, value in HOME_NATS.items() if name != "conditions"}
HEARD = Variant("SoundNet alone, `--listen soundnet`", home_nats={})
MIX_ALONE = replace(
    HEARD, name="KL(photo ‖ mix)", centring=0, sounds_share=0, temperature_nats=0, max_sounds=3
)
IN_USE = Variant("**in use: all three**")

STEPS = (
    Variant("2018: KL(mix ‖ photo)", reversed=True),
    MIX_ALONE,
    replace(MIX_ALONE, name="… centred", centring=1),
    replace(HEARD, name="… and 0.95 by its sounds: the best single sound", temperature_nats=0),
    HEARD,
    Variant("SoundNet and kinds", home_nats=KINDS_ALONE),
    Variant("SoundNet and conditions", home_nats=nats(0, CONDITIONS)),
    Variant("kinds and conditions, without SoundNet", soundnet=0),
    Variant("kinds alone", soundnet=0, home_nats=KINDS_ALONE),
    IN_USE,
)
OTHERS = (
    *(
        Variant(f"L = {k:g} for objects and for scenes", home_nats=nats(k, CONDITIONS))
        for k in (2, 3, 4, 6)
    ),
    *(
        Variant(f"L = {c:g} for conditions", home_nats=HOME_NATS | {"conditions": c})
        for c in (2.0, 4.0, 8.0, 10.0)
    ),
    *(Variant(f"τ = {t}", temperature_nats=t) for t in (0.4, 0.8, 1.6, 2.0)),
    *(Variant(f"α = {a}", sounds_share=a) for a in (0.5, 0.75, 1.0)),
    Variant("mixes of 3 sounds at most", max_sounds=3),
    *(
        Variant(
            f"{name} say nothing of kinds",
            home_nats={other: value for other, value in HOME_NATS.items() if other != name},
        )
        for name in KINDS_ALONE
    ),
)


def row(variant: Variant, sounds: Sounds, photos: Photos) -> str:
    """Return a variant's row of the table."""
    chosen = scores(variant, sounds, photos).argmin(axis=0)
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
    """Return lines on each kind of photo, and on choices that ignore the photo."""
    chosen = scores(IN_USE, sounds, photos).argmin(axis=0)
    kinds = by_kind(hits(sounds.mixes(chosen), photos.expected), photos.expected)
    best_first = sorted(kinds.items(), key=lambda item: -item[1])
    rates = []
    for entry in range(len(sounds.gains)):
        always = sounds.mixes(np.full(len(photos.scenes), entry))
        rates.append(hit_rate(hits(always, photos.expected), photos.expected))
    alone = np.count_nonzero(sounds.gains, axis=1) == 1
    return [
        f"- by kind of photo: {', '.join(f'{kind} {rate:.2f}' for kind, rate in best_first)}",
        f"- always the one best sound: {np.array(rates)[alone].max():.3f}",
        f"- a random mix: {np.mean(rates):.3f}",
    ]


def halves(sounds: Sounds, photos: Photos) -> list[str]:
    """Return lines on L and τ chosen on alternate kinds of photo and measured on the rest."""
    grid = [
        Variant(f"L = {k:g} and {c:g}, τ = {t}", home_nats=nats(k, c), temperature_nats=t)
        for k, c, t in itertools.product(KIND_NATS, CONDITION_NATS, TEMPERATURES)
    ]
    outcomes = {
        v.name: hits(sounds.mixes(scores(v, sounds, photos).argmin(axis=0)), photos.expected)
        for v in [*grid, IN_USE]
    }
    order = sorted({e.kind for e in photos.expected})
    even = np.array([order.index(e.kind) % 2 == 0 for e in photos.expected])
    lines = []
    for fitted in (even, ~even):
        best = max(grid, key=lambda v: _rate_on(fitted, outcomes[v.name], photos)).name
        chosen_on, left_out, in_use = (
            _rate_on(part, outcomes[name], photos)
            for part, name in ((fitted, best), (~fitted, best), (~fitted, IN_USE.name))
        )
        lines.append(
            f"- {best} is best on one half of the kinds ({chosen_on:.3f}); on the other it has "
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
    """Return lines on how often an edited photo keeps its best mix, or gets an equivalent one."""
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
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("tar", type=FILE)
@click.argument("expectations", type=FILE)
@click.option("--index", type=FILE, help="Sound index.  [default: the shipped one]")
@click.option("--soundbank", type=FOLDER, help="Sound bank.  [default: the shipped one]")
@click.option("--checks/--no-checks", default=True, help="Whether to make the two checks.")
def main(
    tar: Path, expectations: Path, index: Path | None, soundbank: Path | None, checks: bool
) -> None:
    """Measure variants of the rule on the photos of TAR against EXPECTATIONS."""
    expected, networks = read_expectations(expectations), Lite.load()
    photos = read_photos(tar, networks, expected)
    with open_index(index or shipped_index()) as opened:
        sounds = Sounds.of(opened, open_bank(soundbank))
    click.echo("| rule | hit rate | 95 % | worst kind | sounds | mixes |")
    click.echo("| --- | --- | --- | --- | --- | --- |")
    for variant in STEPS + OTHERS:
        click.echo(row(variant, sounds, photos))
    click.echo("\nFor scale:\n")
    click.echo("\n".join(for_scale(sounds, photos)))
    if checks:
        click.echo("\nKinds of photo left out:\n")
        click.echo("\n".join(halves(sounds, photos)))
        click.echo("\nChanged photos:\n")
        look = partial(read_photos, tar, networks, expected)
        click.echo("\n".join(robustness(sounds, photos, look)))


if __name__ == "__main__":
    main()
