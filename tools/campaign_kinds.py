"""The kinds of trials: what is damaged, and with which command it is tried."""

from __future__ import annotations

import json
import random
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from campaign_inputs import (
    PHOTO,
    PHOTO_FORMATS,
    SOUND_FORMATS,
    bomb,
    damaged,
    damaged_toml,
    index,
    photo,
    sound,
)
from campaign_trials import Outcome, Trial

from deepmersion.sound.recording import SAMPLE_RATE

PHOTOS_AT_ONCE = 10
"""Photos of one command, which loads the networks once."""

STARTING_S = 3.0
"""Signals are sent up to so long after the start."""

BUILD_S = 240.0
"""Time in which a small index is built even on a busy machine: PyTorch alone is 10 s away."""

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)


def photos(trial: Trial, rng: random.Random) -> None:
    """Damaged photos of every format, and pictures that claim to be huge."""
    for number in range(PHOTOS_AT_ONCE):
        form = rng.choice(PHOTO_FORMATS)
        data = bomb(rng) if rng.random() < 0.02 else damaged(photo(form), rng)
        (trial.folder / f"{number}.{form.lower()}").write_bytes(data)
    names = sorted(path.name for path in trial.folder.iterdir())
    trial.arguments, trial.n = ["match", *names, "--json"], len(names)

    def faults(outcome: Outcome) -> Iterator[str]:
        try:
            records = [json.loads(line) for line in outcome.stdout.splitlines()]
        except ValueError:
            yield "its JSON is none"
            return
        if [record["photo"] for record in records] != names:
            yield f"{len(records)} answers to {len(names)} photos"
        n_errors = sum("error" in record for record in records)
        if outcome.code != (n_errors > 0) or outcome.stderr.count("Error: ") != n_errors:
            yield f"exit code {outcome.code} with {n_errors} errors"

    trial.faults = faults


def indexes(trial: Trial, rng: random.Random) -> None:
    """Damaged indexes, shown or used."""
    (trial.folder / "x.h5").write_bytes(damaged(index(), rng))
    trial.arguments = ["index", "info", "x.h5"]
    if rng.random() < 0.2:
        trial.arguments = ["match", str(PHOTO), "--index", "x.h5", "--json"]


def banks(trial: Trial, rng: random.Random) -> None:
    """Damaged recordings, played into a file."""
    suffix = rng.choice(list(SOUND_FORMATS))
    (trial.folder / "bank").mkdir()
    (trial.folder / "bank" / f"a.{suffix}").write_bytes(damaged(sound(suffix), rng))
    trial.arguments = ["play", "a", "--soundbank", "bank", "-o", "out.wav", "--duration", "1"]
    trial.faults = _whole_or_absent(trial.folder / "out.wav", _wav_bytes(1))


def toml(trial: Trial, rng: random.Random) -> None:
    """Damaged descriptions of sound banks."""
    (trial.folder / "bank").mkdir()
    (trial.folder / "bank" / "a.wav").write_bytes(sound("wav"))
    (trial.folder / "bank" / "soundbank.toml").write_bytes(damaged_toml(rng))
    trial.arguments = ["soundbank", "list", "bank"]


def signals(trial: Trial, rng: random.Random) -> None:
    """Signals at any moment to the installed command."""
    trial.installed = True
    trial.stop = (rng.choice(STOPPING), rng.uniform(0.03, STARTING_S))
    trial.arguments = rng.choice(
        (
            ["match", str(PHOTO), "-o", "out.wav", "--duration", "10m"],
            ["play", "rain", "-o", "out.wav", "--duration", "10m"],
            ["play", "rain,waves", "-o", "-"],
            ["serve", "--port", "0"],
        )
    )
    trial.faults = _whole_or_absent(trial.folder / "out.wav", _wav_bytes(600))


def builds(trial: Trial, rng: random.Random) -> None:
    """Build an index, be stopped, and go on."""
    (trial.folder / "bank").mkdir()
    for name in "ab":
        (trial.folder / "bank" / f"{name}.wav").write_bytes(sound("wav"))
    trial.installed = True
    trial.stop = (rng.choice(STOPPING), rng.uniform(0.5, 8))
    trial.arguments = ["build-index", "--soundbank", "bank", "-o", "out.h5", "--resume"]

    again = Trial("builds", trial.name, trial.folder, trial.arguments, installed=True)
    again.longest_s = BUILD_S
    trial.then = again

    def faults(outcome: Outcome) -> Iterator[str]:
        if outcome.code != 0 or not (trial.folder / "out.h5").is_file():
            yield "it could not go on"

    again.faults = faults


def limits(trial: Trial, rng: random.Random) -> None:
    """Too little memory, too few open files, or no room on the disk."""
    trial.installed = True
    (trial.folder / "photo.png").write_bytes(photo("PNG"))  # decoded by a process of its own
    match = ["match", str(PHOTO), "--json"]
    match_png = ["match", "photo.png", "--json"]
    play = ["play", "rain", "-o", "out.wav", "--duration", "10"]
    how = rng.randrange(3)
    trial.arguments = rng.choice((match, match_png, play))
    trial.faults = _whole_or_absent(trial.folder / "out.wav", _wav_bytes(10))
    if how == 0:
        trial.limits = {resource.RLIMIT_AS: rng.choice((1500, 700, 400, 300)) << 20}
    elif how == 1:
        trial.limits = {resource.RLIMIT_NOFILE: rng.randrange(8, 40)}
    else:
        trial.arguments = play
        trial.limits = {resource.RLIMIT_FSIZE: rng.randrange(1, 1_500_000)}


def _wav_bytes(duration_s: int) -> int:
    """Return the size of a WAV file of stereo at 44,100 Hz and 16 bits: a header, and frames."""
    return 44 + 4 * SAMPLE_RATE * duration_s


def _whole_or_absent(path: Path, n_bytes: int) -> Callable[[Outcome], Iterator[str]]:
    def faults(_outcome: Outcome) -> Iterator[str]:
        if path.exists() and path.stat().st_size != n_bytes:
            yield f"{path.name} has {path.stat().st_size} of {n_bytes} bytes"

    return faults


KINDS: dict[str, tuple[Callable[[Trial, random.Random], None], int]] = {
    "photos": (photos, 60),
    "indexes": (indexes, 300),
    "banks": (banks, 250),
    "toml": (toml, 300),
    "signals": (signals, 60),
    "builds": (builds, 3),
    "limits": (limits, 40),
}
"""What makes a trial of each kind, and how many are made."""
