"""The OpenAPI 3.1 description of the interface, served as ``GET /api/openapi.json``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from deepmersion.labels import condition_labels
from deepmersion.matching.explain import Contribution, Reason
from deepmersion.places.exchange import FORMAT
from deepmersion.places.exchange import SCHEMA as EXPORT_SCHEMA
from deepmersion.places.place import MAX_MIX, MAX_NAME
from deepmersion.places.store import MAX_PLACES
from deepmersion.request import LABEL_SETS
from deepmersion.sound.output import FILE_DURATION_S
from deepmersion.sound.recipe import escaped
from deepmersion.version import __version__
from deepmersion.web.api import MAX_TOP, USES
from deepmersion.web.downloads import TYPES
from deepmersion.web.examples import example_names
from deepmersion.web.limits import Limits
from deepmersion.web.queries import FLAGS
from deepmersion.web.sounds import OTHER_TYPE
from deepmersion.web.sounds import TYPES as TYPES_BY_SUFFIX

SOUND_TYPES = (*sorted(set(TYPES_BY_SUFFIX.values())), OTHER_TYPE)

PHOTO_TYPES = ("image/jpeg", "image/png", "image/webp", "application/octet-stream")

GAIN = r"(?:[1-9][0-9]{0,2}(?:\.[0-9]{1,24})?|0?\.[0-9]{0,23}[1-9]0{0,24})"
"""Pattern for a gain above zero: ``1``, ``0.50``, ``.25``. Allows more decimals than a float64
above a hundredth has; a float32 can represent even the smallest."""

Described = dict[str, Any]

NUMBER = {"type": "number"}
TEXT = {"type": "string"}


SPANS: Described = {
    "type": "array",
    "items": {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2},
}


def description(names: Sequence[str], limits: Limits) -> Described:
    """Return the description of a server.

    Parameters
    ----------
    names : sequence of str
        Of the bank's sounds.
    limits : Limits
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "deepmersion",
            "version": __version__,
            "description": "A photo goes in, the ambient sound that belongs there comes out.",
        },
        "paths": {
            "/api/match": {"post": _match()},
            "/api/maps": {"post": _maps()},
            "/api/places": {"get": _places(), "post": _keep(names)},
            "/api/places/export": {"get": _export()},
            "/api/places/import": {"post": _import()},
            "/api/places/{id}": {"patch": _change(names), "delete": _forget()},
            "/api/places/{id}/thumbnail": {"get": _thumbnail()},
            "/api/sounds": {"get": _sounds()},
            "/api/mix": {"get": _mix(names, limits)},
            "/sounds/{name}": {"get": _file(names, "The file of a sound.", SOUND_TYPES)},
            "/loops/{name}": {"get": _file(names, "A sound as a seamless loop.", ["audio/flac"])},
            "/cuts/{name}": {"get": _cuts(names)},
            "/examples/{name}": {"get": _example()},
        },
        "components": {
            "schemas": {
                "Ambience": _ambience(),
                "Error": _error(),
                "Export": _exported(),
                "Maps": _mapped(),
                "Place": _place(),
            }
        },
    }


def _match() -> Described:
    return {
        "operationId": "match",
        "summary": "What is seen in a photo, and the mixes that fit it.",
        "description": "Returns the record that `deepmersion match --json` prints.",
        "parameters": _match_parameters(),
        "requestBody": _photo(),
        "responses": {"200": _json("The record.", "Ambience"), **_photo_refusals()},
    }


def _maps() -> Described:
    return {
        "operationId": "maps",
        "summary": "Where in a photo the sounds of its best mix come from.",
        "description": "A map is a table of rows over the whole photo, upright, from its upper left"
        " corner, squashed to a square; from 0 to 1, its own peak.",
        "parameters": _match_parameters(),
        "requestBody": _photo(),
        "responses": {"200": _json("The maps.", "Maps"), **_photo_refusals()},
    }


