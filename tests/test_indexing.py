"""From recordings to an index, with SoundNet's published weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from material import assert_one_line, distance, noise, tone, write

from deepmersion.errors import DeepmersionError, IndexFileError, RequestError, SoundBankError
from deepmersion.hearing.listener import LEVEL_RMS, Settings
from deepmersion.hearing.soundnet import SAMPLE_RATE, SoundNet, predict
from deepmersion.index.file import PRECISION_NATS, open_index
from deepmersion.indexing import Plan, build_index, layers_for, require_feasible
from deepmersion.matching.rule import MAX_SOUNDS
from deepmersion.sound.bank import open_bank
from deepmersion.weights.store import SOUNDNET_SHA256

pytestmark = pytest.mark.usefixtures("soundnet_weights")

SETTINGS = Settings(window_s=10.0)
"""As short as SoundNet hears anything: these tests are about everything else."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings in three formats, rates and numbers of channels."""
    path = tmp_path_factory.mktemp("bank")
    hum = tone(120, 5 * 48_000, rate=48_000) + noise(5.0, rate=48_000, slope=2)
    swell = np.sin(np.arange(12 * 44_100) / 44_100) ** 2
    write(path / "hum.wav", hum, 48_000)
    write(path / "surf.ogg", noise(12.0, slope=1, seed=1) * swell[:, None].astype(np.float32))
    write(path / "hiss.flac", noise(6.0, rate=22_050, channels=1, seed=2), 22_050)
    return path


@pytest.fixture(scope="module")
def in_one_go(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("index") / "a.h5"
    plans: list[Plan] = []
    built = build_index(output, folder, max_layers=0, settings=SETTINGS, on_plan=plans.append)
    assert built == output
    (plan,) = plans
    assert (plan.n_mixes, plan.layers) == (7, 3)
    assert plan.n_bytes == pytest.approx(output.stat().st_size, rel=0.5)
    assert plan.seconds is not None
    return output


def contents(path: Path) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]:
    with open_index(path) as index:
        return index.sounds, index.gains, index.log_probs("objects"), index.log_probs("scenes")


def assert_alike(a: Path, b: Path) -> None:
    """Check that two indexes agree to one step of their rounding."""
    sounds_a, *arrays_a = contents(a)
    sounds_b, *arrays_b = contents(b)
    assert sounds_a == sounds_b
    for one, other in zip(arrays_a, arrays_b, strict=True):
        assert distance(one, other) <= PRECISION_NATS


def test_three_recordings_make_seven_entries(folder: Path, in_one_go: Path) -> None:
    sounds, gains, objects, scenes = contents(in_one_go)
    assert sounds == ("hiss", "hum", "surf")
    assert {tuple(row) for row in gains.astype(int)} == {
        (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1),
    }  # fmt: skip
    assert gains[:3].tolist() == np.eye(3).tolist()
    assert (len(gains), objects.shape, scenes.shape) == (7, (7, 1000), (7, 401))
    for log_probs in (objects, scenes):
        assert np.exp(log_probs).sum(axis=1) == pytest.approx(1, abs=1e-3)
        assert len(np.unique(log_probs.round(2), axis=0)) == 7, "two mixes sound alike"
    with open_index(in_one_go) as index:
        assert index.header.soundnet == SOUNDNET_SHA256
        assert index.header.soundbank == open_bank(folder).fingerprint
        assert index.header.sample_rate == 22_050
        assert (index.header.window_s, index.header.level_rms) == (10.0, LEVEL_RMS)
    assert [path.name for path in in_one_go.parent.iterdir()] == ["a.h5"]


def test_an_entry_is_what_soundnet_hears_in_the_mix(
    folder: Path, in_one_go: Path, soundnet_weights: Path
) -> None:
    # A seamless ring of 6 s, heard for 10 s at SoundNet's level; by other means than the builder.
    samples, rate = soundfile.read(folder / "hiss.flac", dtype="float32")
    assert rate == SAMPLE_RATE
    n = round(1.5 * rate)
    fade = np.sin((np.arange(n) + 0.5) / n * np.pi / 2)
    loop = np.concatenate([samples[:n] * fade + samples[-n:] * fade[::-1], samples[n:-n]])
    heard = np.tile(loop, 3)[: 10 * rate]
    heard *= LEVEL_RMS / np.sqrt((heard**2).mean())
    expected = predict(SoundNet.load(soundnet_weights), heard[None].astype(np.float32))
    _, _, objects, scenes = contents(in_one_go)
    assert distance(scenes[0], expected.scenes[0]) < 0.02
    assert distance(objects[0], expected.objects[0]) < 0.02


