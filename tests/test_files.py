"""How a finished file gets its name."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepmersion.files import install, whole_file


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


@pytest.mark.skipif(os.name != "posix", reason="there files in use cannot be deleted")
def test_what_killed_programs_left_of_a_file_is_cleared(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine, old = os.getpid(), time.time() - 2 * 24 * 3600
    path = tmp_path / "a[b].wav"
    orphan, young, running, other, no_number = (
        tmp_path / f".{name}.tmp"
        for name in (
            f"a[b].wav.{gone.pid}", f"a[b].wav.{gone.pid}0000000000000", f"a[b].wav.{os.getppid()}",
            f"ab.wav.{gone.pid}", "a[b].wav.x",
        )
    )  # fmt: skip
    for temporary in (orphan, young, running, other, no_number):
        temporary.touch()
        if temporary != young:
            os.utime(temporary, (old, old))
    with whole_file(path) as temporary:
        assert str(mine) in temporary.name
        temporary.touch()
    assert set(tmp_path.iterdir()) == {path, young, running, other, no_number}