def _match_parameters() -> list[Described]:
    return [
        _parameter(
            "top",
            {"type": "integer", "minimum": 1, "maximum": MAX_TOP, "default": 1},
            "Number of mixes: the best one and alternatives of other sounds.",
        ),
        _parameter("use", {"enum": list(USES), "default": USES[0]}, "The label sets that decide."),
        _parameter(
            "explain",
            {"enum": list(FLAGS), "default": "false"},
            "Whether to explain which classes decided.",
        ),
        _parameter(
            "chatter",
            {"type": "number", "minimum": 0, "maximum": 1},
            "Adds a mix of all sounds, each as loud as it fits: one (0) to all alike (1).",
        ),
        _parameter(
            "without",
            {"type": "string", "pattern": _without_pattern(), "examples": ["flames,rain"]},
            "Classes that the photo does not show, to be struck out before it is matched: these "
            "conditions, or any other class that an answer names.",
        ),
        _parameter(
            "places",
            {"enum": list(FLAGS), "default": "true"},
            "Whether to look for the photo among the kept places.",
        ),
    ]


def _without_pattern() -> str:
    label = f"(?:{'|'.join(map(re.escape, condition_labels()))})"
    return f"^(?:{label}(?:,{label})*)?$"


def _photo() -> Described:
    return {
        "required": True,
        "content": {kind: {"schema": _binary()} for kind in PHOTO_TYPES},
    }


def _photo_refusals() -> Described:
    return {
        "400": _json("A parameter is wrong.", "Error"),
        "408": _json("The upload was too slow.", "Error"),
        "413": _json("The photo has too many bytes.", "Error"),
        "415": _json("The Content-Type is not that of a photo.", "Error"),
        "422": _json("The photo cannot be read.", "Error"),
        "503": _busy(),
        **_refusals(),
    }


def _places() -> Described:
    listed = _object(
        {
            "schema": {"type": "integer"},
            "where": {
                "type": ["string", "null"],
                "description": "The file that they are in; null if they are switched off.",
            },
            "places": {"type": "array", "items": {"$ref": "#/components/schemas/Place"}},
        }
    )
    return {
        "operationId": "places",
        "summary": "The kept places, the oldest first.",
        "responses": {
            "200": {
                "description": "The places.",
                "content": {"application/json": {"schema": listed}},
            },
            **_refusals(),
        },
    }


def _keep(names: Sequence[str]) -> Described:
    return {
        "operationId": "keep",
        "summary": "Keeps a photo as a place, to be recognised from then on.",
        "description": "Stored are the name, the mix, the time, a small picture, and what the "
        "embedded network saw.",
        "parameters": [
            _place_name() | {"required": True},
            _kept_mix(names, "What to play; by default the photo's best mix."),
        ],
        "requestBody": _photo(),
        "responses": {
            "201": _json("The place.", "Place"),
            "404": _json("The places are switched off.", "Error"),
            "409": _json("A place of that name is kept already.", "Error"),
            **_photo_refusals(),
        },
    }


def _change(names: Sequence[str]) -> Described:
    return {
        "operationId": "change",
        "summary": "Gives a place another name, another mix, or both.",
        "parameters": [
            _place_id(),
            _place_name(),
            _kept_mix(names, "What to play."),
        ],
        "responses": {
            "200": _json("The place.", "Place"),
            "400": _json("A parameter is wrong.", "Error"),
            "404": _no_place(),
            "409": _json("Another place has that name.", "Error"),
            **_refusals(),
        },
    }


def _forget() -> Described:
    return {
        "operationId": "forget",
        "summary": "Forgets a place.",
        "parameters": [_place_id()],
        "responses": {
            "204": {"description": "It is forgotten."},
            "404": _no_place(),
            **_refusals(),
        },
    }


def _thumbnail() -> Described:
    return {
        "operationId": "thumbnail",
        "summary": "A place's small picture.",
        "parameters": [_place_id()],
        "responses": {
            "200": {
                "description": "The picture.",
                "content": {"image/jpeg": {"schema": _binary()}},
            },
            "304": {"description": "Unchanged (If-None-Match)."},
            "404": _no_place(),
            **_refusals(),
        },
    }


