"""Try the command with thousands of damaged inputs, signals, limits and requests.

    python tools/campaign.py [--seed 1] [--share 1.0] [--only "photos 17"]

Each trial runs in a process of its own and is judged by the same rules: the exit code is 0, 1 or 2
or that of the signal; standard error has deepmersion's own lines alone, and one error for one
input; no file is half written, none is left behind; time and memory are bounded. Prints a table,
and how to reproduce each fault, whose input is kept. The exit code is 1 if there is a fault. Takes
less than ten minutes on two cores. Needs Linux, and for the trials of `build-index` SoundNet's
weights.
"""

from __future__ import annotations

import argparse
import random
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from campaign_kinds import KINDS
from campaign_requests import requests
from campaign_trials import Trial, run_all

N_REQUESTS = 400

N_AT_ONCE = 2

IMPORTED = (
    "deepmersion.cli.match", "deepmersion.cli.play", "deepmersion.cli.index",
    "deepmersion.cli.soundbank", "deepmersion.pipeline", "deepmersion.sound.output", "h5py",
    "soundfile", "PIL.Image", "deepmersion.soundbank_check",
)  # fmt: skip
"""What trials share: imported once, before they are forked."""


def made(seed: str, kind: str, number: int, root: Path) -> Trial:
    """Return a trial with its input; the same one for the same seed, kind and number."""
    name = f"{kind} {number}"
    folder = root / name.replace(" ", "-")
    folder.mkdir()
    trial = Trial(kind, name, folder, [])
    KINDS[kind][0](trial, random.Random(f"{seed} {name}"))
    return trial


def wanted(only: str | None, kind: str, n: int) -> list[int]:
    """Return the numbers of those of the `n` trials of a kind that are asked for."""
    return [number for number in range(n) if only in (None, kind, f"{kind} {number}")]


def trials(seed: str, share: float, only: str | None, root: Path) -> Iterator[Trial]:
    """Yield the trials of all kinds, or the one that is asked for."""
    from deepmersion.weights.store import SPECS

    for kind, (_, n) in KINDS.items():
        if kind == "builds" and not SPECS["soundnet"].is_present:
            continue
        for number in wanted(only, kind, round(n * share)):
            yield made(seed, kind, number, root)


def campaign(seed: str, share: float, only: str | None, root: Path) -> int:
    """Run it and print the table; return the number of faults."""
    tried: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for trial, outcome in run_all(trials(seed, share, only, root), N_AT_ONCE):
        tried[trial.kind] += trial.n
        found = trial.judge(outcome)
        if found:
            faults[trial.kind] += 1
            print(f"{trial.name}: {'; '.join(dict.fromkeys(found))}")
            print(f"  cd {trial.folder} && deepmersion {shlex.join(trial.arguments)}")
            print(f"  limits {trial.limits}, signal {trial.stop}", flush=True)
        else:
            shutil.rmtree(trial.folder)
    if numbers := wanted(only, "requests", round(N_REQUESTS * share)):
        for name, wrong, sent in requests(seed, numbers, root):
            tried["requests"] += 1
            if wrong:
                faults["requests"] += 1
                kept = root / name.replace(" ", "-")
                kept.write_bytes(sent)
                print(f"{name}: {'; '.join(wrong)}\n  sent {kept}", flush=True)
    print("| kind | tried | faults |\n| --- | --- | --- |")
    for kind, n in tried.items():
        print(f"| {kind} | {n:,} | {faults[kind]} |")
    return faults.total()


def main() -> None:
    """Read the arguments and run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--seed", default="1", help="another one makes other inputs")
    parser.add_argument("--share", type=float, default=1.0, help="of all trials, from 0 to 1")
    parser.add_argument("--only", help="a kind, or one trial such as 'photos 17'")
    options = parser.parse_args()
    for name in IMPORTED:
        import_module(name)
    root = Path(tempfile.mkdtemp(prefix="campaign-"))
    n_faults = campaign(options.seed, options.share, options.only, root)
    if n_faults:
        sys.exit(1)
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
