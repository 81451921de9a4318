"""The interface keeps to its own description, whatever is sent to it."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from material import noise, write, write_random_index
from PIL import Image
from schemathesis import GenerationMode
from webserver import ask, keeping, threaded

from deepmersion.pipeline import Matcher
from deepmersion.sound.bank import open_bank
from deepmersion.web.limits import Limits

N_EXAMPLES = 12
"""For each operation, well formed and not."""

N_PHOTOS = 6
"""For those that the networks look at, which take a tenth of a second or two."""


def photo(kind: str, size: tuple[int, int], colour: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (colour, 255 - colour, 90)).save(stream, kind)
    return stream.getvalue()


def photos(kind: str) -> st.SearchStrategy[bytes]:
    side = st.integers(32, 300)
    return st.builds(photo, st.just(kind), st.tuples(side, side), st.integers(0, 255))


for media_type, kind in [
    ("image/jpeg", "JPEG"),
    ("image/png", "PNG"),
    ("image/webp", "WEBP"),
    ("application/octet-stream", "PNG"),
]:
    schemathesis.openapi.media_type(media_type, photos(kind))


@pytest.fixture(scope="module")
def matcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matcher]:
    """A matcher with two short sounds, of which loops are made in no time."""
    folder, index = tmp_path_factory.mktemp("bank"), tmp_path_factory.mktemp("index") / "index.h5"
    for seed, name in enumerate(["hiss", "rumble"]):
        write(folder / f"{name}.flac", noise(3.0, slope=2 * seed, seed=seed))
    write_random_index(index, open_bank(folder))
    with Matcher(networks="lite", soundbank=folder, index=index) as matcher:
        yield matcher


@pytest.fixture(scope="module")
def described(matcher: Matcher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("server")
    # Seconds are as good as hours, which take long to render.
    short = Limits(download_s=1)
    with keeping(matcher, folder / "places") as own, threaded(own, folder, short) as address:
        description = ask(address, "/api/openapi.json").json
        narrowed = copy.deepcopy(description)
        assert narrowed["paths"]["/api/mix"]["get"]["parameters"][1]["schema"]["maximum"] == 1
        # Other names are refused for what no pattern describes: invisible signs.
        for method, number in [("post", 0), ("patch", 1)]:
            paths = {"post": "/api/places", "patch": "/api/places/{id}"}
            name = narrowed["paths"][paths[method]][method]["parameters"][number]
            name["schema"]["pattern"] = "^[a-zé0-9]+$"
        # What is wrong by the narrowed description alone is right, and must be accepted.
        schemas = {
            GenerationMode.POSITIVE: schemathesis.openapi.from_dict(narrowed),
            GenerationMode.NEGATIVE: schemathesis.openapi.from_dict(description),
        }
        for schema in schemas.values():
            schema.config.update(base_url=address)
        yield schemas


OPERATIONS = [
    ("/api/match", "POST"),
    ("/api/maps", "POST"),
    ("/api/places", "GET"),
    ("/api/places", "POST"),
    ("/api/places/{id}", "PATCH"),
    ("/api/places/{id}", "DELETE"),
    ("/api/places/{id}/thumbnail", "GET"),
    ("/api/places/export", "GET"),
    ("/api/places/import", "POST"),
    ("/api/sounds", "GET"),
    ("/api/mix", "GET"),
    ("/sounds/{name}", "GET"),
    ("/loops/{name}", "GET"),
    ("/cuts/{name}", "GET"),
    ("/examples/{name}", "GET"),
]

NOTHING_TO_BE_WRONG = [
    ("/api/sounds", "GET"),
    ("/api/places", "GET"),
    ("/api/places/export", "GET"),
]
"""They take no parameters."""

SEEN = [("/api/match", "POST"), ("/api/maps", "POST"), ("/api/places", "POST")]

MODES = [
    (path, method, mode)
    for path, method in OPERATIONS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if (path, method) not in NOTHING_TO_BE_WRONG or mode is GenerationMode.POSITIVE
]


@pytest.mark.parametrize(("path", "method", "mode"), MODES)
def test_answers_are_as_described(
    described: Any, path: str, method: str, mode: GenerationMode
) -> None:
    operation = described[mode][path][method]
    is_seen = (path, method) in SEEN

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=N_PHOTOS if is_seen else N_EXAMPLES,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        case.call_and_validate()

    check()


def test_every_operation_is_tried(described: Any) -> None:
    for schema in described.values():
        operations = [item.ok() for item in schema.get_all_operations()]
        assert {(o.path, o.method.upper()) for o in operations} == set(OPERATIONS)