def _export() -> Described:
    return {
        "operationId": "export",
        "summary": "All places as a file, for `POST /api/places/import`.",
        "responses": {
            "200": _json("The file.", "Export"),
            "404": _json("The places are switched off.", "Error"),
            **_refusals(),
        },
    }


def _import() -> Described:
    skipped = _object({"name": TEXT, "why": TEXT})
    became = _object(
        {
            "added": {"type": "array", "items": TEXT},
            "skipped": {"type": "array", "items": skipped},
        }
    )
    return {
        "operationId": "import",
        "summary": "Keeps the places of an exported file whose names are free.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _export_of({})}},
        },
        "responses": {
            "200": {
                "description": "What became of each.",
                "content": {"application/json": {"schema": became}},
            },
            "400": _json("It is no exported file.", "Error"),
            "404": _json("The places are switched off.", "Error"),
            "408": _json("The upload was too slow.", "Error"),
            "413": _json("The file is too large.", "Error"),
            "415": _json("The Content-Type is not application/json.", "Error"),
            "503": _busy(),
            **_refusals(),
        },
    }


def _place_id() -> Described:
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    }


def _place_name() -> Described:
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
    summary = "The place's name, which no other place has, without invisible characters."
    return _parameter("name", schema, summary)


def _kept_mix(names: Sequence[str], summary: str) -> Described:
    mix = {"type": "string", "pattern": mix_pattern(names), "maxLength": MAX_MIX}
    return _parameter("mix", mix, summary)


def _no_place() -> Described:
    return _json("There is no such place, or the places are switched off.", "Error")


def _sounds() -> Described:
    level = {"type": "number", "description": "Gain to the loudness of a mix, in dB."}
    samples = {"type": ["integer", "null"], "description": "At 44,100 Hz, if known."}
    file = _object({"url": TEXT, "type": TEXT, "level_db": level, "samples": samples})
    sound = _object(
        {
            "name": TEXT,
            "title": TEXT,
            "licence": TEXT,
            "gain_db": NUMBER,
            "cuts": SPANS | {"type": ["array", "null"], "description": "Null: ask `/cuts`."},
            "files": {"type": "array", "items": file, "minItems": 1},
        }
    )
    listed = _object(
        {
            "title": TEXT,
            "loudness_lufs": NUMBER,
            "sample_rate": {"type": "integer"},
            "sounds": {"type": "array", "items": sound},
        }
    )
    return {
        "operationId": "sounds",
        "summary": "The sound bank.",
        "responses": {
            "200": {
                "description": "The sounds, in the order of the bank.",
                "content": {"application/json": {"schema": listed}},
            },
            "304": {"description": "Unchanged (If-None-Match)."},
            **_refusals(),
        },
    }


def _mix(names: Sequence[str], limits: Limits) -> Described:
    most_s = limits.download_s
    duration = {
        "type": "number", "minimum": 1, "maximum": most_s, "default": min(FILE_DURATION_S, most_s)
    }  # fmt: skip
    kind = {"enum": list(TYPES), "default": next(iter(TYPES))}
    mix = {"type": "string", "pattern": mix_pattern(names), "examples": [f"{escaped(names[0])}=1"]}
    return {
        "operationId": "mix",
        "summary": "A mix as an audio file.",
        "parameters": [
            _parameter("mix", mix, "Sounds and their gains.", required=True),
            _parameter("duration", duration, "In seconds."),
            _parameter("format", kind, "Of the file."),
        ],
        "responses": {
            "200": {
                "description": "The file.",
                "content": {kind: {"schema": _binary()} for kind in TYPES.values()},
            },
            **_ranges(),
            "400": _json("A parameter is wrong, or the Range header malformed.", "Error"),
            "503": _busy(),
            "507": _json("The disk is full.", "Error"),
            **_refusals(),
        },
    }


