"""The file of kept places: one SQLite database in the user's data folder.

Every change is one transaction, so that a killed program or a power failure leaves the file as it
was before or after, and several programs may use it at once. It is written ahead (WAL) where the
file system allows, so that readers do not wait for a writer, and in SQLite's older way elsewhere.

A connection is opened for each operation. That takes under a millisecond, keeps threads apart,
and leaves no second file beside the database while nothing happens.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from deepmersion.errors import NameTakenError, NoPlaceError, PlacesError, reason
from deepmersion.files import chosen_folder
from deepmersion.places.place import (
    Place,
    checked_mix,
    checked_name,
    checked_text,
    from_bytes,
    to_bytes,
)
from deepmersion.sound.bank import SoundBank

FILE_NAME = "places.sqlite3"

APPLICATION_ID = 0x64656570
"""Marks the file as deepmersion's among SQLite databases: the letters "deep"."""

MIGRATIONS = (
    (
        "CREATE TABLE place ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " name TEXT NOT NULL UNIQUE,"
        " mix TEXT NOT NULL,"
        " soundbank TEXT,"
        " kept TEXT NOT NULL,"
        " network TEXT NOT NULL,"
        " signature BLOB NOT NULL,"
        " thumbnail BLOB NOT NULL)",
    ),
)
"""Statements that take a file from each version of its schema to the next; the first make it."""

SCHEMA = len(MIGRATIONS)
"""Version of the file, in SQLite's ``user_version``."""

BUSY_S = 10.0
"""How long to wait for another program that is writing, which takes milliseconds."""

MAX_PLACES = 500
"""Most places that are kept: more than anybody has, and looked through in a few milliseconds."""

FULL_BYTES = 2**16
"""A disk with less room than this is full: SQLite calls that by several names."""

COLUMNS = "id, name, mix, soundbank, kept, network, signature"

LARGEST_ID = 2**63 - 1


def data_folder() -> Path:
    """Return the folder of what a user keeps; it need not exist yet.

    The environment variable ``DEEPMERSION_DATA`` names it; without one it is the user's data folder
    as the operating system has it, such as ``~/.local/share/deepmersion``.

    Raises
    ------
    PlacesError
        When the variable names the home of a user who does not exist.
    """
    if chosen := chosen_folder("DEEPMERSION_DATA", PlacesError):
        return chosen
    from platformdirs import user_data_path

    return user_data_path("deepmersion", appauthor=False)


@dataclass(frozen=True)
class NewPlace:
    """A place that is to be kept; the attributes are those of `Place`.

    Attributes
    ----------
    thumbnail : bytes
        JPEG, as `thumbnail.thumbnail` returns it.
    """

    name: str
    mix: str
    soundbank: str | None
    network: str
    signature: np.ndarray
    thumbnail: bytes
    kept: str | None = None

    def row(self) -> tuple[Any, ...]:
        """Return the values of the columns but for the number.

        Raises
        ------
        RequestError
            As `checked_name`, `checked_mix` and `checked_text`.
        """
        kept = self.kept or datetime.now(UTC).isoformat(timespec="seconds")
        return (
            checked_name(self.name),
            checked_mix(self.mix),
            _checked_bank(self.soundbank),
            checked_text(kept, "the time"),
            checked_text(self.network, "the network"),
            to_bytes(self.signature),
            self.thumbnail,
        )


