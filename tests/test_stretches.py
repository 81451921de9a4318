"""Sounds without end: where they are cut, how they are joined, and what is heard again when."""

from __future__ import annotations

from functools import cache
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from material import RATE, noise, sound, tone, write

from deepmersion.shipped import shipped_soundbank
from deepmersion.sound.bank import BaseSound, open_bank
from deepmersion.sound.chain import Chain
from deepmersion.sound.cuts import find_cuts
from deepmersion.sound.keys import Cuts
from deepmersion.sound.loop import LEAD_SAMPLES, Loop
from deepmersion.sound.stretches import (
    JOIN_S,
    LEAST_S,
    MOST_S,
    REST_SHARE,
    SHORTEST_S,
    Segment,
    Stretches,
)

MINUTE = 60 * RATE


def segments(n_samples: int, cuts: Cuts, n: int, seed: int = 0) -> list[Segment]:
    stretches = Stretches(n_samples, cuts, np.random.default_rng(seed))
    return list(islice(stretches.segments(), n))


def heard(sounding: list[Segment], n_samples: int) -> np.ndarray:
    """Return which place of a loop is heard at each tenth of a second, without what fades out in
    joins."""
    every, position, places = RATE // 10, 0, []
    for start, n, _ in sounding:
        places.append(np.arange(start + -position % every, start + n, every) % n_samples)
        position += n
    return np.concatenate(places)


@cache
def hush(duration_s: float) -> np.ndarray:
    return noise(duration_s) * 0.02


def events(duration_s: float, at_s: list[float], length_s: float = 1.5) -> np.ndarray:
    """Return tones that last a while over soft noise."""
    samples = hush(duration_s).copy()
    for start in at_s:
        n = round(length_s * RATE)
        first = round(start * RATE)
        samples[first : first + n] += tone(1500, n) * np.hanning(n)[:, None]
    return samples.astype(np.float32)


AT_S = [2.0, 7.5, 11.0, 18.0, 22.0, 29.0, 34.0, 41.0, 45.5, 52.0]


@pytest.fixture(scope="module")
def phrases(tmp_path_factory: pytest.TempPathFactory) -> BaseSound:
    """A minute of phrases, one every five seconds or so."""
    path = tmp_path_factory.mktemp("phrases") / "phrases.flac"
    return sound(write(path, events(60.0, AT_S)), loops=True)


def test_a_sound_is_cut_between_its_events() -> None:
    cuts = find_cuts(events(60.0, AT_S))
    for start, stop in cuts:
        for event in AT_S:
            # A Hann window's flanks rise out of the noise within a tenth of a second.
            assert stop < event + 0.2 or start > event + 1.3
    middles = [(start + stop) / 2 for start, stop in cuts]
    gaps = [(first + 1.5, second) for first, second in pairwise(AT_S)]
    assert all(any(a < middle < b for middle in middles) for a, b in gaps)


def test_noise_may_be_cut_anywhere() -> None:
    assert find_cuts(noise(30.0, slope=1)) == ((0.0, 30.0),)


def test_the_level_does_not_matter_to_cuts() -> None:
    plain = events(60.0, AT_S)
    assert find_cuts(plain * np.float32(0.01)) == find_cuts(plain)


def test_where_nothing_is_quiet_the_quietest_moments_do() -> None:
    dense = events(60.0, list(np.arange(0.5, 58, 1.2)), length_s=1.1)
    cuts = find_cuts(dense)
    assert len(cuts) >= 10
    assert max(b[0] - a[1] for a, b in pairwise(cuts)) < MOST_S / 2


def test_joins_lie_within_the_cuts(phrases: BaseSound) -> None:
    samples, _ = soundfile.read(phrases.path, dtype="float32")
    cuts = find_cuts(samples)
    spans = [(start * RATE - 1, stop * RATE + 1) for start, stop in cuts]
    joins = [s for s in segments(len(samples), cuts, 400) if s.leaving is not None]
    assert len(joins) == 200
    for start, n, leaving in joins:
        assert 0 < n <= JOIN_S * RATE
        for place in (start, leaving):
            assert place is not None
            assert any(a <= place and place + n <= b for a, b in spans)


