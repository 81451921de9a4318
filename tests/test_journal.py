from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from material import assert_one_line

from deepmersion.errors import IndexFileError
from deepmersion.index.journal import HEADER_BYTES, Journal

JOB = {"soundbank": "abc", "level_rms": 0.01}
ROWS, COLUMNS = 50, 7


def rows(start: int, stop: int) -> np.ndarray:
    """Return what the rows of these tests hold: no two alike, none zero."""
    return np.arange(start * COLUMNS + 1, stop * COLUMNS + 1, dtype=np.float32).reshape(-1, COLUMNS)


def open_journal(path: Path, *, resume: bool = True) -> Journal:
    return Journal(path, JOB, ROWS, COLUMNS, resume=resume)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.h5.partial"


def test_rows_may_come_in_any_order(path: Path) -> None:
    with open_journal(path, resume=False) as journal:
        assert not journal.finished().any()
        for start in (40, 3, 20):
            journal.write(start, rows(start, start + 5))
        finished = journal.finished()
        assert finished.dtype == bool
        assert np.flatnonzero(finished).tolist() == [*range(3, 8), *range(20, 25), *range(40, 45)]
        assert np.array_equal(journal.read(20, 25), rows(20, 25))
        assert np.array_equal(journal.read(42, 43), rows(42, 43))


def test_a_closed_journal_is_gone_on_with(path: Path) -> None:
    with open_journal(path) as journal:
        journal.write(0, rows(0, 10))
    with open_journal(path) as journal:
        assert journal.finished().sum() == 10
        journal.write(10, rows(10, ROWS))
        assert journal.finished().all()
        assert np.array_equal(journal.read(0, ROWS), rows(0, ROWS))


def test_without_resume_it_begins_anew(path: Path) -> None:
    with open_journal(path) as journal:
        journal.write(0, rows(0, 10))
    with open_journal(path, resume=False) as journal:
        assert not journal.finished().any()


@pytest.mark.parametrize(
    ("job", "n_rows", "n_columns"),
    [
        ({**JOB, "soundbank": "abd"}, ROWS, COLUMNS),
        ({**JOB, "level_rms": 0.02}, ROWS, COLUMNS),
        ({"soundbank": "abc"}, ROWS, COLUMNS),
        (JOB, ROWS + 1, COLUMNS),
        (JOB, ROWS, COLUMNS - 1),
    ],
)
def test_a_journal_of_another_job_is_refused_and_kept(
    path: Path, job: dict[str, object], n_rows: int, n_columns: int
) -> None:
    with open_journal(path) as journal:
        journal.write(0, rows(0, 10))
    before = path.read_bytes()
    with pytest.raises(IndexFileError) as caught:
        Journal(path, job, n_rows, n_columns, resume=True)
    assert_one_line(caught.value, path, "without --resume")
    assert path.read_bytes() == before


def test_the_order_of_a_jobs_fields_does_not_matter(path: Path) -> None:
    with open_journal(path) as journal:
        journal.write(0, rows(0, 1))
    with Journal(path, dict(reversed(JOB.items())), ROWS, COLUMNS, resume=True) as journal:
        assert journal.finished().sum() == 1


def test_a_file_that_is_no_journal_is_refused(path: Path) -> None:
    path.write_bytes(b"something else" * 1000)
    with pytest.raises(IndexFileError) as caught:
        open_journal(path)
    assert_one_line(caught.value, path)


@pytest.mark.parametrize("n_bytes", [0, 1, HEADER_BYTES - 1])
def test_a_file_cut_off_within_its_header_is_begun_anew(path: Path, n_bytes: int) -> None:
    open_journal(path).__exit__(None, None, None)
    os.truncate(path, n_bytes)
    with open_journal(path) as journal:
        assert not journal.finished().any()
        journal.write(0, rows(0, ROWS))
        assert np.array_equal(journal.read(0, ROWS), rows(0, ROWS))


def test_a_file_cut_off_anywhere_vouches_only_for_rows_that_are_there(path: Path) -> None:
    with open_journal(path) as journal:
        journal.write(0, rows(0, ROWS))
    whole = path.read_bytes()
    assert len(whole) == HEADER_BYTES + 4 * ROWS + ROWS * COLUMNS * 4
    for n_bytes in range(HEADER_BYTES, len(whole) + 1, 13):
        path.write_bytes(whole[:n_bytes])
        with open_journal(path) as journal:
            finished = [int(row) for row in np.flatnonzero(journal.finished())]
            n_there = max(0, n_bytes - HEADER_BYTES - 4 * ROWS) // (4 * COLUMNS)
            assert finished == list(range(n_there))
            for row in finished:
                assert np.array_equal(journal.read(row, row + 1), rows(row, row + 1))
            journal.write(n_there, rows(n_there, ROWS))
            assert np.array_equal(journal.read(0, ROWS), rows(0, ROWS))


