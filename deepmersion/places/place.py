"""A kept place, and what its parts may be."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepmersion.errors import RequestError, in_one_line
from deepmersion.files import shown
from deepmersion.sound.bank import SoundBank
from deepmersion.sound.recipe import gains_vector, mix_text, named_gains, parse_mix
from deepmersion.vision.lite_session import N_FEATURES

MAX_NAME = 60
"""Characters in a place's name: fits under a tile."""

MAX_MIX = 4000
"""Characters in a mix: a hundred sounds with long names."""


@dataclass(frozen=True)
class Place:
    """A kept place.

    Attributes
    ----------
    id : int
        Never given again, even after the place is forgotten.
    name : str
        Unique among the kept places.
    mix : str
        What is played, in the grammar of `deepmersion.sound.recipe`.
    soundbank : str or None
        The sound bank that it was mixed from, as `SoundBank.lasting_argument` has it; None for the
        shipped one.
    kept : str
        When: ISO 8601, UTC.
    network : str
        Identity of the network that saw it.
    signature : ndarray, shape = (`N_FEATURES`,), float32
        What it saw (`recognition.signature`); empty if that cannot be read.
    """

    id: int
    name: str
    mix: str
    soundbank: str | None
    kept: str
    network: str
    signature: np.ndarray = field(repr=False, compare=False)

    def record(self) -> dict[str, object]:
        """Return the place as ``places list --json`` prints it."""
        return {
            "id": self.id,
            "name": self.name,
            "mix": self.mix,
            "soundbank": self.soundbank,
            "kept": self.kept,
        }


def kept_gains(place: Place, bank: SoundBank) -> np.ndarray:
    """Return a place's mix as gains of a bank's sounds, float32 [sounds].

    Raises
    ------
    RequestError
        When it was kept with another bank, whose sounds of the same names are others, or this one
        does not have all of its sounds.
    """
    if not bank.is_named(place.soundbank):
        kept = place.soundbank
        raise RequestError(
            "it was kept with the shipped sounds, without --soundbank"
            if kept is None
            else f"it was kept with --soundbank {shown(Path(kept))}"
        )
    return gains_vector(parse_mix(place.mix), bank.names)


def problem_of(place: Place, bank: SoundBank) -> str | None:
    """Return why a place's mix cannot be played with a bank, in one line; None if it can."""
    try:
        kept_gains(place, bank)
    except RequestError as error:
        return in_one_line(error)
    return None


def checked_text(text: str, what: str) -> str:
    """Return a text that can be stored; raises RequestError if it cannot be encoded as UTF-8.

    JSON may hold half of a character (a lone surrogate), and so may the path of a folder.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RequestError(
            f"{what} has a character that is not valid in UTF-8; rename it"
        ) from error
    return text


def checked_name(text: str) -> str:
    """Return a name without spaces around it, in Unicode's composed form.

    Raises
    ------
    RequestError
        When it is empty, longer than `MAX_NAME`, or has line breaks or other invisible characters.
    """
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise RequestError(
            f"a place's name must have 1 to {MAX_NAME} characters, and no line breaks or invisible "
            "ones; choose another"
        )
    return name


def checked_mix(text: str) -> str:
    """Return a mix as `mix_text` writes it, without silent sounds.

    Raises
    ------
    RequestError
        When it is not a mix, cannot be encoded as UTF-8, or is longer than `MAX_MIX`.
    """
    if len(text) > MAX_MIX:
        raise RequestError(f"a kept mix may have at most {MAX_MIX:,} characters; shorten it")
    by_name = parse_mix(checked_text(text, "a sound of the mix"))
    return mix_text(named_gains(gains_vector(by_name, list(by_name)), list(by_name)))


def to_bytes(signature: np.ndarray) -> bytes:
    """Return a signature as it is stored: float16, little-endian."""
    return signature.astype("<f2").tobytes()


def from_bytes(stored: bytes) -> np.ndarray:
    """Return a stored signature as float32; an empty array if it is none."""
    if len(stored) != 2 * N_FEATURES:
        return np.empty(0, np.float32)
    found = np.frombuffer(stored, "<f2").astype(np.float32)
    is_unit = bool(np.isfinite(found).all()) and abs(float(found @ found) - 1) < 0.01
    return found if is_unit else found[:0]
