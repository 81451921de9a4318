"""The kept places over HTTP: kept, recognised, changed, moved to another machine, forgotten."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image, ImageEnhance
from webserver import JPEG, ask, keeping, post, threaded

from deepmersion.pipeline import Matcher
from deepmersion.places.place import MAX_NAME
from deepmersion.shipped import EXAMPLES
from deepmersion.web.limits import Limits

CAMPFIRE = EXAMPLES / "campfire.jpg"


@pytest.fixture
def address(matcher: Matcher, tmp_path: Path) -> Iterator[str]:
    own = tmp_path / "data" / "places.sqlite3"
    with keeping(matcher, own) as keeper, threaded(keeper, tmp_path / "x") as address:
        yield address


def keep(address: str, photo: bytes, name: str, query: str = "") -> Any:
    answer = ask(address, f"/api/places?name={quote(name)}{query}", "POST", photo, JPEG)
    assert answer.status == 201, answer.body
    return answer.json


def another_view(photo: bytes) -> bytes:
    """Return a photo as seen from a little nearer and to the left, in weaker light, smaller."""
    image = Image.open(io.BytesIO(photo))
    view = image.crop((0, 0, round(0.85 * image.width), round(0.9 * image.height)))
    stream = io.BytesIO()
    ImageEnhance.Brightness(view).enhance(0.75).save(stream, "JPEG", quality=70)
    return stream.getvalue()


def test_a_kept_place_is_recognised_from_another_view_and_others_are_not(
    address: str, china_jpg: Path, flower_jpg: Path
) -> None:
    photo = china_jpg.read_bytes()
    assert post(address, photo).json["place"] is None
    kept = keep(address, photo, "Summer Palace", "&mix=bells=1,wind=0.25")
    assert (kept["name"], kept["mix"]) == ("Summer Palace", "bells=1,wind=0.25")
    keep(address, CAMPFIRE.read_bytes(), "fire")
    seen = post(address, another_view(photo)).json
    assert 0.87 < seen["place"].pop("similarity") < 1
    assert seen["place"] == {"id": kept["id"], "name": "Summer Palace", "mix": kept["mix"]}
    assert seen["matches"][0]["mix"] != kept["mix"], "what it would be without the place is there"
    assert post(address, another_view(photo), "?places=false").json["place"] is None
    for other in [flower_jpg, EXAMPLES / "forest.jpg", EXAMPLES / "mountains.jpg"]:
        assert post(address, other.read_bytes()).json["place"] is None


def test_places_are_listed_changed_and_forgotten(address: str, china_jpg: Path) -> None:
    assert ask(address, "/api/places").json["places"] == []
    kept = keep(address, china_jpg.read_bytes(), "Schreibtisch in Köln")
    listed = ask(address, "/api/places").json
    assert listed["places"] == [kept]
    assert listed["where"].endswith("places.sqlite3")
    picture = ask(address, kept["thumbnail"])
    image = Image.open(io.BytesIO(picture.body))
    assert (picture.headers["content-type"], max(image.size)) == ("image/jpeg", 320)
    again = ask(address, kept["thumbnail"], headers={"If-None-Match": picture.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    own = f"/api/places/{kept['id']}"
    assert ask(address, f"{own}?name=desk", "PATCH").json == kept | {"name": "desk"}
    changed = ask(address, f"{own}?mix=fan=1", "PATCH").json
    assert (changed["name"], changed["mix"]) == ("desk", "fan=1")
    assert ask(address, own, "DELETE").status == 204
    for method in ["PATCH", "DELETE"]:
        assert ask(address, own, method).status == 404
    assert ask(address, kept["thumbnail"]).status == 404
    assert ask(address, f"/api/places/{10**30}", "DELETE").status == 404


def test_a_place_of_another_sound_bank_is_not_played_until_it_gets_a_mix_of_this_one(
    matcher: Matcher, address: str, tmp_path: Path
) -> None:
    photo = CAMPFIRE.read_bytes()
    keep(address, photo, "camp")
    assert matcher.places is not None
    with sqlite3.connect(matcher.places.path) as database:
        database.execute("UPDATE place SET soundbank = ?", (str(tmp_path / "own"),))
    database.close()
    problem = f"it was kept with --soundbank {tmp_path / 'own'}"
    (camp,) = ask(address, "/api/places").json["places"]
    assert camp["problem"] == problem
    seen = post(address, photo).json
    assert (seen["place"], seen["place_problem"]) == (None, f"camp: {problem}")
    own = f"/api/places/{camp['id']}"
    assert ask(address, f"{own}?name=fire", "PATCH").json["problem"] == problem
    assert ask(address, f"{own}?mix=rain=1", "PATCH").json["problem"] is None
    assert post(address, photo).json["place"]["mix"] == "rain=1"


def test_what_cannot_be_kept_is_refused(address: str, china_jpg: Path) -> None:
    photo = china_jpg.read_bytes()
    desk = keep(address, photo, "desk")
    keep(address, photo, "bed")
    refused = [
        ("POST", "/api/places?name=desk", 409, "desk is kept already"),
        ("PATCH", f"/api/places/{desk['id']}?name=bed", 409, "bed is kept already"),
        ("POST", "/api/places", 400, "1 to 60 characters"),
        ("POST", "/api/places?name=a%0Ab", 400, "line breaks"),
        ("POST", "/api/places?name=x&mix=trumpets", 400, "no sound called trumpets"),
        ("POST", "/api/match?without=flame", 400, "did you mean flames"),
    ]
    for method, target, status, part in refused:
        answer = ask(address, target, method, photo, JPEG)
        assert (answer.status, part in answer.error) == (status, True), answer.body
    damaged = ask(address, "/api/places?name=x", "POST", photo[:300], JPEG)
    assert damaged.status == 422
    assert len(ask(address, "/api/places").json["places"]) == 2


def test_an_export_brings_the_places_to_another_machine(address: str, china_jpg: Path) -> None:
    photo = china_jpg.read_bytes()
    for name in ["desk", "bed"]:
        keep(address, photo, name, "&mix=rain=1")
    exported = ask(address, "/api/places/export")
    assert "attachment" in exported.headers["content-disposition"]
    places = {p["name"]: p for p in ask(address, "/api/places").json["places"]}
    pictures = {name: ask(address, place["thumbnail"]).body for name, place in places.items()}
    assert ask(address, f"/api/places/{places['bed']['id']}", "DELETE").status == 204

    as_json = {"Content-Type": "application/json"}
    back = ask(address, "/api/places/import", "POST", exported.body, as_json).json
    assert back["added"] == ["bed"]
    assert back["skipped"] == [{"name": "desk", "why": "a place of that name is kept already"}]
    for place in ask(address, "/api/places").json["places"]:
        assert place["kept"] == places[place["name"]]["kept"]
        assert ask(address, place["thumbnail"]).body == pictures[place["name"]]
    assert ask(address, "/api/places/import", "POST", b"{}", as_json).status == 400
    assert ask(address, "/api/places/import", "POST", exported.body, JPEG).status == 415
    for schema in [2, "\ud800"]:
        newer = json.dumps(exported.json | {"schema": schema}).encode()
        assert "update" in ask(address, "/api/places/import", "POST", newer, as_json).error
    half = exported.body.replace(b"rain=1", rb"\ud800=1").replace(b'"desk"', b'"half"')
    answer = ask(address, "/api/places/import", "POST", half, as_json).json
    assert [(place["name"], "UTF-8" in place["why"]) for place in answer["skipped"]] == [
        ("half", True),
        ("bed", True),
    ]


def test_a_file_of_places_that_is_too_large_is_not_called_a_photo(
    matcher: Matcher, tmp_path: Path
) -> None:
    limits = Limits(upload_bytes=2**20)
    as_json = {"Content-Type": "application/json"}
    with (
        keeping(matcher, tmp_path / "places.sqlite3") as keeper,
        threaded(keeper, tmp_path / "x", limits) as address,
    ):
        answer = ask(address, "/api/places/import", "POST", bytes(2**20 + 1), as_json)
    assert answer.status == 413
    assert answer.error == "the file is larger than 1 MiB; give a smaller one"


def test_the_page_takes_names_as_long_as_the_server_does(address: str) -> None:
    assert f'id="keep-name" maxlength="{MAX_NAME}"' in ask(address, "/").body.decode()
    assert f"maxLength: {MAX_NAME}," in ask(address, "/static/places.js").body.decode()


def test_without_places_nothing_is_kept(matcher: Matcher, tmp_path: Path, china_jpg: Path) -> None:
    with threaded(matcher, tmp_path / "x") as address:
        assert ask(address, "/api/places").json == {"schema": 1, "where": None, "places": []}
        photo = china_jpg.read_bytes()
        assert ask(address, "/api/places?name=x", "POST", photo, JPEG).status == 404
        assert ask(address, "/api/places/export").status == 404
        assert post(address, photo).json["place"] is None


def test_maps_say_where_in_the_photo_the_fire_is(address: str) -> None:
    answer = ask(address, "/api/maps", "POST", CAMPFIRE.read_bytes(), JPEG).json
    (fire,) = (of_sound for of_sound in answer["maps"] if of_sound["sound"] == "fire")
    (flames,) = (reason for reason in fire["reasons"] if reason["label"] == "flames")
    for values in [fire["values"], flames["values"]]:
        assert (len(values), len(values[0])) == (fire["rows"], fire["columns"])
        assert max(max(row) for row in values) == 1
        assert min(min(row) for row in values) >= 0
    # The fire burns in the lower half of the picture.
    below = sum(map(sum, flames["values"][fire["rows"] // 2 :]))
    assert below > 0.6 * sum(map(sum, flames["values"]))


def test_what_is_struck_out_decides_nothing(address: str) -> None:
    photo = CAMPFIRE.read_bytes()
    before = post(address, photo, "?explain=true").json
    struck = "flames,stove,matchstick,candle,campsite,volcano"
    after = post(address, photo, f"?explain=true&without={struck}").json
    assert after["without"] == struck.split(",")
    assert "fire" in before["matches"][0]["sounds"]
    assert "fire" not in after["matches"][0]["sounds"]
    named = {seen["label"] for kind in ("objects", "scenes", "conditions") for seen in after[kind]}
    reasons = {r["label"] for listed in after["explanation"]["reasons"].values() for r in listed}
    assert not (named | reasons) & set(struck.split(","))
