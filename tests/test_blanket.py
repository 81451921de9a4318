"""The recordings of the Blanket application, fetched from a server on 127.0.0.1.

The real ones are served where they are at hand; stand-ins of a few kB everywhere else.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from commandline import Result, run_here, succeeded
from loopback import Loopback, Misbehaviour, serve
from material import assert_one_line, noise, write

from deepmersion.errors import DeepmersionError, FetchError, IndexFileError, SoundBankError
from deepmersion.index.file import open_index
from deepmersion.pipeline import Matcher
from deepmersion.shipped import shipped_index
from deepmersion.sound import bank as bank_module
from deepmersion.sound import blanket
from deepmersion.sound.bank import open_bank

RECORDINGS = Path(__file__).parents[2] / "shared" / "data" / "recordings.tar"

PUBLISHED = tomllib.loads(blanket.DESCRIPTION.read_text("utf-8"))
NAMES = [sound["name"] for sound in PUBLISHED["sound"]]
FILES = [sound["file"] for sound in PUBLISHED["sound"]]

AUTHORS = {
    "kvgarlic",
    "Falcet",
    "gezortenplotz",
    "stephan",
    "ezwa",
    "alex36917",
    "Lisa Redfern",
    "Digifish music",
    "SDLx",
    "Luftrum",
    "felix.blume",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("DEEPMERSION_CACHE", str(folder))
    monkeypatch.delenv("DEEPMERSION_MIRROR", raising=False)
    return folder


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sounds named as the eleven recordings are, of a few kB each."""
    folder = tmp_path_factory.mktemp("stand-ins")
    for seed, name in enumerate(FILES):
        write(folder / name, noise(1.5, seed=seed))
    return folder


