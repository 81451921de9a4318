"""Layers that ebb and swell: how far, how slowly, and at what power."""

from __future__ import annotations

import numpy as np
import pytest
from material import RATE

from deepmersion.sound.ebb import EBB, KNOT_S, MOST_DB, Ebb, mean_power_db

BLOCK = 8192
FAR = 4 * BLOCK
"""Samples between the gains of a course that are looked at: it moves far more slowly."""


def course_db(ebb: float, duration_s: float, seed: int = 0) -> np.ndarray:
    """Return a course in steps of `FAR`, in dB, against the level that is kept on average."""
    course = Ebb(ebb, np.random.default_rng(seed))
    gains = [course.gains(FAR)[0] for _ in range(int(duration_s * RATE / FAR))]
    return np.asarray(20 * np.log10(gains))


@pytest.mark.parametrize("ebb", [EBB, 1.0])
def test_a_level_stays_within_what_is_promised(ebb: float) -> None:
    level = np.concatenate([course_db(ebb, 3600, seed) for seed in range(5)])
    level += mean_power_db(ebb * MOST_DB)
    assert np.abs(level).max() <= ebb * MOST_DB
    assert 0.6 < np.mean(np.abs(level) < ebb * MOST_DB / 3) < 0.8
    assert np.abs(level).max() > 0.7 * ebb * MOST_DB, "it could go further"


def test_it_is_slow_and_smooth() -> None:
    level = course_db(1.0, 7200)
    rate = RATE / FAR
    assert np.abs(np.diff(level)).max() * rate < 2.0, "dB a second"
    power = np.abs(np.fft.rfft((level - level.mean()) * np.hanning(len(level)))) ** 2
    frequency = np.fft.rfftfreq(len(level), 1 / rate)
    assert power[frequency > 1 / KNOT_S].sum() < 0.02 * power.sum()
    # Nor does it wander off over minutes.
    assert power[frequency < 1 / (16 * KNOT_S)].sum() < 0.1 * power.sum()


def test_gains_go_on_from_block_to_block() -> None:
    course = Ebb(1.0, np.random.default_rng(1))
    gains = np.concatenate([course.gains(BLOCK) for _ in range(400)])
    assert gains.dtype == np.float32
    assert np.abs(np.diff(20 * np.log10(gains))).max() < 2.0 / RATE * 2


@pytest.mark.parametrize("ebb", [EBB, 1.0])
def test_the_power_of_minutes_is_that_of_an_even_level(ebb: float) -> None:
    means = [10 * np.log10(np.mean(10 ** (course_db(ebb, 300, s) / 10))) for s in range(40)]
    assert np.mean(means) == pytest.approx(0, abs=0.1)
    assert np.std(means) < 0.4 * ebb


def test_no_ebb_leaves_the_level_alone() -> None:
    assert (Ebb(0.0, np.random.default_rng()).gains(BLOCK) == 1).all()


def test_a_seed_gives_the_same_course_and_another_another() -> None:
    first, again, other = (course_db(1.0, 60, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert np.abs(first - other).max() > 1
