"""Render the sound bank: `python soundbank/render.py [NAME...] [-o FOLDER] [--seed N] [--cuts]`.

Every base sound is synthesised, freed of its mean, normalised to the bank's loudness, limited,
encoded as Ogg Vorbis, decoded again and measured, and started elsewhere if its loop point is
detectable. `soundbank.toml` describes the result, including the spans in which it may be cut. The
same seed gives the same samples, whichever other sounds are rendered. With `--cuts` nothing is
rendered: the cuts of the existing files are found again, and the bank's fingerprint stays the same.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import soundfile

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from deepmersion.sound.cuts import find_cuts  # noqa: E402
from deepmersion.sound.seam import measure_seam  # noqa: E402
from synthesis.dsp import SAMPLE_RATE, db  # noqa: E402
from synthesis.kinds import KINDS  # noqa: E402
from synthesis.lengths import N_SAMPLES  # noqa: E402
from synthesis.limiting import limit, true_peak  # noqa: E402

LOUDNESS_LUFS = -27.0
"""Integrated loudness of every sound (ITU-R BS.1770): below EBU R128's -23 for programmes, because
ambient sound is a background, and sounds with rare peaks need headroom."""

LOUDNESS_TOLERANCE_LU = 0.5
"""Largest deviation of the decoded file from `LOUDNESS_LUFS`: the encoder removes some noise. The
actual loudness is written to `soundbank.toml`, and players compensate for it."""

PEAK_DBTP = -3.0
"""Highest true peak of a decoded file: leaves headroom for a mix of several."""

LIMIT_DBTP = -4.0
"""Ceiling of the limiter; the encoder may add up to the difference."""

COMPRESSION_LEVEL = 0.7
"""Ogg Vorbis between 0 (finest) and 1 (smallest): a file takes about 1.1 MB. The encoder merges the
two channels of wide noise above 6 kHz, where `dsp.join_treble` has narrowed it already. From about
0.72 on it does so below 4 kHz too; at 0.5 it does not, but the files are half as large again."""

MAX_SEAM_RANK = 0.95
"""A loop point that ranks at or below this is indistinguishable from other places."""

N_TURNS = 20
"""Places to try for a loop point; one in ten fails by chance alone."""

SEED = 2018
"""Default seed, that of the shipped bank."""

TITLE = "deepmersion's eighteen base sounds"
LICENCE = "MIT"


class RenderError(Exception):
    """A rendered sound violates the bank's specification."""


class SeamError(RenderError):
    """A sound's loop point is distinguishable from other places."""


def generator(seed: int, name: str) -> np.random.Generator:
    """Return a sound's own random generator, which depends only on seed and name."""
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])


def synthesise(name: str, seed: int) -> tuple[np.ndarray, str, str]:
    """Return a sound, float64 [samples, 2] at the bank's loudness, its title and how it is made."""
    module = importlib.import_module(f"synthesis.{name.replace('-', '_')}")
    x = module.render(generator(seed, name))
    if x.shape != (N_SAMPLES[name], 2) or not np.isfinite(x).all():
        raise RenderError(f"{name}: render gave {x.shape}, expected {(N_SAMPLES[name], 2)}")
    return level(x - x.mean(axis=0)), module.TITLE, module.MADE


def loudness(x: np.ndarray) -> float:
    """Return the integrated loudness of [samples, 2] in LUFS."""
    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(x))


def level(x: np.ndarray) -> np.ndarray:
    """Return a sound at `LOUDNESS_LUFS` with its true peak at or below `LIMIT_DBTP`.

    Limiting reduces the loudness slightly, which is compensated before limiting once more.
    """
    gain = LOUDNESS_LUFS - loudness(x)
    for _ in range(4):
        y = limit(x * db(gain), db(LIMIT_DBTP))
        error = LOUDNESS_LUFS - loudness(y)
        if abs(error) < 0.02:
            break
        gain += error
    return y


