"""The command, from what is typed to what comes out."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from commandline import COMMAND, TIMEOUT_S, all_shown, run, run_here, start, succeeded
from PIL import Image
from soundserver import wait_for

from deepmersion.cli.options import duration
from deepmersion.sound.bank import open_bank

RATE = 44_100

SLOW = ["torch", "torchvision", "scipy", "librosa", "h5py", "soundfile", "matplotlib", "PIL"]

RECORD = {
    "schema",
    "photo",
    "networks",
    "weights",
    "objects",
    "scenes",
    "conditions",
    "matches",
    "without",
    "place",
    "output",
}


def imported(*cases: Sequence[str]) -> list[set[str]]:
    """Return the top-level modules that are imported after each of some uses of the command.

    One interpreter gets them all in turn, so that it starts only once.
    """
    code = (
        "import json, sys\n"
        "from deepmersion.cli import main\n"
        "for arguments in json.loads(sys.argv[1]):\n"
        "    try: main(arguments, prog_name='deepmersion')\n"
        "    except SystemExit: pass\n"
        "    print('\\n' + ' '.join(sys.modules), file=sys.stderr)\n"
        "    print('end of case', file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, json.dumps(cases)], capture_output=True, text=True, check=True
    )
    lines = result.stderr.splitlines()
    ends = [i for i, line in enumerate(lines) if line == "end of case"]
    assert len(ends) == len(cases)
    return [{name.partition(".")[0] for name in lines[end - 1].split()} for end in ends]


def records(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


# What answers at once


QUICK = [
    ["--help"],
    ["--version"],
    ["nonsense"],
    ["match"],
    ["match", "--help"],
    ["match", "a.jpg", "--duration", "soon"],
    ["build-index", "--help"],
    ["weights", "--help"],
    ["devices", "--help"],
    ["play", "--help"],
    ["play", "kazoo"],
]


def test_help_and_wrong_usage_import_nothing_slow() -> None:
    found = imported(*QUICK)
    assert "click" in found[0]
    for case, names in zip(QUICK, found, strict=True):
        assert not names & set(SLOW), case


def test_a_match_with_lite_imports_no_library_that_only_others_need(china_jpg: Path) -> None:
    arguments = ["match", str(china_jpg), "--networks", "lite", "--json"]
    (found,) = imported(arguments)
    assert {"onnxruntime", "h5py", "PIL"} <= found
    others = {"torch", "torchvision", "scipy", "librosa", "soundfile", "matplotlib"}
    assert not found & others


@pytest.mark.parametrize("command", ["match", "play", "serve", "build-index"])
def test_help_shows_examples_line_by_line(command: str) -> None:
    lines = succeeded(run_here(command, "--help")).stdout.decode().splitlines()
    assert f"    deepmersion {command}" in [line[: 16 + len(command)] for line in lines]
    assert not [line for line in lines if "\\" in line or line.count("deepmersion ") > 1]


def test_help_names_every_command() -> None:
    text = succeeded(run_here("--help")).stdout.decode()
    commands = ("match", "play", "serve", "build-index", "devices", "soundbank", "index", "weights")
    for command in commands:
        assert f"\n  {command} " in text
        assert succeeded(run_here(command, "--help")).stdout.startswith(
            b"Usage: deepmersion " + command.encode()
        )


def test_the_module_is_the_command() -> None:
    module = subprocess.run(
        [sys.executable, "-m", "deepmersion", "--help"], capture_output=True, check=True
    )
    assert module.stdout == run("--help").stdout


def test_version() -> None:
    assert run("--version").stdout.decode() == f"deepmersion, version {version('deepmersion')}\n"


def test_the_shell_completes_commands_and_options() -> None:
    script = run(env={"_DEEPMERSION_COMPLETE": "bash_source"}).stdout.decode()
    assert "_deepmersion_completion" in script
    asked = {"_DEEPMERSION_COMPLETE": "bash_complete", "COMP_CWORD": "1"}
    commands = run(env=asked | {"COMP_WORDS": "deepmersion bu"}).stdout.decode()
    assert commands == "plain,build-index\n"
    asked |= {"COMP_CWORD": "2", "COMP_WORDS": "deepmersion match --dur"}
    assert run(env=asked).stdout.decode() == "plain,--duration\n"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600), ("0.5m", 30)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "arguments",
    [
        ["match"],
        ["match", "a.jpg", "--duration", "0"],
        ["match", "a.jpg", "--duration", "-5"],
        ["match", "a.jpg", "--duration", "1d"],
        ["match", "a.jpg", "--top", "0"],
        ["match", "a.jpg", "--use", "smells"],
        ["match", "a.jpg", "--networks", "huge"],
        ["match", "a.jpg", "--volume", "1000"],
        ["match", "a.jpg", "b.jpg", "-o", "both.wav"],
        ["match", "a.jpg", "--json", "-o", "-"],
        ["match", "--watch", "folder", "a.jpg"],
        ["match", "--watch", "folder", "-o", "a.wav"],
        ["match", "--watch", "folder", "--json"],
        ["match", "a.jpg", "b.jpg", "--fade", "slowly"],
        ["play"],
        ["play", "waves", "rain"],
        ["build-index", "--max-layers", "-1"],
        ["devices", "extra"],
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(arguments: list[str]) -> None:
    result = run_here(*arguments)
    assert result.returncode == 2
    assert result.stdout == b""
    assert b"\nError: " in result.stderr
    assert b"Traceback" not in result.stderr


# Records for programs


def test_json_has_a_line_for_each_photo_and_goes_on_after_a_bad_one(
    china_jpg: Path, flower_jpg: Path
) -> None:
    result = run_here("match", china_jpg, "missing.jpg", flower_jpg, "--json", "--top", "3")
    assert result.returncode == 1
    first, bad, last = records(result.stdout)
    assert set(bad) == {"photo", "error"}
    assert bad["photo"] == "missing.jpg"
    assert "no such file" in bad["error"]
    for record, photo in ((first, china_jpg), (last, flower_jpg)):
        assert set(record) == RECORD
        assert record["schema"] == 1
        assert record["photo"] == str(photo)
        assert record["networks"] in {"lite", "paper"}
        assert record["output"] is None
        for head in ("objects", "scenes"):
            p = [entry["p"] for entry in record[head]]
            assert len(p) == 5
            assert p == sorted(p, reverse=True)
            assert 0 < sum(p) <= 1.0001
        ranks = [match["rank"] for match in record["matches"]]
        assert ranks == [1, 2, 3]
        scores = [match["score"] for match in record["matches"]]
        assert scores == sorted(scores)
        for match in record["matches"]:
            assert match["sounds"]
            assert all(gain > 0 for gain in match["sounds"].values())
            assert match["kl"] == pytest.approx(match["kl_objects"] + match["kl_scenes"], abs=1e-5)
            assert min(match["kl_objects"], match["kl_scenes"]) >= 0
    assert first["objects"] != last["objects"]


def test_several_photos_load_the_networks_once(china_jpg: Path, flower_jpg: Path) -> None:
    code = (
        "import json, sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0]))"
        " if event == 'open' else None)\n"
        "from deepmersion.cli import main\n"
        "for photos in json.loads(sys.argv[1]):\n"
        "    opened.clear()\n"
        "    try: main(['match', *photos, '--json'])\n"
        "    except SystemExit: pass\n"
        "    kinds = ('.pth', '.safetensors', '.onnx', '.h5')\n"
        "    print(sum(name.endswith(kinds) for name in opened))"
    )
    once, often = [str(china_jpg)], [str(china_jpg), str(flower_jpg), str(china_jpg)]
    command = [sys.executable, "-c", code, json.dumps([once, often])]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    _, n_once, _, _, _, n_often = result.stdout.splitlines()
    assert int(n_once) > 0
    assert n_often == n_once


@pytest.mark.parametrize(("use", "left_out"), [("objects", "kl_scenes"), ("scenes", "kl_objects")])
def test_one_label_set_can_decide(use: str, left_out: str, china_jpg: Path) -> None:
    (record,) = records(succeeded(run_here("match", china_jpg, "--json", "--use", use)).stdout)
    (match,) = record["matches"]
    assert left_out not in match
    assert match["kl"] == match[f"kl_{use}"]


def test_a_photo_from_standard_input(china_jpg: Path) -> None:
    piped = succeeded(run("match", "-", "--json", stdin=china_jpg.read_bytes()))
    named = succeeded(run_here("match", china_jpg, "--json"))
    (a,), (b,) = records(piped.stdout), records(named.stdout)
    assert a.pop("photo") == "-"
    assert b.pop("photo") == str(china_jpg)
    assert a == b


def test_the_name_of_a_photo_need_not_be_text(china_jpg: Path, tmp_path: Path) -> None:
    photo = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    photo.symlink_to(china_jpg)
    (record,) = records(succeeded(run_here("match", photo, "--json")).stdout)
    assert record["photo"] == str(photo)
    described = succeeded(run("match", photo, "-o", tmp_path / "x.wav", "--duration", "1"))
    assert rb"caf\udce9.jpg" in described.stdout


def test_a_folder_stands_for_the_photos_in_it(
    china_jpg: Path, flower_jpg: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "b.jpg").symlink_to(china_jpg)
    (tmp_path / "a.jpg").symlink_to(flower_jpg)
    (tmp_path / "notes.txt").write_text("no photo")
    result = run_here("match", tmp_path, tmp_path / "empty", china_jpg, "--json")
    assert result.returncode == 1
    a, b, empty, last = records(result.stdout)
    assert [a["photo"], b["photo"]] == [str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")]
    assert empty["photo"] == str(tmp_path / "empty")
    assert "a folder with photos in it" in empty["error"]
    assert last["matches"] == b["matches"] != a["matches"]


# Words for people


def test_a_description_goes_to_standard_output(china_jpg: Path, tmp_path: Path) -> None:
    result = succeeded(
        run(
            "match", china_jpg, "--top", "2", "-o", tmp_path / "x.wav", "--duration", "1",
            env={"PYTHONIOENCODING": "ascii"},
        )
    )  # fmt: skip
    lines = result.stdout.decode().splitlines()
    assert lines[0] == str(china_jpg)
    assert lines[1].startswith("  objects  ")
    assert lines[2].startswith("  scenes   ")
    assert lines[3].startswith("  conditions  ")
    assert [line.split()[0] for line in lines[4:]] == ["1.", "2.", "again"]
    assert "█" not in result.stdout.decode()
    assert f"Wrote {tmp_path / 'x.wav'} (1 s)" in result.stderr.decode()


def test_a_terminal_gets_bars(china_jpg: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = start("match", china_jpg, "-o", tmp_path / "x.wav", "--duration", "1", stdout=theirs)
    os.close(theirs)
    shown = all_shown(ours)
    assert process.communicate()[1].endswith(b"(1 s)\n")
    assert process.returncode == 0
    assert "█" in shown


# Files and pipes


@pytest.mark.parametrize(
    ("suffix", "kind", "duration", "seconds"),
    [
        ("wav", "WAV", "2", 2),
        ("flac", "FLAC", "2.5s", 2.5),
        ("ogg", "OGG", "0.05m", 3),
        ("mp3", "MP3", "0.001h", 3.6),
    ],
)
def test_a_file_in_every_format(
    suffix: str, kind: str, duration: str, seconds: float, china_jpg: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"sound.{suffix}"
    result = succeeded(run_here("match", china_jpg, "--json", "-o", path, "--duration", duration))
    assert records(result.stdout)[0]["output"] == str(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    samples, rate = soundfile.read(path)
    assert soundfile.info(path).format == kind
    assert rate == 44_100
    assert samples.shape[1] == 2
    # MP3 comes in frames of 1152 samples, some of which are the encoder's own.
    assert abs(len(samples) - seconds * rate) <= (2 * 1152 if kind == "MP3" else 0)
    assert np.sqrt((samples**2).mean()) > 0.001
    assert np.abs(samples).max() < 10 ** (-1 / 20)


def test_a_pipe_gets_wav_and_nothing_else_and_the_same_as_a_file(
    china_jpg: Path, tmp_path: Path
) -> None:
    result = succeeded(run("match", china_jpg, "-o", "-", "--duration", "2"))
    samples, rate = soundfile.read(io.BytesIO(result.stdout), dtype="int16")
    assert (samples.shape, rate) == ((88_200, 2), 44_100)
    assert len(result.stdout) == 44 + 88_200 * 4
    assert np.abs(samples.astype(int)).max() > 0.01 * 2**15
    assert str(china_jpg) in result.stderr.decode()
    path = tmp_path / "x.flac"
    succeeded(run_here("match", china_jpg, "-o", path, "--duration", "2"))
    np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], samples)


@pytest.mark.parametrize("options", [["-o", "-"], ["--json"]])
def test_a_reader_who_goes_away_ends_it_quietly(options: list[str], china_jpg: Path) -> None:
    photos = [str(china_jpg)] if "-o" in options else [str(china_jpg)] * 40
    command = shlex.join([COMMAND, "match", *photos, *options])
    result = subprocess.run(
        ["bash", "-c", f"{command} | head -c 1000; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert result.returncode == 0, result.stderr.decode()
    assert len(result.stdout) == 1000
    notes = result.stderr.decode().splitlines()
    assert notes[0].startswith("Networks: ")
    assert not [line for line in notes if "rror" in line or "Traceback" in line]
    assert len(notes) == (7 if "-o" in options else 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_an_endless_pipe_quietly(number: signal.Signals, china_jpg: Path) -> None:
    process = start("match", china_jpg, "-o", "-")
    assert process.stdout
    header = process.stdout.read(44)
    assert header[:4] == b"RIFF"
    assert header[40:] == b"\xff\xff\xff\xff"
    heard = [process.stdout.read(RATE * 4)]
    process.send_signal(number)
    rest, notes = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    assert notes.decode().splitlines()[-1].startswith("  again ")
    samples = np.frombuffer(b"".join([*heard, rest]), "<i2").reshape(-1, 2)
    assert len(samples) < 3 * RATE
    # Faded out, not cut off.
    assert np.abs(samples[-100:]).max() < 0.05 * np.abs(samples[-RATE : -RATE // 2]).max()


def test_a_signal_ends_a_pipe_that_nobody_reads(china_jpg: Path) -> None:
    process = start("match", china_jpg, "-o", "-")
    assert process.stdout
    assert process.stdout.read(4) == b"RIFF"
    time.sleep(1)  # until the pipe is full
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=TIMEOUT_S) == 0
    process.communicate()


def test_closed_standard_streams(china_jpg: Path, tmp_path: Path) -> None:
    def result(
        redirections: str, *arguments: str | Path, command: str = "match"
    ) -> tuple[int, list[str]]:
        command = shlex.join([COMMAND, command, *map(str, arguments)])
        ended = subprocess.run(
            ["bash", "-c", f"{command} {redirections}"],
            capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
        return ended.returncode, ended.stderr.splitlines()

    code, lines = result(">&-", str(china_jpg), "--json")
    assert (code, lines) == (1, ["Error: standard output is closed; send it to a file or a pipe"])
    code, lines = result("<&-", "-", "--json")
    assert code == 1
    assert lines[-1].startswith("Error: standard input is closed")
    code, lines = result("2>&- >/dev/null", str(china_jpg), "--json")
    assert (code, lines) == (0, [])
    path = tmp_path / "a.wav"
    code, lines = result("2>&-", "rain", "-o", path, "--duration", "1", command="play")
    assert (code, lines) == (0, [])
    assert soundfile.info(path).frames == RATE
    piped = tmp_path / "piped"
    code, lines = result(f"2>&- >{piped}", china_jpg, "-o", "-", "--duration", "1")
    assert (code, lines) == (0, [])
    assert piped.stat().st_size == 44 + 4 * RATE


def n_bytes(folder: Path) -> int:
    """Return how much has been written into a folder."""
    return sum(path.stat().st_size for path in folder.iterdir())


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
def test_closing_the_terminal_leaves_nothing_behind(tmp_path: Path) -> None:
    process = start("play", "rain", "-o", tmp_path / "a.wav", "--duration", "1h")
    wait_for(lambda: any(tmp_path.iterdir()))
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=TIMEOUT_S)[1].decode() == "Stopped.\n"
    assert process.returncode == -signal.SIGHUP
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """As in the background jobs of a script, which Ctrl-C is not meant for."""
    command = shlex.join(
        [COMMAND, "play", "rain", "-o", str(tmp_path / "a.wav"), "--duration", "6h"]
    )
    process = subprocess.Popen(
        ["bash", "-c", f"trap '' INT; exec {command}"], stderr=subprocess.PIPE
    )
    wait_for(lambda: n_bytes(tmp_path) > 1_000_000)
    process.send_signal(signal.SIGINT)
    n_before = n_bytes(tmp_path)
    wait_for(lambda: n_bytes(tmp_path) > n_before + 10_000_000 or process.poll() is not None)
    assert process.poll() is None
    process.terminate()
    assert process.communicate(timeout=TIMEOUT_S)[1] == b"Stopped.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_what_is_known_at_once_may_not_find_room_either(option: str) -> None:
    with Path("/dev/full").open("wb") as full:
        _, stderr = start(option, stdout=full).communicate(timeout=TIMEOUT_S)
    (line,) = stderr.decode().splitlines()
    assert line.startswith("Error: standard output: No space left on device")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_error_that_cannot_be_told_still_has_its_exit_code() -> None:
    with Path("/dev/full").open("wb") as full:
        process = start("play", "kazoo", stdout=full, stderr=full)
        assert process.wait(timeout=TIMEOUT_S) == 1


# The other commands


def test_the_index_says_what_it_holds() -> None:
    text = succeeded(run_here("index", "info")).stdout.decode()
    assert "of 18 sounds" in text
    assert "birds" in text
    assert "window" in text or "heard" in text


def test_the_shipped_sounds_are_listed_with_what_soundnet_hears() -> None:
    first, *lines = succeeded(run_here("soundbank", "list")).stdout.decode().splitlines()
    assert "eighteen base sounds" in first
    assert len(lines) == 54
    for sound, kind, heard in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        assert re.search(r"\[MIT\]  \d+\.\d s  44100 Hz  -2[67]\.\d LUFS$", sound), sound
        assert re.fullmatch(r" +kind [\w ]+, from soundbank\.toml", kind), kind
        name, *scenes = heard.strip().split(", ")
        assert name.startswith("hears ")
        assert len(scenes) == 4
        shares = [float(scene.split()[-1]) for scene in [name, *scenes]]
        assert shares == sorted(shares, reverse=True)
    assert "ocean" in lines[3 * [line.split()[0] for line in lines[::3]].index("waves") + 2]


def test_the_kind_of_a_recording_is_shown_or_how_to_say_it(tmp_path: Path) -> None:
    for name in ("01 Campfire", "R0_0042"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(RATE), RATE)
    result = succeeded(run_here("soundbank", "list", tmp_path))
    kinds = [line.strip() for line in result.stdout.decode().splitlines()[2::2]]
    assert kinds == ["kind fire, from its name or title", "kind unknown"]
    (note,) = result.stderr.decode().splitlines()
    assert note.startswith("The kind of 1 of 2 sounds is unknown")
    assert "such as rain-R0_0042.wav" in note
    assert ", thunderstorm, " in note
    description = tmp_path / "soundbank.toml"
    table = '[[sound]]\nname = "42"\nfile = "R0_0042.wav"\n'
    for line, kind in {
        "": "kind unknown",
        'places = ["abbey"]': "kind unknown, at home where soundbank.toml says",
        'kind = "owl"': "kind owl, from soundbank.toml",
    }.items():
        description.write_text(table + line)
        result = succeeded(run_here("soundbank", "list", tmp_path))
        assert result.stdout.decode().splitlines()[2].strip() == kind
        todo = f'add a line such as `kind = "rain"` to their [[sound]] tables in {description}'
        assert (todo in result.stderr.decode()) == (not line)


def test_a_folder_of_recordings_is_checked(soundnet_weights: Path, tmp_path: Path) -> None:
    assert soundnet_weights.is_file()
    (waves,) = [sound for sound in open_bank().sounds if sound.name == "waves"]
    shutil.copy(waves.path, tmp_path)
    (tmp_path / "soundbank.toml").write_text(
        '[[sound]]\nname = "loud"\nfile = "loud.flac"\n'
        '[[sound]]\nname = "waves"\nfile = "waves.ogg"\nloops = true\n'
        f"loudness_lufs = {waves.loudness_lufs}\n"
    )
    loud = np.clip(np.random.default_rng(0).normal(0, 0.7, 5 * 22_050), -1, 1)
    soundfile.write(tmp_path / "loud.flac", loud, 22_050)
    plot = tmp_path / "plot.png"
    result = succeeded(run_here("soundbank", "check", "--cuts", tmp_path, "--plot", plot))
    lines = result.stdout.decode().splitlines()
    assert [lines[0], lines[7]] == ["loud", "waves"]
    assert len(lines) == 15
    assert [lines[1], lines[8]] == [
        "    kind unknown",
        "    kind ocean waves, from its name or title",
    ]
    assert re.fullmatch(
        r"    5\.0 s, 22050 Hz, -?\d\.\d LUFS, true peak \d\.\d dBTP, range \d\.\d LU", lines[2]
    ), lines[2]
    assert re.fullmatch(r"    centroid \d+ Hz, flatness 0\.\d+, \d+\.\d events/s", lines[3]), lines[
        3
    ]
    assert lines[4] == "    may be cut at 1 place, 75% of it"  # its end is its beginning's too
    assert "-27." in lines[9]
    assert re.fullmatch(
        r"    loop point: level step \d+\.\d dB \(\d+%\), spectral flux \d+\.\d dB \(\d+%\)",
        lines[11],
    ), lines[11]
    assert "ocean" in lines[13]
    # What was heard for the index is heard again here.
    assert lines[13].split() == shipped_line("waves")
    # What was found for the shipped bank is found again, too.
    found = tomllib.loads(lines[14])["cuts"]
    assert tuple(map(tuple, found)) == waves.cuts
    warnings = [w for w in result.stderr.decode().splitlines() if w.startswith("Warning: ")]
    for what in ("lasts 5.0 s", "is mono", "is clipped in"):
        assert [warning for warning in warnings if f"Warning: loud {what}" in warning]
    assert not [warning for warning in warnings if "waves" in warning]
    assert result.stderr.decode().splitlines()[-1] == "2 of 2 sounds can be used."
    with Image.open(plot) as image:
        assert image.format == "PNG"
        assert image.height > 400


def test_what_a_plot_needs_is_looked_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_here("soundbank", "check", "--plot", tmp_path / "none" / "plot.png")
    assert result.returncode == 1
    assert result.stderr.decode().startswith(f"Error: the folder {tmp_path / 'none'} does not")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run_here("soundbank", "check", "--plot", tmp_path / "plot.png")
    assert result.returncode == 1
    assert result.stderr.decode() == (
        "Error: --plot needs matplotlib; install it with: pip install matplotlib\n"
    )


def shipped_line(name: str) -> list[str]:
    """Return what `soundbank list` says that SoundNet hears in a shipped sound."""
    lines = succeeded(run_here("soundbank", "list")).stdout.decode().splitlines()
    (number,) = [i for i, line in enumerate(lines) if line.startswith(f"  {name} ")]
    return lines[number + 2].split()