def mix_pattern(names: Sequence[str]) -> str:
    """Return the regular expression of a mix as `deepmersion.sound.recipe.mix_text` writes it."""
    part = f"(?:{'|'.join(re.escape(escaped(name)) for name in names)})={GAIN}"
    return f"^(?!(?:.*,)?([^=]+)=.*,\\1=){part}(?:,{part})*$"


def _file(names: Sequence[str], summary: str, kinds: Sequence[str]) -> Described:
    return {
        "summary": summary,
        "parameters": [
            {"name": "name", "in": "path", "required": True, "schema": {"enum": list(names)}},
            _parameter("v", TEXT, "The version, as `GET /api/sounds` names it: may be kept."),
        ],
        "responses": {
            "200": {
                "description": "The file.",
                "content": {kind: {"schema": _binary()} for kind in kinds},
            },
            "304": {"description": "Unchanged (If-None-Match)."},
            **_ranges(),
            "404": _json("There is no such sound.", "Error"),
            "507": _json("The disk is full.", "Error"),
            **_refusals(),
        },
    }


def _cuts(names: Sequence[str]) -> Described:
    return {
        "summary": "Spans in which a cut is inaudible.",
        "parameters": [
            {"name": "name", "in": "path", "required": True, "schema": {"enum": list(names)}},
        ],
        "responses": {
            "200": {
                "description": "Spans, in seconds.",
                "content": {"application/json": {"schema": SPANS}},
            },
            "404": _json("There is no such sound.", "Error"),
            **_refusals(),
        },
    }


def _example() -> Described:
    return {
        "summary": "A painted picture to try.",
        "parameters": [
            {
                "name": "name",
                "in": "path",
                "required": True,
                "schema": {"enum": sorted(example_names())},
            },
            _parameter(
                "thumbnail",
                {"enum": list(FLAGS), "default": "false"},
                "Whether to send it small.",
            ),
        ],
        "responses": {
            "200": {
                "description": "The picture.",
                "content": {"image/jpeg": {"schema": _binary()}},
            },
            **_ranges(),
            "400": _json("A parameter is wrong.", "Error"),
            "404": _json("There is no such picture.", "Error"),
            **_refusals(),
        },
    }


def _ambience() -> Described:
    seen = {"type": "array", "items": _object({"label": TEXT, "p": NUMBER})}
    match = _object(
        {
            "rank": {"type": "integer"},
            "sounds": _by_name(NUMBER) | {"description": "Linear gains, the loudest first."},
            "mix": TEXT | {"description": "The same, in the form for `GET /api/mix`."},
            "kl": NUMBER | {"description": "KL(photo ‖ mix), the label sets added up, in nats."},
            "score": NUMBER | {"description": "Ranks the entries, lowest first, in nats."},
        },
        {f"kl_{label_set}": NUMBER for label_set in LABEL_SETS},
    )
    return _object(
        {
            "schema": {"type": "integer"},
            "photo": TEXT,
            "networks": {"enum": ["lite", "paper"]},
            "weights": {"type": "object", "additionalProperties": TEXT},
            "objects": seen,
            "scenes": seen,
            "conditions": seen,
            "matches": {"type": "array", "items": match, "minItems": 1},
            "without": {"type": "array", "items": TEXT, "description": "What was struck out."},
            "place": {
                "anyOf": [_recognised(), {"type": "null"}],
                "description": "The kept place that the photo shows, whose mix is to be played.",
            },
            "output": {"type": "null"},
        },
        {
            "why": {"type": "array", "items": TEXT},
            "explanation": _explanation(),
            "place_problem": TEXT
            | {"description": "The place that the photo shows, and why its mix cannot be played."},
        },
    )


def _recognised() -> Described:
    return _object({"id": {"type": "integer"}, "name": TEXT, "mix": TEXT, "similarity": NUMBER})


