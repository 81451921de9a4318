"""What the server answers, over real sockets and from the installed command."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import soundfile
from commandline import run, run_here, start, succeeded, the_error
from material import flac_claiming, noise, write, write_random_index
from webpage import served, wait_until
from webserver import JPEG, ask, connect, post, threaded

import deepmersion
from deepmersion.pipeline import Matcher
from deepmersion.sound.cuts import find_cuts
from deepmersion.sound.output import write_file
from deepmersion.sound.recipe import mix_text
from deepmersion.sound.recording import load_loop
from deepmersion.sound.renderer import Renderer
from deepmersion.web import downloads
from deepmersion.web.limits import Limits
from deepmersion.web.openapi import mix_pattern
from deepmersion.web.sounds import LOOP_HEADROOM_DB, Sounds


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served() as address:
        yield address


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", []),
        ("?top=4&explain=true", ["--top", "4", "--explain"]),
        ("?use=scenes&chatter=0.4&top=2", ["--use", "scenes", "--chatter", "0.4", "--top", "2"]),
    ],
)
def test_a_match_is_what_the_command_prints(
    address: str, china_jpg: Path, query: str, options: list[str]
) -> None:
    photo = china_jpg.read_bytes()
    printed = run("match", "-", "--json", "--networks", "lite", *options, stdin=photo)
    answer = post(address, photo, query)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == json.loads(succeeded(printed).stdout)


def test_a_photo_that_cannot_be_read_is_refused_in_one_line(address: str, china_jpg: Path) -> None:
    damaged = post(address, china_jpg.read_bytes()[:5_000])
    assert (damaged.status, damaged.json["photo"]) == (422, "-")
    assert damaged.error.startswith("the photo is damaged or cut short")
    assert post(address, b"GIF?").error.startswith("the photo is not a photo of a known format")
    assert post(address, b"").error == "the photo is empty; give a photo"


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("?top=0", "top must be a whole number from 1 to 100"),
        ("?top=1.5", "top"),
        ("?top=x", "top"),
        ("?use=smells", "use must be one of"),
        ("?explain=perhaps", "explain"),
        ("?chatter=1.01", "chatter must be a number from 0 to 1"),
        ("?chatter=nan", "chatter"),
    ],
)
def test_wrong_parameters_are_refused(address: str, china_jpg: Path, query: str, part: str) -> None:
    answer = post(address, china_jpg.read_bytes(), query)
    assert answer.status == 400
    assert part in answer.error


def test_other_content_is_refused(address: str, china_jpg: Path) -> None:
    answer = ask(address, "/api/match", "POST", china_jpg.read_bytes(), {"Content-Type": "text/x"})
    assert answer.status == 415
    assert "image/jpeg" in answer.error


def test_other_methods_and_places_are_refused(address: str) -> None:
    wrong = ask(address, "/api/match")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert ask(address, "/api/nothing").status == 404
    assert ask(address, "/sounds/trumpets").error == "there is no sound with that name"


def test_every_sound_is_listed_with_its_files(address: str) -> None:
    bank = deepmersion.open_bank()
    answer = ask(address, "/api/sounds")
    assert [sound["name"] for sound in answer.json["sounds"]] == list(bank.names)
    for listed, sound in zip(answer.json["sounds"], bank.sounds, strict=True):
        assert listed["title"] == sound.title
        own, loop = listed["files"]
        assert own["samples"] == soundfile.info(sound.path).frames
        assert own["level_db"] == pytest.approx(-27 - (sound.loudness_lufs or 0), abs=1e-3)
        assert ask(address, own["url"]).body == sound.path.read_bytes()
        assert loop["level_db"] == LOOP_HEADROOM_DB
        assert listed["cuts"] == [list(span) for span in sound.cuts or ()]


def test_files_are_cached_and_sent_in_parts(address: str) -> None:
    content = deepmersion.open_bank().sounds[0].path.read_bytes()
    url = ask(address, "/api/sounds").json["sounds"][0]["files"][0]["url"]
    whole = ask(address, url)
    assert whole.headers["content-type"] == "audio/ogg"
    assert "immutable" in whole.headers["cache-control"]
    assert ask(address, url.partition("?")[0]).headers["cache-control"] == "no-cache"
    again = ask(address, url, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    part = ask(address, url, headers={"Range": "bytes=100-299"})
    assert (part.status, part.body) == (206, content[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(content)}"
    assert ask(address, url, headers={"Range": "bytes=-7"}).body == content[-7:]
    beyond = ask(address, url, headers={"Range": f"bytes={len(content)}-"})
    assert (beyond.status, beyond.error) == (416, "the file has no such part")
    assert beyond.headers["content-range"] == f"bytes */{len(content)}"
    malformed = ask(address, url, headers={"Range": "lines=1-2"})
    assert malformed.status == 400
    assert "Range" in malformed.error
    listed = ask(address, "/api/sounds")
    not_changed = ask(address, "/api/sounds", headers={"If-None-Match": listed.headers["etag"]})
    assert not_changed.status == 304


def test_a_change_in_the_description_is_another_version(tmp_path: Path) -> None:
    bank = deepmersion.open_bank()
    first, *rest = bank.sounds
    changes: list[dict[str, Any]] = [
        {"title": "x"},
        {"licence": "x"},
        {"loudness_lufs": -1.0},
        {"loops": not first.loops},
        {"gain_db": 1.0},
        {"cuts": ()},
    ]
    banks = [replace(bank, sounds=(replace(first, **change), *rest)) for change in changes]
    banks += [replace(bank, title="x"), bank, replace(bank)]
    assert len({Sounds(bank, tmp_path).version for bank in banks}) == len(banks) - 1


def test_a_loop_is_made_of_a_recording_that_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "bank"
    folder.mkdir()
    write(folder / "one & two.wav", noise(3, rate=22_050, channels=1), 22_050)
    flac_claiming(write(folder / "other.flac", noise(2, seed=1)), 2**36 - 1)
    (folder / "soundbank.toml").write_text(
        '[[sound]]\nname = "one & two"\nfile = "one & two.wav"\n[[sound]]\nname = "lying"\n'
        'file = "other.flac"\nloops = true\nloudness_lufs = -27\ncuts = [[0.0, 2.0]]\n'
    )
    index = tmp_path / "index.h5"
    write_random_index(index, deepmersion.open_bank(folder))
    with served("--soundbank", str(folder), "--index", str(index)) as address:
        first, lying = ask(address, "/api/sounds").json["sounds"]
        (loop,) = first["files"]
        assert [file["samples"] for file in lying["files"]] == [None], "its header is believed"
        answer = ask(address, loop["url"])
        assert ask(address, loop["url"]).body == answer.body
        assert first["cuts"] is None
        cuts = ask(address, f"/cuts/{quote(first['name'])}").json
        part = ask(address, loop["url"], headers={"Range": "bytes=0-3"})
        assert part.body == b"fLaC"
    samples, rate = soundfile.read(io.BytesIO(answer.body))
    expected = load_loop(deepmersion.open_bank(folder).sounds[0])
    assert (rate, samples.shape) == (44_100, expected.shape)
    np.testing.assert_allclose(samples * 10 ** (LOOP_HEADROOM_DB / 20), expected, atol=1e-5)
    assert cuts == [list(span) for span in find_cuts(expected)]


@pytest.mark.parametrize("suffix", ["flac", "wav", "ogg", "mp3"])
def test_a_mix_is_the_file_that_the_command_writes(
    address: str, tmp_path: Path, suffix: str
) -> None:
    answer = ask(address, f"/api/mix?mix=waves=1,birds=0.5&duration=2&format={suffix}")
    bank = deepmersion.open_bank()
    gains = np.zeros(len(bank.names), dtype=np.float32)
    gains[bank.names.index("waves")], gains[bank.names.index("birds")] = 1, 0.5
    written = tmp_path / f"mix.{suffix}"
    write_file(written, Renderer(bank, gains, duration_s=2).blocks(), 44_100, 88_200)
    assert answer.status == 200
    assert f'filename="waves-birds.{suffix}"' in answer.headers["content-disposition"]
    ours, theirs = (soundfile.read(io.BytesIO(x))[0] for x in (answer.body, written.read_bytes()))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("gain", ["0.50", ".5", "0.6708204", "1.50", f"0.{'0' * 23}1"])
def test_gains_are_written_in_many_ways(address: str, gain: str) -> None:
    assert ask(address, f"/api/mix?mix=waves=1,birds={gain}&duration=1").status == 200


def test_a_mix_that_was_answered_can_be_saved(address: str, china_jpg: Path) -> None:
    match = post(address, china_jpg.read_bytes(), "?chatter=0.6").json["matches"][0]
    by_sound = ",".join(f"{name}={gain}" for name, gain in match["sounds"].items())
    for mix in [match["mix"], by_sound, "waves"]:
        assert ask(address, f"/api/mix?mix={mix}&duration=1").status == 200


def test_sounds_may_be_called_what_they_like(tmp_path: Path) -> None:
    name = "rain, (1)=50%/soft"
    bank = tmp_path / "bank"
    bank.mkdir()
    write(bank / "rain.wav", noise(2), 44_100)
    (bank / "soundbank.toml").write_text(f'[[sound]]\nname = "{name}"\nfile = "rain.wav"\n')
    app = SimpleNamespace(bank=deepmersion.open_bank(bank), places=None)
    with threaded(app, tmp_path / "x") as address:  # type: ignore[arg-type]
        text = mix_text({name: 0.5})
        for mix in [text, quote(text, safe="")]:
            assert ask(address, f"/api/mix?mix={mix}&duration=1").status == 200
        (sound,) = ask(address, "/api/sounds").json["sounds"]
        for file in sound["files"]:
            assert ask(address, file["url"]).status == 200
        assert re.fullmatch(mix_pattern([name]), text)


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("", "is not a mix"),
        ("?mix=trumpets=1", "bells, birds"),
        ("?mix=waves=0", "at least one above zero"),
        ("?mix=waves=1000001", "at most"),
        ("?mix=waves=-1", "mix"),
        ("?mix=waves=1,,birds=1", "mix"),
        ("?mix=waves=1,birds=1,waves=0.5", "the mix names waves twice"),
        ("?mix=waves=1,%3A77aves=1", "the mix names waves twice"),
        ("?mix=waves=0.000", "above zero"),
        ("?mix=waves=nan", "mix"),
        ("?mix=waves=1e3", "mix"),
        ("?mix=waves=1&duration=0.5", "duration must be a number from 1 to 10800"),
        ("?mix=waves=1&duration=1e9", "duration"),
        ("?mix=waves=1&format=exe", "format must be one of: flac wav ogg mp3"),
    ],
)
def test_wrong_mixes_are_refused(address: str, query: str, part: str) -> None:
    answer = ask(address, f"/api/mix{query}")
    assert answer.status == 400
    assert part in answer.error


def test_no_more_than_some_mixes_are_rendered_at_once(matcher: Matcher, tmp_path: Path) -> None:
    target = "/api/mix?mix=waves=1&duration=200"
    with threaded(matcher, tmp_path / "x", Limits(downloads_at_once=1)) as address:
        answers = []
        clients = [
            threading.Thread(target=lambda: answers.append(ask(address, target))) for _ in range(2)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        # The place is free again, and no file is left.
        wait_until(lambda: ask(address, "/api/mix?mix=waves=1&duration=1").status == 200)
    assert sorted(answer.status for answer in answers) == [200, 503]
    (busy,) = (answer for answer in answers if answer.status == 503)
    assert busy.headers["retry-after"] == "1"
    assert not list((tmp_path / "x").iterdir())


@pytest.mark.parametrize("part", ["bytes=999999999-", "bytes=2-1", "lines=1-2", "bytes=0-9"])
def test_no_file_is_left_of_a_mix_whatever_part_is_asked_for(
    matcher: Matcher, tmp_path: Path, part: str
) -> None:
    folder = tmp_path / "x"
    with threaded(matcher, folder) as address:
        ask(address, "/api/mix?mix=waves=1&duration=1", headers={"Range": part})
        wait_until(lambda: not list(folder.iterdir()))


def test_a_mix_holds_its_place_until_it_is_sent(matcher: Matcher, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    target = "/api/mix?mix=waves=1&duration=200&format=wav"  # far more than buffers hold
    with threaded(matcher, folder, Limits(downloads_at_once=1)) as address:
        with connect(address, receive_bytes=4096) as slow:
            slow.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert slow.recv(12) == b"HTTP/1.1 200"
            assert ask(address, target).status == 503
            assert len(list(folder.iterdir())) == 1
        wait_until(lambda: not list(folder.iterdir()))
        assert ask(address, "/api/mix?mix=waves=1&duration=1").status == 200


def test_no_file_is_left_when_its_client_goes_after_the_last_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    abandoned = threading.Event()

    def write_and_go(path: Path, *rest: Any) -> None:
        write_file(path, *rest)
        assert path.exists()
        abandoned.set()

    monkeypatch.setattr(downloads, "write_file", write_and_go)
    bank = deepmersion.open_bank()
    gains = np.ones(len(bank.names), dtype=np.float32)
    downloads._write(bank, gains, 1.0, tmp_path / "x.wav", abandoned)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told(matcher: Matcher, small_disk: Path) -> None:
    with threaded(matcher, small_disk) as address:
        for target in ["/loops/waves", "/api/mix?mix=waves=1&duration=60"]:
            answer = ask(address, target)
            assert answer.status == 507
            assert "too little room on the disk" in answer.error
        assert not list(small_disk.iterdir())


def test_the_page_is_there(address: str) -> None:
    page = ask(address, "/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert b"<title>deepmersion</title>" in page.body
    script = ask(address, "/static/app.js")
    assert script.headers["content-type"].startswith("text/javascript")
    again = ask(address, "/static/app.js", headers={"If-None-Match": script.headers["etag"]})
    assert again.status == 304


def test_a_port_in_use_is_an_error_in_one_line(address: str) -> None:
    port = address.rsplit(":", 1)[1].strip("/")
    assert f"port {port}" in the_error(run("serve", "--port", port))
    assert "no.such.host" in the_error(run_here("serve", "--host", "no.such.host."), exit_code=2)


def test_another_index_than_the_banks_is_an_error_in_one_line(tmp_path: Path) -> None:
    assert "does not exist" in the_error(run("serve", "--index", tmp_path / "no.h5"))


def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError(name='starlette')\n")
    import os

    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    message = the_error(run("serve", env={"PYTHONPATH": path}))
    assert "pip install 'deepmersion[web]'" in message


def test_any_other_host_says_what_that_means() -> None:
    process = start("serve", "--port", "0", "--networks", "lite", "--host", "0.0.0.0")
    try:
        assert process.stderr is not None
        said = process.stderr.readline().decode()
        assert "unencrypted" in said
    finally:
        process.kill()
        process.communicate()


def test_the_interface_describes_itself(address: str) -> None:
    described = ask(address, "/api/openapi.json").json
    assert described["info"]["version"] == deepmersion.__version__
    assert {"/api/match", "/api/sounds", "/api/mix"} <= set(described["paths"])
    assert (
        JPEG["Content-Type"] in described["paths"]["/api/match"]["post"]["requestBody"]["content"]
    )
