from __future__ import annotations

import numpy as np
import pytest
from material import RATE, noise, tone

from deepmersion.sound.analysis import HOP_SAMPLES
from deepmersion.sound.seam import level_steps, measure_seam, place_fluxes


def test_a_ring_has_no_seam() -> None:
    # Noise from a spectrum is periodic: it goes on at the end as it began.
    for slope in (0, 1, 2):
        assert measure_seam(noise(5, slope=slope, seed=1), RATE).rank < 0.99


def test_a_tone_that_does_not_come_out_even_clicks() -> None:
    even = measure_seam(tone(220, 3 * RATE), RATE)
    odd = measure_seam(tone(220, 3 * RATE - 70), RATE)
    assert odd.flux_rank == 1
    assert odd.flux_db > 10 * even.flux_db
    assert odd.step_db < 0.1


def test_a_sound_that_fades_steps_in_level() -> None:
    samples = noise(5) * np.linspace(1, 0.1, 5 * RATE, dtype=np.float32)[:, None]
    seam = measure_seam(samples, RATE)
    assert seam.step_db == pytest.approx(20, abs=1)
    assert seam.step_rank == 1


@pytest.mark.parametrize("backwards", [False, True])
def test_another_sound_shows_in_the_flux(backwards: bool) -> None:
    dark, bright = noise(2, slope=3, seed=1), noise(2, slope=0, seed=2)
    bright *= np.sqrt((dark**2).mean() / (bright**2).mean())
    # At the loop point the bright half begins; within it goes over slowly.
    share = np.clip(np.linspace(-2, 3, 2 * RATE), 0, 1)[:, None].astype(np.float32)
    samples = bright * np.sqrt(1 - share) + dark * np.sqrt(share)
    assert measure_seam(samples[::-1] if backwards else samples, RATE).flux_rank > 0.99


def test_a_click_in_quiet_treble_counts_beside_loud_bass() -> None:
    samples = tone(60, 4 * RATE, amplitude=0.3) + noise(4) * np.float32(0.2)
    whole = measure_seam(samples, RATE)
    samples[0] += 0.2
    clicked = measure_seam(samples, RATE)
    assert whole.flux_rank < 0.95
    assert clicked.flux_rank == 1


def test_what_nobody_hears_beside_the_rest_is_no_seam() -> None:
    loud = tone(500, 4 * RATE, amplitude=0.5) + noise(4) * np.float32(2e-4)
    loud[: 2 * RATE] += noise(2, seed=1) * np.float32(6e-4)
    assert measure_seam(loud, RATE).flux_db < 0.3
    assert measure_seam(loud - tone(500, 4 * RATE, amplitude=0.5), RATE).flux_db > 3


def test_levels_are_of_the_times_around_a_place() -> None:
    n = 40 * HOP_SAMPLES
    samples = np.concatenate([np.full((n, 2), 0.1), np.full((n, 2), 0.01)])
    steps = level_steps(samples, RATE)
    assert steps[0] == pytest.approx(20)
    # In the middle lies the other step; a tenth of a second from either, there is none.
    assert steps[1:].max() == pytest.approx(20, abs=0.5)
    assert steps[1] == pytest.approx(0, abs=1e-6)


def test_silence_has_no_seam() -> None:
    seam = measure_seam(np.zeros((2 * RATE, 2), np.float32), RATE)
    assert seam == (0, 0, 0, 0)


def test_figures_do_not_depend_on_the_channels_or_the_level() -> None:
    mono = noise(3, channels=1, slope=1)
    one, two = (measure_seam(x, RATE) for x in (mono, np.repeat(mono, 2, 1) * np.float32(0.25)))
    np.testing.assert_allclose(one, two, atol=1e-3)


def test_a_place_within_is_measured_as_the_loop_point_is() -> None:
    samples = noise(4)[: 600 * HOP_SAMPLES]
    samples[200 * HOP_SAMPLES] += 5
    turned = np.roll(samples, -200 * HOP_SAMPLES, axis=0)
    within, at_the_seam = place_fluxes(samples, RATE), place_fluxes(turned, RATE)
    assert within[1:].max() == pytest.approx(at_the_seam[0], rel=1e-3)
    assert at_the_seam[1:].max() < 0.5 * at_the_seam[0]
