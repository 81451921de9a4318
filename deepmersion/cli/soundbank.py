"""``deepmersion soundbank``: fetch a bank, list and check the sounds of one."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deepmersion.cli.options import PATH, SOUND_BANK
from deepmersion.cli.progress import progress_bar
from deepmersion.cli.say import n_columns, note, padded, say
from deepmersion.cli.signals import ending
from deepmersion.errors import FetchError, SoundBankError
from deepmersion.sound.names import BLANKET

if TYPE_CHECKING:
    import numpy as np

    from deepmersion.hearing.soundnet import SoundNet
    from deepmersion.sound.bank import BaseSound, SoundBank
    from deepmersion.soundbank_check import Measures

INDENT = "    "


@click.group()
def soundbank() -> None:
    """Fetch and inspect sound banks."""


@soundbank.command("fetch")
@click.argument("name", type=click.Choice([BLANKET]))
def fetch_(name: str) -> None:
    """Fetch the recordings of the Blanket application (12 MB), for `--soundbank blanket`.

    Beside them CREDITS.txt says who made each and under which licence. An interrupted download is
    resumed. The environment variable DEEPMERSION_MIRROR names another source (a URL below which
    the files lie as blanket/rain.ogg), DEEPMERSION_CACHE another folder to put them in.
    """
    from deepmersion.sound.blanket import CREDITS, fetch

    with ending(), progress_bar(name, "B", unit_scale=True) as on_progress:
        folder = fetch(on_progress)
    say(f"{name}: {folder}, credits in {folder / CREDITS}")


@soundbank.command("list")
@click.argument("folder", required=False, type=SOUND_BANK, metavar="[FOLDER|blanket]")
def list_sounds(folder: Path | str | None) -> None:
    """Print the sounds in FOLDER (default: the shipped sound bank).

    For each: title, licence, length as decoded, rate and declared loudness, and the kind of sound
    with its source. For the sounds of the shipped bank and of blanket also the five
    likeliest of SoundNet's scenes, with their probabilities. See `deepmersion soundbank check` for
    everything that has to be measured.
    """
    from deepmersion.shipped import shipped_index
    from deepmersion.sound.bank import open_bank
    from deepmersion.soundbank_check import known_scenes

    bank = open_bank(folder)
    heard = known_scenes(bank, shipped_index(bank.name))
    width = max(map(n_columns, bank.names))
    say(f"{bank.title} ({bank.folder})")
    with ThreadPoolExecutor() as pool:  # decoders free Python's lock
        files = pool.map(_file, bank.sounds)
    for sound, file in zip(bank.sounds, files, strict=True):
        licence = f"  [{sound.licence}]" if sound.licence else ""
        say(f"  {padded(sound.name, width)}  {sound.title}{licence}  {file}")
        say(f"  {'':{width}}  {_kind(sound)}")
        if sound.name in heard:
            say(f"  {'':{width}}  hears {_scenes(heard[sound.name])}")
    _say_how_to_name_kinds(bank)
    _say_what_is_left_out(bank)


def _file(sound: BaseSound) -> str:
    from deepmersion.sound.recording import length

    try:
        n_samples, rate = length(sound)
    except SoundBankError as error:
        return str(error).removeprefix(f"{sound.path} ")
    loudness = "" if sound.loudness_lufs is None else f"  {sound.loudness_lufs:.1f} LUFS"
    return f"{n_samples / rate:.1f} s  {rate} Hz{loudness}"


def _kind(sound: BaseSound) -> str:
    """Return a sound's kind in words, with its source."""
    kind = sound.known_kind
    if kind is None:
        return "kind unknown"
    if not kind.name:
        return "kind unknown, at home where soundbank.toml says"
    source = "soundbank.toml" if sound.kind else "its name or title"
    return f"kind {kind.name}, from {source}"


def _say_what_is_left_out(bank: SoundBank) -> None:
    if bank.left_out:
        note(f"Note: {bank.left_out}")


def _say_how_to_name_kinds(bank: SoundBank) -> None:
    """Print the line to add for sounds of unknown kind, if any."""
    from deepmersion.kinds.table import all_kinds
    from deepmersion.sound.bank import DESCRIPTION

    unknown = [sound for sound in bank.sounds if sound.known_kind is None]
    if not unknown:
        return
    description = bank.folder / DESCRIPTION
    n = f"{len(unknown)} of {len(bank.sounds)} sounds"
    if description.is_file():
        todo = f'add a line such as `kind = "rain"` to their [[sound]] tables in {description}'
    else:
        path = unknown[0].path
        todo = f"name the files after what is heard, such as rain-{path.name}"
    note(
        f"The kind of {n} is unknown, so only SoundNet says where they belong; {todo}. "
        f"The kinds: {', '.join(all_kinds())}."
    )


