"""A sound bank: a folder of base sounds, described by its soundbank.toml or by the files alone."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deepmersion.errors import SoundBankError, why
from deepmersion.files import open_regular
from deepmersion.kinds.table import CONDITIONS, Kind, all_kinds, every_name, scene_names
from deepmersion.labels import object_labels
from deepmersion.shipped import shipped_soundbank
from deepmersion.sound import keys
from deepmersion.sound.names import BLANKET
from deepmersion.toml import TomlError, load_toml

DESCRIPTION = "soundbank.toml"

SCHEMA = 1
"""Version of soundbank.toml that this program reads."""

NOT_IN_A_LINE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories of characters that break a line or control a terminal."""

SUFFIXES = frozenset({".aif", ".aiff", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"})
"""Audio files that libsndfile decodes."""

PHONE_SUFFIXES = frozenset({".3gp", ".aac", ".amr", ".m4a", ".m4b", ".mp4", ".webm", ".wma"})
"""Recordings from phones, which PyAV decodes (the extra ``phone``) and libsndfile does not."""

UNREAD_SUFFIXES = frozenset(
    {".ac3", ".ape", ".au", ".dsf", ".m4p", ".mid", ".midi", ".mka", ".mov", ".ra", ".w64", ".wv"}
)
"""Audio files that are named when they are passed over; other files in a folder are ignored."""

MAX_NAME_BYTES = 765
"""Of a sound's name in UTF-8: as long as a file name is anywhere. An index holds 1,000."""

MAX_NAMED = 3
"""Most files that a message names."""


@dataclass(frozen=True)
class BaseSound:
    """One sound of a bank.

    Attributes
    ----------
    name : str
        Identifies the sound in mixes.
    title : str
        Shown to people.
    path : Path
        The audio file.
    licence : str
        Empty if the bank gives none.
    loudness_lufs : float or None
        Integrated loudness (ITU-R BS.1770); None if not measured yet.
    gain_db : float
        The owner's correction of its loudness in a mix, in dB.
    loops : bool
        True if the end of the file leads into its beginning without a seam.
    kind : str or None
        The kind of sound that the bank declares, if any.
    places, objects, conditions : tuple of str or None
        Surroundings that the bank declares for it; None leaves them to its kind.
    cuts : deepmersion.sound.keys.Cuts or None
        Spans in which a cut is inaudible; None if not searched for yet.
    """

    name: str
    title: str
    path: Path
    licence: str = ""
    loudness_lufs: float | None = None
    gain_db: float = 0.0
    loops: bool = False
    kind: str | None = None
    places: tuple[str, ...] | None = None
    objects: tuple[str, ...] | None = None
    conditions: tuple[str, ...] | None = None
    cuts: keys.Cuts | None = None

    @cached_property
    def known_kind(self) -> Kind | None:
        """The kind that the bank declares, else the kind that its name and title suggest.

        Places, objects and conditions given in the bank replace those of the kind. None if nothing
        is known; a kind without a name if only places, objects or conditions are.
        """
        kind = all_kinds()[self.kind] if self.kind else _kind_by_name(self.name, self.title)
        if self.places is None and self.objects is None and self.conditions is None:
            return kind
        kind = kind or Kind("")
        return replace(
            kind,
            scenes=kind.scenes if self.places is None else every_name(self.places),
            objects=kind.objects if self.objects is None else self.objects,
            conditions=kind.conditions if self.conditions is None else self.conditions,
        )


@dataclass(frozen=True)
class SoundBank:
    """The base sounds of a folder.

    Attributes
    ----------
    folder : Path
    title : str
        What a person reads.
    sounds : tuple of BaseSound
        In the order of the gains of a mix.
    name : str or None
        The name that it was opened by instead of a folder.
    passed_over : tuple of Path
        Sounds in the folder that are in no format that can be read here.
    """

    folder: Path
    title: str
    sounds: tuple[BaseSound, ...]
    name: str | None = None
    passed_over: tuple[Path, ...] = ()

    @property
    def argument(self) -> str | None:
        """Its name for ``--soundbank``; None for the shipped one, which is the default."""
        if self.folder == shipped_soundbank():
            return None
        if self.name is None and str(self.folder) == BLANKET:
            return f"{os.curdir}{os.sep}{self.folder}"
        return self.name or str(self.folder)

    @property
    def lasting_argument(self) -> str | None:
        """Its `argument` for whatever folder a command will run in: a name or an absolute path."""
        if self.name or self.argument is None:
            return self.argument
        return str(self.folder.absolute())

    def is_named(self, argument: str | None) -> bool:
        """Return whether an `argument` means this bank."""
        if self.name or argument == BLANKET:
            return argument == self.name
        folder = shipped_soundbank() if argument is None else argument
        return os.path.realpath(folder) == os.path.realpath(self.folder)

    @property
    def left_out(self) -> str | None:
        """What was passed over and how to have it read, in one line; None if nothing was."""
        if not self.passed_over:
            return None
        names = [path.name for path in self.passed_over]
        listed = ", ".join(names[:MAX_NAMED]) + (", …" if len(names) > MAX_NAMED else "")
        phone = any(path.suffix.lower() in PHONE_SUFFIXES for path in self.passed_over)
        todo = "pip install 'deepmersion[phone]'" if phone else "export them as WAV or FLAC"
        return f"passed over {len(names)} of another format ({listed}); to use them: {todo}"

    @property
    def names(self) -> tuple[str, ...]:
        """The sounds' names, in order."""
        return tuple(sound.name for sound in self.sounds)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the sounds' files and of everything that decides how they sound.

        That is their order, names, gains, declared loudness (by which they are normalised) and
        whether they are loops (others are closed). An index belongs to one fingerprint. Titles,
        kinds and their places are read at matching time and may change without a new index.

        Raises
        ------
        SoundBankError
            When a file cannot be read.
        """
        digest = hashlib.sha256()
        with ThreadPoolExecutor() as pool:  # to hash is most of the time, and frees Python's lock
            of_files = pool.map(_digest_of, [sound.path for sound in self.sounds])
            for sound, of_file in zip(self.sounds, of_files, strict=True):
                heard_as = (sound.gain_db, sound.loudness_lufs, sound.loops)
                digest.update("\0".join([sound.name, *map(str, heard_as), ""]).encode())
                digest.update(of_file)
        return digest.hexdigest()


def undecodable(path: Path, cause: str) -> SoundBankError:
    """Return the refusal of a sound that its decoder does not take, for either decoder."""
    return SoundBankError(
        f"{path} cannot be decoded ({cause}); replace it, or export it again as WAV or FLAC"
    )


def _digest_of(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
    except OSError as error:
        raise SoundBankError(f"{path} cannot be read {why(error)}") from error


def open_bank(folder: Path | str | None = None) -> SoundBank:
    """Return the sound bank in a folder; the shipped one by default.

    Parameters
    ----------
    folder : Path, str or None
        With a soundbank.toml, the bank has the sounds listed there, in that order. Without one, it
        has every audio file of the folder, named after the file and sorted by name. The text
        ``blanket`` is the name of the bank that `deepmersion.sound.blanket` fetches; a folder
        called so is ``./blanket``, or a Path.

    Raises
    ------
    SoundBankError
        When the folder is missing or holds no sound, the description is wrong, two sounds have
        one name, or the named bank has not been fetched. The audio itself is not decoded here.
    """
    if folder == BLANKET:
        from deepmersion.sound.blanket import fetched_folder

        return replace(open_bank(fetched_folder()), name=BLANKET)
    folder = shipped_soundbank() if folder is None else Path(folder)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise SoundBankError(f"the sound bank {folder} {what}; give a folder of recordings")
    try:
        description = folder / DESCRIPTION
        bank = _described(description) if description.is_file() else _undescribed(folder)
    except OSError as error:
        where = f", in {error.filename}" if error.filename else ""
        raise SoundBankError(
            f"the sound bank {folder} cannot be read {why(error)}{where}"
        ) from error
    if not bank.sounds:
        todo = bank.left_out or "put recordings in it"
        raise SoundBankError(
            f"the sound bank {folder} holds no sound; {todo} "
            f"({', '.join(sorted(suffix[1:] for suffix in SUFFIXES))})"
        )
    _check_names(bank, folder)
    return bank


def _check_names(bank: SoundBank, folder: Path) -> None:
    """Raise SoundBankError for a name that no index can hold, or a text that no line can show."""
    if too_long := [name for name in bank.names if _n_bytes(name) > MAX_NAME_BYTES]:
        raise SoundBankError(
            f"the sound bank {folder} has a sound with a name of {_n_bytes(too_long[0])} bytes "
            f"({too_long[0][:20]}…); give it a name of at most {MAX_NAME_BYTES}"
        )
    unprintable = [name for name in bank.names if not name.isprintable()]
    if unprintable:
        raise SoundBankError(
            f"the sound bank {folder} has a sound called {unprintable[0]!a}; rename it with "
            "letters and digits"
        )
    texts = [bank.title, *(text for s in bank.sounds for text in (s.title, s.licence))]
    for text in texts:
        if any(unicodedata.category(letter) in NOT_IN_A_LINE for letter in text):
            raise SoundBankError(
                f"the sound bank {folder} has a title or licence with a line break or another "
                f"control character ({text!a}); take it out"
            )
    repeated = {name for name in bank.names if bank.names.count(name) > 1}
    if repeated:
        raise SoundBankError(
            f"the sound bank {folder} has more than one sound called {min(repeated)}; rename one"
        )


def _n_bytes(name: str) -> int:
    return len(name.encode("utf-8", "surrogateescape"))  # file names may be invalid text


def _undescribed(folder: Path) -> SoundBank:
    # Hidden files are what other programs leave behind, such as macOS's ._NAME.wav.
    files = sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.is_file())
    readable = SUFFIXES | PHONE_SUFFIXES if find_spec("av") else SUFFIXES
    known = (SUFFIXES | PHONE_SUFFIXES | UNREAD_SUFFIXES) - readable
    paths = [path for path in files if path.suffix.lower() in readable]
    passed_over = tuple(path for path in files if path.suffix.lower() in known)
    sounds = tuple(BaseSound(name=p.stem, title=p.stem.replace("-", " "), path=p) for p in paths)
    return SoundBank(folder, folder.name, sounds, passed_over=passed_over)


def _described(path: Path) -> SoundBank:
    try:
        content = load_toml(path)
    except TomlError as error:
        raise SoundBankError(f"{path} is not valid TOML ({error}); correct it") from error
    schema = content.get("schema", SCHEMA)
    if type(schema) is not int or schema < 1:
        raise SoundBankError(
            f"{path} has the schema {json.dumps(schema, default=str)}, which is no whole number "
            f"from 1 on; write schema = {SCHEMA}"
        )
    if schema != SCHEMA:
        raise SoundBankError(
            f"{path} has schema {schema}, but this program reads schema {SCHEMA}; "
            "use a newer deepmersion"
        )
    tables = content.get("sound", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SoundBankError(f"{path} lists no [[sound]] tables; see the README for an example")
    sounds = tuple(_sound(path, table) for table in tables)
    return SoundBank(path.parent, str(content.get("title", path.parent.name)), sounds)


def _sound(description: Path, table: dict[str, Any]) -> BaseSound:
    name = table.get("name")
    if not isinstance(name, str) or not name:
        raise SoundBankError(f"{description} has a sound without a name; give it one")
    file = table.get("file")
    if not isinstance(file, str) or not file.isprintable() or not file:
        raise SoundBankError(f"{description} gives no file for the sound {name}; add one")
    folder = Path(os.path.realpath(description.parent))
    path = folder / file
    # Descriptions are untrusted: they must not reach files outside their folder.
    if not Path(os.path.realpath(path)).is_relative_to(folder):
        raise SoundBankError(f"{description} puts {name} outside its folder ({file}); move it in")
    if not path.is_file():
        raise SoundBankError(f"{description} lists {file}, which is not there; add the file")
    return BaseSound(
        name=name,
        title=str(table.get("title", name)),
        path=path,
        licence=str(table.get("licence", "")),
        loudness_lufs=keys.number(description, table, "loudness_lufs"),
        gain_db=keys.number(description, table, "gain_db") or 0.0,
        loops=keys.flag(description, table, "loops"),
        kind=keys.kind(description, table),
        places=keys.names(description, table, "places", scene_names()),
        objects=keys.names(description, table, "objects", object_labels()),
        conditions=keys.names(description, table, "conditions", CONDITIONS),
        cuts=keys.cuts(description, table),
    )


def _kind_by_name(name: str, title: str) -> Kind | None:
    # The shipped bank states its kinds, and needs no table of words.
    from deepmersion.kinds.naming import kind_of

    return kind_of(name, title)
