"""The campaign of damaged inputs: a short one finds nothing, and its rules would."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import TIMEOUT_S

if sys.platform != "linux":
    pytest.skip("the campaign needs Linux", allow_module_level=True)

from campaign_inputs import PHOTO_FORMATS, photo
from campaign_trials import Outcome, Trial

from deepmersion.vision.decode import OPENERS
from deepmersion.vision.photo import load_photo

TOOL = Path(__file__).parents[1] / "tools" / "campaign.py"


def test_a_short_campaign_finds_nothing(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, TOOL, "--share", "0.02"],
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = [line.split("|")[1:-1] for line in ended.stdout.splitlines()[2:]]
    assert {row[2].strip() for row in rows} == {"0"}
    assert len(rows) == 7
    assert list(tmp_path.iterdir()) == []


def test_one_request_can_be_tried_alone(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, TOOL, "--only", "requests 17"],
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert ended.stdout.splitlines()[2:] == ["| requests | 1 | 0 |"], ended.stdout + ended.stderr


def test_every_decoder_is_tried() -> None:
    assert set(PHOTO_FORMATS) == set(OPENERS)
    for form in PHOTO_FORMATS:
        assert load_photo(io.BytesIO(photo(form))).shape == (240, 320, 3)


FINE = Outcome(1, "", "Error: x is damaged\n", 1.0, None, 1 << 20)


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        (FINE, ""),
        (Outcome(-11, "", "Error: x\n", 1.0, None, 0), "exit code -11"),
        (
            Outcome(1, "", "Error: x\nTraceback (most recent call last):\n", 1.0, None, 0),
            "said: Trace",
        ),
        (Outcome(1, "", "Error: x\nTIFFReadDirectory: y\n", 1.0, None, 0), "said: TIFF"),
        (Outcome(1, "", "", 1.0, None, 0), "failed without a word"),
        (Outcome(1, "", "Error: x\nError: y\n", 1.0, None, 0), "2 lines of errors"),
        (Outcome(0, "", "", 61.0, None, 0), "ran for 61 s"),
        (Outcome(0, "", "", 1.0, None, 2 << 30), "took 2048 MiB"),
        (Outcome(-signal.SIGTERM, "", "", 1.0, 3.0, 0), "to end after a signal"),
    ],
)
def test_each_rule_can_be_broken(outcome: Outcome, found: str, tmp_path: Path) -> None:
    stop = (signal.SIGTERM, 0.5) if outcome.answered_s else None
    faults = Trial("photos", "photos 1", tmp_path, ["match"], stop=stop).judge(outcome)
    assert len(faults) == bool(found)
    assert found in "".join(faults)


def test_a_file_left_behind_is_found(tmp_path: Path) -> None:
    (tmp_path / ".a.wav.1.tmp").touch()
    assert Trial("banks", "banks 1", tmp_path, ["play"]).judge(FINE) == ["left .a.wav.1.tmp behind"]
