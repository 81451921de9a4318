"""One pass over an index, against the same sums written out."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from material import distance
from test_index import HEADER, some_log_probs

from deepmersion.index.file import SoundIndex, open_index, write_index
from deepmersion.index.scan import (
    BLOCK_ENTRIES,
    CHUNK_ENTRIES,
    MARGIN_NATS,
    MAX_NEAR,
    LinearForm,
    Offsets,
    lowest,
)
from deepmersion.labels import miniplaces_labels, places365_labels, project, shared_scenes

N = 2 * BLOCK_ENTRIES + 7


def write(path: Path, objects: np.ndarray, scenes: np.ndarray) -> Path:
    gains = np.ones((len(objects), 1), np.float32)
    write_index(path, HEADER, ("a",), gains, iter([(objects, scenes)]))
    return path


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundIndex]:
    path = tmp_path_factory.mktemp("searching") / "a.h5"
    with open_index(write(path, some_log_probs(N, 1000, 1), some_log_probs(N, 401, 2))) as opened:
        yield opened


def as_defined(index: SoundIndex, forms: list[LinearForm], offsets: np.ndarray) -> np.ndarray:
    """Return the scores [entries, photos], every probability written out in double precision."""
    scores = np.repeat(offsets[:, None], len(forms[0].weights), axis=1)
    for form in forms:
        q = np.exp(index.log_probs(form.label_set).astype(np.float64))
        shared = project(q, form.mapping, form.weights.shape[1])
        scores = scores + np.log(shared) @ form.weights.T
    return np.asarray(scores)


def for_all(offsets: np.ndarray, forms: list[LinearForm]) -> Offsets:
    """Return offsets [entries] as those of every photo."""
    repeated = np.repeat(offsets[:, None], len(forms[0].weights), axis=1)
    return lambda start, stop: repeated[start:stop]


def assert_finds(index: SoundIndex, forms: list[LinearForm], offsets: np.ndarray, n: int) -> None:
    expected = as_defined(index, forms, offsets)
    found = lowest(index, forms, for_all(offsets, forms), n)
    assert len(found) == expected.shape[1]
    for photo, entries in enumerate(found):
        scores = expected[:, photo]
        bound = np.sort(scores)[n - 1]
        assert set(np.argsort(scores)[:n]) <= set(entries.tolist())
        assert len(set(entries.tolist())) == len(entries)
        assert (scores[entries] <= bound + 2 * MARGIN_NATS).all(), "found what is far from lowest"


@st.composite
def linear_forms(draw: st.DrawFn) -> list[LinearForm]:
    """One form or more, of any columns: some classes left out, some added up, some alone."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_photos = draw(st.integers(1, 3))
    forms = []
    for label_set in draw(st.lists(st.sampled_from(["objects", "scenes"]), min_size=1, max_size=3)):
        n_classes = {"objects": 1000, "scenes": 401}[label_set]
        n_columns = draw(st.integers(2, n_classes))
        mapping = rng.integers(-1 if draw(st.booleans()) else 0, n_columns, n_classes)
        _, mapping = np.unique(mapping, return_inverse=True)  # no column of no class
        mapping = mapping - (1 if draw(st.booleans()) else 0)
        weights = rng.dirichlet(np.ones(mapping.max() + 1), n_photos)
        if draw(st.booleans()):
            weights = weights - 1 / weights.shape[1]
        forms.append(LinearForm(label_set, mapping, weights))
    return forms


@settings(max_examples=40)
@given(forms=linear_forms(), n=st.sampled_from([1, 5, N - 1, N]))
def test_the_lowest_of_any_linear_forms_are_found(
    index: SoundIndex, forms: list[LinearForm], n: int
) -> None:
    assert_finds(index, forms, np.random.default_rng(0).uniform(0, 1, N), n)


