"""Measure what deepmersion does fast against the plain way of doing it.

    python tools/benchmark.py --output docs/performance.md
    python tools/benchmark.py --device cuda

The second measures what runs on a GPU, and that alone: against plain PyTorch on the same GPU.

Every figure is the median of several repeats in which the two ways take turns, and ratios are
computed per turn: other load on the machine affects both alike. Each measurement runs in its own
process (`tools/benchmark_cases.py`).
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import click

CASES = Path(__file__).with_name("benchmark_cases.py")
COMMAND = str(Path(sysconfig.get_path("scripts")) / "deepmersion")

PACKAGES = ("torch", "onnxruntime", "numpy", "h5py", "pillow", "distributed")

MAX_DIFFERENCE_NATS = 1e-3
"""Largest difference allowed between the two ways' log-probabilities."""


WINDOW_S = 20
"""Length of each mix where only the ways to build an index are compared."""

PHOTOS_TOGETHER = 16
"""Photos in a batch of plain PyTorch on a device: 96 pictures."""

N_BEST = 5
"""Number of mixes to search for."""

KIB_BYTES = 1024
MB_BYTES = 1_000_000


@dataclass(frozen=True)
class Size:
    """Extent of the measurements; `sounds` is the number of shipped sounds to index."""

    repeats: int
    photos: int
    photos_one_by_one: int
    photos_plain: int
    plain_mixes: int
    mixes: int
    entries: tuple[int, ...]
    sounds: int
    dask_layers: int
    dask_workers: str
    device_sounds: int
    device_mixes: int
    device_window_s: int


FULL = Size(3, 500, 2, 10, 8, 128, (10_000, 100_000, 1_000_000), 10, 2, "processes", 18, 4096, 60)
SMALL = Size(1, 3, 1, 2, 1, 3, (200, 400), 2, 1, "threads", 2, 3, 20)
"""Enough to check that everything works."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    case, plain_way, unit : str
    plain, own : list of float
        The figures of each repeat, the plain way's and deepmersion's.
    more_is_better : bool
        True if the figures are rates, not times or sizes.
    """

    case: str
    plain_way: str
    unit: str
    plain: list[float]
    own: list[float]
    more_is_better: bool = False

    def ratios(self) -> list[float]:
        """Return the factor by which deepmersion's way is better, in each repeat."""
        pairs = zip(self.plain, self.own, strict=True)
        return [own / plain if self.more_is_better else plain / own for plain, own in pairs]

    def markdown(self) -> str:
        """Return the row as Markdown."""
        ratios = self.ratios()
        plain, own = (f"{median(x):.3g} {self.unit}" for x in (self.plain, self.own))
        spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        return f"| {self.case} | {self.plain_way} | {plain} | {own} | {spread} |"


