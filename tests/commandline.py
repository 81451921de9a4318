"""Running the installed command as a person or a script does."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

COMMAND = str(Path(sysconfig.get_path("scripts")) / "deepmersion")

TIMEOUT_S = 300
"""Nothing takes as long on any machine: it is only there so that what hangs is found."""

Result = subprocess.CompletedProcess[bytes]


def run(
    *arguments: str | Path,
    stdin: bytes = b"",
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    before: Sequence[str] = (),
    preexec: Callable[[], None] | None = None,
) -> Result:
    """Run the command to its end; `before` is what stands before it, `env` what is added."""
    return subprocess.run(
        [*before, COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env=os.environ | (env or {}),
        cwd=cwd,
        timeout=TIMEOUT_S,
        preexec_fn=preexec,
        check=False,
    )


def run_here(*arguments: str | Path) -> Result:
    """Run the command in this process, where what it imports is imported already."""
    from click.testing import CliRunner

    from deepmersion.cli import main

    words = [str(argument) for argument in arguments]
    result = CliRunner().invoke(main, words, prog_name="deepmersion")
    return Result(words, result.exit_code, result.stdout_bytes, result.stderr_bytes)


def start(
    *arguments: str | Path,
    env: dict[str, str] | None = None,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start the command; its output is to be read."""
    return subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=os.environ | (env or {}),
    )


def succeeded(result: Result) -> Result:
    """Return the result of a command that went well."""
    assert result.returncode == 0, result.stderr.decode()
    return result


def the_error(result: Result, exit_code: int = 1) -> str:
    """Return the one line that a command failed with."""
    text = result.stderr.decode()
    assert result.returncode == exit_code, text
    lines = [line for line in text.splitlines() if not line.startswith("Networks: ")]
    assert len(lines) == 1, text
    assert lines[0].startswith("Error: "), text
    # How deep the folders lie is no matter of the command's.
    assert len(re.sub(r"/[^\s:;,()]*/", "/", lines[0])) < 400, text
    return lines[0].removeprefix("Error: ")


def all_shown(terminal: int) -> str:
    """Return what a pseudo terminal is given until its other side is closed, and close it."""
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # Linux: the other side has been closed
            break
    os.close(terminal)
    return shown.decode()
