"""The maintainers' measure of how well matches fit photos, by hand and on real photos."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from deepmersion.shipped import EXAMPLES

SCENES = ("temple/east_asia", "garden", "campsite")

TOOLS = Path(__file__).resolve().parent.parent / "tools"

EXPECTATIONS = """scene,kind,fits,jars
temple/east_asia,still,people singing-bowl bells,waves fire
garden,woods,birds crickets,people
campsite,fire,fire,people city
"""


@pytest.fixture
def expectations(tmp_path: Path) -> Path:
    path = tmp_path / "expectations.csv"
    path.write_text(EXPECTATIONS)
    return path


def test_a_hit_fits_and_does_not_jar(expectations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(TOOLS)
    import hits

    known = hits.read_expectations(expectations)
    temple, garden = known["temple/east_asia"], known["garden"]
    mixes = [frozenset(m) for m in (["people"], ["people", "waves"], ["wind"], ["birds", "wind"])]
    hit = hits.hits(mixes, [temple, temple, garden, garden])
    assert hit.tolist() == [True, False, False, True]
    assert hits.by_kind(hit, [temple, temple, garden, garden]) == {"still": 0.5, "woods": 0.5}
    # Each kind counts alike, however many photos it has.
    assert hits.hit_rate(hit[:3], [temple, temple, garden]) == pytest.approx(0.25)
    low, high = hits.interval(np.repeat(hit, 20), [temple, temple, garden, garden] * 20)
    assert 0.3 < low < 0.5 < high < 0.7


def test_the_table_is_made_from_real_photos(
    tmp_path: Path, expectations: Path, china_jpg: Path, flower_jpg: Path
) -> None:
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        campfire = EXAMPLES / "campfire.jpg"
        for scene, photo in zip(SCENES, (china_jpg, flower_jpg, campfire), strict=True):
            tar.add(photo, f"./{scene}/0001.jpg")
        unexpected = tarfile.TarInfo("other/0001.jpg")
        unexpected.size = 3
        tar.addfile(unexpected, io.BytesIO(b"abc"))
    command = [sys.executable, str(TOOLS / "ablation.py"), str(tmp_path / "photos.tar")]
    run = subprocess.run([*command, str(expectations)], capture_output=True, text=True, check=True)
    rows = [line.split(" | ") for line in run.stdout.splitlines() if line.startswith("| ")]
    rates = {row[0].strip("| "): row[1] for row in rows[2:]}
    assert {"2018: KL(mix ‖ photo)", "kinds alone", "SoundNet and conditions"} <= set(rates)
    assert rates["**in use: all three**"] == "1.000"
    assert rates["kinds alone"] == "1.000"
    assert "- by kind of photo: fire 1.00, still 1.00, woods 1.00\n" in run.stdout
    assert "- always the one best sound: 0.333\n" in run.stdout
    assert "best on one half of the kinds" in run.stdout
    assert "mirrored: the same mix 100%" in run.stdout
