"""Many uploads at once, as tools/load.py makes them: each gets its answer."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from load import load


def test_every_upload_gets_its_answer(china_jpg: Path, flower_jpg: Path) -> None:
    report = load([china_jpg, flower_jpg], n_uploads=30, n_clients=28)
    assert report.lost == []
    assert len(report.took_s) == 30
    assert "30 answered, 0 lost" in str(report)
