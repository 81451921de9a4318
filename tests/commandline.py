"""Runs the installed command as a person or a script would."""

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
"""Longer than anything takes on any machine, to catch a hanging command."""

Result = subprocess.CompletedProcess[bytes]


def run(
    *arguments: str | Path,
    stdin: bytes = b"",
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    before: Sequence[str] = (),
    preexec: Callable[[], None] | None = None,
) -> Result:
    """Run the command to its end; `before` precedes it, and `env` is added to the environment."""
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
    """Run the command in this process, which saves its imports."""
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
    """Start the command; the caller must read its output."""
    return subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=os.environ | (env or {}),
    )


def succeeded(result: Result) -> Result:
    """Return the result of a command after checking that it succeeded."""
    assert result.returncode == 0, result.stderr.decode()
    return result


def the_error(result: Result, exit_code: int = 1) -> str:
    """Return the single line with which a command failed."""
    text = result.stderr.decode()
    assert result.returncode == exit_code, text
    lines = [line for line in text.splitlines() if not line.startswith(("Networks: ", "Making "))]
    assert len(lines) == 1, text
    assert lines[0].startswith("Error: "), text
    # The depth of the folders is not up to the command.
    assert len(re.sub(r"/[^\s:;,()]*/", "/", lines[0])) < 400, text
    return lines[0].removeprefix("Error: ")


def all_shown(terminal: int) -> str:
    """Return the output to a pseudo terminal until its other side is closed, and close it."""
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # Linux: the other side has been closed
            break
    os.close(terminal)
    return shown.decode()