def test_sounds_are_mixed_at_equal_loudness(folder: Path, tmp_path: Path, in_one_go: Path) -> None:
    for path in sorted(folder.iterdir()):
        samples, rate = soundfile.read(path, dtype="float32")
        write(tmp_path / path.name.replace("ogg", "flac"), 0.3 * samples, rate)
    build_index(tmp_path / "a.h5", tmp_path, settings=SETTINGS)
    *_, scenes = contents(tmp_path / "a.h5")
    *_, expected = contents(in_one_go)
    assert distance(scenes[3], expected[3]) < 0.05, "hiss and hum, both now 10 dB quieter"


def test_two_builds_agree(folder: Path, tmp_path: Path, in_one_go: Path) -> None:
    told: list[tuple[int, int]] = []
    build_index(
        tmp_path / "a.h5",
        folder,
        max_layers=0,
        settings=SETTINGS,
        on_progress=lambda *figures: told.append(figures),
    )
    assert_alike(tmp_path / "a.h5", in_one_go)
    for one, other in zip(contents(tmp_path / "a.h5")[1:], contents(in_one_go)[1:], strict=True):
        assert np.array_equal(one, other)
    assert told[0] == (0, 7)
    assert told[-1] == (7, 7)
    assert sorted(told) == told


def test_an_interrupted_rebuild_leaves_the_old_index(
    folder: Path, tmp_path: Path, in_one_go: Path
) -> None:
    output = tmp_path / "a.h5"
    output.write_bytes(in_one_go.read_bytes())

    def stop(done: int, _all: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(output, folder, settings=SETTINGS, on_progress=stop)
    assert output.read_bytes() == in_one_go.read_bytes()


def test_layers_can_be_limited(folder: Path, tmp_path: Path, in_one_go: Path) -> None:
    build_index(tmp_path / "a.h5", folder, settings=SETTINGS, max_layers=1)
    _, gains, _, scenes = contents(tmp_path / "a.h5")
    assert gains.tolist() == np.eye(3).tolist()
    assert distance(scenes, contents(in_one_go)[3][:3]) <= PRECISION_NATS


def quiet_beginning(folder: Path) -> None:
    samples = noise(20.0)
    samples[: 15 * 44_100] = 0
    write(folder / "late.flac", samples)
    (folder / "soundbank.toml").write_text(
        '[[sound]]\nname = "late"\nfile = "late.flac"\nloops = true\n'
    )


def opposite_channels(folder: Path) -> None:
    write(folder / "opposite.wav", noise(5.0, channels=1) * np.array([1, -1], np.float32))


def no_audio(folder: Path) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF")


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (quiet_beginning, "late.flac is silent"),
        (opposite_channels, "opposite.wav is silent"),
        (no_audio, "broken.wav cannot be decoded"),
    ],
)
def test_sounds_that_cannot_be_heard_are_named(
    tmp_path: Path, make: Callable[[Path], None], part: str
) -> None:
    folder = tmp_path / "bank"
    folder.mkdir()
    make(folder)
    with pytest.raises(SoundBankError) as caught:
        build_index(tmp_path / "a.h5", folder, settings=SETTINGS)
    assert_one_line(caught.value, part)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("output", "bank", "max_layers", "error"),
    [
        ("missing/a.h5", "bank", None, IndexFileError),
        (".", "bank", None, IndexFileError),
        ("bank", "bank", None, IndexFileError),
        ("x" * 300, "missing", None, IndexFileError),
        ("x" * 250, "missing", None, IndexFileError),  # FILE.partial is too long
        ("a.h5", "missing", None, SoundBankError),
        ("a.h5", "bank", -1, RequestError),
    ],
)
def test_requests_that_cannot_be_met_are_refused_before_any_work(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    output: str,
    bank: str,
    max_layers: int | None,
    error: type[DeepmersionError],
) -> None:
    (tmp_path / "bank").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        build_index(output, bank, max_layers=max_layers)
    assert_one_line(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


@pytest.mark.parametrize(
    ("n_sounds", "max_layers", "layers"),
    [
        (1, None, 1),
        (18, None, 2),
        (200, None, 2),
        (201, None, 1),
        (500, 2, 2),
        (5, 0, 5),
        (3, 4, 3),
    ],
)
def test_mixes_are_of_as_many_sounds_as_match_chooses(
    n_sounds: int, max_layers: int | None, layers: int
) -> None:
    assert MAX_SOUNDS == 2
    assert layers_for(n_sounds, max_layers) == layers
    require_feasible(n_sounds, layers)


@pytest.mark.parametrize(
    ("n_sounds", "layers", "parts"),
    [
        (40, 10, ("--max-layers 2", "820 mixes")),
        (20_000, 20_000, ("10^6021", "--max-layers 1")),
        (30_000, 1, ("fewer sounds",)),
    ],
)
def test_more_mixes_than_an_index_holds_are_refused_at_once(
    n_sounds: int, layers: int, parts: tuple[str, ...]
) -> None:
    with pytest.raises(RequestError) as caught:
        require_feasible(n_sounds, layers)
    assert_one_line(caught.value, n_sounds, *parts)
    assert len(str(caught.value)) < 200
    assert caught.value.exit_code == 2
