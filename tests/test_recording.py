"""From real audio files, as libsndfile writes them, to loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import pytest
import soundfile
import soxr
from material import RATE, assert_one_line, distance, flac_claiming, noise, sound, tone, write

from deepmersion.errors import SoundBankError
from deepmersion.sound import loop, spool
from deepmersion.sound.loop import Loop
from deepmersion.sound.loudness import integrated_loudness, true_peak_db
from deepmersion.sound.recording import (
    BASE_LOUDNESS_LUFS,
    SAMPLE_RATE,
    Round,
    decode,
    length,
    load_loop,
    n_of_crossfade,
    open_loop,
    resample_ring,
    ring_window,
)

FILES = [
    ("wav", 8_000, 1),
    ("wav", 48_000, 2),
    ("wav", 96_000, 6),
    ("flac", 22_050, 2),
    ("flac", 48_000, 6),
    ("ogg", 22_050, 1),
    ("ogg", 96_000, 2),
    ("ogg", 44_100, 6),
    ("mp3", 22_050, 1),
    ("mp3", 48_000, 2),
]


def loudness(samples: np.ndarray) -> float:
    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples))


@pytest.mark.parametrize(("suffix", "rate", "channels"), FILES)
def test_any_recording_becomes_a_stereo_loop_of_one_loudness(
    tmp_path: Path, suffix: str, rate: int, channels: int
) -> None:
    recording = 3 * noise(4.0, rate=rate, channels=channels, slope=1)
    loop = load_loop(sound(write(tmp_path / f"a.{suffix}", recording, rate)))
    assert loop.dtype == np.float32
    # A quarter of a short recording goes into the crossfade; MP3 pads to whole frames.
    assert loop.shape == (pytest.approx(3 * SAMPLE_RATE, abs=2400), 2)
    assert loudness(loop) == pytest.approx(BASE_LOUDNESS_LUFS, abs=0.5)
    if channels in (1, 6):
        assert np.array_equal(loop[:, 0], loop[:, 1])


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_sample_type_decodes_to_the_same(tmp_path: Path, subtype: str) -> None:
    recording = noise(1.0)
    samples, rate = decode(sound(write(tmp_path / "a.wav", recording, 48_000, subtype)))
    assert samples.dtype == np.float32
    assert (samples.shape, rate) == ((RATE, 2), 48_000)
    assert distance(samples, recording) <= (1 / 128 if subtype == "PCM_U8" else 1 / 32768)


def test_surround_is_mixed_down_evenly(tmp_path: Path) -> None:
    recording = noise(1.0, channels=6)
    samples, _ = decode(sound(write(tmp_path / "a.wav", recording, subtype="FLOAT")))
    assert distance(samples[:, 0], recording.mean(axis=1)) < 1e-6


def test_the_owners_gain_adds_to_the_common_loudness(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(5.0, slope=1))
    assert loudness(load_loop(sound(path, gain_db=-6))) == pytest.approx(-33, abs=0.5)


def test_a_declared_loudness_is_taken_at_its_word(tmp_path: Path) -> None:
    recording = noise(2.0)
    path = write(tmp_path / "a.wav", recording, subtype="FLOAT")
    loop = load_loop(sound(path, loudness_lufs=-33.0, loops=True))
    assert distance(loop, recording * np.float32(10 ** (6 / 20))) < 1e-6


def test_a_loop_is_left_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(3.0))
    assert len(load_loop(sound(path, loops=True))) == 3 * RATE
    assert len(load_loop(sound(path))) == round(2.25 * RATE)


def test_a_loop_for_soundnet_has_its_rate(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(3.0, rate=48_000), 48_000)
    assert load_loop(sound(path, loops=True), 22_050).shape == (3 * 22_050, 2)


def test_integrated_loudness_of_a_known_tone_and_of_silence() -> None:
    # BS.1770-4, section 2: a full-scale 997 Hz sine in one channel measures -3.01 LKFS.
    one_channel = tone(997, 5 * RATE, amplitude=1.0) * np.array([1, 0], np.float32)
    assert integrated_loudness(one_channel, RATE) == pytest.approx(-3.01, abs=0.1)
    assert integrated_loudness(np.zeros((RATE, 2), np.float32), RATE) == -np.inf


def test_true_peak_lies_between_samples() -> None:
    # At a quarter of the rate, 45 degrees off: every sample is 3 dB below the crest.
    crest = np.sin(np.pi / 2 * np.arange(400) + np.pi / 4)
    samples = np.stack([0.1 * crest, crest], axis=1) * np.hanning(400)[:, None]
    assert true_peak_db(samples) == pytest.approx(0.0, abs=0.2)
    assert true_peak_db(np.zeros((100, 2))) == -np.inf


def drifting(duration_s: float) -> np.ndarray:
    """Return a recording whose end is far from its beginning: steep noise on a slope."""
    samples = noise(duration_s, slope=3, seed=4)
    return np.asarray(samples + np.linspace(0, 0.3, len(samples))[:, None], dtype=np.float32)


def close_loop(samples: np.ndarray, rate: int) -> np.ndarray:
    return Round(samples, 1.0, n_of_crossfade(len(samples), rate))[:]


@pytest.mark.parametrize("duration_s", [1.0, 12.0])
def test_a_closed_loop_has_no_step_at_its_seam(duration_s: float) -> None:
    recording = drifting(duration_s)
    largest_step = np.abs(np.diff(recording, axis=0)).max()
    assert distance(recording[0], recording[-1]) > 5 * largest_step, "nothing to close"
    loop = close_loop(recording, RATE)
    assert len(loop) == len(recording) - round(min(2.0, duration_s / 4) * RATE)
    assert distance(loop[0], loop[-1]) <= 1.1 * largest_step
    assert np.abs(np.diff(loop, axis=0)).max() <= 1.1 * largest_step


def test_the_crossfade_keeps_the_power() -> None:
    loop = close_loop(noise(20.0, seed=2), RATE)
    n = 2 * RATE
    for start in range(0, n, n // 8):
        part = loop[start : start + n // 8]
        assert 20 * np.log10(part.std() / 0.05) == pytest.approx(0, abs=0.3)


def test_closing_leaves_the_recording_as_it_was() -> None:
    recording = noise(2.0)
    before = recording.copy()
    close_loop(recording, RATE)
    assert np.array_equal(recording, before)


@pytest.mark.parametrize(
    ("rate", "new_rate"),
    [(8_000, 44_100), (22_050, 44_100), (48_000, 44_100), (96_000, 44_100), (44_100, 22_050)],
)
def test_a_resampled_ring_is_still_a_ring(rate: int, new_rate: int) -> None:
    ring = resample_ring(tone(440, rate, rate=rate), rate, new_rate)[:]
    expected = tone(440, new_rate, rate=new_rate)
    assert ring.shape == expected.shape
    assert distance(ring, expected) < 1e-6
    silence_beyond_the_ends = soxr.resample(tone(440, rate, rate=rate), rate, new_rate)
    assert distance(silence_beyond_the_ends, expected) > 1e-4, "the ends would not show"


def test_a_ring_of_the_right_rate_is_not_touched() -> None:
    ring = noise(1.0)
    assert resample_ring(ring, RATE, RATE) is ring


@pytest.mark.parametrize("claim", [0, 2**31, 2**36 - 1], ids=["unknown", "93 GB", "half a TB"])
def test_a_wrong_length_in_a_header_is_refused_in_one_line(tmp_path: Path, claim: int) -> None:
    path = flac_claiming(write(tmp_path / "a.flac", noise(3.0)), claim)
    for loops in (False, True):
        with pytest.raises(SoundBankError) as caught:
            Loop(sound(path, loudness_lufs=-27.0, loops=loops))
        assert_one_line(caught.value, path, "cannot be decoded")


def silent(path: Path) -> None:
    write(path, np.zeros((2 * RATE, 2)))


def almost_silent(path: Path) -> None:
    write(path, 1e-7 * noise(2.0), subtype="FLOAT")


def one_sample_short(path: Path) -> None:
    write(path, noise(1.0)[1:])


def constant(path: Path) -> None:
    write(path, np.full((2 * RATE, 2), 0.3, np.float32))


def too_short(path: Path) -> None:
    write(path, noise(0.9))


def not_finite(path: Path) -> None:
    samples = noise(2.0)
    samples[100, 1] = np.nan
    write(path, samples, subtype="FLOAT")


def infinite(path: Path) -> None:
    samples = noise(2.0)
    samples[100, 1] = np.inf
    write(path, samples, subtype="FLOAT")


def far_too_loud(path: Path) -> None:
    samples = noise(2.0)
    samples[100, 1] = 1e30
    write(path, samples, subtype="FLOAT")


def no_samples(path: Path) -> None:
    write(path, np.zeros((0, 2)))


def low_rate(path: Path) -> None:
    write(path, noise(20.0, rate=100), 100)


def random_bytes(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(50_000))


def empty(path: Path) -> None:
    path.touch()


def folder(path: Path) -> None:
    path.mkdir()


def missing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (silent, "is silent"),
        (almost_silent, "is silent"),
        (too_short, "lasts 0.90 s"),
        (one_sample_short, "lasts 0.99998 s"),
        (constant, "is silent"),
        (not_finite, "not finite"),
        (infinite, "not finite"),
        (far_too_loud, "far beyond full scale"),
        (no_samples, "lasts 0.00 s"),
        (low_rate, "rate of 100 Hz"),
        (random_bytes, "cannot be decoded"),
        (empty, "is empty"),
        (folder, "it is a folder"),
        (missing, "No such file"),
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(
    tmp_path: Path, make: object, part: str
) -> None:
    assert callable(make)
    path = tmp_path / "a.wav"
    make(path)
    with pytest.raises(SoundBankError) as caught:
        load_loop(sound(path))
    assert_one_line(caught.value, path, part)


def test_silence_that_is_declared_to_be_loud_is_refused_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    silent(path)
    with pytest.raises(SoundBankError) as caught:
        load_loop(sound(path, loudness_lufs=-27.0))
    assert_one_line(caught.value, path, "is silent")


def test_a_flac_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(3.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SoundBankError) as caught:
        load_loop(sound(path))
    assert_one_line(caught.value, path, "cannot be decoded")


def test_libsndfile_writes_what_these_tests_ask_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ogg", noise(1.0, rate=96_000, channels=6), 96_000)
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.format) == (96_000, 6, "OGG")


@pytest.mark.parametrize("offset", [0.05, -0.65])
@pytest.mark.parametrize(
    "known", [{}, {"loudness_lufs": -27.0, "loops": True, "cuts": ()}], ids=["whole", "seamless"]
)
def test_a_constant_offset_is_never_heard(
    offset: float, known: dict[str, Any], tmp_path: Path
) -> None:
    recording = noise(4.0)
    path = write(tmp_path / "a.flac", recording, subtype="PCM_24")
    shifted = write(tmp_path / "b.flac", recording + np.float32(offset), subtype="PCM_24")
    plain, found = load_loop(sound(path, **known)), load_loop(sound(shifted, **known))
    assert distance(plain, found) < 1e-5
    block = np.zeros((RATE, 2), np.float32)
    Loop(sound(shifted, **known)).add_to(block, 0, np.ones(RATE, np.float32))
    assert distance(block, plain[:RATE]) < 1e-4


def test_a_long_recording_is_made_into_the_same_loop_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.wav", noise(9.0, rate=48_000, slope=1) + np.float32(0.1), 48_000)
    whole, known = load_loop(sound(path)), Loop(sound(path))
    for module in (spool, loop):
        monkeypatch.setattr(module, "MAX_IN_MEMORY", 50_000)
    long = open_loop(sound(path))
    assert distance(long[:], whole) < 1e-5
    assert np.array_equal(long[100_000:100_010], long[:][100_000:100_010])
    blocks = [np.zeros((30_000, 2), np.float32) for _ in range(2)]
    for each, block in zip((known, Loop(sound(path))), blocks, strict=True):
        each.add_to(block, len(whole) - 10_000, np.ones(30_000, np.float32))
    assert distance(*blocks) < 1e-4


def test_a_long_seamless_file_is_played_without_being_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.flac", noise(12.0))
    seamless = sound(path, loudness_lufs=-27.0, loops=True, cuts=())
    monkeypatch.setattr(loop, "MAX_PIECES", 2)
    played, block = Loop(seamless), np.zeros((13 * RATE, 2), np.float32)
    played.add_to(block, 0, np.ones(len(block), np.float32))
    assert played.decoded_share < 0.3
    assert distance(block, ring_window(load_loop(seamless), 0, len(block))) < 1e-4


def test_a_length_is_what_can_be_decoded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", noise(6.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert soundfile.info(path).duration == pytest.approx(6, abs=0.1), "its header is honest"
    n_samples, rate = length(sound(path))
    assert n_samples / rate == pytest.approx(3, abs=0.2)
    assert n_samples == len(decode(sound(path))[0])


def test_a_recording_of_a_phone_is_read(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    recording = noise(3.0, slope=1)
    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        stream.bit_rate = 192_000
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(recording.T), format="fltp", layout="stereo"
        )
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    samples, rate = decode(sound(tmp_path / "a.m4a"))
    assert rate == RATE
    assert len(samples) == pytest.approx(len(recording), abs=4096)
    assert samples.std() == pytest.approx(recording.std(), rel=0.05)
    (tmp_path / "b.m4a").write_bytes(b"no recording")
    with pytest.raises(SoundBankError) as caught:
        decode(sound(tmp_path / "b.m4a"))
    assert_one_line(caught.value, "b.m4a", "cannot be decoded")
