from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from material import RATE, noise, sound, tone, write

from deepmersion import soundbank_check
from deepmersion.labels import soundnet_scene_labels
from deepmersion.shipped import shipped_index
from deepmersion.sound.bank import open_bank
from deepmersion.sound.loudness import loudness_range
from deepmersion.sound.seam import Seam
from deepmersion.soundbank_check import (
    FLAT_SCENES,
    MAX_RANGE_LU,
    Measures,
    count_clipped,
    effective_scenes,
    known_scenes,
    likeliest_scenes,
    measure,
    warnings,
)

GOOD = Measures(
    60.0,
    RATE,
    0.0,
    -27.0,
    -6.0,
    5.0,
    0,
    True,
    900.0,
    0.1,
    1.5,
    Seam(0.5, 0.5, 0.2, 0.5),
    ((0.0, 60.0),),
)


def test_a_sound_is_measured_as_it_lies_in_its_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(1000, 5 * RATE, amplitude=0.5))
    found = measure(sound(path))
    assert found.duration_s == 5
    assert found.sample_rate == RATE
    # A sine of 1 kHz at full scale in both channels has 0 LUFS.
    assert found.loudness_lufs == pytest.approx(20 * math.log10(0.5), abs=0.1)
    assert found.true_peak_dbtp == pytest.approx(20 * math.log10(0.5), abs=0.1)
    assert found.range_lu < 3  # of a tone that ends
    assert found.centroid_hz == pytest.approx(1000, abs=20)
    assert found.flatness < 0.01
    assert found.events_per_s <= 1 / 5
    assert found.seam is None, "only a file that says that it is a loop has a loop point"
    assert found.n_clipped == 0
    assert not found.stereo
    loop = measure(sound(write(tmp_path / "b.wav", noise(2)), loops=True))
    assert loop.stereo
    assert loop.seam is not None
    assert loop.seam.rank < 0.99


@pytest.mark.parametrize("extra", [0, 1])  # of which the last part consists
def test_a_sound_measured_in_parts_has_the_figures_of_the_whole(
    extra: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = noise(9, slope=1)
    recording[RATE // 2 :: 2 * RATE] = 0.9  # clicks
    given = sound(
        write(tmp_path / "a.wav", recording[: 8 * RATE + extra]), loops=True, loudness_lufs=-27.0
    )
    whole = measure(given)
    monkeypatch.setattr(soundbank_check, "PART_SAMPLES", 2 * RATE)
    parts = measure(given)
    assert parts.centroid_hz == pytest.approx(whole.centroid_hz, rel=0.01)
    assert parts.flatness == pytest.approx(whole.flatness, rel=0.05)
    assert parts.events_per_s == pytest.approx(whole.events_per_s, abs=1 / 8)


def test_the_loudness_range_is_that_of_tech_3342() -> None:
    # EBU Tech 3342, minimum requirements test 1: -20 then -30 dBFS for 20 s each give 10 LU.
    samples = np.concatenate(
        [tone(1000, 20 * RATE, amplitude=10 ** (level / 20)) for level in (-20, -30)]
    )
    assert loudness_range(samples, RATE) == pytest.approx(10, abs=1)
    # Test 3: -40 then -20 give 20 LU.
    samples = np.concatenate(
        [tone(1000, 20 * RATE, amplitude=10 ** (level / 20)) for level in (-40, -20)]
    )
    assert loudness_range(samples, RATE) == pytest.approx(20, abs=1)
    assert loudness_range(np.zeros((5 * RATE, 2), np.float32), RATE) == 0
    assert loudness_range(samples[:RATE], RATE) == 0


def test_clipped_peaks_are_counted_once_each() -> None:
    samples = np.zeros((1000, 2), np.float32)
    samples[10:14, 0] = 1.0
    samples[100:200, 1] = -1.0
    samples[300:302, 0] = 1.0  # touches it and goes
    samples[-3:, 1] = 1.2
    assert count_clipped(samples) == 3
    assert count_clipped(tone(220, RATE, amplitude=0.99)) == 0
    assert count_clipped(np.clip(tone(220, RATE, amplitude=1.5), -1, 1)) == 2 * 2 * 220


def test_a_good_sound_is_not_warned_of() -> None:
    sure = np.full(401, 0.5 / 400)
    sure[7] = 0.5
    assert warnings(GOOD, sure) == []
    assert warnings(GOOD, None) == []
    assert warnings(replace(GOOD, seam=None), None) == []


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"duration_s": 7.2}, "lasts 7.2 s"),
        ({"stereo": False}, "is mono"),
        ({"n_clipped": 5}, "clipped in 5 places"),
        ({"range_lu": MAX_RANGE_LU + 1}, "varies in loudness by 16 LU"),
        ({"seam": Seam(9.0, 1.0, 0.2, 0.5)}, "audible loop point"),
        ({"seam": Seam(0.1, 0.1, 9.0, 1.0)}, "audible loop point"),
    ],
)
def test_what_is_wrong_is_warned_of(change: dict[str, object], part: str) -> None:
    (warning,) = warnings(Measures(**{**GOOD.__dict__, **change}), None)
    assert part in warning


def test_a_flat_prediction_is_warned_of() -> None:
    for n, flat in ((int(FLAT_SCENES) + 1, True), (int(FLAT_SCENES) - 1, False)):
        probs = np.r_[np.full(n, 1 / n), np.zeros(401 - n)]
        assert effective_scenes(probs) == pytest.approx(n)
        assert bool(warnings(GOOD, probs)) == flat


def test_the_likeliest_scenes_are_named() -> None:
    probs = np.zeros(401)
    probs[[3, 5, 8]] = [0.2, 0.5, 0.3]
    found = likeliest_scenes(probs)
    assert len(found) == 5
    assert found[0] == (soundnet_scene_labels()[5], 0.5)
    assert [p for _, p in found[:3]] == [0.5, 0.3, 0.2]


def test_an_index_knows_what_was_heard_in_its_own_bank_alone(tmp_path: Path) -> None:
    bank = open_bank()
    known = known_scenes(bank, shipped_index())
    assert set(known) == set(bank.names)
    assert all(probs.sum() == pytest.approx(1, abs=1e-2) for probs in known.values())
    assert "ocean" in [label for label, _ in likeliest_scenes(known["waves"])]
    write(tmp_path / "waves.wav", noise(1))
    assert known_scenes(open_bank(tmp_path), shipped_index()) == {}
