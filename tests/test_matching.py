from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from material import assert_one_line, distance
from test_index import HEADER, some_log_probs

from deepmersion import searching
from deepmersion.errors import IndexFileError
from deepmersion.index import MAX_CODE, PRECISION_NATS, SoundIndex, open_index, write_index
from deepmersion.labels import (
    SAME_PLACE,
    SharedClasses,
    dropped_mass,
    miniplaces_labels,
    object_labels,
    places365_labels,
    project,
    shared_objects,
    shared_scenes,
    soundnet_scene_labels,
)
from deepmersion.matching import (
    LAYER_PENALTY_NATS,
    Evidence,
    Match,
    centred_kl_divergence,
    kl_divergence,
    log_project,
    search,
)


def distributions(n_classes: int) -> st.SearchStrategy[np.ndarray]:
    masses = hnp.arrays(float, (2, n_classes), elements=st.sampled_from([0.0, 1e-9, 0.3, 1.0, 7.0]))
    return masses.filter(lambda m: bool((m.sum(axis=1) > 0).all())).map(
        lambda m: m / m.sum(axis=1, keepdims=True)
    )


# The divergence


@given(distributions(6))
def test_a_distribution_does_not_diverge_from_itself(p: np.ndarray) -> None:
    with np.errstate(divide="ignore"):
        log_p = np.maximum(np.log(p), -700)
    divergence = kl_divergence(p, log_p)
    assert divergence.shape == (2, 2)
    assert np.diag(divergence) == pytest.approx(0, abs=1e-12)
    assert (divergence > -1e-12).all()


def test_divergences_by_hand() -> None:
    p = np.array([[0.5, 0.5], [1.0, 0.0]])
    q = np.array([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]])
    expected = [  # entries by photos
        [0.0, math.log(2)],
        [0.5 * math.log(2) + 0.5 * math.log(2 / 3), math.log(4)],
        [0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1), math.log(1 / 0.9)],
    ]
    assert distance(kl_divergence(p, np.log(q)), np.array(expected)) < 1e-12


def test_the_divergence_is_of_the_mix_from_the_photo() -> None:
    # KL(p ‖ q) forgives a mix what the photo lacks, not the other way round.
    p, q = np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])
    assert kl_divergence(p, np.log(q))[0, 0] == pytest.approx(math.log(2))


@given(p=distributions(6), seed=st.integers(0, 1000))
def test_the_centred_divergence_is_what_it_is_defined_as(p: np.ndarray, seed: int) -> None:
    log_q = some_log_probs(3, 6, seed).astype(float)
    uniform = np.full(6, 1 / 6)
    for entry in range(3):
        for photo in range(2):
            pairs = list(zip(p[photo], log_q[entry], strict=True))
            kl = sum(a * (math.log(a) - b) for a, b in pairs if a > 0)
            kl_uniform = sum(
                u * (math.log(u) - b) for u, b in zip(uniform, log_q[entry], strict=True)
            )
            found = centred_kl_divergence(p, log_q)[entry, photo]
            assert found == pytest.approx(kl - kl_uniform, abs=1e-9)


def test_a_flat_mix_has_the_same_centred_divergence_from_every_photo_but_for_entropy() -> None:
    p = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7]])
    flat = np.full((1, 4), math.log(0.25))
    centred = centred_kl_divergence(p, flat)
    assert centred[0, 0] == pytest.approx(centred[0, 1])


# The search


N_SOUNDS = 4


def write_random_index(path: Path, n: int = 40) -> Path:
    gains = (np.random.default_rng(5).random((n, N_SOUNDS)) < 0.5).astype(np.float32)
    gains[gains.sum(axis=1) == 0, 0] = 1
    blocks = iter([(some_log_probs(n, 1000, 1), some_log_probs(n, 401, 2))])
    write_index(path, HEADER, tuple("abcd"), gains, blocks)
    return path


@pytest.fixture(scope="module")
def index_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_index(tmp_path_factory.mktemp("matching") / "a.h5")


@pytest.fixture
def index(index_path: Path) -> object:
    with ExitStack() as stack:
        yield stack.enter_context(open_index(index_path))


def evidence_like(index: SoundIndex, entries: Sequence[int]) -> dict[str, Evidence]:
    """Return photos of which the image networks see just what SoundNet hears in some entries."""
    objects = np.exp(index.log_probs("objects")[list(entries)])
    scenes = np.exp(index.log_probs("scenes")[list(entries)])
    return {
        "objects": Evidence.of(objects, shared_objects()),
        "scenes": Evidence.of(scenes, shared_scenes(soundnet_scene_labels())),
    }


def as_numbers(matches: list[list[Match]]) -> list[list[tuple[int, float, float]]]:
    return [[(match.entry, match.kl, match.score) for match in found] for found in matches]


