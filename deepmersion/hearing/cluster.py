"""Runs SoundNet on the workers of a dask.distributed cluster.

Imported only when a cluster is used: dask is an optional dependency. A plugin carries what all
blocks share (the sounds, the level and the device) to every worker once, including those that join
later. A task is then just a few gains. If a worker dies, the scheduler hands its blocks to another
one.
"""

from __future__ import annotations

import logging
import threading
import uuid
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from distributed import Client, KilledWorker, Worker, WorkerPlugin, as_completed, get_worker

from deepmersion.errors import ClusterError, DeepmersionError, reason
from deepmersion.hearing.listener import Block, Heard, Listener, load_soundnet
from deepmersion.torch_device import require_device
from deepmersion.version import __version__
from deepmersion.weights import specs as weights_specs

CONNECT_TIMEOUT_S = 10.0
"""Longest wait for a scheduler's answer."""

WORKERS_TIMEOUT_S = 60.0
"""Longest wait for the first worker: a new cluster may still be starting."""

GO_ON = "finished mixes are kept; run the same command with --resume to continue"


@dataclass(frozen=True)
class Origin:
    """The version and SoundNet's weights, which must agree for two machines to hear alike."""

    version: str
    soundnet: str

    @classmethod
    def here(cls) -> Origin:
        """Return the origin of this process."""
        return cls(__version__, weights_specs.SOUNDNET_SHA256)


class Hearing(WorkerPlugin):  # type: ignore[misc]
    """Worker plugin that hears mixes; the network is loaded for the first ones.

    Parameters
    ----------
    sounds : ndarray, shape = (sounds, samples), float32
    level_rms : float
    device : str
        As `Listener` and `load_soundnet` take them.
    """

    def __init__(self, sounds: np.ndarray, level_rms: float, device: str) -> None:
        self.name = f"deepmersion-{uuid.uuid4().hex}"
        self._origin = Origin.here()
        self._arguments = (sounds, level_rms, device)
        self._listener: Listener | None = None

    def setup(self, worker: Worker) -> None:
        """Refuse a worker with another version or other weights."""
        found, wanted = Origin.here(), self._origin
        if found.version != wanted.version:
            raise ClusterError(
                f"the worker {worker.address} has deepmersion {found.version}, and this is "
                f"{wanted.version}; install the same version there"
            )
        if found.soundnet != wanted.soundnet:
            raise ClusterError(
                f"the worker {worker.address} has other SoundNet weights "
                f"({found.soundnet[:8]}, not {wanted.soundnet[:8]}); install the same deepmersion "
                "there"
            )
        require_device(self._arguments[2])
        self._lock = threading.Lock()

    def hear(self, gains: np.ndarray) -> np.ndarray:
        """Return SoundNet's predictions for mixes; see `Listener.hear`."""
        with self._lock:  # a worker may have several threads, but needs only one network
            if self._listener is None:
                sounds, level_rms, device = self._arguments
                self._listener = Listener(load_soundnet(device), sounds, level_rms)
        return self._listener.hear(gains)


def _hear(name: str, gains: np.ndarray) -> np.ndarray:
    """Hear mixes on the current worker."""
    worker = get_worker()
    hearing: Any = worker.plugins[name]
    try:
        return np.asarray(hearing.hear(gains))
    except DeepmersionError as error:
        raise ClusterError(f"the worker {worker.address}: {error}") from error


class Cluster:
    """A cluster whose workers are ready to hear mixes; see `connected`."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name

    def hear_all(self, blocks: Iterable[Block]) -> Iterator[Heard]:
        """Yield SoundNet's predictions for blocks of mixes as they arrive, in any order.

        Raises
        ------
        ClusterError
            When the scheduler is lost, or a block cannot be heard anywhere.
        """
        rows: dict[object, np.ndarray] = {}
        # No other reference to the futures may exist: it would make the worker keep the result.
        coming = as_completed(loop=self._client.loop, with_results=True)
        for block in blocks:
            future = self._client.submit(_hear, self._name, block.gains, pure=False)
            rows[future.key] = block.rows
            coming.add(future)
        try:
            for future, log_probs in coming:
                if future.cancelled():  # raised when the scheduler is lost
                    raise CancelledError
                yield Heard(rows.pop(future.key), log_probs)
        except DeepmersionError:
            raise
        except CancelledError as error:
            raise ClusterError(f"the dask scheduler was lost; {GO_ON}") from error
        except KilledWorker as error:
            raise ClusterError(
                "several workers died over the same mixes, perhaps out of memory; give them "
                f"more: {GO_ON}"
            ) from error
        except Exception as error:  # anything else that a worker may raise
            raise ClusterError(f"a worker failed ({reason(error)}); {GO_ON}") from error


@contextmanager
def connected(
    address: str, sounds: np.ndarray, level_rms: float, device: str = "cpu"
) -> Iterator[Cluster]:
    """Connect to a cluster and prepare its workers.

    Parameters
    ----------
    address : str
        The scheduler's, such as ``tcp://host:8786``.
    sounds, level_rms, device
        As `Listener` and `load_soundnet` take them.

    Raises
    ------
    ClusterError
        When the scheduler cannot be reached or has no workers, or the version or weights of a
        worker differ.
    """
    with _quiet(), _client(address) as client:
        hearing = Hearing(sounds, level_rms, device)
        try:
            _prepare(client, address, hearing)
            yield Cluster(client, hearing.name)
        finally:
            if client.status == "running":  # else dask would wait for a lost scheduler
                with suppress(Exception):  # the scheduler may be lost by now
                    client.unregister_worker_plugin(hearing.name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep dask from logging errors that are reported in one line here."""
    # Several of dask's loggers have their own handlers and levels.
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class _Client(Client):  # type: ignore[misc]
    """A client that is always closed, without errors.

    dask leaves a client that could not connect half open, to be closed by garbage collection. That
    may happen while the next client holds the lock that closing waits for: a deadlock. A client
    that has lost its scheduler is closed by dask itself, and closing it a second time meanwhile
    raises.
    """

    def start(self, **options: Any) -> None:
        """Connect; the constructor calls this."""
        try:
            super().start(**options)
        except BaseException:
            self.close()
            raise

    def close(self, *arguments: Any, **options: Any) -> None:
        """Disconnect and end the thread."""
        with suppress(Exception):  # an error from before, if any, is the one to report
            super().close(*arguments, **options)
        # dask skips this if it has already closed the client halfway.
        if not self._is_finalizing():
            with suppress(Exception):
                self._loop_runner.stop()


@contextmanager
def _client(address: str) -> Iterator[Client]:
    try:
        client = _Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
    except Exception as error:  # each kind of address fails in its own way
        raise ClusterError(
            f"the dask scheduler {address} cannot be reached ({reason(error)}); check the "
            "address, such as tcp://host:8786, and that it runs"
        ) from error
    with client:
        yield client


def _prepare(client: Client, address: str, hearing: Hearing) -> None:
    try:
        client.wait_for_workers(1, timeout=WORKERS_TIMEOUT_S)
    except TimeoutError as error:
        raise ClusterError(
            f"the dask scheduler {address} has no workers; start some with: dask worker {address}"
        ) from error
    try:
        client.register_plugin(hearing)
    except DeepmersionError:
        raise
    except Exception as error:
        raise ClusterError(
            f"a worker of {address} cannot be prepared ({reason(error)}); install "
            f"deepmersion[distributed] {__version__} on all of them"
        ) from error
