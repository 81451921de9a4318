"""The measures by which base sounds are compared with recordings, on sounds of known measure."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import sound_measures as measures
import sound_tables

from deepmersion.sound.recording import SAMPLE_RATE

RATE = SAMPLE_RATE
T = np.arange(16 * RATE) / RATE


def white(seed: int = 0, channels: int = 2) -> np.ndarray:
    return 0.05 * np.random.default_rng(seed).standard_normal((len(T), channels))


def test_white_noise_rises_by_a_decibel_a_third_octave() -> None:
    levels = measures.third_octaves(white())
    assert np.diff(levels)[5:] == pytest.approx(1.0, abs=0.4)
    assert 10 * np.log10(np.sum(10 ** (levels / 10))) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("rate_hz", [0.75, 3.0, 12.0])
def test_a_swell_is_found_at_its_rate_and_depth(rate_hz: float) -> None:
    swell = 1 + 0.5 * np.sin(2 * np.pi * rate_hz * T)
    depths = measures.modulation(white() * swell[:, None])
    octave = int(np.argmax(depths))
    assert measures.MODULATIONS_HZ[octave] <= rate_hz < 2 * measures.MODULATIONS_HZ[octave]
    assert depths[octave] == pytest.approx(10 * np.log10(0.5**2 / 2), abs=1.0)


def test_the_crest_factor_of_a_sine_is_three_decibels() -> None:
    assert measures.crest_db(np.sin(2 * np.pi * 100 * T)[:, None]) == pytest.approx(3.01, abs=0.01)


@pytest.mark.parametrize("n_events", [0, 8, 40])
def test_events_are_counted(n_events: int) -> None:
    x = white()
    for start in np.linspace(RATE // 2, len(x) - RATE, n_events).astype(int):
        x[start : start + RATE // 50] *= 5
    assert measures.events_per_second(x) == pytest.approx(n_events / 16, abs=1 / 16)


def test_left_and_right_are_compared_by_band() -> None:
    independent, same = white(), white(channels=1)
    assert measures.side_correlations(independent) == pytest.approx(0, abs=0.05)
    assert measures.side_correlations(np.tile(same, 2)) == pytest.approx(1)
    assert measures.side_correlations(same).tolist() == [1, 1, 1]
    low = np.sin(2 * np.pi * 200 * T)[:, None]
    assert measures.side_correlations(independent + low).round(1).tolist() == [1, 0, 0]


def test_a_faint_whistle_is_found_in_noise() -> None:
    x = white()
    assert measures.tonal_peak_db(x) < 4
    x += 0.003 * np.sin(2 * np.pi * 2000 * T)[:, None]  # 24 dB below the noise
    assert measures.tonal_peak_db(x) > 10


def test_a_jump_at_the_loop_point_is_a_click() -> None:
    tone = np.sin(2 * np.pi * 100 * T)[:, None]
    assert measures.click_ratio(tone) <= 1.01
    assert measures.click_ratio(tone[: len(tone) - RATE // 400]) > 100


def test_what_happens_once_a_loop_is_lonely_and_what_comes_again_is_not() -> None:
    once, thrice = white(), white()
    once[4 * RATE : 5 * RATE] *= 4
    for second in (2, 7, 12):
        thrice[second * RATE : (second + 1) * RATE] *= 4
    assert measures.loneliest_event_db(once) > 10
    assert measures.loneliest_event_db(thrice) < 3


def test_tables_are_put_between_their_comments(tmp_path: Path) -> None:
    page = tmp_path / "sound.md"
    page.write_text("Before\n\n<!-- a -->\nold\n<!-- a -->\n\nAfter\n", "utf-8")
    table = sound_tables.recognition({"rain": Counter(rain=3, waves=1)})
    for _ in range(2):
        sound_tables.replace_tables(page, {"a": table})
        assert page.read_text("utf-8") == (
            "Before\n\n<!-- a -->\n| sound | crops | right |  | otherwise called |\n"
            "| --- | --- | --- | --- | --- |\n| rain | 4 | 3 | 75 % | waves 1 |\n"
            "<!-- a -->\n\nAfter\n"
        )
    with pytest.raises(ValueError, match="<!-- b -->"):
        sound_tables.replace_tables(page, {"b": table})
