"""Kept places as one JSON file, to move them to another machine or to keep a copy."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deepmersion.errors import DeepmersionError, RequestError, in_one_line
from deepmersion.places.place import MAX_NAME, checked_name, from_bytes, to_bytes
from deepmersion.places.store import MAX_PLACES, NewPlace, Places
from deepmersion.places.thumbnail import is_thumbnail

FORMAT = "deepmersion places"

SCHEMA = 1
"""Version of the file."""

KEYS = {"format", "schema", "places"}

MAX_FILE_BYTES = 40 * 2**20
"""Largest file that is read: `MAX_PLACES` are less than that."""

MAX_TEXT = 4096
"""Characters in a text of a place besides its mix: hashes, and paths, which Linux ends there."""

NAMELESS = "(without a name)"


@dataclass(frozen=True)
class Imported:
    """What became of the places in a file.

    Attributes
    ----------
    added : tuple of str
        Names of the places that are kept now.
    skipped : tuple of (str, str)
        Names of the others, and why each was left out.
    """

    added: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]

    def record(self) -> dict[str, Any]:
        """Return what ``POST /api/places/import`` answers."""
        return {
            "added": list(self.added),
            "skipped": [{"name": name, "why": why} for name, why in self.skipped],
        }


def exported(places: Places) -> str:
    """Return all places as JSON text; raises PlacesError as `Places` does."""
    listed = [
        {
            "name": place.name,
            "mix": place.mix,
            "soundbank": place.soundbank,
            "kept": place.kept,
            "network": place.network,
            "signature": base64.b64encode(to_bytes(place.signature)).decode(),
            "thumbnail": base64.b64encode(thumbnail).decode(),
        }
        for place, thumbnail in places.with_thumbnails()
    ]
    return json.dumps({"format": FORMAT, "schema": SCHEMA, "places": listed}, indent=1) + "\n"


def import_into(places: Places, data: bytes) -> Imported:
    """Keep the places of an exported file, except invalid ones and those whose names are taken.

    Parameters
    ----------
    places : Places
    data : bytes
        The file.

    Raises
    ------
    RequestError
        When it is not an export, or of a newer version.
    PlacesError
        When they cannot be stored; then none of them is.
    """
    read = [(_shown(entry), _new_or_why(entry)) for entry in _entries(data)]
    are_kept = iter(places.keep_free([new for _, new in read if isinstance(new, NewPlace)]))
    added: list[str] = []
    skipped: list[tuple[str, str]] = []
    for name, new in read:
        if isinstance(new, str):
            skipped.append((name, new))
        elif next(are_kept):
            added.append(name)
        else:
            skipped.append((name, "a place of that name is kept already"))
    return Imported(tuple(added), tuple(skipped))


def _entries(data: bytes) -> Sequence[Any]:
    if len(data) > MAX_FILE_BYTES:
        raise RequestError(
            f"the file is larger than {MAX_FILE_BYTES >> 20} MiB, and not an export of places; "
            "give one that `places export` wrote"
        )
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RequestError("the file is not JSON; give one that `places export` wrote") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RequestError(
            "the file is not an export of places; give one that `places export` wrote"
        )
    if content.get("schema") != SCHEMA or content["schema"] is True:
        # As Python writes it in ASCII: the answer must not hold half a character either.
        schema = ascii(content.get("schema"))[:MAX_NAME]
        raise RequestError(
            f"the export is of schema {schema}, and this deepmersion knows {SCHEMA}; "
            "update deepmersion"
        )
    entries = content.get("places")
    if set(content) != KEYS or not isinstance(entries, list) or len(entries) > MAX_PLACES:
        raise RequestError(
            f"the export must have a list of {MAX_PLACES} places at most, and nothing else"
        )
    return entries


def _shown(entry: Any) -> str:
    """Return a place's name to report it by, whatever the file holds."""
    name = entry.get("name") if isinstance(entry, dict) else None
    try:
        return checked_name(name) if isinstance(name, str) else NAMELESS
    except DeepmersionError:
        return NAMELESS


def _new_or_why(entry: Any) -> NewPlace | str:
    """Return a place of the file, or why it cannot be kept."""
    try:
        new = _new_place(entry)
        new.row()  # raises what is wrong with the place, before any is written
    except RequestError as error:
        return in_one_line(error)
    return new


def _new_place(entry: Any) -> NewPlace:
    """Return a place of the file; raises RequestError when something in it is wrong."""
    if not isinstance(entry, dict):
        raise RequestError("it is no place")
    thumbnail = _decoded(entry, "thumbnail")
    if not is_thumbnail(thumbnail):
        raise RequestError("its thumbnail is not a small JPEG without the photo's own data")
    signature = from_bytes(_decoded(entry, "signature"))
    if not len(signature):
        raise RequestError("its signature is damaged, or of another version of deepmersion")
    new = NewPlace(
        name=_text(entry, "name"),
        mix=_text(entry, "mix"),
        soundbank=None if entry.get("soundbank") is None else _text(entry, "soundbank", MAX_TEXT),
        network=_text(entry, "network", MAX_TEXT),
        signature=signature,
        thumbnail=thumbnail,
        kept=_text(entry, "kept", MAX_TEXT),
    )
    try:
        if datetime.fromisoformat(new.kept or "").tzinfo is None:
            raise ValueError
    except ValueError as error:
        raise RequestError("its time is not one of ISO 8601 with a time zone") from error
    return new


def _text(entry: dict[str, Any], key: str, longest: int | None = None) -> str:
    text = entry.get(key)
    if not isinstance(text, str) or (longest and (len(text) > longest or not text.isprintable())):
        raise RequestError(f"its {key} is no text, or too long")
    return text


def _decoded(entry: dict[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode(_text(entry, key), validate=True)
    except ValueError as error:
        raise RequestError(f"its {key} is not in base64") from error
