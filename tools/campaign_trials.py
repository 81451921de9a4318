"""One trial of the campaign: the command with an input, run in a process of its own, and judged.

The process is a fork of one that has imported the package, which saves most of the time; a trial
may ask for the installed command instead. Both run the same `deepmersion.cli.main`.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

COMMAND = str(Path(sysconfig.get_path("scripts")) / "deepmersion")

LONGEST_S = 60.0
"""Time after which a command counts as hanging, on a busy machine."""

END_S = 1.5
"""Time to end after a signal: a second, and some for a busy machine."""

MOST_BYTES = 1 << 30
"""Memory that no trial may exceed."""

OWN_LINES = (
    "Error: ", "Networks: ", "Making ", "Warning: ", "Usage: ", "Try '", "Wrote ", "Writing: ",
    "Stopped.", "Listening: ", "Fetching ", "The kind of ", "The page is at ", "Playing; ",
)  # fmt: skip
"""What the command itself says on standard error; anything else comes from a library."""


@dataclass
class Outcome:
    """How a trial ended.

    Attributes
    ----------
    code : int
        The exit code, or the negative number of a signal.
    stdout, stderr : str
    took_s : float
        From its start, in seconds.
    answered_s : float or None
        From the signal that was sent, if one was.
    peak_bytes : int
    """

    code: int
    stdout: str
    stderr: str
    took_s: float
    answered_s: float | None
    peak_bytes: int


@dataclass
class Trial:
    """One run of the command.

    Attributes
    ----------
    kind : str
    name : str
        Reproduces it: ``--only NAME``.
    folder : Path
        Where it runs; holds its inputs.
    arguments : list of str
    n : int
        Number of inputs tried.
    installed : bool
        Whether to run the installed command.
    limits : dict
        Of `resource`, by their numbers.
    stop : (signal, float) or None
        A signal to send, and how many seconds after the start.
    longest_s : float
        Time after which it counts as hanging.
    then : Trial or None
        The next command of the trial, in the same folder.
    before : list of str
        What was wrong with the commands before.
    faults : callable
        Called with the outcome; yields what else is wrong.
    """

    kind: str
    name: str
    folder: Path
    arguments: list[str]
    n: int = 1
    installed: bool = False
    limits: dict[int, int] = field(default_factory=dict)
    stop: tuple[signal.Signals, float] | None = None
    longest_s: float = LONGEST_S
    then: Trial | None = None
    before: list[str] = field(default_factory=list)
    faults: Callable[[Outcome], Iterator[str]] = lambda _outcome: iter(())

    def start(self) -> int:
        """Start it; return the number of its process."""
        process = os.fork()
        if process == 0:
            self._be()
        return process

    def _be(self) -> None:
        code = 1
        try:
            os.chdir(self.folder)
            os.environ["TMPDIR"] = str(self.folder)
            for descriptor, name, mode in (
                (0, os.devnull, os.O_RDONLY),
                (1, ".stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
                (2, ".stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
            ):
                os.dup2(os.open(name, mode, 0o600), descriptor)
            for what, limit in self.limits.items():
                resource.setrlimit(what, (limit, limit))
            if self.installed:
                os.execv(COMMAND, [COMMAND, *self.arguments])
            from deepmersion.cli import main

            sys.argv = ["deepmersion", *self.arguments]
            main(prog_name="deepmersion", args=self.arguments)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def judge(self, outcome: Outcome) -> list[str]:
        """Return what is wrong with an outcome; nothing, if all is as it should be."""
        return [*self.before, *self._judged(outcome), *self.faults(outcome)]

    def _judged(self, outcome: Outcome) -> Iterator[str]:
        stopped = [] if self.stop is None else [-self.stop[0], 128 + self.stop[0]]
        if outcome.code not in (0, 1, 2, *stopped):
            yield f"exit code {outcome.code}"
        if outcome.took_s > self.longest_s:
            yield f"ran for {outcome.took_s:.0f} s"
        if outcome.answered_s is not None and outcome.answered_s > END_S:
            yield f"took {outcome.answered_s:.1f} s to end after a signal"
        if outcome.peak_bytes > MOST_BYTES:
            yield f"took {outcome.peak_bytes / 2**20:.0f} MiB"
        for line in outcome.stderr.splitlines():
            if not line.startswith(OWN_LINES):
                yield f"said: {line[:200]}"
        errors = [line for line in outcome.stderr.splitlines() if line.startswith("Error: ")]
        if outcome.code in (1, 2) and not errors:
            yield "failed without a word"
        if self.n == 1 and len(errors) > 1:
            yield f"{len(errors)} lines of errors"
        unfinished = [path.name for path in self.folder.rglob(".*.tmp")]
        if unfinished and not (self.stop and self.stop[0] == signal.SIGKILL):
            yield f"left {unfinished[0]} behind"


def run_all(trials: Iterator[Trial], n_at_once: int) -> Iterator[tuple[Trial, Outcome]]:
    """Run trials, some at once; yield each, or its last command, with its outcome."""
    running: dict[int, _Run] = {}
    waiting = True
    while waiting or running:
        while waiting and len(running) < n_at_once:
            trial = next(trials, None)
            if trial is None:
                waiting = False
            else:
                running[trial.start()] = _Run(trial)
        for process, run in list(running.items()):
            run.interfere(process)
            ended, status, usage = os.wait4(process, os.WNOHANG)
            if ended:
                del running[process]
                code = os.waitstatus_to_exitcode(status)
                outcome = run.ended(code, usage.ru_maxrss * 1024)
                following = run.trial.then
                if following is None:
                    yield run.trial, outcome
                else:
                    following.before = run.trial.judge(outcome)
                    running[following.start()] = _Run(following)
        time.sleep(0.002)


class _Run:
    """A trial that is running."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self._started = time.monotonic()
        self._stopped: float | None = None

    def interfere(self, process: int) -> None:
        """Send the signal that is due, and end what hangs."""
        stop, now = self.trial.stop, time.monotonic()
        due = stop is not None and self._stopped is None and now - self._started >= stop[1]
        if stop is not None and due and _has_begun(process):
            os.kill(process, stop[0])
            self._stopped = time.monotonic()
        if now - self._started > self.trial.longest_s + 1:
            os.kill(process, signal.SIGKILL)

    def ended(self, code: int, peak_bytes: int) -> Outcome:
        """Return the outcome."""
        now = time.monotonic()
        texts = []
        for name in (".stdout", ".stderr"):
            path = self.trial.folder / name
            texts.append(path.read_bytes().decode("utf-8", "replace") if path.exists() else "")
        answered_s = None if self._stopped is None else now - self._stopped
        return Outcome(code, texts[0], texts[1], now - self._started, answered_s, peak_bytes)


def _has_begun(process: int) -> bool:
    """Return whether a process has come from Python's own start to the command.

    Python ignores SIGPIPE and catches SIGINT, which the command does not; nor SIGTERM, before it
    has something to tidy up.
    """
    status = Path(f"/proc/{process}/status").read_text("ascii")
    fields = dict(line.split(":\t", 1) for line in status.splitlines())

    def has(mask: str, number: signal.Signals) -> bool:
        return bool(int(fields.get(mask, "0"), 16) >> (number - 1) & 1)

    ours = not has("SigCgt", signal.SIGINT) or has("SigCgt", signal.SIGTERM)
    return has("SigIgn", signal.SIGPIPE) and ours
