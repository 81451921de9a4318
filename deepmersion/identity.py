"""Which published file is this? Files known by what is in them, whatever they are called."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DigestKind = Literal["sha256", "git-blob"]

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Identity:
    """A file's content, named by its digest.

    Attributes
    ----------
    kind : {"sha256", "git-blob"}
        ``git-blob`` is the name git gives to a file: the SHA-1 of ``blob SIZE``, a zero byte and
        the content. SHA-1 is broken for collisions only (two files made to look alike); nobody
        can make a second file to match a given one, which is what matters here.
    digest : str
        In hexadecimal digits, lower case.
    """

    kind: DigestKind
    digest: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.digest}"


def identities(path: Path) -> set[Identity]:
    """Return a file's identities of both kinds, reading it once.

    Raises
    ------
    OSError
        When the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        sha256, git_blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size)
        while block := file.read(BLOCK_BYTES):
            sha256.update(block)
            git_blob.update(block)
    return {Identity("sha256", sha256.hexdigest()), Identity("git-blob", git_blob.hexdigest())}


def identity_of(path: Path, kind: DigestKind) -> Identity:
    """Return a file's identity of one kind; raises OSError when the file cannot be read."""
    with path.open("rb") as file:
        hasher = hashlib.sha256()
        if kind == "git-blob":
            size = file.seek(0, 2)
            file.seek(0)
            hasher = hashlib.sha1(b"blob %d\0" % size)
        while block := file.read(BLOCK_BYTES):
            hasher.update(block)
    return Identity(kind, hasher.hexdigest())
