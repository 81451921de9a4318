"""Scenes that change, and the one sound that follows them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from material import RATE, assert_one_line, bank, joined, sound, tone, write
from soundserver import WAIT_S, wait_for

from deepmersion.ambience import Ambience
from deepmersion.errors import RequestError, SoundBankError
from deepmersion.matching.rule import Match
from deepmersion.slideshow import CROSSFADE_S, Following, crossfade_length
from deepmersion.sound.bank import SoundBank
from deepmersion.sound.renderer import BLOCK_SAMPLES, Renderer

TONES_HZ = (500, 1000, 3000)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> SoundBank:
    folder = tmp_path_factory.mktemp("tones")
    paths = [write(folder / f"{f}.wav", tone(f, RATE)) for f in TONES_HZ]
    return bank(folder, [sound(path, loops=True) for path in paths])


def scene(tones: SoundBank, number: int) -> Ambience:
    gains = np.eye(len(TONES_HZ), dtype=np.float32)[number]
    return Ambience("", "", {}, (), (), (), (Match(number, gains, 0, {}, 0),), tones)


def heard(samples: np.ndarray, second: float) -> list[int]:
    """Return which tones sound in the half second from `second` on."""
    part = samples[round(second * RATE) :][: RATE // 2, 0]
    spectrum = np.abs(np.fft.rfft(part)) / (RATE / 4)
    return [i for i, f in enumerate(TONES_HZ) if spectrum[f // 2] > 0.005]


def where_heard(samples: np.ndarray, number: int) -> np.ndarray:
    """Return the samples from which a tone is heard for a twentieth of a second."""
    n = RATE // 20
    windows = samples[: len(samples) // n * n, 0].reshape(-1, n)
    level = np.abs(np.fft.rfft(windows))[:, TONES_HZ[number] // 20] / (n / 2)
    return np.flatnonzero(level > 0.001) * n


def following(
    tones: SoundBank, coming: Iterator[Ambience], begun: list[Ambience], **options: object
) -> Following:
    defaults = {"each_s": 2.0, "crossfade_s": 0.5, "fade_out_s": 0.5, "patient": True}
    renderer = Renderer(tones, scene(tones, 0).best.gains, fade_in_s=0)
    arguments = {**defaults, "on_scene": begun.append, **options}
    return Following(renderer, coming, **arguments)  # type: ignore[arg-type]


def in_turn(tones: SoundBank, numbers: Sequence[int], begun: list[Ambience]) -> np.ndarray:
    coming = iter([scene(tones, number) for number in numbers])
    with following(tones, coming, begun) as stream:
        return joined(stream.blocks())


def test_scenes_play_in_turn_each_for_its_time(tones: SoundBank) -> None:
    begun: list[Ambience] = []
    samples = in_turn(tones, [1, 2], begun)
    assert len(samples) == 6 * RATE
    assert [heard(samples, t) for t in (0, 1.4, 2.9, 3.4, 4.9)] == [[0], [0], [1], [1], [2]]
    assert set(heard(samples, 2.1)) == {0, 1}
    assert [ambience.best.entry for ambience in begun] == [1, 2]
    # The last one's fade lies within its time.
    assert np.abs(samples[-RATE // 2 - 1000 : -RATE // 2]).max() > 0.02
    assert np.abs(samples[-10:]).max() < 1e-3
    assert np.abs(np.diff(samples, axis=0)).max() < 0.05, "a click"


def test_equal_scenes_leave_the_sound_as_it_is(tones: SoundBank) -> None:
    samples = in_turn(tones, [0, 0], [])
    alone = Renderer(
        tones, scene(tones, 0).best.gains, duration_s=6, fade_in_s=0, fade_out_s=0.5
    ).blocks()
    np.testing.assert_allclose(samples, joined(alone), atol=1e-6)


def test_a_single_scene_ends_in_its_time(tones: SoundBank) -> None:
    assert len(in_turn(tones, [], [])) == 2 * RATE


def test_what_a_pipe_gets_does_not_depend_on_when_scenes_are_ready(tones: SoundBank) -> None:
    gate = threading.Event()

    def late() -> Iterator[Ambience]:
        gate.wait(WAIT_S)
        yield scene(tones, 1)

    with following(tones, late(), []) as stream:
        threading.Timer(0.3, gate.set).start()
        slow = joined(stream.blocks())
    np.testing.assert_array_equal(slow, in_turn(tones, [1], []))


def test_a_scene_that_is_late_does_not_stop_the_one_before(tones: SoundBank) -> None:
    gate, begun = threading.Event(), list[Ambience]()

    def late() -> Iterator[Ambience]:
        gate.wait(WAIT_S)
        yield scene(tones, 1)

    with following(tones, late(), begun, patient=False) as stream:
        blocks = stream.blocks()
        first = joined(itertools.islice(blocks, 4 * RATE // BLOCK_SAMPLES))
        assert heard(first, 3) == [0]
        gate.set()
        later = []
        for block in blocks:
            later.append(block)
            if len(where_heard(block, 1)):  # at the speakers, blocks leave it time to look ahead
                wait_for(lambda: not stream.busy)
    rest = joined(iter(later))
    assert [ambience.best.entry for ambience in begun] == [1]
    after = rest[where_heard(rest, 1)[0] :]
    assert heard(after, 0.7) == [1]
    assert len(after) == pytest.approx(2 * RATE, abs=BLOCK_SAMPLES), "it has its whole time"


def test_without_a_time_scenes_come_when_they_come(tones: SoundBank) -> None:
    gates = [threading.Event(), threading.Event()]
    begun: list[Ambience] = []
    over = threading.Event()

    def coming() -> Iterator[Ambience]:
        for number, gate in enumerate(gates, 1):
            gate.wait(WAIT_S)
            yield scene(tones, number)
        over.wait(WAIT_S)

    with following(tones, coming(), begun, each_s=None) as stream:
        blocks = stream.blocks()
        for number, gate in enumerate(gates, 1):
            gate.set()
            while len(begun) < number:
                next(blocks)
            after = joined(itertools.islice(blocks, 2 * RATE // BLOCK_SAMPLES))
            assert heard(after, 0.9) == [number]
        stream.finish(0.2)
        assert len(joined(blocks)) < RATE
        over.set()


def test_what_goes_wrong_later_fades_out_and_is_raised(tones: SoundBank) -> None:
    def coming() -> Iterator[Ambience]:
        yield scene(tones, 1)
        raise SoundBankError("a file is cut off")

    blocks: list[np.ndarray] = []
    with following(tones, coming(), []) as stream, pytest.raises(SoundBankError, match="cut off"):
        blocks.extend(stream.blocks())
    samples = joined(blocks)
    assert heard(samples, 1.0) == [0]
    assert 2 * RATE < len(samples) < 4 * RATE
    assert np.abs(samples[-10:]).max() < 1e-3


def test_leaving_ends_the_thread_that_looks_ahead(tones: SoundBank) -> None:
    stop = threading.Event()

    def endless() -> Iterator[Ambience]:
        while not stop.is_set():
            yield scene(tones, 1)

    with following(tones, endless(), [], stop=stop) as stream:
        assert len(next(stream.blocks()))
        assert stream.busy
    wait_for(lambda: not stream.busy)


def test_a_sound_that_is_on_its_way_out_is_opened_again_ahead_of_time(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{f}.wav", tone(f, RATE)) for f in TONES_HZ[:2]]
    pair = bank(tmp_path, [sound(path, loops=True) for path in paths])
    gains = np.eye(2, dtype=np.float32)
    renderer = Renderer(pair, gains[0], fade_in_s=0)
    blocks = renderer.blocks()
    next(blocks)
    renderer.change_to(renderer.prepare(gains[1]), 1.0)
    next(blocks)
    back = renderer.prepare(gains[0])
    paths[0].unlink()
    joined(itertools.islice(blocks, 2 * RATE // BLOCK_SAMPLES))
    renderer.change_to(back, 0.5)
    samples = joined(itertools.islice(blocks, 2 * RATE // BLOCK_SAMPLES))
    assert heard(samples, 1.2) == [0]


def test_crossfades_are_checked_against_the_time_of_a_scene() -> None:
    assert crossfade_length(None, None) == CROSSFADE_S
    assert crossfade_length(300, None) == CROSSFADE_S
    assert crossfade_length(4, None) == 1
    assert crossfade_length(4, 4) == 4
    assert crossfade_length(None, 60) == 60
    with pytest.raises(RequestError) as caught:
        crossfade_length(4, 5)
    assert_one_line(caught.value, "--fade", "5 s does not fit", "4 s")
