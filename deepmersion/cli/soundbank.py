"""``deepmersion soundbank``: list and check the sounds of a bank."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deepmersion.cli.options import PATH
from deepmersion.cli.progress import progress_bar
from deepmersion.errors import SoundBankError, WeightsError, in_one_line

if TYPE_CHECKING:
    import numpy as np

    from deepmersion.sound.bank import BaseSound
    from deepmersion.soundbank_check import Ear, Measures

INDENT = "    "


@click.group()
def soundbank() -> None:
    """Inspect a sound bank."""


@soundbank.command("list")
@click.argument("folder", required=False, type=PATH)
def list_sounds(folder: Path | None) -> None:
    """Print the sounds in FOLDER (default: the shipped sound bank).

    For each: title, licence, length, rate and declared loudness, which need no decoding. For the
    shipped sounds also the five likeliest of SoundNet's scenes, with their probabilities. See
    `deepmersion soundbank check` for everything that has to be measured.
    """
    from deepmersion.shipped import shipped_index
    from deepmersion.sound.bank import open_bank
    from deepmersion.soundbank_check import known_scenes

    bank = open_bank(folder)
    heard = known_scenes(bank, shipped_index())
    width = max(map(len, bank.names))
    click.echo(f"{bank.title} ({bank.folder})")
    for sound in bank.sounds:
        licence = f"  [{sound.licence}]" if sound.licence else ""
        click.echo(f"  {sound.name:{width}}  {sound.title}{licence}  {_file(sound)}")
        if sound.name in heard:
            click.echo(f"  {'':{width}}  hears {_scenes(heard[sound.name])}")


def _file(sound: BaseSound) -> str:
    import soundfile

    from deepmersion.sound.recording import UNDECODABLE

    try:
        info = soundfile.info(sound.path)
    except UNDECODABLE:
        return "cannot be decoded"
    loudness = "" if sound.loudness_lufs is None else f"  {sound.loudness_lufs:.1f} LUFS"
    return f"{info.duration:.1f} s  {info.samplerate} Hz{loudness}"


@soundbank.command()
@click.argument("folder", required=False, type=PATH)
def check(folder: Path | None) -> None:
    """Measure every sound in FOLDER (default: the shipped sound bank), and run SoundNet on it.

    For each: length, rate, loudness, true peak and loudness range of the file; the change of level
    and spectrum at the loop point, with the share of other places in the sound where it is
    smaller; and the five likeliest of SoundNet's 401 scenes, with their probabilities. Sounds that
    will match badly or sound bad get a warning. The exit code is 1 if a sound, or SoundNet, cannot
    be used.
    """
    from deepmersion.sound.bank import open_bank
    from deepmersion.soundbank_check import measure

    bank = open_bank(folder)
    ear, n_usable = _ear(), 0
    for sound in bank.sounds:
        try:
            measures = measure(sound)
            scenes = None if ear is None else ear.hear(sound)
        except SoundBankError as error:
            click.echo(f"Error: {in_one_line(error)}", err=True)
            continue
        _show(sound, measures, scenes)
        n_usable += 1
    n = len(bank.sounds)
    click.echo(f"{n_usable} of {n} sounds can be used.", err=True)
    if n_usable < n or ear is None:
        sys.exit(1)


def _ear() -> Ear | None:
    from deepmersion.soundbank_check import Ear

    try:
        with progress_bar("Fetching SoundNet", "B", unit_scale=True) as on_fetch:
            return Ear(on_fetch)
    except WeightsError as error:
        # The measurements are useful without SoundNet.
        click.echo(f"Error: {in_one_line(error)}", err=True)
        return None


def _show(sound: BaseSound, measures: Measures, scenes: np.ndarray | None) -> None:
    from deepmersion.soundbank_check import warnings

    seam = measures.seam
    click.echo(
        f"{sound.name}\n{INDENT}{measures.duration_s:.1f} s, {measures.sample_rate} Hz, "
        f"{measures.loudness_lufs:.1f} LUFS, true peak {measures.true_peak_dbtp:.1f} dBTP, "
        f"range {measures.range_lu:.1f} LU\n{INDENT}loop point: level step {seam.step_db:.1f} dB "
        f"({seam.step_rank:.0%}), spectral flux {seam.flux:.2f} ({seam.flux_rank:.0%})"
    )
    if scenes is not None:
        click.echo(f"{INDENT}hears {_scenes(scenes)}")
    for warning in warnings(measures, scenes):
        click.echo(f"Warning: {sound.name} {warning}", err=True)


def _scenes(probs: np.ndarray) -> str:
    from deepmersion.soundbank_check import likeliest_scenes

    return ", ".join(f"{label} {p:.2f}" for label, p in likeliest_scenes(probs))
