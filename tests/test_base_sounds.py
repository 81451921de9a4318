"""The shipped base sounds: loops without a seam, and what the renderer makes of its seed."""

from __future__ import annotations

import math
import runpy
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepmersion.shipped import shipped_soundbank
from deepmersion.sound.bank import open_bank
from deepmersion.sound.loudness import integrated_loudness, true_peak_db
from deepmersion.sound.recording import SAMPLE_RATE
from deepmersion.sound.seam import measure_seam
from synthesis import dsp
from synthesis.kinds import KINDS
from synthesis.lengths import N_SAMPLES

CHECKOUT = Path(__file__).resolve().parent.parent

NAMES = sorted(N_SAMPLES)


AROUND_S = 15
"""Length of what is heard on either side of a loop point: thousands of other places."""

TOLD_S = 12
"""Length of what is cut from a sound: enough other places for a cut to stand out among."""


def read(name: str) -> np.ndarray:
    samples, rate = soundfile.read(shipped_soundbank() / f"{name}.ogg", dtype="float32")
    assert rate == SAMPLE_RATE
    return np.asarray(samples)


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each sound in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def shipped(name: str) -> np.ndarray:
    """The sound, decoded once for all tests of it, which leave it as it is."""
    samples = read(name)
    samples.flags.writeable = False
    return samples


def test_the_loop_point_cannot_be_told(shipped: np.ndarray) -> None:
    n = AROUND_S * SAMPLE_RATE
    around = np.concatenate([shipped[:n], shipped[-n:]])
    assert measure_seam(around, SAMPLE_RATE).rank <= 0.95


def test_a_cut_elsewhere_would_be_told(shipped: np.ndarray) -> None:
    # A part of the same sound, which goes round elsewhere and is 12 dB softer after that.
    samples = shipped[SAMPLE_RATE : (1 + TOLD_S) * SAMPLE_RATE].copy()
    samples[: 2 * SAMPLE_RATE] *= 0.25
    assert measure_seam(samples, SAMPLE_RATE).rank > 0.95


def test_every_file_is_as_long_loud_and_clean_as_promised(name: str, shipped: np.ndarray) -> None:
    assert shipped.shape == (N_SAMPLES[name], 2)
    assert integrated_loudness(shipped, SAMPLE_RATE) == pytest.approx(-27, abs=0.5)
    assert true_peak_db(shipped) <= -3.0
    assert np.abs(shipped.mean(axis=0, dtype=np.float64)).max() < 1e-4


def test_the_bank_says_the_kind_that_each_sound_is_rendered_as() -> None:
    assert {sound.name: sound.kind for sound in open_bank().sounds} == KINDS
    assert list(KINDS) == list(N_SAMPLES)


def test_a_ring_stays_one_where_it_is_panned() -> None:
    ring = np.random.default_rng(1).standard_normal(1000)
    turned = dsp.pan_ring(np.roll(ring, 300), 0.8)
    np.testing.assert_allclose(turned, np.roll(dsp.pan_ring(ring, 0.8), 300, axis=0))


def test_a_mix_of_two_does_not_repeat_within_a_year() -> None:
    a_year = 365 * 86_400 * SAMPLE_RATE
    for a, b in combinations(N_SAMPLES.values(), 2):
        assert math.lcm(a, b) > a_year


def test_a_shipped_file_is_what_the_renderer_renders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = CHECKOUT / "soundbank/render.py"
    monkeypatch.setattr(sys, "argv", [str(script), "white-noise", "-o", str(tmp_path)])
    monkeypatch.setattr(sys, "path", sys.path.copy())  # which the script adds to
    runpy.run_path(str(script), run_name="__main__")
    rendered, _ = soundfile.read(tmp_path / "white-noise.ogg", dtype="float32")
    # Machines round transforms differently, and the encoder may then decide differently.
    error = rendered - read("white-noise")
    assert np.sqrt(np.mean(error**2)) < 0.01 * np.sqrt(np.mean(rendered**2))
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "soundbank.toml",
        "white-noise.ogg",
    ]
