"""What the command blames: the package that is broken, the stream or file that failed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import run, the_error

from deepmersion.cli.exits import system_error
from deepmersion.errors import rounded, why
from deepmersion.files import open_regular
from deepmersion.shipped import EXAMPLES

BROKEN = {
    "its library is missing": b"raise OSError('libx.so.1: cannot open shared object file')",
    "what it needs is missing": b"import a_package_that_is_not_there",
    "half of it is missing": b"",
    "it fails while it starts": b"from types import nothing_of_that_name",
    "its file is of zeros": bytes(100),
}
"""How an installation breaks, and what is then in the package."""

NEEDED = {
    "numpy": ["match", "a.jpg", "--json"],
    "h5py": ["index", "info"],
    "soundfile": ["soundbank", "list"],
    "sounddevice": ["devices"],
    "torch": ["soundbank", "check"],
    "onnxruntime": ["match", str(EXAMPLES / "mountains.jpg"), "--json"],
}
"""A command that needs each package, and little else."""

FAULTS = [
    *zip(NEEDED, BROKEN, strict=False),
    ("onnxruntime", "its library is missing"),
    ("onnxruntime", "half of it is missing"),
]


@pytest.mark.parametrize(("package", "how"), FAULTS)
def test_a_broken_package_is_named_with_how_to_mend_it(
    package: str, how: str, tmp_path: Path
) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_bytes(BROKEN[how])
    result = run(*NEEDED[package], env={"PYTHONPATH": str(tmp_path)})
    said = the_error(result)
    assert said.startswith(f"the package {package} cannot be used (")
    assert said.endswith(f"repair it with: pip install --force-reinstall {package}")


def test_an_error_of_the_system_blames_no_stream_that_has_not_failed() -> None:
    nameless = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    assert system_error(nameless).message == f"{os.strerror(errno.EMFILE)}; " + (
        "close other programs, or raise the limit of open files (ulimit -n)"
    )
    with pytest.raises(FileNotFoundError) as caught:
        open_regular(Path("missing"))
    assert system_error(caught.value).message.startswith("missing: No such file or directory; ")


FULL = """
import sys
from deepmersion.cli.streams import name_streams
name_streams()
try:
    print("a line")
    sys.stdout.flush()
except OSError as error:
    print(error.filename, error.errno, file=sys.stderr)
    sys.stdout = None
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_stream_that_fails_is_named() -> None:
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run([sys.executable, "-c", FULL], stdout=full, stderr=-1, check=True)
    assert result.stderr.decode() == f"standard output {errno.ENOSPC}\n"


def test_every_cause_has_its_own_remedy(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, what in {
        tmp_path / "missing": "(No such file or directory); check the name",
        tmp_path: "(it is a folder); give the name of a file",
        tmp_path / "pipe": "(it is a named pipe); give the name of a file",
        Path("/dev/zero"): "(it is a device); give the name of a file",
        tmp_path / ("x" * 300): "(File name too long); choose a shorter name",
    }.items():
        with pytest.raises(OSError, match=r".") as caught:
            open_regular(path)
        assert why(caught.value) == what


@pytest.mark.parametrize(
    ("value", "limit", "decimals", "text"),
    [
        (44_099 / 44_100, 1, 2, "0.99998"),
        (0.5, 1, 2, "0.50"),
        (19.96, 20, 1, "19.96"),
        (100.2, 100, 0, "100.2"),
        (1, 1, 2, "1.00"),
    ],
)
def test_a_rounded_number_does_not_contradict_its_limit(
    value: float, limit: float, decimals: int, text: str
) -> None:
    assert rounded(value, limit, decimals) == text