def test_each_photo_finds_the_mix_that_sounds_like_it(index: SoundIndex) -> None:
    evidence = evidence_like(index, [3, 30, 3, 17])
    found = search(index, evidence)
    assert [match.entry for (match,) in found] == [3, 30, 3, 17]
    for (match,) in found:
        assert np.array_equal(match.gains, index.gains[match.entry])
        assert set(match.kl_by_head) == {"objects", "scenes"}
        assert match.kl == pytest.approx(sum(match.kl_by_head.values()))
        assert match.kl == pytest.approx(0, abs=4 * PRECISION_NATS)


def test_the_ranking_is_by_the_definition(index: SoundIndex) -> None:
    evidence = evidence_like(index, [8, 21])
    (first, second) = search(index, evidence, top=len(index))
    for photo, found in enumerate((first, second)):
        for match in found:
            score = LAYER_PENALTY_NATS * (np.count_nonzero(match.gains) - 1)
            for head, seen in evidence.items():
                log_q = index.log_probs(head)[match.entry].astype(float)
                p = seen.probs[photo]
                kl = float((p * (np.log(p) - log_q)).sum())
                assert match.kl_by_head[head] == pytest.approx(kl, abs=1e-5)
                score += kl + float((log_q + math.log(len(p))).mean())
            assert match.score == pytest.approx(score, abs=1e-4)


def test_the_best_come_first_and_all_can_be_had(index: SoundIndex) -> None:
    evidence = evidence_like(index, [0, 39])
    everything = search(index, evidence, top=100)
    for found in everything:
        assert sorted(match.entry for match in found) == list(range(40))
        scores = [match.score for match in found]
        assert scores == sorted(scores)
    for top in (1, 2, 7):
        assert as_numbers(search(index, evidence, top=top)) == [
            found[:top] for found in as_numbers(everything)
        ]


