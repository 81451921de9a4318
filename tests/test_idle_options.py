"""Options that have no effect beside others: the command says so, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import run_here


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("match PHOTO --json --ebb 1", "--ebb has no effect: --json makes no sound without -o"),
        (
            "match PHOTO --json --seed 1 --volume 3 --fade 1",
            "--volume, --seed and --fade have no effect: --json makes no sound without -o",
        ),
        ("match PHOTO --json -o a.wav --duration 1 -v", "--verbose has no effect: --json has"),
        ("match PHOTO -o a.wav --duration 1 --fade 1", "--fade has no effect: there is only one"),
        ("match PHOTO --json --every 5m", "--every has no effect: it is for --watch with an"),
        ("match PHOTO --json --recursive", "--recursive has no effect: no folder is named"),
        ("match PHOTO --json --rule 2018 --listen soundnet", "--listen has no effect: the rule"),
        ("match PHOTO --json --listen conditions --use scenes", "--use has no effect: conditions"),
        ("play rain -o a.wav --duration 1 --output-device 9", "--output-device has no effect: the"),
        ("play rain -o a.wav --duration 1 -v", "--verbose has no effect: it counts what"),
        ("match PHOTO FOLDER --json --recursive --use scenes --top 2", None),
        ("match PHOTO -o a.wav --duration 1 --fade-in 1 --seed 3 --ebb 0 -v", None),
        ("play rain -o a.wav --duration 1 --fade-out 1 --seed 3 --volume 3", None),
    ],
)
def test_an_option_without_effect_is_named(
    words: str,
    said: str | None,
    flower_jpg: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"PHOTO": str(flower_jpg), "FOLDER": str(flower_jpg.parent)}
    result = run_here(*(places.get(word, word) for word in words.split()))
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stderr.decode().splitlines() if line[:8] == "Warning:"]
    assert len(lines) == (said is not None)
    assert not said or lines[0].startswith(f"Warning: {said}")
