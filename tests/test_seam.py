from __future__ import annotations

import numpy as np
import pytest
from material import RATE, noise, tone

from deepmersion.sound.bank import open_bank
from deepmersion.sound.recording import decode
from deepmersion.sound.seam import LEVEL_S, level_steps, measure_seam, spectral_fluxes


def test_a_ring_has_no_seam() -> None:
    # Noise from a spectrum is periodic: it goes on at the end as it began.
    for slope in (0, 1, 2):
        seam = measure_seam(noise(5, slope=slope, seed=1), RATE)
        assert max(seam.step_rank, seam.flux_rank) < 0.99


def test_a_tone_that_does_not_come_out_even_clicks() -> None:
    even = measure_seam(tone(220, 3 * RATE), RATE)
    odd = measure_seam(tone(220, 3 * RATE - 70), RATE)
    assert odd.flux_rank == 1
    assert odd.flux > 10 * even.flux
    assert odd.step_db < 0.1


def test_a_sound_that_fades_steps_in_level() -> None:
    samples = noise(5) * np.linspace(1, 0.1, 5 * RATE, dtype=np.float32)[:, None]
    seam = measure_seam(samples, RATE)
    assert seam.step_db == pytest.approx(20, abs=1)
    assert seam.step_rank == 1


def test_another_sound_shows_in_the_flux() -> None:
    dark, bright = noise(2, slope=3, seed=1), noise(2, slope=0, seed=2)
    bright *= np.sqrt((dark**2).mean() / (bright**2).mean())
    # At the loop point the bright half begins; within it goes over slowly.
    share = np.clip(np.linspace(-2, 3, 2 * RATE), 0, 1)[:, None].astype(np.float32)
    seam = measure_seam(bright * np.sqrt(1 - share) + dark * np.sqrt(share), RATE)
    assert seam.flux_rank > 0.99


def test_a_click_in_quiet_treble_counts_beside_loud_bass() -> None:
    samples = tone(60, 4 * RATE, amplitude=0.3) + noise(4) * np.float32(0.2)
    whole = measure_seam(samples, RATE)
    samples[0] += 0.2
    clicked = measure_seam(samples, RATE)
    assert whole.flux_rank < 0.95
    assert clicked.flux_rank == 1


def test_levels_are_of_the_times_around_a_place() -> None:
    samples = np.concatenate([np.full((1000, 2), 0.1), np.full((1000, 2), 0.01)])
    steps = level_steps(samples, np.array([0, 500, 1000, 1500]), 400)
    np.testing.assert_allclose(steps, [20, 0, 20, 0], atol=1e-6)


def test_silence_has_no_seam() -> None:
    seam = measure_seam(np.zeros((2 * RATE, 2), np.float32), RATE)
    assert seam == (0, 0, 0, 0)


def test_figures_do_not_depend_on_the_channels_or_the_level() -> None:
    mono = noise(3, channels=1, slope=1)
    one, two = (measure_seam(x, RATE) for x in (mono, np.repeat(mono, 2, 1) * np.float32(0.25)))
    np.testing.assert_allclose(one, two, atol=1e-3)


def test_places_are_taken_around_the_ring() -> None:
    samples = noise(2)
    places = np.array([0, 1000, 50_000])
    turned = np.roll(samples, 700, axis=0)
    np.testing.assert_allclose(
        spectral_fluxes(samples, places, RATE),
        spectral_fluxes(turned, places + 700, RATE),
        rtol=1e-5,
    )


def test_no_shipped_sound_has_a_seam_that_can_be_found() -> None:
    for sound in open_bank().sounds:
        samples, rate = decode(sound)
        seam = measure_seam(samples, rate)
        assert max(seam.step_rank, seam.flux_rank) <= 0.95, sound.name
        assert len(samples) > 2 * LEVEL_S * rate