def write(path: Path, x: np.ndarray) -> float:
    """Write a sound as Ogg Vorbis, check the decoded result, and return its loudness in LUFS.

    The file gets its final name only after passing.

    Raises
    ------
    RenderError
        When the decoded file differs in length, loudness or true peak.
    SeamError
        When its loop point is distinguishable from other places.
    """
    temporary = path.with_suffix(".partial")
    with soundfile.SoundFile(
        temporary, "w", SAMPLE_RATE, 2, "VORBIS", format="OGG", compression_level=COMPRESSION_LEVEL
    ) as file:
        for start in range(0, len(x), SAMPLE_RATE):
            file.write(x[start : start + SAMPLE_RATE])
    decoded, _ = soundfile.read(temporary, dtype="float64")
    measured = loudness(decoded)
    peak = 20 * np.log10(true_peak(decoded))
    if decoded.shape != x.shape:
        raise RenderError(f"{path.name}: {len(decoded)} samples decoded, {len(x)} written")
    if abs(measured - LOUDNESS_LUFS) > LOUDNESS_TOLERANCE_LU:
        raise RenderError(f"{path.name}: {measured:.2f} LUFS instead of {LOUDNESS_LUFS}")
    if peak > PEAK_DBTP:
        raise RenderError(f"{path.name}: true peak {peak:.2f} dBTP is above {PEAK_DBTP}")
    if measure_seam(decoded, SAMPLE_RATE).rank > MAX_SEAM_RANK:
        raise SeamError(f"{path.name}: the loop point is detectable")
    temporary.replace(path)
    return measured


def write_seamless(path: Path, x: np.ndarray) -> float:
    """Write a sound, started where its decoded loop point is indistinguishable from other places.

    Returns and raises as `write` does.
    """
    for turned in turns(x):
        with suppress(SeamError):
            return write(path, turned)
    raise RenderError(f"{path.name}: its loop point is detectable wherever it begins")


def turns(x: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a ring [samples, channels] as it is, then started at other places far apart.

    Successive places are the golden ratio of the ring apart.
    """
    golden = (5**0.5 - 1) / 2
    for turn in range(N_TURNS):
        yield np.roll(x, -int((turn * golden) % 1.0 * len(x)), axis=0)


def cuts_in(path: Path) -> list[list[float]]:
    """Return the spans in which a rendered file may be cut, in the form of `soundbank.toml`."""
    samples, _ = soundfile.read(path, dtype="float32")
    return [[round(start, 2), round(stop, 2)] for start, stop in find_cuts(samples)]


def read_entries(path: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of a `soundbank.toml` by name; empty if the file is missing."""
    if not path.exists():
        return {}
    return {entry["name"]: entry for entry in tomllib.loads(path.read_text("utf-8"))["sound"]}


def write_entries(path: Path, entries: dict[str, dict[str, Any]]) -> None:
    """Write a `soundbank.toml` with its entries sorted by name."""
    lines = ["schema = 1", f'title = "{TITLE}"']
    for name in sorted(entries):
        lines += ["", "[[sound]]"]
        for key, value in entries[name].items():
            text = json.dumps(
                round(value, 2) if isinstance(value, float) else value, ensure_ascii=False
            )
            lines.append(f"{key} = {text}")
    temporary = path.with_suffix(".partial")
    temporary.write_text("\n".join(lines) + "\n", "utf-8")
    temporary.replace(path)


def render(name: str, folder: Path, seed: int) -> None:
    """Render one sound into a folder and describe it in the folder's `soundbank.toml`."""
    x, title, made = synthesise(name, seed)
    measured = write_seamless(folder / f"{name}.ogg", x)
    entries = read_entries(folder / "soundbank.toml")
    entries[name] = {
        "name": name,
        "title": title,
        "kind": KINDS[name],
        "file": f"{name}.ogg",
        "licence": LICENCE,
        "loudness_lufs": measured,
        "loops": True,
        "made": made,
        "cuts": cuts_in(folder / f"{name}.ogg"),
    }
    write_entries(folder / "soundbank.toml", entries)


def mark(name: str, folder: Path) -> None:
    """Find a sound's cuts again and write them to the folder's `soundbank.toml`."""
    entries = read_entries(folder / "soundbank.toml")
    entries[name]["cuts"] = cuts_in(folder / entries[name]["file"])
    write_entries(folder / "soundbank.toml", entries)


def main() -> None:
    """Render the sounds named on the command line, or all, or find their cuts."""
    parser = argparse.ArgumentParser(description="Render the sound bank.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(N_SAMPLES)}")
    parser.add_argument("-o", "--output", type=Path, default=HERE, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=SEED, help="default: %(default)s")
    parser.add_argument("--cuts", action="store_true", help="only find where files may be cut")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(N_SAMPLES))
    if unknown:
        parser.error(f"no such sound: {', '.join(unknown)} (there are {', '.join(N_SAMPLES)})")
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or N_SAMPLES:
        print(name, file=sys.stderr)
        try:
            if arguments.cuts:
                mark(name, arguments.output)
            else:
                render(name, arguments.output, arguments.seed)
        except RenderError as error:
            parser.exit(1, f"Error: {error}\n")


if __name__ == "__main__":
    main()