@pytest.mark.parametrize("chunk", [1, 7, 39, 40])
def test_searching_in_chunks_finds_the_same(
    index: SoundIndex, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    evidence = evidence_like(index, [3, 30])
    whole = search(index, evidence, top=9)
    monkeypatch.setattr(searching, "CHUNK_ENTRIES", chunk)
    chunked = search(index, evidence, top=9)
    for a, b in zip(as_numbers(whole), as_numbers(chunked), strict=True):
        assert [entry for entry, *_ in a] == [entry for entry, *_ in b]
        assert distance(np.array(a), np.array(b)) < 1e-9


@pytest.mark.parametrize("head", ["objects", "scenes"])
def test_one_label_set_is_enough(index: SoundIndex, head: str) -> None:
    evidence = {head: evidence_like(index, [12])[head]}
    (found,) = search(index, evidence, top=3)
    assert found[0].entry == 12
    assert set(found[0].kl_by_head) == {head}


def test_every_sound_beyond_the_first_costs(index: SoundIndex) -> None:
    evidence = evidence_like(index, [3])
    (free,) = search(index, evidence, top=40, layer_penalty_nats=0)
    (charged,) = search(index, evidence, top=40, layer_penalty_nats=0.25)
    costs = {match.entry: match.score for match in charged}
    for match in free:
        n_sounds = np.count_nonzero(match.gains)
        assert costs[match.entry] - match.score == pytest.approx(0.25 * (n_sounds - 1))
    (dear,) = search(index, evidence, top=40, layer_penalty_nats=1e6)
    layers = [np.count_nonzero(match.gains) for match in dear]
    assert layers == sorted(layers)


def test_between_equal_mixes_the_earlier_wins(tmp_path: Path) -> None:
    same = (np.repeat(some_log_probs(1, 1000), 6, 0), np.repeat(some_log_probs(1, 401), 6, 0))
    write_index(tmp_path / "a.h5", HEADER, ("a",), np.ones((6, 1), np.float32), iter([same]))
    with open_index(tmp_path / "a.h5") as index:
        (found,) = search(index, evidence_like(index, [0]), top=4)
    assert [match.entry for match in found] == [0, 1, 2, 3]


@pytest.mark.parametrize("head", ["objects", "scenes"])
def test_a_winner_that_is_no_distribution_is_refused(tmp_path: Path, head: str) -> None:
    path = write_random_index(tmp_path / "a.h5")
    with open_index(path) as whole:
        evidence = evidence_like(whole, [3])
    with h5py.File(path, "r+") as file:
        file[head][7] = np.where(evidence[head].probs[0] > 1e-3, 0, MAX_CODE)
    with open_index(path) as damaged, pytest.raises(IndexFileError) as caught:
        search(damaged, evidence)
    assert_one_line(caught.value, path, head)


def test_a_network_of_fewer_scenes_is_compared_over_what_it_shares(index: SoundIndex) -> None:
    classes = shared_scenes(miniplaces_labels())
    seen = np.exp(log_project(index.log_probs("scenes")[[9]], classes))
    (found,) = search(index, {"scenes": Evidence(classes, seen.astype(float))})
    assert found[0].entry == 9
    assert found[0].kl == pytest.approx(0, abs=1e-4)


# Shared classes

NETWORKS = [places365_labels(), miniplaces_labels(), soundnet_scene_labels()]


@st.composite
def mappings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    n_classes, n_shared = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    probs = draw(distributions(n_classes))
    mapping = draw(hnp.arrays(np.int64, n_classes, elements=st.integers(-1, n_shared - 1)))
    return probs, mapping, n_shared


@given(mappings())
def test_a_projection_keeps_a_distribution_a_distribution(
    case: tuple[np.ndarray, np.ndarray, int],
) -> None:
    probs, mapping, n_shared = case
    shared = project(probs, mapping, n_shared)
    assert shared.shape == (len(probs), n_shared)
    assert (shared >= 0).all()
    assert shared.sum(axis=1) == pytest.approx(1)


@given(mappings())
def test_what_is_dropped_and_what_is_kept_are_all(
    case: tuple[np.ndarray, np.ndarray, int],
) -> None:
    probs, mapping, n_shared = case
    dropped = dropped_mass(probs, mapping)
    kept = probs[:, mapping >= 0].sum(axis=1)
    assert dropped + kept == pytest.approx(1)
    for row, mass, q in zip(probs, kept, project(probs, mapping, n_shared), strict=True):
        for i in range(n_shared if mass else 0):
            assert q[i] * mass == pytest.approx(row[mapping == i].sum())


def test_a_projection_by_hand() -> None:
    mapping = np.array([1, -1, 0, 1])
    assert project(np.array([[0.1, 0.5, 0.2, 0.2]]), mapping, 2)[0] == pytest.approx([0.4, 0.6])


@pytest.mark.parametrize("labels", NETWORKS)
def test_image_classes_keep_their_order_and_names(labels: tuple[str, ...]) -> None:
    shared = shared_scenes(labels)
    assert len(set(shared.names)) == len(shared.names)
    assert (len(shared.sound), len(shared.image)) == (401, len(labels))
    for classes, mapping in ((labels, shared.image), (soundnet_scene_labels(), shared.sound)):
        assert set(mapping[mapping >= 0]) == set(range(len(shared.names))), "a class of nothing"
        for name, i in zip(classes, mapping, strict=True):
            assert i == -1 or shared.names[i] in (name, SAME_PLACE.get(name))


def test_identical_classes_project_to_themselves() -> None:
    for shared, n in ((shared_scenes(soundnet_scene_labels()), 401), (shared_objects(), 1000)):
        assert shared.identical
        probs = np.exp(some_log_probs(2, n))
        assert distance(project(probs, shared.sound, n), probs) < 1e-6
        assert log_project(np.log(probs), shared) == pytest.approx(np.log(probs))
    assert shared_objects().names == object_labels()
    assert not shared_scenes(places365_labels()).identical


def test_same_names_in_another_order_are_not_identical() -> None:
    assert not shared_scenes(tuple(reversed(soundnet_scene_labels()))).identical


def test_log_projection_agrees_with_projection() -> None:
    shared = shared_scenes(places365_labels())
    log_probs = some_log_probs(3, 401)
    expected = project(np.exp(log_probs), shared.sound, len(shared.names))
    assert distance(np.exp(log_project(log_probs, shared)), expected) < 1e-6


def test_a_class_that_cannot_be_heard_costs_much_but_not_everything() -> None:
    shared = SharedClasses(("a", "b"), np.array([0, 1]), np.array([1, 0]))
    log_q = log_project(np.array([[0.0, -np.inf]], np.float32), shared)
    assert np.isfinite(kl_divergence(np.array([[0.5, 0.5]]), log_q)).all()


def test_354_scenes_share_their_name_with_places365() -> None:
    assert len(set(places365_labels()) & set(soundnet_scene_labels())) == 354


def test_all_miniplaces_scenes_are_shared() -> None:
    shared = shared_scenes(miniplaces_labels())
    assert shared.names == miniplaces_labels()
    assert shared.image.tolist() == list(range(100))


def test_same_places_are_soundnets_and_known_to_an_image_network() -> None:
    image_labels = {*places365_labels(), *miniplaces_labels()}
    assert set(SAME_PLACE) <= set(soundnet_scene_labels())
    assert set(SAME_PLACE.values()) <= image_labels
    assert not set(SAME_PLACE) & set(places365_labels()), "has its own name there"


@pytest.mark.parametrize(
    ("sound", "image"),
    [
        ("waterfall/plunge", "waterfall"),
        ("temple/east_asia", "temple/asia"),
        ("car_interior/backseat", "car_interior"),
    ],
)
def test_split_and_renamed_places_are_added_up(sound: str, image: str) -> None:
    shared = shared_scenes(places365_labels())
    assert shared.names[shared.sound[soundnet_scene_labels().index(sound)]] == image
