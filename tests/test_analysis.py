from __future__ import annotations

import numpy as np
import pytest
from material import RATE, noise, tone

from deepmersion.sound import analysis
from deepmersion.sound.analysis import BANDS_HZ, HOP_SAMPLES, N_BANDS, spectrogram


def test_white_noise_is_flat_and_a_tone_is_not() -> None:
    white, pure = spectrogram(noise(5), RATE), spectrogram(tone(1000, 5 * RATE), RATE)
    assert white.flatness > 0.95
    assert pure.flatness < 0.01
    assert white.centroid_hz == pytest.approx(np.mean(BANDS_HZ), rel=0.02)
    assert pure.centroid_hz == pytest.approx(1000, abs=20)
    assert spectrogram(noise(5, slope=2), RATE).centroid_hz < 500


def test_a_frame_is_centred_on_its_sample() -> None:
    samples = np.zeros((100 * HOP_SAMPLES, 2))
    samples[[0, 40 * HOP_SAMPLES]] = 1
    found = spectrogram(samples, RATE)
    assert found.bands.shape == (N_BANDS, 101)
    power = found.bands.sum(axis=0)
    # The ring's end leads into its beginning, whose click the frame at the end has too.
    assert power[[0, 40, 100]] == pytest.approx(power.max(), rel=1e-5)
    assert power[2:39].max() < 1e-6 * power.max()


@pytest.mark.parametrize("slope", [0, 1, 2])
def test_noise_has_no_events_and_bursts_are_found_where_they_are(slope: float) -> None:
    samples = noise(10, slope=slope)
    assert len(spectrogram(samples, RATE).events_s) == 0
    starts = np.arange(1, 10)
    for start in starts:
        samples[start * RATE : start * RATE + RATE // 50] *= 3
    assert spectrogram(samples, RATE).events_s == pytest.approx(starts, abs=0.03)


def test_a_gliding_tone_is_not_taken_for_many_events() -> None:
    seconds = np.arange(4 * RATE) / RATE
    glide = 0.1 * np.sin(2 * np.pi * (500 * seconds + 1000 * seconds**2))
    glide *= (seconds > 1) * np.clip(5 * (3 - seconds), 0, 1)
    found = spectrogram(glide[:, None] + 0.1 * noise(4, channels=1), RATE)
    # It begins, and may be noticed to end.
    assert len(found.events_s) <= 2
    assert found.events_s[0] == pytest.approx(1, abs=0.03)


def test_long_sounds_are_analysed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = noise(3)
    whole = spectrogram(samples, RATE)
    monkeypatch.setattr(analysis, "FRAMES_AT_ONCE", 50)
    parts = spectrogram(samples, RATE)
    np.testing.assert_allclose(parts.bands, whole.bands, rtol=1e-4)
    np.testing.assert_allclose(parts.lines, whole.lines, rtol=1e-4)
