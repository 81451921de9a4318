"""Mixes by hand: what a match prints is played again without its photo."""

from __future__ import annotations

import io
import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commandline import run, run_here, succeeded
from material import RATE, noise, write

from deepmersion.cli.describe import command
from deepmersion.cli.sound_options import SoundOptions
from deepmersion.sound.bank import open_bank
from deepmersion.sound.ebb import EBB
from deepmersion.sound.output import dithered
from deepmersion.sound.recipe import gains_vector, mix_text
from deepmersion.sound.renderer import Renderer

AWKWARD = ["rain, heavy", "a=b", "-o", ' it\'s $HOME \\ "x" ', "Ämsel"]


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recordings with names that a shell or a mix could take for something else."""
    folder = tmp_path_factory.mktemp("banks") / "my sounds"
    folder.mkdir()
    for seed, name in enumerate(AWKWARD):
        write(folder / f"{name}.wav", noise(2.0, slope=seed, seed=seed))
    return folder


def words(line: str) -> list[str]:
    program, *arguments = shlex.split(line)
    assert program == "deepmersion"
    return arguments


def test_what_was_chosen_is_played_again_without_the_photo(china_jpg: Path, tmp_path: Path) -> None:
    options = ["--duration", "3", "--fade-out", "1", "--volume", "-3"]
    matched = succeeded(run_here("match", china_jpg, "-o", tmp_path / "a.wav", *options))
    (again,) = [line for line in matched.stdout.decode().splitlines() if line.startswith("  again")]
    arguments = words(again.removeprefix("  again"))
    assert arguments[0] == "play"
    played = succeeded(run_here(*arguments, "-o", tmp_path / "b.wav", *options))
    assert played.stdout == b""
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    piped = succeeded(run(*arguments, "-o", "-", *options)).stdout
    assert piped == (tmp_path / "a.wav").read_bytes()
    record = json.loads(succeeded(run_here("match", china_jpg, "--json")).stdout)
    assert record["matches"][0]["mix"] == arguments[1]


@pytest.mark.parametrize("chosen", [*([name] for name in AWKWARD), AWKWARD])
def test_names_of_every_kind_go_through_a_shell(
    chosen: list[str], awkward: Path, tmp_path: Path
) -> None:
    bank = open_bank(awkward)
    mix = {name: 1 / (i + 1) for i, name in enumerate(chosen)}
    gains = gains_vector(mix, bank.names)
    # A person adds options where there is room for them: after the command's name.
    play, *rest = words(command(mix_text(mix), bank.argument))
    path = tmp_path / "x.wav"
    succeeded(run_here(play, "-o", path, "--duration", "1", *rest))
    expected = dithered(Renderer(bank, gains, duration_s=1).blocks())
    found, _ = soundfile.read(path, dtype="int16")
    np.testing.assert_array_equal(found, np.concatenate(list(expected)))


def test_a_gain_left_out_is_one(tmp_path: Path) -> None:
    files = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path, mix in zip(files, ["waves, birds=0.5", "birds=0.5,waves=1"], strict=True):
        succeeded(run_here("play", mix, "-o", path, "--duration", "1"))
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_slow_fade_out_lies_within_the_duration() -> None:
    fades = ["--fade-in", "0", "--fade-out", "3"]
    piped = run("play", "white-noise", "-o", "-", "--duration", "4", *fades).stdout
    samples, _ = soundfile.read(io.BytesIO(piped))
    assert len(samples) == 4 * RATE
    level = [float(np.sqrt((part**2).mean())) for part in np.split(samples, 8)]
    assert level[1] > level[3] > level[5] > level[7] > 0
    assert level[7] < 0.2 * level[1]


def test_a_seed_and_an_ebb_are_what_is_heard(tmp_path: Path) -> None:
    variants = {
        "usual": [],
        "zero": ["--seed", "0", "--ebb", str(EBB)],
        "other": ["--seed", "7"],
        "even": ["--ebb", "0"],
    }
    for name, options in variants.items():
        path = tmp_path / f"{name}.wav"
        succeeded(run_here("play", "white-noise", "-o", path, "--duration", "3", *options))
    found = {name: (tmp_path / f"{name}.wav").read_bytes() for name in variants}
    assert found["usual"] == found["zero"]
    assert len(set(found.values())) == 3


@pytest.mark.parametrize("options", [["--ebb", "2"], ["--ebb", "-1"], ["--seed", "-1"]])
def test_an_ebb_or_a_seed_that_makes_no_sense_is_wrong_usage(options: list[str]) -> None:
    assert run_here("play", "rain", "-o", "x.wav", *options).returncode == 2


def test_what_nobody_chose_is_drawn_for_the_speakers_alone() -> None:
    options = SoundOptions(None, None, 0.0, None, None, EBB, None, None, False)
    assert len({options.drawn_seed for _ in range(3)}) == 3
    assert replace(options, output="x.flac").drawn_seed == 0
    assert replace(options, output="-").drawn_seed == 0
    assert replace(options, seed=5).drawn_seed == 5
