"""How a finished file gets its name."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from deepmersion.files import install


@pytest.mark.skipif(os.name != "posix", reason="imitates Windows elsewhere")
def test_a_file_gets_its_name_where_only_open_files_can_be_synchronised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, which refuses folders and files that were opened for reading."""
    import fcntl

    synchronised = []

    def fsync(descriptor: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        synchronised.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    temporary, path = tmp_path / "a.tmp", tmp_path / "a"
    path.write_text("old")
    temporary.write_text("new")
    inode = temporary.stat().st_ino
    install(temporary, path)
    assert path.read_text() == "new"
    assert synchronised == [inode]
    assert list(tmp_path.iterdir()) == [path]