@dataclass(frozen=True)
class Spent:
    """Time, memory and output of a process.

    On Linux, a process counts its parent's memory as its own until it runs its own program, so this
    one stays small and leaves large data to others.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    printed: str

    @property
    def measured(self) -> dict[str, Any]:
        """The figures, which a case prints last."""
        figures: dict[str, Any] = json.loads(self.printed.splitlines()[-1])
        return figures


def spend(*command: str | Path) -> Spent:
    """Run a command to its end and return what it spent; a failure is an error."""
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise click.ClickException(f"{shlex.join(map(str, command))} failed; see above")
        output.seek(0)
        peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else KIB_BYTES)
        cpu_s = usage.ru_utime + usage.ru_stime
        return Spent(wall_s, cpu_s, peak_bytes / MB_BYTES, output.read())


def case(name: str, *arguments: object) -> Spent:
    """Run a case of `benchmark_cases.py`."""
    return spend(sys.executable, CASES, name, *map(str, arguments))


def match(*photos: Path, device: str = "cpu") -> Spent:
    """Run the installed command on photos."""
    return spend(COMMAND, "match", "--networks", "lite", "--device", device, "--json", *photos)


def match_rows(size: Size, folder: Path) -> Iterator[Row]:
    """Measure `match` on one photo in a new process, and on many."""
    photo = folder / "photo.jpg"
    case("make-photo", photo)
    match(photo)  # the first use reads everything from the disk
    turns = [(case("match-plain", "cpu", 1, photo), match(photo)) for _ in range(size.repeats)]
    plain_way = "PyTorch, the photo decoded whole"
    plain, own = zip(*turns, strict=True)
    name = "`match`, a new process, one photo"
    yield Row(f"{name}: time", plain_way, "s", [x.wall_s for x in plain], [x.wall_s for x in own])
    yield Row(
        f"{name}: peak memory",
        plain_way,
        "MB",
        [x.peak_mb for x in plain],
        [x.peak_mb for x in own],
    )
    rates: dict[str, list[float]] = {"process": [], "loop": [], "call": []}
    for _ in range(size.repeats):
        one_by_one = [match(photo).wall_s for _ in range(size.photos_one_by_one)]
        rates["process"].append(len(one_by_one) / sum(one_by_one))
        loop = case("match-plain", "cpu", 1, *[photo] * size.photos_plain)
        rates["loop"].append(loop.measured["photos_per_s"])
        rates["call"].append(size.photos / match(*[photo] * size.photos).wall_s)
    for plain_way, key in (("one process a photo", "process"), ("PyTorch in a loop", "loop")):
        name = f"`match`, {size.photos} photos in one call"
        yield Row(name, plain_way, "photos/s", rates[key], rates["call"], more_is_better=True)


def build_rows(size: Size) -> Iterator[Row]:
    """Measure the speed of running SoundNet on mixes."""
    sizes = (size.repeats, size.sounds, size.plain_mixes, size.mixes)
    measured = case("listen", WINDOW_S, *sizes).measured
    _require_equal(measured["difference_nats"])
    plain, own, macs = measured["plain"], measured["own"], measured["macs_per_mix"]
    plain_way = "mix, resample, SoundNet, one by one"
    name = f"`build-index`, mixes of {WINDOW_S} s"
    yield Row(name, plain_way, "mixes/s", plain, own, more_is_better=True)
    plain, own = ([WINDOW_S * rate for rate in rates] for rates in (plain, own))
    yield Row(f"{name}: sound", plain_way, "× real time", plain, own, more_is_better=True)
    product = [rate / 1e9 for rate in measured["product"]]
    reached = [rate / WINDOW_S * macs / 1e9 for rate in own]
    yield Row(
        f"{name}: the network's own arithmetic",
        "a product of two large matrices",
        "GMAC/s",
        product,
        reached,
        more_is_better=True,
    )


def device_rows(size: Size, folder: Path, device: str) -> Iterator[Row]:
    """Measure what runs on a device against plain PyTorch there."""
    window_s = size.device_window_s
    sizes = (device, window_s, size.repeats, size.device_sounds, size.device_mixes)
    measured = case("listen-on-device", *sizes).measured
    _require_equal(measured["difference_nats"])
    on = measured.get("name", device)
    if "peak_mb" in measured:
        click.echo(f"Memory of both ways on {on}: {measured['peak_mb']:,.0f} MB", err=True)
    yield Row(
        f"`build-index --device {device}` on {on}, {measured['n_mixes']:,} mixes of {window_s} s",
        "PyTorch, 64 mixes at a time",
        "mixes/s",
        measured["plain"],
        measured["own"],
        more_is_better=True,
    )
    photo = folder / "photo.jpg"
    case("make-photo", photo)
    photos = [photo] * size.photos
    turns = [
        (case("match-plain", device, PHOTOS_TOGETHER, *photos), match(*photos, device=device))
        for _ in range(size.repeats)
    ]
    plain, own = ([size.photos / spent.wall_s for spent in way] for way in zip(*turns, strict=True))
    name = f"`match --device {device}` on {on}, {size.photos} photos, a new process"
    plain_way = f"PyTorch, {PHOTOS_TOGETHER} photos at a time"
    yield Row(name, plain_way, "photos/s", plain, own, more_is_better=True)


def _require_equal(difference_nats: float) -> None:
    if not difference_nats <= MAX_DIFFERENCE_NATS:  # written so that NaN fails too
        raise click.ClickException(
            f"the two ways to hear a mix differ by {difference_nats:.2g} nats"
        )


def search_rows(size: Size, folder: Path) -> Iterator[Row]:
    """Measure the search in indexes of growing size."""
    per_entry: list[list[float]] = []
    for n in size.entries:
        path = folder / "index.h5"
        case("make-index", n, path)
        turns = [
            (case("search-plain", path, N_BEST), case("search", path, N_BEST))
            for _ in range(size.repeats)
        ]
        path.unlink()
        plain, own = zip(*turns, strict=True)
        if any(a.measured["found"] != b.measured["found"] for a, b in turns):
            raise click.ClickException("the two ways to search an index differ")
        plain_cpu, own_cpu = ([x.measured["cpu_s"] for x in way] for way in (plain, own))
        plain_peak, own_peak = ([x.peak_mb for x in way] for way in (plain, own))
        name = f"search, best {N_BEST} of {n:,}"
        yield Row(f"{name}: processor time", "the definition, in chunks", "s", plain_cpu, own_cpu)
        yield Row(f"{name}: peak memory", "the definition, in chunks", "MB", plain_peak, own_peak)
        per_entry.append([1e6 * seconds / n for seconds in own_cpu])
    less, more = size.entries[-2:]
    name = f"search, time an entry: of {more:,} against of {less:,}"
    yield Row(name, f"of {less:,}", "µs", per_entry[-2], per_entry[-1])


def dask_rows(size: Size) -> Iterator[Row]:
    """Measure building an index on a cluster on this machine."""
    sizes = (size.repeats, size.sounds, size.dask_layers)
    measured = case("dask", WINDOW_S, *sizes, size.dask_workers).measured
    name = "`build-index --dask`"
    yield Row(f"{name}, 1 worker of 1 thread", "no cluster", "s", measured["here"], measured["one"])
    yield Row(f"{name}, 2 workers", "no cluster", "s", measured["here"], measured["two"])
    yield Row(f"{name}, 2 workers", "1 worker", "s", measured["one"], measured["two"])


def machine() -> str:
    """Return a sentence about this machine."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        lines = information.read_text("utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return (
        f"{processor}, {os.cpu_count()} cores, {_load()}{platform.system()}, "
        f"Python {platform.python_version()}, {packages}"
    )