@soundbank.command()
@click.argument("folder", required=False, type=SOUND_BANK, metavar="[FOLDER|blanket]")
@click.option(
    "--plot",
    type=PATH,
    metavar="FILE.png",
    help="Draw each sound's mel spectrogram, events, loop point and long-term spectrum.",
)
@click.option("--cuts", is_flag=True, help="Print where each may be cut, as soundbank.toml has it.")
def check(folder: Path | str | None, plot: Path | None, cuts: bool) -> None:
    """Measure every sound in FOLDER (default: the shipped sound bank), and run SoundNet on it.

    For each: the kind of sound with its source; length, rate, loudness, true peak and loudness
    range of the file; spectral centroid and flatness, and events a second; of a loop, the change
    of level and spectrum at the loop point, with the share of other places in the sound where it
    is smaller; and the five likeliest of SoundNet's 401 scenes, with their probabilities. Sounds
    that will match badly or sound bad get a warning. The exit code is 1 if a sound, or SoundNet,
    cannot be used.
    """
    from deepmersion.sound.bank import open_bank
    from deepmersion.sound.cuts import toml_line
    from deepmersion.soundbank_check import hear_alone, measure

    bank = open_bank(folder)
    if plot is not None:
        from deepmersion.soundbank_plot import require_plot

        require_plot(plot, len(bank.sounds))
    network, usable = _soundnet(), []
    for sound in bank.sounds:
        try:
            measures = measure(sound)
            scenes = None if network is None else hear_alone(network, sound)
        except SoundBankError as error:
            note(f"Error: {error}")
            continue
        _show(sound, measures, scenes)
        if cuts:
            say(f"{INDENT}{toml_line(measures.cuts)}")
        usable.append(sound)
    if plot is not None and usable:
        from deepmersion.soundbank_plot import plot_sounds

        with ending():
            plot_sounds(plot, usable)
    _say_how_to_name_kinds(bank)
    _say_what_is_left_out(bank)
    note(f"{len(usable)} of {len(bank.sounds)} sounds can be used.")
    if len(usable) < len(bank.sounds) or network is None:
        sys.exit(1)


def _soundnet() -> SoundNet | None:
    from deepmersion.hearing.listener import load_soundnet

    try:
        with ending(), progress_bar("Fetching SoundNet", "B", unit_scale=True) as on_fetch:
            return load_soundnet(on_fetch=on_fetch)
    except FetchError as error:
        # The measurements are useful without SoundNet.
        note(f"Error: {error}")
        return None


def _show(sound: BaseSound, measures: Measures, scenes: np.ndarray | None) -> None:
    from deepmersion.soundbank_check import warnings

    lines = [
        _kind(sound),
        f"{measures.duration_s:.1f} s, {measures.sample_rate} Hz, {measures.loudness_lufs:.1f} "
        f"LUFS, true peak {measures.true_peak_dbtp:.1f} dBTP, range {measures.range_lu:.1f} LU",
        f"centroid {measures.centroid_hz:.0f} Hz, flatness {measures.flatness:.2g}, "
        f"{measures.events_per_s:.1f} events/s",
    ]
    if seam := measures.seam:
        lines.append(
            f"loop point: level step {seam.step_db:.1f} dB ({seam.step_rank:.0%}), "
            f"spectral flux {seam.flux_db:.1f} dB ({seam.flux_rank:.0%})"
        )
    n_cuts = "1 place" if len(measures.cuts) == 1 else f"{len(measures.cuts)} places"
    share = sum(stop - start for start, stop in measures.cuts) / measures.duration_s
    lines.append(f"may be cut at {n_cuts}, {share:.0%} of it")
    if scenes is not None:
        lines.append(f"hears {_scenes(scenes)}")
    say(sound.name, *(INDENT + line for line in lines))
    for warning in warnings(measures, None if sound.known_kind else scenes):
        note(f"Warning: {sound.name} {warning}")


def _scenes(probs: np.ndarray) -> str:
    from deepmersion.soundbank_check import likeliest_scenes

    return ", ".join(f"{label} {p:.2f}" for label, p in likeliest_scenes(probs))
