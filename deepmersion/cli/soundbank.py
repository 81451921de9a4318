"""``deepmersion soundbank``: what a sound bank holds, and whether it is sound."""

from __future__ import annotations

from pathlib import Path

import click

from deepmersion.cli.options import PATH


@click.group()
def soundbank() -> None:
    """Look into a sound bank."""


@soundbank.command("list")
@click.argument("folder", required=False, type=PATH)
def list_sounds(folder: Path | None) -> None:
    """Print the sounds in FOLDER (default: the shipped sound bank)."""
    from deepmersion.soundbank import open_bank

    bank = open_bank(folder)
    width = max(map(len, bank.names))
    click.echo(f"{bank.title} ({bank.folder})")
    for sound in bank.sounds:
        click.echo(f"  {sound.name:{width}}  {sound.title}{_licence(sound.licence)}")


def _licence(licence: str) -> str:
    return f"  [{licence}]" if licence else ""


@soundbank.command()
@click.argument("folder", required=False, type=PATH)
def check(folder: Path | None) -> None:
    """Decode every sound in FOLDER and print its length, rate, loudness and true peak."""
    from deepmersion.audio import decode, integrated_loudness, load_loop, true_peak_db
    from deepmersion.soundbank import open_bank

    bank = open_bank(folder)
    width = max(map(len, bank.names))
    for sound in bank.sounds:
        samples, rate = decode(sound)
        load_loop(sound)
        click.echo(
            f"{sound.name:{width}}  {len(samples) / rate:7.1f} s  {rate:6d} Hz  "
            f"{integrated_loudness(samples, rate):6.1f} LUFS  {true_peak_db(samples):6.1f} dBTP"
        )
    click.echo(f"{len(bank.sounds)} sounds, all of them can be used.", err=True)