class Places:
    """The kept places.

    Parameters
    ----------
    path : Path or str, optional
        The file; by default `FILE_NAME` in `data_folder`. It is made when the first place is kept.

    Raises
    ------
    PlacesError
        By every method, when the file is of a newer version, is none of deepmersion's, or cannot
        be read or written.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = data_folder() / FILE_NAME if path is None else Path(path).absolute()

    def all(self) -> list[Place]:
        """Return all places, the oldest first."""
        return self._places(f"SELECT {COLUMNS} FROM place ORDER BY id")

    def with_thumbnails(self) -> list[tuple[Place, bytes]]:
        """Return all places with their JPEGs, the oldest first, as they are at one moment."""
        rows = self._read(f"SELECT {COLUMNS}, thumbnail FROM place ORDER BY id")
        return [(_place(row[:-1]), bytes(row[-1])) for row in rows]

    def named(self, name: str) -> Place:
        """Return the place of a name; raises NoPlaceError if there is none."""
        found = self._places(f"SELECT {COLUMNS} FROM place WHERE name = ?", checked_name(name))
        if not found:
            known = ", ".join(place.name for place in self.all()) or "none"
            raise NoPlaceError(f"no place is kept under the name {name}; there are: {known}")
        return found[0]

    def numbered(self, number: int) -> Place:
        """Return the place with an id; raises NoPlaceError if there is none."""
        return _place(self._row(COLUMNS, number))

    def thumbnail(self, number: int) -> bytes:
        """Return the JPEG of the place with an id; raises NoPlaceError if there is none."""
        return bytes(self._row("thumbnail", number)[0])

    def require_free(self, name: str) -> None:
        """Raise NameTakenError if a place of that name is kept already."""
        if self._read("SELECT 1 FROM place WHERE name = ?", checked_name(name)):
            raise _taken(name)

    def keep(self, new: NewPlace, *, replace: bool = False) -> Place:
        """Keep a place.

        Parameters
        ----------
        new : NewPlace
        replace : bool
            Whether to take the place of the one of that name.

        Raises
        ------
        NameTakenError
            When a place of that name is kept already.
        RequestError
            As `NewPlace.row`.
        """
        row = new.row()

        def write(connection: sqlite3.Connection) -> None:
            if _is_taken(connection, row[0]):
                if not replace:
                    raise _taken(new.name)
                connection.execute(
                    "UPDATE place SET mix = ?, soundbank = ?, kept = ?, network = ?, "
                    "signature = ?, thumbnail = ? WHERE name = ?",
                    (*row[1:], row[0]),
                )
            else:
                _insert(connection, row)

        self._write(write)
        return self.named(row[0])

    def keep_free(self, new: Sequence[NewPlace]) -> list[bool]:
        """Keep the places whose names are free, all of them or, after an error, none.

        Returns
        -------
        list of bool
            Which of them are kept now.

        Raises
        ------
        RequestError
            As `NewPlace.row`.
        """
        rows = [place.row() for place in new]
        are_kept: list[bool] = []

        def write(connection: sqlite3.Connection) -> None:
            for row in rows:
                are_kept.append(not _is_taken(connection, row[0]))
                if are_kept[-1]:
                    _insert(connection, row)

        if rows:
            self._write(write)
        return are_kept

    def change(
        self,
        number: int,
        *,
        name: str | None = None,
        mix: str | None = None,
        bank: SoundBank | None = None,
    ) -> Place:
        """Give the place with an id another name, another mix, or both.

        Parameters
        ----------
        number : int
        name, mix : str, optional
        bank : SoundBank, optional
            Which the mix is of; by default the one that the last one was of.

        Raises
        ------
        NoPlaceError, NameTakenError
            When there is no such place, or another one has that name.
        RequestError
            As `NewPlace.row`.
        """
        new_name = None if name is None else checked_name(name)
        new_mix = None if mix is None else checked_mix(mix)
        moves = mix is not None and bank is not None
        new_bank = _checked_bank(bank.lasting_argument) if bank is not None and moves else None
        self.numbered(number)

        def write(connection: sqlite3.Connection) -> None:
            try:
                connection.execute(
                    "UPDATE place SET name = coalesce(?, name), mix = coalesce(?, mix), "
                    "soundbank = CASE WHEN ? THEN ? ELSE soundbank END WHERE id = ?",
                    (new_name, new_mix, moves, new_bank, number),
                )
            except sqlite3.IntegrityError as error:
                raise _taken(new_name or "") from error

        self._write(write)
        return self.numbered(number)

    def forget(self, number: int) -> None:
        """Delete the place with an id; what was stored is overwritten.

        Raises
        ------
        NoPlaceError
            When there is no such place.
        """
        self.numbered(number)
        self._write(lambda db: db.execute("DELETE FROM place WHERE id = ?", (number,)))

    def _row(self, columns: str, number: int) -> tuple[Any, ...]:
        query = f"SELECT {columns} FROM place WHERE id = ?"
        found = self._read(query, number) if number <= LARGEST_ID else []
        if not found:
            raise NoPlaceError("there is no such place; it may have been forgotten")
        return found[0]

    def _places(self, query: str, *values: Any) -> list[Place]:
        return list(map(_place, self._read(query, *values)))

    def _read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        if not self.path.exists():  # nothing was ever kept, and asking makes no file
            return []
        with self._opened() as connection:
            return connection.execute(query, values).fetchall()

    def _write(self, change: Callable[[sqlite3.Connection], object]) -> None:
        """Run a function in a transaction, which is undone if it fails."""
        self._make()
        with self._opened() as connection:
            with _transaction(connection):
                change(connection)
            # Nothing that was forgotten stays in the log. Another reader may keep it for a moment.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _make(self) -> None:
        """Make the folder and an empty file, which only their owner can read."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except OSError as error:
            raise PlacesError(
                f"{self.path} cannot be made ({reason(error)}); name another folder in the "
                "environment variable DEEPMERSION_DATA"
            ) from error

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._connect()
            try:
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?{self._mode()}", timeout=BUSY_S, isolation_level=None, uri=True
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _mode(self) -> str:
        """Return how SQLite is to open the file."""
        if os.access(self.path.parent, os.W_OK):
            return "mode=rw"
        # On a disk that is read only, SQLite cannot make the files that writing ahead needs; there
        # it reads the file alone, unless a log was left beside it.
        return "mode=ro" if self.path.with_name(f"{self.path.name}-wal").exists() else "immutable=1"

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Set up a connection, and bring the file to this version's schema."""
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA synchronous = FULL")
        if self._version(connection) == SCHEMA:
            return
        # Refused, or answered with another mode, where the file system has no shared memory;
        # "locked" where another program is doing the same.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        with _transaction(connection):
            for number in range(self._version(connection), SCHEMA):
                for statement in MIGRATIONS[number]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    def _version(self, connection: sqlite3.Connection) -> int:
        """Return the version of the file's schema, 0 for an empty file."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if application != APPLICATION_ID and (version or n_tables):
            raise PlacesError(
                f"{self.path} is another program's database; move it away, or name another folder "
                "in the environment variable DEEPMERSION_DATA"
            )
        if version > SCHEMA:
            raise PlacesError(
                f"{self.path} was written by a newer deepmersion (schema {version}, this one knows "
                f"{SCHEMA}); update deepmersion"
            )
        return int(version)

    def _trouble(self, error: sqlite3.Error) -> PlacesError:
        """Return the error to raise for one of SQLite's."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return PlacesError(
                f"{self.path} is damaged, or is no file of places; move it away, and import an "
                "export if you have one"
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
            return PlacesError(
                f"{self.path} is in use by another program; try again, and if that does not help, "
                "name a folder on a local disk in the environment variable DEEPMERSION_DATA"
            )
        disk = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
        if code == sqlite3.SQLITE_FULL or (code in disk and self._is_full()):
            return PlacesError(f"the disk with {self.path} is full, nothing was changed; make room")
        return PlacesError(
            f"{self.path} cannot be used ({reason(error)}); check the permissions, or name another "
            "folder in the environment variable DEEPMERSION_DATA"
        )

    def _is_full(self) -> bool:
        with suppress(OSError):
            return shutil.disk_usage(self.path.parent).free < FULL_BYTES
        return False


def _place(row: tuple[Any, ...]) -> Place:
    number, name, mix, soundbank, kept, network, stored = row
    return Place(number, name, mix, soundbank, kept, network, from_bytes(stored))


def _is_taken(connection: sqlite3.Connection, name: str) -> bool:
    found = connection.execute("SELECT 1 FROM place WHERE name = ?", (name,)).fetchone()
    return found is not None


def _checked_bank(argument: str | None) -> str | None:
    return None if argument is None else checked_text(argument, "the path of the sound bank")


def _insert(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    (n_kept,) = connection.execute("SELECT count(*) FROM place").fetchone()
    if n_kept >= MAX_PLACES:
        raise PlacesError(
            f"{MAX_PLACES} places are the most there can be, nothing was changed; forget some first"
        )
    connection.execute(
        "INSERT INTO place (name, mix, soundbank, kept, network, signature, thumbnail) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        row,
    )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the right to write; undo everything if the block fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite may have undone it already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _taken(name: str) -> NameTakenError:
    return NameTakenError(f"a place named {name} is kept already; choose another name")