@pytest.fixture
def server(stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Serve stand-ins for the eleven recordings, which are expected in their stead."""
    folder, text = tmp_path / "served", blanket.DESCRIPTION.read_text("utf-8")
    shutil.copytree(stand_ins, folder)
    for sound in PUBLISHED["sound"]:
        content = (folder / sound["file"]).read_bytes()
        text = text.replace(sound["sha256"], hashlib.sha256(content).hexdigest())
        text = text.replace(f"size = {sound['size']:_}", f"size = {len(content)}")
    with serve(folder) as loopback:
        description = tmp_path / "soundbank.toml"
        description.write_text(text.replace(PUBLISHED["source"], loopback.url("")), "utf-8")
        monkeypatch.setattr(blanket, "DESCRIPTION", description)
        yield loopback


@pytest.fixture
def real_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Be a mirror of the real recordings."""
    if not RECORDINGS.is_file():
        pytest.skip(f"needs the real recordings, {RECORDINGS}")
    with tarfile.open(RECORDINGS) as tar:
        tar.extractall(tmp_path / "mirror" / "blanket", filter="data")
    with serve(tmp_path / "mirror") as loopback:
        monkeypatch.setenv("DEEPMERSION_MIRROR", loopback.address)
        yield loopback


def fetch() -> Result:
    return run_here("soundbank", "fetch", "blanket")


def in_folder(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


WHOLE = {*FILES, "CREDITS.txt", "soundbank.toml"}


# What is fetched


def test_each_recording_is_known_by_its_content_and_has_an_author() -> None:
    assert len(NAMES) == 11
    assert sum(sound["size"] for sound in PUBLISHED["sound"]) == pytest.approx(12e6, rel=0.01)
    for sound in PUBLISHED["sound"]:
        assert re.fullmatch("[0-9a-f]{64}", sound["sha256"])
        assert sound["page"].startswith("https://")
    licences = [sound["licence"].split(", by ") for sound in PUBLISHED["sound"]]
    assert {licence for licence, _ in licences} == {"CC0", "CC BY", "CC BY 3.0", "public domain"}
    assert {author for _, author in licences} == AUTHORS


def test_the_shipped_index_is_that_of_the_published_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, sound in zip(FILES, PUBLISHED["sound"], strict=True):
        (tmp_path / name).write_text(sound["sha256"])
    (tmp_path / "soundbank.toml").write_bytes(blanket.DESCRIPTION.read_bytes())
    known = SimpleNamespace(
        sha256=hashlib.sha256,
        file_digest=lambda file, _: SimpleNamespace(
            digest=lambda: bytes.fromhex(file.read().decode())
        ),
    )
    monkeypatch.setattr(bank_module, "hashlib", known)
    with open_index(shipped_index("blanket")) as index:
        assert index.header.soundbank == open_bank(tmp_path).fingerprint
        assert list(index.sounds) == NAMES
        assert len(index) == 11 + 11 * 10 // 2


# Fetching


def test_all_arrive_with_their_credits(server: Loopback, cache: Path) -> None:
    result = succeeded(fetch())
    folder = cache / "blanket"
    assert in_folder(folder) == WHOLE
    for name in FILES:
        assert (folder / name).read_bytes() == (server.folder / name).read_bytes()
    assert result.stdout.decode() == f"blanket: {folder}, credits in {folder / 'CREDITS.txt'}\n"
    assert re.fullmatch(r"blanket: \d+kB in \d+ s\n", result.stderr.decode())
    text = (folder / "CREDITS.txt").read_text("utf-8")
    assert not [word for word in [*AUTHORS, *FILES, "Porrumentzio"] if word not in text]
    bank = open_bank("blanket")
    assert list(bank.names) == NAMES
    assert {sound.name for sound in bank.sounds if sound.cuts is None} == set()
    assert {sound.name for sound in bank.sounds if sound.known_kind is None} == set()


def test_progress_counts_all_recordings_together(server: Loopback) -> None:
    seen: list[tuple[int, int | None]] = []
    blanket.fetch(lambda done, total: seen.append((done, total)))
    whole = sum((server.folder / name).stat().st_size for name in FILES)
    assert seen[0] == (0, whole)
    assert seen[-1] == (whole, whole)
    assert seen == sorted(seen)


def test_a_second_call_fetches_nothing(server: Loopback) -> None:
    fetch()
    n_asked = len(server.ranges)
    assert n_asked == len(FILES)
    again = succeeded(fetch())
    assert again.stderr == b""
    assert len(server.ranges) == n_asked


def test_a_broken_line_is_resumed(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepmersion.fetching.download.time.sleep", lambda _: None)
    server.script = [Misbehaviour(), Misbehaviour(cut_at=1000)]
    succeeded(fetch())
    assert server.ranges[:4] == [None, None, "bytes=1000-", None]


def test_until_all_are_here_none_is_used(server: Loopback, cache: Path) -> None:
    server.script = [Misbehaviour(), Misbehaviour(), Misbehaviour(status=404)]
    failed = fetch()
    assert failed.returncode == 1
    assert in_folder(cache / "blanket") == set(FILES[:2])
    with pytest.raises(SoundBankError, match="run `deepmersion soundbank fetch blanket`"):
        open_bank("blanket")
    server.ranges.clear()
    succeeded(fetch())
    assert len(server.ranges) == len(FILES) - 2
    assert in_folder(cache / "blanket") == WHOLE


def test_a_wrong_file_is_refused_and_not_kept(server: Loopback, cache: Path) -> None:
    path = server.folder / FILES[0]
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(FetchError, match=r"not the published file and was deleted") as error:
        blanket.fetch()
    assert_one_line(error.value, f"{server.address}/{FILES[0]}", "expected sha256:")
    assert in_folder(cache / "blanket") == set()


def test_a_damaged_file_is_fetched_again(server: Loopback, cache: Path) -> None:
    blanket.fetch()
    damaged = cache / "blanket" / FILES[4]
    damaged.write_bytes(bytes(damaged.stat().st_size))
    server.ranges.clear()
    blanket.fetch()
    assert len(server.ranges) == 1
    assert damaged.read_bytes() == (server.folder / FILES[4]).read_bytes()


def test_an_offline_machine_is_told_where_to_put_the_files(
    server: Loopback, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    with pytest.raises(FetchError, match="name resolution") as error:
        blanket.fetch()
    folder = cache / "blanket"
    assert_one_line(error.value, ", ".join(FILES), f"into {folder} and run", "soundbank fetch")
    for name in FILES:
        (folder / name).write_bytes((server.folder / name).read_bytes())
    succeeded(fetch())
    assert in_folder(folder) == WHOLE


def test_a_mirror_is_asked_instead(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    (server.folder / "near" / "blanket").mkdir(parents=True)
    for name in FILES:
        (server.folder / name).rename(server.folder / "near" / "blanket" / name)
    monkeypatch.setenv("DEEPMERSION_MIRROR", server.url("near/"))
    succeeded(fetch())


def test_a_folder_that_cannot_be_written_is_one_clear_line(cache: Path) -> None:
    cache.write_bytes(b"")
    with pytest.raises(FetchError, match=r"cannot be made.*DEEPMERSION_CACHE") as error:
        blanket.fetch()
    assert_one_line(error.value)


# The name


@pytest.mark.parametrize(
    "command",
    [
        ("play", "rain", "-o", "x.wav", "--duration", "1"),
        ("match", "photo.jpg", "-o", "x.wav", "--duration", "1"),
        ("serve", "--port", "0"),
        ("build-index", "-o", "x.h5"),
    ],
)
def test_every_command_says_how_to_get_them(command: tuple[str, ...]) -> None:
    result = run_here(*command, "--soundbank", "blanket")
    assert result.returncode == 1
    assert_one_line(DeepmersionError(result.stderr.decode().strip()), "soundbank fetch blanket")


def test_the_name_wins_over_a_folder_which_has_a_path(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del server
    blanket.fetch()
    own = tmp_path / "blanket"
    own.mkdir()
    write(own / "mine.wav", noise(1.5))
    monkeypatch.chdir(tmp_path)
    assert list(open_bank("blanket").names) == NAMES
    assert open_bank("./blanket").names == open_bank(Path("blanket")).names == ("mine",)
    assert open_bank("blanket").argument == "blanket"
    assert open_bank("./blanket").argument == "./blanket"
    assert b"mine" in succeeded(run_here("soundbank", "list", "./blanket")).stdout
    assert b"mine" not in succeeded(run_here("soundbank", "list", "blanket")).stdout
    output = ("-o", tmp_path / "x.wav", "--duration", "1")
    succeeded(run_here("play", "rain", "--soundbank", "blanket", *output))
    succeeded(run_here("play", "mine", "--soundbank", "./blanket", *output))


@pytest.mark.usefixtures("server")
def test_recordings_other_than_the_index_was_made_for_are_one_clear_line() -> None:
    blanket.fetch()
    with pytest.raises(IndexFileError, match="run `deepmersion soundbank fetch blanket`") as error:
        Matcher(networks="lite", soundbank="blanket")
    assert_one_line(error.value)


# The real recordings


def _matched(*arguments: str | Path) -> Any:
    return json.loads(succeeded(run_here("match", *arguments, "--json")).stdout)


def test_the_real_ones_are_fetched_matched_and_played(
    real_server: Loopback, cache: Path, tmp_path: Path, china_jpg: Path
) -> None:
    real_server.script = [Misbehaviour(), Misbehaviour(cut_at=100_000)]
    succeeded(fetch())
    assert real_server.ranges[:3] == [None, None, "bytes=100000-"]
    assert in_folder(cache / "blanket") == WHOLE
    output = ("-o", tmp_path / "x.wav", "--duration", "2")
    chosen = _matched(china_jpg, "--networks", "lite", "--soundbank", "blanket", *output)
    assert set(chosen["matches"][0]["sounds"]) <= set(NAMES)
    words = succeeded(run_here("match", china_jpg, "--soundbank", "blanket", *output)).stdout
    assert b"deepmersion play --soundbank blanket " in words
    assert b"hears rainforest" in succeeded(run_here("soundbank", "list", "blanket")).stdout


def test_the_real_ones_have_the_declared_loudness_and_cuts(
    real_server: Loopback, cache: Path
) -> None:
    from deepmersion.sound.cuts import find_cuts
    from deepmersion.sound.loudness import integrated_loudness
    from deepmersion.sound.recording import decode, load_loop

    del real_server
    blanket.fetch()
    for sound in open_bank("blanket").sounds:
        samples, rate = decode(sound)
        assert integrated_loudness(samples, rate) == pytest.approx(sound.loudness_lufs, abs=0.1)
        # Decoders differ in the last bit, and so may the edges by a frame.
        assert sound.cuts is not None
        np.testing.assert_allclose(sound.cuts, find_cuts(load_loop(sound)), atol=0.1)
    assert in_folder(cache / "blanket") == WHOLE
