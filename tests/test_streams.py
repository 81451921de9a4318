"""Standard error carries this program's own lines, and nothing that libraries write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commandline import run
from PIL import Image

LIBRARIES = """
import logging, os, sys, warnings
import click, numpy as np
from deepmersion.cli import streams
streams.claim_stderr()
streams.name_streams()
streams.silence_loggers()
os.write(2, b"libtiff: a warning\\n")
print("a library", file=sys.__stderr__, flush=True)
np.array([1.0]) / 0
warnings.warn("deprecated")
logging.getLogger("library").warning("a warning")
click.echo("ours", err=True)
print("ours too", file=sys.stderr)
"""


def said(code: str, **environment: str) -> str:
    """Return what a program writes to standard error."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )
    return result.stderr


def test_libraries_are_kept_quiet_and_the_program_is_not() -> None:
    assert said(LIBRARIES) == "ours\nours too\n"


def test_a_variable_shows_what_libraries_write() -> None:
    shown = said(LIBRARIES, DEEPMERSION_DEBUG="1")
    for line in ("libtiff: a warning", "a library", "divide by zero", "deprecated", "ours too"):
        assert line in shown


def test_an_error_of_the_program_and_a_crash_are_still_visible() -> None:
    shown = said(f"{LIBRARIES}\nraise RuntimeError('a mistake')")
    assert shown.startswith("ours\nours too\nTraceback")
    assert shown.endswith("RuntimeError: a mistake\n")
    if os.name == "posix":
        shown = said(f"{LIBRARIES}\nos.abort()")
        assert shown.startswith("ours\nours too\nFatal Python error: Aborted")


def test_nothing_is_lost_while_it_is_claimed() -> None:
    code = (
        "import os, click\n"
        "from deepmersion.cli import streams\n"
        "def dup2(*arguments):\n"  # just before and just after which another thread may speak
        "    for moment in 'before', 'after':\n"
        "        click.echo(f'said {moment}', err=True)\n"
        "        if moment == 'before':\n"
        "            real(*arguments)\n"
        "real, os.dup2 = os.dup2, dup2\n"
        "streams.claim_stderr()\n"
    )
    assert said(code) == "said before\nsaid after\n"


@pytest.mark.skipif(os.name != "posix", reason="closes a descriptor in a shell")
def test_what_libraries_write_goes_into_no_file_when_standard_error_is_closed(
    tmp_path: Path,
) -> None:
    code = (
        "import os\n"
        "from deepmersion.cli import streams\n"
        "streams.claim_stderr()\n"
        f"file = open({str(tmp_path / 'file')!r}, 'w')\n"
        "os.write(2, b'a library')\n"
    )
    subprocess.run(["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code], check=True)
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo terminal")
def test_a_terminal_is_still_one() -> None:
    import pty

    ours, theirs = pty.openpty()
    code = (
        "import sys\n"
        "from deepmersion.cli import streams\n"
        "streams.claim_stderr()\n"
        "streams.name_streams()\n"
        "sys.exit(not sys.stderr.isatty())\n"
    )
    result = subprocess.run([sys.executable, "-c", code], stderr=theirs, check=False)
    os.close(theirs)
    os.close(ours)
    assert result.returncode == 0


def test_the_command_says_nothing_of_a_damaged_mp3_but_its_own(tmp_path: Path) -> None:
    rate = 44_100
    bank = tmp_path / "bank"
    bank.mkdir()
    rng = np.random.default_rng(0)
    soundfile.write(bank / "rain.mp3", 0.1 * rng.standard_normal(5 * rate), rate)
    data = bytearray((bank / "rain.mp3").read_bytes())
    for start in range(5_000, len(data) - 300, 4_000):
        data[start : start + 300] = bytes(300)
    (bank / "rain.mp3").write_bytes(data)
    sound = ("play", "rain", "--soundbank", bank, "-o", tmp_path / "a.wav", "--duration", "1s")
    quiet, noisy = run(*sound), run(*sound, env={"DEEPMERSION_DEBUG": "1"})
    assert b"Illegal Audio-MPEG-Header" in noisy.stderr  # libmpg123's words
    assert b"MPEG" not in quiet.stderr
    assert quiet.returncode == 0, quiet.stderr


def test_the_workers_are_quiet_too(china_jpg: Path, tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    with Image.open(china_jpg) as image:
        image.save(path, compression="tiff_lzw", tiffinfo={65_000: b"private"})
    result = run("match", path, "--json", "--networks", "lite")
    assert result.returncode == 0
    assert result.stderr == b""