def test_a_sound_with_events_is_heard_without_half_events(phrases: BaseSound) -> None:
    """Each phrase that begins also ends, as loud as ever: none is cut or faded."""
    block = np.zeros((5 * MINUTE, 2), np.float32)
    Chain(phrases, np.random.default_rng(3)).add_to(block, np.ones(len(block), np.float32))
    level = np.abs(block[:, 0]).reshape(-1, RATE // 20).max(axis=1)
    loud = level > 0.25 * level.max()
    edges = np.flatnonzero(np.diff(loud, prepend=False, append=False)).reshape(-1, 2)
    lengths = (edges[:, 1] - edges[:, 0])[1:-1] / 20  # the first and the last may be cut
    assert len(lengths) > 40
    assert lengths.min() > 0.85 * np.median(lengths)
    assert lengths.max() < 1.15 * np.median(lengths)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("cuts", [(), tuple((s, s + 1.0) for s in np.arange(3.0, 60, 4.0))])
def test_nothing_is_heard_again_soon(cuts: Cuts, seed: int) -> None:
    """Within a third of the sound's length, no more than a join's own width comes back."""
    n = 75 * RATE
    places = heard(segments(n, cuts, 300, seed), n)
    last = np.full(n // (RATE // 10) + 1, -(10**9))
    early = 0
    for now, place in enumerate(places // (RATE // 10)):
        ago = (now - last[place]) / 10
        early += 1 < ago < REST_SHARE * 75 - JOIN_S
        last[place] = now
    assert early < 0.01 * len(places)


@pytest.mark.parametrize("cuts", [(), tuple((s, s + 1.0) for s in np.arange(3.0, 60, 4.0))])
def test_stretches_have_usual_lengths_and_all_is_heard(cuts: Cuts) -> None:
    n = 75 * RATE
    found = segments(n, cuts, 400)
    lengths = np.array(
        [a.n_samples + b.n_samples for a, b in zip(found[::2], found[1::2], strict=True)]
    )
    assert lengths.min() > (LEAST_S - JOIN_S) * RATE
    assert lengths.max() < (MOST_S + JOIN_S) * RATE
    assert lengths.std() > RATE, "all alike"
    counts = np.bincount(heard(found, n) // RATE, minlength=75)[:75]
    assert counts.min() > 0.3 * counts.mean()
    assert counts.max() < 2.2 * counts.mean()


@pytest.mark.parametrize(
    "cuts",
    [((4.2, 5.0), (11.7, 13.9)), ((10.0, 12.0),), ((10.0, 20.0),), ((1.0, 2.0), (50.0, 59.0))],
)
def test_all_is_heard_where_cuts_are_few(cuts: Cuts) -> None:
    """Stretches are longer there, a whole round for a single cut, and never scraps."""
    found = segments(MINUTE, cuts, 200)
    lengths = np.array(
        [a.n_samples + b.n_samples for a, b in zip(found[::2], found[1::2], strict=True)]
    )
    assert lengths.min() > (LEAST_S - JOIN_S) * RATE / 2
    assert lengths.max() < MINUTE + 10 * RATE
    an_hour = heard(found, MINUTE)[: 60 * MINUTE]
    counts = np.bincount(an_hour // RATE, minlength=60)[:60] / RATE
    assert counts.min() > 0.3 * counts.mean()


def test_a_seed_gives_the_same_stretches_and_another_others() -> None:
    first, again, other = (segments(MINUTE, (), 50, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_short_sound_goes_round() -> None:
    n = round(SHORTEST_S * RATE) - 1
    assert segments(n, (), 3) == [Segment(0, n)] * 3


@pytest.mark.parametrize(
    "cuts",
    [((3.0, 3.4),), ((3.0, 3.4), (50.0, 50.5)), ((0.0, 0.1),), ((59.5, 70.0),), ((90.0, 95.0),)],
)
def test_cuts_of_every_kind_play_on(cuts: Cuts) -> None:
    found = segments(MINUTE, cuts, 100)
    assert sum(s.n_samples for s in found) > 10 * MINUTE / 4
    assert all(s.n_samples >= 0 and 0 <= s.start < MINUTE for s in found)


def test_a_join_neither_dips_nor_bumps(tmp_path: Path) -> None:
    """Powers add up: through many joins of noise the mean level is what it is elsewhere."""
    path = write(tmp_path / "a.flac", noise(40.0, seed=5))
    chain = Chain(sound(path, loops=True), np.random.default_rng(0))
    block = np.zeros((5 * MINUTE, 2), np.float32)
    chain.add_to(block, np.ones(len(block), np.float32))
    n_samples = Loop(sound(path, loops=True)).n_samples
    power, middle, position = np.square(block).mean(axis=1), [], 0
    for part in segments(n_samples, ((0.0, 40.0),), 1000):
        if part.leaving is not None and position + part.n_samples < len(power):
            middle.append(power[position : position + part.n_samples].reshape(20, -1).mean(axis=1))
        position += part.n_samples
    shape_db = 10 * np.log10(np.mean(middle, axis=0) / power.mean())
    assert len(middle) > 30
    assert np.abs(shape_db).max() < 0.2


def test_samples_are_found_at_any_place_as_if_decoded_from_the_beginning() -> None:
    """A decoder that begins in the middle must not be heard to."""
    shipped = open_bank(shipped_soundbank()).sounds[0]
    whole, _ = soundfile.read(shipped.path, dtype="float32")
    for place in (LEAD_SAMPLES // 2, 949_853, 235_942, 1_114_122, len(whole) - 500):
        loop = Loop(shipped)
        block = np.zeros((1000, 2), np.float32)
        loop.add_to(block, place, np.ones(1000, np.float32))
        expected = np.take(whole, np.arange(place, place + 1000), axis=0, mode="wrap")
        scale = 10 ** ((-27.0 - (shipped.loudness_lufs or 0)) / 20)
        np.testing.assert_allclose(block, expected * scale, atol=1 / 32768)


def test_every_shipped_sound_begins_before_it_is_decoded() -> None:
    for shipped in open_bank(shipped_soundbank()).sounds:
        assert shipped.cuts
        chain = Chain(shipped, np.random.default_rng(1))
        chain.add_to(np.zeros((8192, 2), np.float32), np.ones(8192, np.float32))
        assert chain.decoded_share < 0.1