@pytest.mark.parametrize("labels", [miniplaces_labels(), places365_labels()])
def test_the_places_of_the_image_networks(index: SoundIndex, labels: tuple[str, ...]) -> None:
    classes = shared_scenes(labels)
    p = np.random.default_rng(3).dirichlet(np.full(len(classes.names), 0.1), 4)
    plain = LinearForm("scenes", classes.sound, -p)
    centred = LinearForm("scenes", classes.sound, 1 / p.shape[1] - p)
    for form in (plain, centred):
        assert_finds(index, [form], np.zeros(N), 5)


def test_what_has_an_infinite_offset_is_never_found(index: SoundIndex) -> None:
    form = LinearForm("objects", np.arange(1000), np.full((1, 1000), 1e-3))
    offsets = np.where(np.arange(N) % 2, 0.0, np.inf)
    (found,) = lowest(index, [form], for_all(offsets, [form]), N)
    assert sorted(found.tolist()) == list(range(1, N, 2))


def test_all_entries_of_a_small_index_can_be_had(index: SoundIndex) -> None:
    form = LinearForm("objects", np.arange(1000), np.full((1, 1000), 1e-3))
    (found,) = lowest(index, [form], for_all(np.zeros(N), [form]), 10 * N)
    assert sorted(found.tolist()) == list(range(N))
    scores = as_defined(index, [form], np.zeros(N))[found, 0]
    assert (np.diff(scores) > -MARGIN_NATS).all(), "not about the lowest first"


def test_what_is_too_near_to_be_told_apart_is_found_too(index: SoundIndex) -> None:
    form = LinearForm("objects", np.arange(1000), np.zeros((1, 1000)))
    offsets = np.ones(N)
    offsets[[200, 3, 150]] = 0.0, MARGIN_NATS / 2, 2 * MARGIN_NATS
    (found,) = lowest(index, [form], for_all(offsets, [form]), 1)
    assert found.tolist() == [200, 3]


def test_of_many_equal_entries_the_first_are_found(tmp_path: Path) -> None:
    n = CHUNK_ENTRIES + 1500
    objects = np.repeat(some_log_probs(1, 1000), n, axis=0)
    with open_index(write(tmp_path / "a.h5", objects, objects[:, :401] * 0 - np.log(401))) as index:
        form = LinearForm("objects", np.arange(1000), np.full((1, 1000), 1e-3))
        (found,) = lowest(index, [form], for_all(np.zeros(n), [form]), 3)
    assert len(found) == 3 + MAX_NEAR
    assert {0, 1, 2} <= set(found.tolist())


def test_memory_does_not_grow_with_the_index(tmp_path: Path) -> None:
    """What is taken is far less than what is read: 14 MB of an index of 5,000 entries."""
    n = 5000
    path = write(tmp_path / "a.h5", some_log_probs(n, 1000), some_log_probs(n, 401))
    classes = shared_scenes(miniplaces_labels())
    forms = [
        LinearForm("objects", np.arange(1000), np.full((1, 1000), 1e-3)),
        LinearForm("scenes", classes.sound, np.full((1, 100), 1e-2)),
    ]
    with open_index(path) as index:
        tracemalloc.start()
        try:
            lowest(index, forms, for_all(np.zeros(n), forms), 5)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 8_000_000
    assert path.stat().st_size > 14_000_000


def test_the_bound_on_rounding_is_kept(index: SoundIndex) -> None:
    """The margin is for single precision, which must leave much less than it."""
    p = np.random.default_rng(4).dirichlet(np.full(1000, 0.05), 2)
    form = LinearForm("objects", np.arange(1000), 1e-3 - p)
    expected = as_defined(index, [form], np.zeros(N))
    found = lowest(index, [form], for_all(np.zeros(N), [form]), N)
    from deepmersion.index.scan import _Pass

    scores = _Pass(form).scores(index, 0, N)
    assert distance(scores, expected) < MARGIN_NATS / 20
    assert {len(entries) for entries in found} == {N}
