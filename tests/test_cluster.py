"""Building an index on a real cluster: a scheduler, and workers that are processes of their own."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commandline import TIMEOUT_S, run, start, succeeded, the_error
from distributed import Client, LocalCluster
from material import assert_one_line, distance, noise, tone, write
from soundserver import WAIT_S, wait_for

from deepmersion import indexing
from deepmersion.errors import ClusterError
from deepmersion.hearing import cluster as distributing
from deepmersion.hearing.listener import Settings
from deepmersion.index.file import PRECISION_NATS, open_index
from deepmersion.indexing import build_index
from deepmersion.weights import specs as weights_specs

pytestmark = pytest.mark.usefixtures("soundnet_weights")

SETTINGS = Settings(window_s=10.0)

N_MIXES = 10


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four recordings."""
    path = tmp_path_factory.mktemp("bank")
    write(path / "hum.wav", tone(120, 5 * 44_100) + noise(5.0, slope=2))
    for seed in range(3):
        write(path / f"noise-{seed}.flac", noise(4.0, slope=seed / 2, seed=seed))
    return path


@pytest.fixture(scope="module")
def local(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_index(tmp_path_factory.mktemp("local") / "a.h5", folder, settings=SETTINGS)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "BATCH_SIZE", 2)


def assert_alike(a: Path, b: Path) -> None:
    """Check that two indexes agree in all, and in log-probabilities to a step of their rounding."""
    with open_index(a) as one, open_index(b) as other:
        assert one.sounds == other.sounds
        assert np.array_equal(one.gains, other.gains)
        assert one.header.soundbank == other.header.soundbank
        for head in ("objects", "scenes"):
            assert distance(one.log_probs(head), other.log_probs(head)) <= PRECISION_NATS


def test_the_command_builds_on_a_cluster(
    cluster: LocalCluster, folder: Path, tmp_path: Path
) -> None:
    # The command hears a minute of each, so these are no more than there are workers.
    two, output = tmp_path / "two", tmp_path / "a.h5"
    two.mkdir()
    for name in ("hum.wav", "noise-0.flac"):
        (two / name).symlink_to(folder / name)
    result = run(
        "build-index", "--soundbank", two, "--max-layers", "1", "-o", output,
        "--dask", cluster.scheduler_address,
    )  # fmt: skip
    text = succeeded(result).stderr.decode()
    first = [line.split()[0] for line in text.splitlines()]
    assert first == ["Making", "Listening:", "Wrote"], text
    assert "Listening: 2 mix" in text
    with open_index(output) as index:
        assert len(index) == 2
        assert np.exp(index.log_probs("scenes")).sum(axis=1) == pytest.approx(1, abs=1e-3)