@pytest.mark.parametrize("part", ["the checksum", "the row"])
def test_a_row_that_did_not_reach_the_disk_is_not_finished(path: Path, part: str) -> None:
    """As after a power failure: the system writes parts of a file in any order."""
    with open_journal(path) as journal:
        journal.write(0, rows(0, ROWS))
    content = bytearray(path.read_bytes())
    if part == "the checksum":
        begin, n_bytes = HEADER_BYTES + 3 * 4, 4
    else:
        begin, n_bytes = HEADER_BYTES + 4 * ROWS + 3 * 4 * COLUMNS, 4 * COLUMNS
    content[begin : begin + n_bytes] = bytes(n_bytes)
    path.write_bytes(content)
    with open_journal(path) as journal:
        assert np.flatnonzero(~journal.finished()).tolist() == [3]


@pytest.mark.parametrize("resume", [True, False])
def test_a_journal_that_is_being_written_is_left_alone(path: Path, resume: bool) -> None:
    with open_journal(path) as journal:
        journal.write(0, rows(0, 10))
        with pytest.raises(IndexFileError) as caught:
            open_journal(path, resume=resume)
        assert_one_line(caught.value, path, "another build")
        assert journal.finished().sum() == 10
    with open_journal(path) as journal:
        assert journal.finished().sum() == 10


def test_a_journal_that_was_removed_while_another_opened_it_is_made_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_journal(path)
    lock = Journal._lock

    def late(journal: Journal) -> None:
        if first.path.exists() and not first._file.closed:
            first.remove()
        lock(journal)

    monkeypatch.setattr(Journal, "_lock", late)
    with open_journal(path) as journal:
        journal.write(0, rows(0, 10))
        assert path.exists()
    with open_journal(path) as journal:
        assert journal.finished().sum() == 10


def test_a_journal_that_is_refused_is_closed(path: Path) -> None:
    path.write_bytes(b"something else" * 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(IndexFileError):
            open_journal(path)
        gc.collect()


KILLED = """
import sys
from pathlib import Path
from test_journal import ROWS, open_journal, rows
with open_journal(Path(sys.argv[1])) as journal:
    for row in range(ROWS):
        journal.write(row, rows(row, row + 1))
        print(row, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("last", [0, 17])
def test_finished_rows_survive_sigkill(path: Path, last: int) -> None:
    folder = Path(__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, path], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == last:
                process.kill()
                break
        told = [int(line) for line in process.stdout]
    assert process.returncode == -signal.SIGKILL
    n_told = max([last, *told]) + 1
    with open_journal(path) as journal:
        finished = np.flatnonzero(journal.finished())
        assert finished.tolist() == list(range(len(finished)))
        assert n_told <= len(finished) <= n_told + 1
        assert np.array_equal(journal.read(0, len(finished)), rows(0, len(finished)))
        journal.write(len(finished), rows(len(finished), ROWS))
        assert np.array_equal(journal.read(0, ROWS), rows(0, ROWS))


def test_a_journal_is_removed_when_all_is_done(path: Path) -> None:
    with open_journal(path) as journal:
        journal.write(0, rows(0, ROWS))
        journal.remove()
    assert list(path.parent.iterdir()) == []


def test_a_journal_where_none_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "missing" / "a.partial", tmp_path / "folder"):
        with pytest.raises(IndexFileError) as caught:
            open_journal(path, resume=False)
        assert_one_line(caught.value, path, "cannot be written")


def test_a_full_disk_is_an_error_with_a_way_on(small_disk: Path) -> None:
    with Journal(small_disk / "a.partial", JOB, 20, 25_000, resume=False) as journal:
        journal.write(0, np.ones((2, 25_000), np.float32))
        with pytest.raises(IndexFileError) as caught:
            journal.write(2, np.ones((18, 25_000), np.float32))
        assert_one_line(caught.value, "No space left", "--resume")
        assert np.flatnonzero(journal.finished()).tolist() == [0, 1]
        assert (journal.read(0, 2) == 1).all()


def test_a_job_too_long_for_the_header_is_a_mistake_of_the_program(path: Path) -> None:
    with pytest.raises(ValueError, match="header"):
        Journal(path, {"note": "x" * HEADER_BYTES}, 1, 1, resume=False)