def _place() -> Described:
    url = TEXT | {"description": "Of `GET /api/places/{id}/thumbnail`."}
    time = TEXT | {"format": "date-time"}
    problem = {"type": ["string", "null"], "description": "Why its mix cannot be played here."}
    return _object(
        {
            "id": {"type": "integer"},
            "name": TEXT,
            "mix": TEXT,
            "kept": time,
            "thumbnail": url,
            "problem": problem,
        }
    )


def _exported() -> Described:
    """Return the schema of what `deepmersion.places.exchange` writes."""
    encoded = TEXT | {"contentEncoding": "base64"}
    place = _object(
        {
            "name": TEXT,
            "mix": TEXT,
            "soundbank": {"type": ["string", "null"]},
            "kept": TEXT | {"format": "date-time"},
            "network": TEXT,
            "signature": encoded,
            "thumbnail": encoded | {"contentMediaType": "image/jpeg"},
        }
    )
    return _export_of(place)


def _export_of(place: Described) -> Described:
    """Return the schema of an export with places of some schema."""
    return _object(
        {
            "format": {"const": FORMAT},
            "schema": {"const": EXPORT_SCHEMA},
            "places": {"type": "array", "items": place, "maxItems": MAX_PLACES},
        }
    )


def _mapped() -> Described:
    """Return the schema of what `deepmersion.web.maps` describes."""
    values = {"type": "array", "items": {"type": "array", "items": NUMBER}}
    reason = _object({"label_set": TEXT, "label": TEXT, "words": TEXT, "values": values})
    of_sound = _object(
        {
            "sound": TEXT,
            "rows": {"type": "integer"},
            "columns": {"type": "integer"},
            "values": values,
            "reasons": {"type": "array", "items": reason},
        }
    )
    return _object({"schema": {"type": "integer"}, "maps": {"type": "array", "items": of_sound}})


def _explanation() -> Described:
    """Return the schema of a `deepmersion.matching.explain.Explanation`."""
    return _object(
        {
            "reasons": _by_name({"type": "array", "items": _dataclass(Reason)}),
            "lead_nats": NUMBER,
            "by_witness": _by_name(NUMBER),
            "by_number_of_sounds": NUMBER,
            "contributions": _by_name({"type": "array", "items": _dataclass(Contribution)}),
            "dropped": _by_name(NUMBER),
        }
    )


def _dataclass(kind: type[Reason | Contribution]) -> Described:
    """Return the schema of a dataclass of texts and numbers."""
    return _object({f.name: TEXT if f.type == "str" else NUMBER for f in fields(kind)})


def _error() -> Described:
    error = {"type": "string", "description": "What is wrong, in one line."}
    return _object({"error": error}, {"photo": TEXT})


def _object(properties: Described, optional: Described | None = None) -> Described:
    """Return the schema of an object of these properties and no others."""
    return {
        "type": "object",
        "properties": properties | (optional or {}),
        "required": list(properties),
        "additionalProperties": False,
    }


def _by_name(schema: Described) -> Described:
    """Return the schema of an object whose properties may have any names."""
    return {"type": "object", "additionalProperties": schema}


def _binary() -> Described:
    return {"type": "string", "format": "binary"}


def _parameter(name: str, schema: Described, summary: str, *, required: bool = False) -> Described:
    return {
        "name": name,
        "in": "query",
        "description": summary,
        "required": required,
        "schema": schema,
    }


def _json(summary: str, name: str) -> Described:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": summary, "content": {"application/json": {"schema": schema}}}


def _busy() -> Described:
    header = {"schema": {"type": "integer"}, "description": "Seconds.", "required": True}
    return _json("Too much to do.", "Error") | {"headers": {"Retry-After": header}}


def _ranges() -> Described:
    return {
        "206": {"description": "A part of it (Range)."},
        "400": _json("The Range header is malformed.", "Error"),
        "416": _json("It has no such part.", "Error"),
    }


def _refusals() -> Described:
    return {
        "403": _json("Another page may not use the server.", "Error"),
        "421": _json("The server is not known by this name.", "Error"),
        "500": _json("The index or a sound is damaged, or something else went wrong.", "Error"),
    }
