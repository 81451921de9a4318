"""The OpenAPI 3.1 description of the interface, served as ``GET /api/openapi.json``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from deepmersion.matching.explain import Contribution, Reason
from deepmersion.request import LABEL_SETS
from deepmersion.sound.output import FILE_DURATION_S
from deepmersion.sound.recipe import escaped
from deepmersion.version import __version__
from deepmersion.web.api import FLAGS, MAX_TOP, USES
from deepmersion.web.downloads import TYPES
from deepmersion.web.limits import Limits
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
            "/api/sounds": {"get": _sounds()},
            "/api/mix": {"get": _mix(names, limits)},
            "/sounds/{name}": {"get": _file(names, "The file of a sound.", SOUND_TYPES)},
            "/loops/{name}": {"get": _file(names, "A sound as a seamless loop.", ["audio/flac"])},
            "/cuts/{name}": {"get": _cuts(names)},
        },
        "components": {"schemas": {"Ambience": _ambience(), "Error": _error()}},
    }


def _match() -> Described:
    return {
        "operationId": "match",
        "summary": "What is seen in a photo, and the mixes that fit it.",
        "description": "Returns the record that `deepmersion match --json` prints.",
        "parameters": [
            _parameter(
                "top",
                {"type": "integer", "minimum": 1, "maximum": MAX_TOP, "default": 1},
                "Number of mixes: the best one and alternatives of other sounds.",
            ),
            _parameter(
                "use", {"enum": list(USES), "default": USES[0]}, "The label sets that decide."
            ),
            _parameter(
                "explain",
                {"enum": list(FLAGS), "default": FLAGS[0]},
                "Whether to explain which classes decided.",
            ),
            _parameter(
                "chatter",
                {"type": "number", "minimum": 0, "maximum": 1},
                "Adds a mix of all sounds, each as loud as it fits: one (0) to all alike (1).",
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": _binary()} for kind in PHOTO_TYPES},
        },
        "responses": {
            "200": _json("The record.", "Ambience"),
            "400": _json("A parameter is wrong.", "Error"),
            "408": _json("The upload was too slow.", "Error"),
            "413": _json("The photo has too many bytes or pixels.", "Error"),
            "415": _json("The Content-Type is not that of a photo.", "Error"),
            "422": _json("The photo cannot be read.", "Error"),
            "503": _busy(),
            **_refusals(),
        },
    }


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
            "output": {"type": "null"},
        },
        {"why": {"type": "array", "items": TEXT}, "explanation": _explanation()},
    )


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
