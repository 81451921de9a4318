"""Ctrl-C, SIGTERM and a closed terminal, at any moment."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import TIMEOUT_S, start
from soundserver import wait_for
from webpage import running
from webserver import connect

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are other signals")

SWALLOWING = """
import os, sys, time
from deepmersion.__main__ import main

number, name = int(sys.argv.pop(1)), sys.argv.pop(1)

class Finder:
    def find_spec(self, module, path=None, target=None):
        if module == name:
            try:
                os.kill(os.getpid(), number)
                time.sleep(0)
            except BaseException:
                pass

sys.meta_path.insert(0, Finder())
main()
"""
"""The command, which gets a signal as a module is found, where any exception is lost: as happens
to those raised in the destructors and callbacks that an import runs."""


@pytest.mark.parametrize(
    ("module", "arguments", "number"),
    [
        ("deepmersion.cli.match", "match PHOTO -o a.flac", signal.SIGINT),
        ("deepmersion.cli.match", "match PHOTO -o a.flac", signal.SIGTERM),
        ("deepmersion.cli.match", "match PHOTO -o a.flac", signal.SIGHUP),
        ("onnxruntime", "match PHOTO -o a.flac", signal.SIGTERM),
        ("deepmersion.sound.renderer", "play rain -o -", signal.SIGHUP),
        ("uvicorn", "serve --port 0", signal.SIGINT),
        ("starlette.routing", "serve --port 0", signal.SIGTERM),
        ("deepmersion.indexing", "build-index -o a.h5", signal.SIGINT),
    ],
)
def test_a_signal_in_an_import_is_not_lost(
    module: str, arguments: str, number: signal.Signals, flower_jpg: Path, tmp_path: Path
) -> None:
    words = [str(flower_jpg) if word == "PHOTO" else word for word in arguments.split()]
    ended = subprocess.run(
        [sys.executable, "-c", SWALLOWING, str(int(number)), module, *words],
        cwd=tmp_path, capture_output=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert ended.returncode == -number
    assert {line.split()[0] for line in ended.stderr.decode().splitlines()} <= {"Networks:"}
    assert list(tmp_path.iterdir()) == []


HELD = """
import signal, threading, time, sys
from deepmersion.cli.signals import ending
from deepmersion.undo import undone

def forget():
    print("undone", flush=True)

with undone(forget), ending("Stopped.", by=(lambda: None) if sys.argv[2:] else None):
    threading.Thread(target=lambda: signal.raise_signal(int(sys.argv[1])), daemon=True).start()
    {held}
"""


@pytest.mark.parametrize("slow", ["", "in its own way"])
@pytest.mark.parametrize(
    "held",
    [
        # A call into a library, which returns to Python an hour later.
        "import ctypes; ctypes.CDLL(None).sleep(3600)",
        # And one that goes on whatever is raised.
        "while True:\n        try: time.sleep(3600)\n        except BaseException: pass",
    ],
)
def test_whatever_the_program_is_doing_it_is_tidied_up_and_ends(held: str, slow: str) -> None:
    arguments = [str(int(signal.SIGTERM)), *([slow] if slow else [])]
    ended = subprocess.run(
        [sys.executable, "-c", HELD.format(held=held), *arguments],
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert ended.stdout == "undone\n"
    assert ended.stderr == "Stopped.\n"
    assert ended.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)


def test_a_second_signal_does_not_wait_for_the_first() -> None:
    held = "time.sleep(0.1); signal.raise_signal(signal.SIGTERM); time.sleep(3600)"
    ended = subprocess.run(
        [sys.executable, "-c", HELD.format(held=held), str(int(signal.SIGINT)), "slow"],
        capture_output=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert ended.returncode in (-signal.SIGTERM, 128 + signal.SIGINT)


def test_a_terminal_closed_in_the_middle_of_a_request_ends_the_server() -> None:
    with running() as (process, address), connect(address) as uploading:
        uploading.sendall(
            b"POST /api/match HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: 100000\r\n\r\n" + bytes(1000)
        )
        process.send_signal(signal.SIGHUP)
        assert process.communicate(timeout=TIMEOUT_S) == (b"", b"")
        assert process.returncode == 0


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_a_signal_that_is_ignored_stays_so(name: str, tmp_path: Path) -> None:
    """As in the background jobs of a script, which Ctrl-C is not meant for, and under nohup."""
    words = [sys.executable, "-m", "deepmersion", "play", "rain", "-o", "a.wav"]
    command = shlex.join([*words, "--duration", "20"])
    process = subprocess.Popen(
        ["bash", "-c", f"trap '' {name}; exec {command}"], cwd=tmp_path, stderr=subprocess.PIPE
    )
    wait_for(lambda: any(tmp_path.iterdir()))
    process.send_signal(getattr(signal, f"SIG{name}"))
    assert process.communicate(timeout=TIMEOUT_S)[1].endswith(b"Wrote a.wav (20 s)\n")
    assert process.returncode == 0


def test_a_shell_sees_that_the_command_was_interrupted(tmp_path: Path) -> None:
    """By which a loop over many files ends, and not only one round of it."""
    process = start("play", "rain", "-o", tmp_path / "a.wav", "--duration", "6h")
    wait_for(lambda: any(tmp_path.iterdir()))
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=TIMEOUT_S)[1] == b"Stopped.\n"
    assert process.returncode == -signal.SIGINT
    assert list(tmp_path.iterdir()) == []
