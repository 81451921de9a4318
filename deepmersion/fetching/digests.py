"""Which published file is this? Files known by what is in them, whatever they are called."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deepmersion.files import open_regular

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
    return _identities(path, "sha256", "git-blob")


def identity_of(path: Path, kind: DigestKind) -> Identity:
    """Return a file's identity of one kind; raises OSError when the file cannot be read."""
    (identity,) = _identities(path, kind)
    return identity


def _identities(path: Path, *kinds: DigestKind) -> set[Identity]:
    with open_regular(path) as file:
        unread = size = os.fstat(file.fileno()).st_size
        hashers = {kind: _hasher(kind, size) for kind in kinds}
        # No further than its size: some files grow while they are read, or never end (/proc).
        while block := file.read(min(BLOCK_BYTES, unread)):
            unread -= len(block)
            for hasher in hashers.values():
                hasher.update(block)
    return {Identity(kind, hasher.hexdigest()) for kind, hasher in hashers.items()}


def _hasher(kind: DigestKind, size: int) -> hashlib._Hash:
    return hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % size)