def test_a_worker_is_sent_the_sounds_once_and_forgets_them(
    cluster: LocalCluster, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plugins(dask_worker: Any) -> list[str]:
        return [name for name in dask_worker.plugins if name.startswith("deepmersion")]

    sent: list[int] = []
    submit = Client.submit

    def counted(client: Client, function: Any, *arguments: Any, **options: Any) -> Any:
        sent.append(sum(a.nbytes for a in arguments if isinstance(a, np.ndarray)))
        return submit(client, function, *arguments, **options)

    monkeypatch.setattr(Client, "submit", counted)
    held: list[dict[str, list[str]]] = []
    with Client(cluster, set_as_default=False) as observer:
        build_index(
            tmp_path / "a.h5",
            folder,
            dask=cluster.scheduler_address,
            max_layers=1,
            settings=SETTINGS,
            on_progress=lambda done, _all: (
                held.append(observer.run(plugins)) if done == 2 else None
            ),
        )
        assert len(sent) == 2
        assert max(sent) <= 2 * 4 * 4, "more than gains went out with a task"
        assert [len(names) for names in held[0].values()] == [1, 1]
        assert [names for names in observer.run(plugins).values() if names] == []


def test_ctrl_c_keeps_what_is_finished_for_resume(
    cluster: LocalCluster, folder: Path, local: Path, tmp_path: Path
) -> None:
    output = tmp_path / "a.h5"

    def interrupt(done: int, _all: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(
            output,
            folder,
            dask=cluster.scheduler_address,
            settings=SETTINGS,
            on_progress=interrupt,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5.partial"]
    told: list[int] = []
    build_index(
        output,
        folder,
        resume=True,
        settings=SETTINGS,
        on_progress=lambda done, _all: told.append(done),
    )
    assert told[0] == 8, "what the cluster had finished was made again"
    assert_alike(output, local)


@pytest.mark.parametrize(
    ("module", "name", "part"),
    [
        (distributing, "__version__", "has deepmersion"),
        (weights_specs, "SOUNDNET_SHA256", "other SoundNet weights"),
    ],
)
def test_a_worker_that_would_hear_something_else_is_refused(
    cluster: LocalCluster,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    part: str,
) -> None:
    monkeypatch.setattr(module, name, "9.9.9")
    with pytest.raises(ClusterError) as caught:
        build_index(tmp_path / "a.h5", folder, dask=cluster.scheduler_address, settings=SETTINGS)
    assert_one_line(caught.value, "the worker tcp://", part, "9.9.9", "install the same")
    assert list(tmp_path.iterdir()) == []


def test_what_fails_on_a_worker_is_said_in_one_line(
    cluster: LocalCluster, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sick(self: Any, sounds: np.ndarray, *arguments: Any) -> None:
        init(self, np.full_like(sounds, np.nan), *arguments)

    init = distributing.Hearing.__init__
    monkeypatch.setattr(distributing.Hearing, "__init__", sick)
    with pytest.raises(ClusterError) as caught:
        build_index(tmp_path / "a.h5", folder, dask=cluster.scheduler_address, settings=SETTINGS)
    assert_one_line(caught.value, "not finite", "--resume")
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5.partial"]


def test_a_scheduler_without_workers_is_an_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributing, "WORKERS_TIMEOUT_S", 0.2)
    with (
        LocalCluster(n_workers=0, processes=True, dashboard_address=":0") as empty,
        pytest.raises(ClusterError) as caught,
    ):
        build_index(tmp_path / "a.h5", folder, dask=empty.scheduler_address, settings=SETTINGS)
    assert_one_line(caught.value, "has no workers", "dask worker tcp://")
    assert list(tmp_path.iterdir()) == []


def io_loops() -> set[threading.Thread]:
    """Return the threads in which dask's clients and clusters work."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("IO loop")}


def clients() -> list[distributing._Client]:
    """Return the clients that the program has made and that something still refers to."""
    return [thing for thing in gc.get_objects() if issubclass(type(thing), distributing._Client)]


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A scheduler with a worker in a process of its own, which may be killed."""
    code = (
        "import time; from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    c = LocalCluster(n_workers=1, threads_per_worker=1, processes=False,\n"
        "                     protocol='tcp', dashboard_address=':0')\n"
        "    print(c.scheduler_address, flush=True); time.sleep(600)"
    )
    (tmp_path / "cluster.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "cluster.py"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("noticed", ["at once", "when dask has given it up"])
def test_a_scheduler_that_is_lost_is_an_error_and_keeps_what_is_finished(
    scheduler: subprocess.Popen[str],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    noticed: str,
) -> None:
    assert scheduler.stdout
    address = scheduler.stdout.readline().strip()
    if noticed != "at once":
        monkeypatch.setattr(distributing, "CONNECT_TIMEOUT_S", 2.0)
    before = io_loops()
    output = tmp_path / "a.h5"

    def kill(done: int, _all: int) -> None:
        if done == 4:
            scheduler.kill()
            if noticed != "at once":
                wait_for(lambda: {client.status for client in clients()} == {"closed"})

    with pytest.raises(ClusterError) as caught:
        build_index(output, folder, dask=address, settings=SETTINGS, on_progress=kill)
    assert_one_line(caught.value, "the dask scheduler was lost", "--resume")
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in errors] == []
    assert output.with_name("a.h5.partial").exists()
    assert not output.exists()
    wait_for(lambda: io_loops() <= before)


def test_what_fails_after_the_work_is_done_is_not_told(
    cluster: LocalCluster, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(client: Client) -> None:
        close(client)
        raise RuntimeError("Cannot change state of expiring Timeout")

    close = Client.close
    monkeypatch.setattr(Client, "close", failing)
    address = cluster.scheduler_address
    output = tmp_path / "a.h5"
    build_index(output, folder, dask=address, max_layers=1, settings=SETTINGS)
    assert output.exists()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x", "127.0.0.1", ""])
def test_a_scheduler_that_cannot_be_reached(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(distributing, "CONNECT_TIMEOUT_S", 0.5)
    with pytest.raises(ClusterError) as caught:
        build_index(tmp_path / "a.h5", folder, dask=address, settings=SETTINGS)
    assert_one_line(caught.value, address, "cannot be reached")
    assert list(tmp_path.iterdir()) == []
    # The error's traceback still holds the client that failed. Its thread is dask's to end, which
    # may take minutes on a busy machine.
    assert {client.status for client in clients()} <= {"closing", "closed"}


def test_without_the_extra_it_says_what_to_install(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "distributed.py").write_text("raise ImportError('No module named distributed')")
    without = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    result = run(
        "build-index", "--soundbank", folder, "-o", tmp_path / "a.h5", "--dask", "tcp://x:1",
        env=without,
    )  # fmt: skip
    assert "pip install 'deepmersion[distributed]'" in the_error(result)
    assert not list(tmp_path.glob("a.h5*"))


def test_ctrl_c_at_the_command(cluster: LocalCluster, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    partial = tmp_path / "a.h5.partial"
    process = start(
        "build-index", "--soundbank", folder, "-o", output, "--dask", cluster.scheduler_address
    )
    try:
        wait_for(lambda: partial.exists() or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    assert process.returncode == -signal.SIGINT
    assert (
        stderr.decode().splitlines()[-1].startswith("Stopped. Run the same command with --resume")
    )
    assert "Traceback" not in stderr.decode()
    assert partial.exists()
    assert not output.exists()


# The last: whoever takes the place of the killed worker need not get ready to hear.
def test_a_worker_killed_half_way_changes_nothing(
    cluster: LocalCluster, folder: Path, local: Path, tmp_path: Path
) -> None:
    victims: list[str] = []
    told: list[tuple[int, int]] = []
    with Client(cluster, set_as_default=False) as observer:

        def kill_one(done: int, total: int) -> None:
            told.append((done, total))
            if done >= 5 and not victims:
                busy = {worker: keys for worker, keys in observer.processing().items() if keys}
                victim = max(busy, key=lambda worker: len(busy[worker]))
                pids = observer.run(os.getpid)
                victims.extend(busy[victim])
                os.kill(pids[victim], signal.SIGKILL)

        build_index(
            tmp_path / "a.h5",
            folder,
            dask=cluster.scheduler_address,
            settings=SETTINGS,
            on_progress=kill_one,
        )
        observer.wait_for_workers(2, timeout=WAIT_S)  # the nanny starts another
    assert victims, "the worker had nothing to lose"
    assert [done for done, _ in told] == list(range(N_MIXES + 1)), "a block was written twice"
    assert_alike(tmp_path / "a.h5", local)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
