from __future__ import annotations

import itertools
import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from material import RATE, assert_one_line, bank, distance, joined, noise, sound, tone, write
from test_limiter import true_peaks_db

from deepmersion.errors import RequestError, SoundBankError
from deepmersion.shipped import shipped_soundbank
from deepmersion.sound.bank import SoundBank, open_bank
from deepmersion.sound.ebb import EBB, MOST_DB
from deepmersion.sound.loop import Loop
from deepmersion.sound.loudness import integrated_loudness
from deepmersion.sound.recording import decode
from deepmersion.sound.renderer import (
    BLOCK_SAMPLES,
    FADE_IN_S,
    FADE_OUT_S,
    LOUDNESS_LUFS,
    MAX_FADE_SHARE,
    PEAK_CEILING_DBTP,
    Renderer,
)


@pytest.fixture(scope="module")
def noises(tmp_path_factory: pytest.TempPathFactory) -> SoundBank:
    """Ten noises from white to brown, of different levels and lengths."""
    folder = tmp_path_factory.mktemp("noises")
    paths = [
        write(folder / f"{i}.flac", (0.2 + i / 10) * noise(5 + i / 3, slope=i / 4, seed=i))
        for i in range(10)
    ]
    return bank(folder, [sound(path) for path in paths])


THREE = np.isin(np.arange(10), [0, 4, 9])
"""The gains of a mix of three of them: where more would show no more."""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> SoundBank:
    """A bank of one sound that plays as it is: 0.1 and -0.1 for ever; its magnitude is bare."""
    path = tmp_path_factory.mktemp("plain") / "a.wav"
    write(path, np.tile(np.array([[0.1], [-0.1]], np.float32), (RATE // 2, 2)))
    return bank(path.parent, [sound(path, loudness_lufs=-27.0, loops=True)])


def render(bank: SoundBank, gains: list[float] | np.ndarray, **options: Any) -> np.ndarray:
    """Render a mix whose levels stay as they are, unless an ebb is asked for."""
    return joined(Renderer(bank, np.array(gains, np.float32), **{"ebb": 0.0, **options}).blocks())


def steady(bank: SoundBank, gains: np.ndarray, duration_s: float) -> float:
    """Return the loudness of a mix without its fades."""
    samples = render(bank, gains, duration_s=duration_s, fade_in_s=0, fade_out_s=0)
    return integrated_loudness(samples, RATE)


def test_a_mix_of_ten_is_as_loud_as_a_mix_of_one(noises: SoundBank) -> None:
    few = [np.isin(np.arange(10), sounds) for sounds in ([0], [9], [0, 1], [8, 9])]
    for gains in [*few, np.ones(10), np.linspace(0.1, 2, 10)]:
        assert steady(noises, gains, 6.0) == pytest.approx(LOUDNESS_LUFS, abs=0.5)


@pytest.mark.skipif(not (shipped_soundbank() / "soundbank.toml").is_file(), reason="no bank yet")
def test_every_shipped_sound_and_their_mix_have_the_one_loudness() -> None:
    shipped = open_bank()
    mixes = [(np.ones(len(shipped.sounds)), 30, EBB)]
    for one, each in zip(np.eye(len(shipped.sounds)), shipped.sounds, strict=True):
        assert each.cuts is not None
        # Gusts and peals of thunder come in their own time; together they make up for each other.
        # A sound without such events may be cut anywhere.
        even = (one, 60 if len(each.cuts) == 1 else 150, 0.0)
        mixes.append((one, 300, EBB) if each.name == "wind" else even)
    for gains, duration_s, ebb in mixes:
        samples = render(shipped, gains, duration_s=duration_s, ebb=ebb)
        assert integrated_loudness(samples, RATE) == pytest.approx(LOUDNESS_LUFS, abs=0.5)


def test_the_owners_gain_changes_the_balance_and_not_the_loudness(tmp_path: Path) -> None:
    low = write(tmp_path / "low.wav", tone(500, RATE))
    high = write(tmp_path / "high.wav", tone(1000, RATE))
    pair = bank(tmp_path, [sound(low, loops=True), sound(high, gain_db=-12, loops=True)])
    assert steady(pair, np.ones(2), 4.0) == pytest.approx(LOUDNESS_LUFS, abs=0.2)
    assert steady(pair, np.array([0, 1]), 4.0) == pytest.approx(LOUDNESS_LUFS, abs=0.2)
    spectrum = np.abs(np.fft.rfft(render(pair, [1, 1], duration_s=1, fade_in_s=0)[:, 0]))
    # The meter hears 1 kHz 0.5 dB louder than 500 Hz.
    assert 20 * math.log10(spectrum[500] / spectrum[1000]) == pytest.approx(12, abs=1)


def test_volume_is_relative_to_the_common_loudness(noises: SoundBank) -> None:
    gains = np.eye(10)[3]
    loud = render(noises, gains, duration_s=1, volume_db=6)
    assert distance(loud, 10 ** (6 / 20) * render(noises, gains, duration_s=1)) < 1e-5


@pytest.mark.parametrize("volume_db", [0, 20, 40])
def test_true_peaks_stay_below_the_ceiling(noises: SoundBank, volume_db: float) -> None:
    samples = render(noises, THREE, duration_s=1, fade_in_s=0, volume_db=volume_db)
    assert max(true_peaks_db(samples)) < PEAK_CEILING_DBTP


@pytest.mark.parametrize("duration_s", [1e-9, 1 / RATE, 0.5, 1.2345, 8192 / RATE, 3.0])
def test_a_duration_is_kept_to_the_sample(plain: SoundBank, duration_s: float) -> None:
    renderer = Renderer(plain, np.ones(1, np.float32), duration_s=duration_s)
    assert renderer.n_samples == max(1, round(duration_s * RATE))
    samples = joined(renderer.blocks())
    assert samples.shape == (renderer.n_samples, 2)
    assert samples.dtype == np.float32


def test_fades_are_equal_power_and_exactly_as_long_as_asked(plain: SoundBank) -> None:
    envelope = np.abs(render(plain, [1], duration_s=3, fade_in_s=1, fade_out_s=1)[:, 0]) / 0.1
    n = RATE
    assert envelope[0] == 0
    assert distance(envelope[n : 2 * n], 1) < 1e-3
    assert (np.diff(envelope[: n - 500]) > 0).all()
    assert distance(envelope[:n], np.sin(np.arange(n) / n * np.pi / 2)) < 1e-3
    # Laid over each other, the two would keep the power.
    assert distance(envelope[:n] ** 2 + envelope[2 * n :] ** 2, 1) < 2e-3


def test_fades_that_nobody_asked_for_are_the_defaults_or_a_share(plain: SoundBank) -> None:
    for duration_s in (20.0, 4.0):
        envelope = np.abs(render(plain, [1], duration_s=duration_s)[:, 0]) / 0.1
        longest = MAX_FADE_SHARE * duration_s
        n_in, n_out = round(min(FADE_IN_S, longest) * RATE), round(min(FADE_OUT_S, longest) * RATE)
        assert envelope[n_in // 2] == pytest.approx(math.sqrt(0.5), abs=1e-3)
        assert envelope[-n_out // 2] == pytest.approx(math.sqrt(0.5), abs=1e-3)
        assert distance(envelope[n_in:-n_out], 1) < 1e-3


def test_without_fades_it_is_there_at_once_and_to_the_end(plain: SoundBank) -> None:
    samples = np.abs(render(plain, [1], duration_s=1, fade_in_s=0, fade_out_s=0))
    assert distance(samples, 0.1) < 1e-4


def test_an_endless_stream_fades_in_and_never_out(plain: SoundBank) -> None:
    renderer = Renderer(plain, np.ones(1, np.float32), ebb=0)
    assert renderer.n_samples is None
    samples = np.abs(joined(itertools.islice(renderer.blocks(), 40)))
    assert len(samples) > 7 * RATE
    assert samples[0, 0] == 0
    assert distance(samples[round(FADE_IN_S * RATE) :], 0.1) < 1e-4


def test_two_renders_are_identical(noises: SoundBank) -> None:
    first, second = (render(noises, THREE, duration_s=3, volume_db=15) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_loop_goes_round_without_a_seam(tmp_path: Path) -> None:
    ring = noise(1.7, seed=3)
    path = write(tmp_path / "a.wav", ring, subtype="PCM_16")
    one = bank(tmp_path, [sound(path, loudness_lufs=-27.0, loops=True)])
    samples = render(one, [1], duration_s=6, fade_in_s=0, fade_out_s=0)
    assert distance(samples, np.tile(ring, (4, 1))[: len(samples)]) < 2 / 32768
    assert np.array_equal(samples[len(ring) : 2 * len(ring)], samples[: len(ring)])


def test_a_loop_shorter_than_a_block_goes_round_within_it(tmp_path: Path) -> None:
    ring = noise(0.05, seed=3)
    path = write(tmp_path / "a.wav", ring, subtype="PCM_16")
    loop = Loop(sound(path, loudness_lufs=-27.0, loops=True, cuts=()))
    block = np.zeros((BLOCK_SAMPLES, 2), np.float32)
    loop.add_to(block, 0, np.ones(len(block), np.float32))
    assert distance(block, np.tile(ring, (4, 1))[:BLOCK_SAMPLES]) <= 1 / 32768


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_decoding_as_it_plays_gives_what_loading_whole_gives(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", noise(4.0, slope=1))
    known = integrated_loudness(decode(sound(path))[0], RATE)
    lazy = bank(tmp_path, [sound(path, loops=True, loudness_lufs=known, cuts=())])
    whole = bank(tmp_path, [sound(path, loops=True)])
    first, second = (render(one, [1], duration_s=9) for one in (lazy, whole))
    assert distance(first, second) < 4 / 32768
    assert np.abs(first).max() > 0.05


def test_a_lossy_files_overshoot_does_not_wrap_around(tmp_path: Path) -> None:
    square = np.sign(tone(220, 2 * RATE)) * np.float32(1.0)
    path = write(tmp_path / "a.ogg", square)
    decoded, _ = decode(sound(path))
    assert np.abs(decoded).max() > 1.05, "no overshoot"
    loop = Loop(sound(path, loudness_lufs=-27.0, loops=True, cuts=()))
    block = np.zeros_like(decoded)
    loop.add_to(block, 0, np.ones(len(block), np.float32))
    assert distance(block, np.clip(decoded, -1, 1)) <= 1 / 32768


def test_samples_in_floating_point_are_played_as_they_are(tmp_path: Path) -> None:
    ring = noise(1.0) * 30
    assert np.abs(ring).max() > 1
    path = write(tmp_path / "a.wav", ring, subtype="FLOAT")
    loop = Loop(sound(path, loudness_lufs=-27.0, loops=True, cuts=()))
    block = np.zeros_like(ring)
    loop.add_to(block, 0, np.ones(len(block), np.float32))
    assert distance(block, ring) < np.abs(ring).max() / 32767


def test_a_seamless_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(8.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    one = bank(tmp_path, [sound(path, loops=True, loudness_lufs=-27.0, cuts=())])
    with pytest.raises(SoundBankError) as caught:
        render(one, [1], duration_s=8)
    assert_one_line(caught.value, path)


@pytest.mark.parametrize("name", ["a.wav", "a.raw"])
def test_a_file_that_cannot_be_used_is_named_before_anything_plays(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"no audio")
    for declared in (None, -27.0):
        broken = bank(tmp_path, [sound(tmp_path / name, loudness_lufs=declared, loops=True)])
        with pytest.raises(SoundBankError) as caught:
            Renderer(broken, np.ones(1, np.float32))
        assert_one_line(caught.value, name, "cannot be decoded")


ROUND_S = 41
"""Length of the noises that follow: twice what a sound needs to be played in stretches."""


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> SoundBank:
    """Three noises long enough for stretches, which may be cut anywhere."""
    folder = tmp_path_factory.mktemp("long")
    anywhere: dict[str, Any] = {"loudness_lufs": -27.0, "loops": True, "cuts": ()}
    paths = [write(folder / f"{i}.flac", noise(ROUND_S, slope=i / 2, seed=i)) for i in range(3)]
    levels = [integrated_loudness(decode(sound(path))[0], RATE) for path in paths]
    pairs = zip(paths, levels, strict=True)
    return bank(folder, [sound(p, **anywhere | {"loudness_lufs": level}) for p, level in pairs])


def test_a_seed_gives_the_same_sound_and_another_another(long: SoundBank) -> None:
    first, again, other = (render(long, np.ones(3), duration_s=40, seed=s) for s in (4, 4, 5))
    assert np.array_equal(first, again)
    assert distance(first, other) > 0.1


def test_a_long_mix_of_stretches_has_the_one_loudness(long: SoundBank) -> None:
    # The longer, the more it swells.
    for ebb, duration_s in ((0.0, 60), (EBB, 100), (1.0, 150)):
        for gains in ([1.0, 0.0, 0.0], [1.0, 0.5, 1.0]):
            samples = render(long, gains, duration_s=duration_s, ebb=ebb, seed=3)
            assert integrated_loudness(samples, RATE) == pytest.approx(LOUDNESS_LUFS, abs=0.5)


def test_layers_ebb_and_swell_by_themselves(long: SoundBank) -> None:
    def levels(gains: list[float], ebb: float) -> np.ndarray:
        samples = render(long, gains, duration_s=180, ebb=ebb, seed=1)
        power = np.square(samples[: 180 * RATE]).reshape(180, -1).mean(axis=1)
        return np.asarray(10 * np.log10(power[4:-6]))

    even, swelling, other = levels([1, 0, 0], 0), levels([1, 0, 0], 1), levels([0, 1, 0], 1)
    assert even.std() < 0.3
    assert 1 < swelling.std() < MOST_DB / 2
    assert abs(np.corrcoef(np.diff(swelling, 5), np.diff(other, 5))[0, 1]) < 0.99


def test_nothing_comes_round(long: SoundBank) -> None:
    """A loop would be the same again after its length; no part of a chain is."""
    samples = render(long, [1, 0, 0], duration_s=200, fade_in_s=0, fade_out_s=0)[:, 0]
    power = np.square(samples).mean()
    n = ROUND_S * RATE
    assert abs(np.mean(samples[n:] * samples[:-n])) < 0.2 * power


def test_a_change_of_mix_among_chains_keeps_the_loudness(long: SoundBank) -> None:
    renderer = Renderer(long, np.array([1, 1, 0], np.float32), fade_in_s=0)
    blocks = renderer.blocks()
    parts = []
    for gains in ([0, 1, 1], [1, 0, 0], [1, 1, 1]):
        parts += list(itertools.islice(blocks, 20 * RATE // BLOCK_SAMPLES))
        renderer.change_to(renderer.prepare(np.array(gains, np.float32)), 4.0)
    samples = joined([*parts, *itertools.islice(blocks, 20 * RATE // BLOCK_SAMPLES)])
    power = np.square(samples[: 78 * RATE]).reshape(78, -1).mean(axis=1)
    assert np.abs(10 * np.log10(power / power.mean())).max() < EBB * MOST_DB


def test_a_sound_that_comes_back_begins_elsewhere(long: SoundBank) -> None:
    renderer = Renderer(long, np.array([1, 0, 0], np.float32), fade_in_s=0, ebb=0)
    first = renderer.prepare(np.array([0, 1, 0], np.float32)).voices[1]
    second = renderer.prepare(np.array([0, 1, 0], np.float32)).voices[1]
    heard = []
    for voice in (first, second):
        voice.aim(1.0)
        heard.append(np.zeros((BLOCK_SAMPLES, 2), np.float32))
        voice.add_to(heard[-1], None)
    assert distance(*heard) > 0.05


def test_an_hour_of_stretches_takes_no_more_memory_than_a_minute(long: SoundBank) -> None:
    blocks = Renderer(long, np.ones(3, np.float32)).blocks()
    for _ in itertools.islice(blocks, 3 * ROUND_S * RATE // BLOCK_SAMPLES):
        pass  # until all is decoded
    tracemalloc.start()
    try:
        peaks = []
        for _ in range(3):
            for _ in itertools.islice(blocks, 60 * RATE // BLOCK_SAMPLES // 2):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
    finally:
        tracemalloc.stop()
    assert peaks[2] <= peaks[0] + 100_000


def test_only_sounds_that_are_heard_are_opened(noises: SoundBank, tmp_path: Path) -> None:
    missing = bank(tmp_path, [noises.sounds[0], sound(tmp_path / "missing.wav")])
    assert len(render(missing, [1, 0], duration_s=1)) == RATE


def test_an_hour_takes_no_more_memory_than_a_minute(noises: SoundBank) -> None:
    blocks = Renderer(noises, THREE.astype(np.float32), volume_db=10).blocks()
    tracemalloc.start()
    try:
        peaks = []
        for _ in range(3):
            for _ in itertools.islice(blocks, 60 * RATE // BLOCK_SAMPLES // 4):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
    finally:
        tracemalloc.stop()
    assert peaks[2] <= peaks[0] + 100_000
    assert peaks[2] < 10_000_000


def test_a_loop_is_kept_as_16_bit_integers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(20.0))
    tracemalloc.start()
    try:
        loop = Loop(sound(path))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1.1 * 18 * RATE * 4
    del loop


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"duration_s": 0.0}, "longer than zero"),
        ({"duration_s": -1.0}, "longer than zero"),
        ({"duration_s": math.nan}, "longer than zero"),
        ({"duration_s": math.inf}, "finite"),
        ({"fade_in_s": -0.1}, "fade"),
        ({"fade_out_s": -0.1, "duration_s": 5.0}, "fade"),
        ({"fade_in_s": math.nan}, "fade"),
        ({"fade_in_s": math.inf}, "fade"),
        ({"fade_in_s": 3.0, "fade_out_s": 3.0, "duration_s": 5.0}, "3 s and 3 s do not fit"),
        ({"fade_in_s": 6.0, "duration_s": 5.0}, "do not fit"),
        ({"volume_db": math.nan}, "volume"),
        ({"volume_db": math.inf}, "volume"),
        ({"ebb": -0.1}, "ebb"),
        ({"ebb": 1.1}, "ebb"),
        ({"ebb": math.nan}, "ebb"),
        ({"seed": -1}, "seed"),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    plain: SoundBank, options: dict[str, Any], part: str
) -> None:
    with pytest.raises(RequestError) as caught:
        Renderer(plain, np.ones(1, np.float32), **options)
    assert_one_line(caught.value, part)


@pytest.mark.parametrize("gain", [0.0, math.nan, math.inf, -1.0])
def test_a_mix_without_gains_is_refused(plain: SoundBank, gain: float) -> None:
    with pytest.raises(RequestError) as caught:
        Renderer(plain, np.array([gain], np.float32))
    assert_one_line(caught.value, "gains")


def test_fades_may_fill_a_duration(plain: SoundBank) -> None:
    assert len(render(plain, [1], duration_s=2, fade_in_s=1, fade_out_s=1)) == 2 * RATE


def changed(bank: SoundBank, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return 12 s of a stream that goes over to another mix after four seconds, for two."""
    renderer = Renderer(bank, before.astype(np.float32), fade_in_s=0, ebb=0)
    blocks = renderer.blocks()
    first = [next(blocks) for _ in range(4 * RATE // BLOCK_SAMPLES)]
    renderer.change_to(renderer.prepare(after.astype(np.float32)), 2.0)
    return joined([*first, *itertools.islice(blocks, 8 * RATE // BLOCK_SAMPLES)])


@pytest.mark.parametrize(
    ("before", "after"), [([0, 1], [2, 3]), ([0, 1, 2], [2]), ([5], [5, 6, 7, 8]), ([4], [4])]
)
def test_a_change_of_mix_keeps_the_loudness(
    noises: SoundBank, before: list[int], after: list[int]
) -> None:
    mixes = [np.isin(np.arange(10), sounds) for sounds in (before, after)]
    samples = changed(noises, mixes[0], mixes[1])
    for start_s in (0, 3.5, 4.2, 4.9, 5.6, 8):
        part = samples[round(start_s * RATE) :][: 2 * RATE]
        assert integrated_loudness(part, RATE) == pytest.approx(LOUDNESS_LUFS, abs=1)


def test_a_change_to_the_same_mix_changes_nothing(noises: SoundBank) -> None:
    plain = render(noises, THREE, duration_s=11, fade_in_s=0, fade_out_s=0)
    assert distance(changed(noises, THREE, THREE)[: 11 * RATE], plain) < 1e-5


def test_after_a_change_the_new_mix_is_heard_alone(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{f}.wav", tone(f, RATE)) for f in (500, 1000, 3000)]
    tones = bank(tmp_path, [sound(path, loops=True) for path in paths])
    samples = changed(tones, np.array([1, 1, 0]), np.array([0, 1, 1]))
    spectra = [np.abs(np.fft.rfft(samples[t * RATE : (t + 1) * RATE, 0])) for t in (1, 8)]
    heard = [[bool(spectrum[f] > 100) for f in (500, 1000, 3000)] for spectrum in spectra]
    assert heard == [[True, True, False], [False, True, True]]
    assert np.abs(np.diff(samples, axis=0)).max() < 0.05, "a click"


def test_a_stream_that_is_told_to_end_fades_out_and_ends(plain: SoundBank) -> None:
    renderer = Renderer(plain, np.ones(1, np.float32), fade_in_s=0, ebb=0)
    blocks = renderer.blocks()
    first = next(blocks)
    renderer.finish(0.5)
    samples = joined([first, *blocks])
    n = round(0.5 * RATE)
    assert len(first) + n <= len(samples) <= len(first) + n + 2 * BLOCK_SAMPLES
    envelope = np.abs(samples[:, 0]) / 0.1
    assert distance(envelope[:-n], 1) < 1e-3
    assert distance(envelope[-n:], np.sin(np.arange(n, 0, -1) / n * np.pi / 2)) < 1e-3


def test_gains_are_for_all_sounds_of_the_bank(noises: SoundBank) -> None:
    with pytest.raises(ValueError, match="3 gains for 10 sounds"):
        Renderer(noises, np.ones(3, np.float32))


def test_the_test_banks_are_real_files(noises: SoundBank) -> None:
    assert {soundfile.info(s.path).format for s in noises.sounds} == {"FLAC"}