def _load() -> str:
    """Return how busy the machine was: other programs make times longer and ratios less certain."""
    if not hasattr(os, "getloadavg"):
        return ""
    return f"load average {os.getloadavg()[2]:.1f}, "


def page(rows: list[Row], size: Size, command: str) -> str:
    """Return the whole page as Markdown."""
    return "\n".join(
        [
            "# Performance",
            "",
            "Each case is compared with the plain way of doing it. Both take turns in the same",
            f"run, and each figure is the median of {size.repeats} turns. The ratio is the factor",
            "by which deepmersion's way is better: the median over the turns, with the lowest and",
            "the highest in parentheses. Times differ between machines, ratios less so. The",
            "benchmark fails unless both ways find the same mixes, with SoundNet's predictions",
            f"equal to {MAX_DIFFERENCE_NATS:g} nats.",
            "",
            "| case | plain way | plain | deepmersion | ratio |",
            "| --- | --- | --- | --- | --- |",
            *[row.markdown() for row in rows],
            "",
            f"Machine: {machine()}.",
            "",
            f"Generated by `{command}`, which needs the extra `dev`.",
            "For larger indexes and more machines, see [scale.md](scale.md).",
            "",
        ]
    )


@click.command()
@click.option("--small", is_flag=True, help="Only see that everything works; measures nothing.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Page to write.  [default: print it]"
)
@click.option("--device", help="Measure what runs on this device, such as cuda, and that alone.")
def main(small: bool, output: Path | None, device: str | None) -> None:
    """Measure deepmersion against the plain ways, and write the table as Markdown."""
    size = SMALL if small else FULL
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for measure in (
            [device_rows(size, Path(folder), device)]
            if device
            else [
                match_rows(size, Path(folder)),
                build_rows(size),
                search_rows(size, Path(folder)),
                dask_rows(size),
            ]
        ):
            for row in measure:
                click.echo(row.markdown(), err=True)
                rows.append(row)
    command = shlex.join(["python", "tools/benchmark.py", *sys.argv[1:]])
    text = page(rows, size, command)
    if output is None:
        click.echo(text)
    else:
        # Further sections are other tools': they stay.
        held = output.read_text("utf-8") if output.exists() else ""
        _, sign, sections = held.partition("\n## ")
        output.write_text(text + sign + sections, "utf-8")


if __name__ == "__main__":
    main()
