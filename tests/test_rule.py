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

from deepmersion.errors import IndexFileError
from deepmersion.hearing.mixes import superimpositions
from deepmersion.index import scan as searching
from deepmersion.index.file import MAX_CODE, PRECISION_NATS, SoundIndex, open_index, write_index
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
from deepmersion.matching.rule import (
    CHOICE_TEMPERATURE_NATS,
    MAX_SOUNDS,
    RIVAL_NATS,
    SOUNDS_SHARE,
    Evidence,
    Match,
    centred_kl_divergence,
    choice_entropy,
    kl_divergence,
    levels,
    log_project,
    power_shares,
    runner_up,
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


ALL_MIXES = superimpositions(5)
UNEVEN = np.random.default_rng(5).uniform(0.1, 1, (9, 5)) * ALL_MIXES[-9:]
GAINS = np.concatenate([ALL_MIXES, UNEVEN]).astype(np.float32)
"""All mixes of five sounds, and some in which they are not equally loud."""

FEW = np.flatnonzero(np.count_nonzero(GAINS, axis=1) <= MAX_SOUNDS)


def write_random_index(path: Path) -> Path:
    n = len(GAINS)
    blocks = iter([(some_log_probs(n, 1000, 1), some_log_probs(n, 401, 2))])
    write_index(path, HEADER, tuple("abcde"), GAINS, blocks)
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


def as_numbers(matches: list[list[Match]]) -> list[list[tuple[int | None, float, float]]]:
    return [[(match.entry, match.kl, match.score) for match in found] for found in matches]


def test_each_photo_finds_the_sound_that_it_looks_like(index: SoundIndex) -> None:
    evidence = evidence_like(index, [3, 0, 3, 4])
    found = search(index, evidence)
    assert [match.entry for (match,) in found] == [3, 0, 3, 4]
    for (match,) in found:
        assert np.array_equal(match.gains, index.gains[match.entry])
        assert set(match.kl_by_label_set) == {"objects", "scenes"}
        assert match.kl == pytest.approx(sum(match.kl_by_label_set.values()))
        assert match.kl == pytest.approx(0, abs=4 * PRECISION_NATS)


def centred_by_hand(index: SoundIndex, evidence: dict[str, Evidence], photo: int) -> np.ndarray:
    """Return C of every entry from a photo, as it is defined."""
    total = np.zeros(len(index))
    for head, seen in evidence.items():
        log_q, p = index.log_probs(head).astype(float), seen.probs[photo]
        kl = (p * (np.log(p) - log_q)).sum(axis=1)
        kl_uniform = (-math.log(len(p)) - log_q).mean(axis=1)
        total += kl - kl_uniform
    return total


def scores_by_hand(
    index: SoundIndex,
    evidence: dict[str, Evidence],
    photo: int,
    known: np.ndarray,
    *,
    soundnet: bool = True,
) -> list[float]:
    """Return the score of every entry for a photo, as it is defined; infinity for too many sounds.

    `known` is what is known of each of the five sounds, of which the first entries are.
    """
    centred = centred_by_hand(index, evidence, photo) * soundnet
    scores = []
    for entry, gains in enumerate(index.gains):
        power = [float(gain) ** 2 for gain in gains]
        shares = [each / sum(power) for each in power]
        alone = sum(s * c for s, c in zip(shares, centred[:5], strict=True))
        kind = sum(s * c for s, c in zip(shares, known, strict=True))
        entropy = -sum(s * math.log(s) for s in shares if s > 0)
        score = (1 - SOUNDS_SHARE) * centred[entry] + SOUNDS_SHARE * alone + kind
        score -= CHOICE_TEMPERATURE_NATS * entropy
        scores.append(score if np.count_nonzero(gains) <= MAX_SOUNDS else math.inf)
    return scores


KNOWN = np.random.default_rng(7).normal(size=(5, 2))
"""What might be known of five sounds for two photos, in nats."""


@pytest.mark.parametrize("soundnet", [True, False])
def test_the_best_mix_is_the_best_by_the_definition(index: SoundIndex, soundnet: bool) -> None:
    evidence = evidence_like(index, [8, 21])
    found = search(index, evidence, top=100, known=KNOWN, soundnet=soundnet)
    for photo, matches in enumerate(found):
        scores = scores_by_hand(index, evidence, photo, KNOWN[:, photo], soundnet=soundnet)
        assert matches[0].score == pytest.approx(min(scores), abs=1e-4)
        for match in matches:
            assert match.entry is not None
            assert match.score == pytest.approx(scores[match.entry], abs=1e-4)
            for head, seen in evidence.items():
                p, log_q = seen.probs[photo], index.log_probs(head)[match.entry]
                kl = float((p * (np.log(p) - log_q)).sum())
                assert match.kl_by_label_set[head] == pytest.approx(kl, abs=1e-5)


@pytest.mark.parametrize(("soundnet", "n_sounds"), [(True, 1), (False, 2)])
def test_an_index_of_single_sounds_has_the_mixes_of_its_sounds(
    tmp_path: Path, soundnet: bool, n_sounds: int
) -> None:
    """They are judged as the definition does with nothing left for the mix as a whole."""
    blocks = iter([(some_log_probs(5, 1000, 1), some_log_probs(5, 401, 2))])
    write_index(tmp_path / "a.h5", HEADER, tuple("abcde"), ALL_MIXES[:5], blocks)
    with open_index(tmp_path / "a.h5") as index:
        evidence = evidence_like(index, [2, 4])
        every = search(index, evidence, top=100, known=KNOWN, soundnet=soundnet)
        best = search(index, evidence, known=KNOWN, soundnet=soundnet)
        for photo, found in enumerate(every):
            alone = soundnet * centred_by_hand(index, evidence, photo) + KNOWN[:, photo]
            few = ALL_MIXES[ALL_MIXES.sum(axis=1) <= MAX_SOUNDS]
            shares = power_shares(few)
            scores = shares @ alone - CHOICE_TEMPERATURE_NATS * choice_entropy(shares)
            by_sounds = {
                frozenset(np.flatnonzero(mix).tolist()): score
                for mix, score in zip(few, scores, strict=True)
            }
            assert found[0].score == pytest.approx(scores.min(), abs=1e-6)
            assert len(found[0].sounds) == n_sounds
            for match in found:
                assert match.score == pytest.approx(by_sounds[match.sounds], abs=1e-6)
                assert (match.entry is None) == (len(match.sounds) > 1)
                expected = levels(np.isin(np.arange(5), [*match.sounds]).astype("f4"), alone)
                assert np.array_equal(match.gains, expected)
                assert match.kl == pytest.approx(sum(match.kl_by_label_set.values()))
            assert best[photo][0].score == pytest.approx(found[0].score)
            assert best[photo][0].sounds == found[0].sounds


def test_an_index_of_one_sound_has_one_mix(tmp_path: Path) -> None:
    blocks = iter([(some_log_probs(1, 1000, 1), some_log_probs(1, 401, 2))])
    write_index(tmp_path / "a.h5", HEADER, ("a",), np.ones((1, 1), np.float32), blocks)
    with open_index(tmp_path / "a.h5") as index:
        ((only,),) = search(index, evidence_like(index, [0]), top=5)
    assert (only.entry, only.sounds) == (0, frozenset({0}))


def test_alternatives_bring_something_new_and_are_near(index: SoundIndex) -> None:
    evidence = evidence_like(index, [0, 29])
    every = search(index, evidence, top=100, known=KNOWN, soundnet=False)
    for photo, found in enumerate(every):
        assert len(found) > 1
        scores = [match.score for match in found]
        assert scores == sorted(scores)
        assert scores[-1] <= scores[0] + RIVAL_NATS
        for rank, match in enumerate(found[1:], 1):
            before = found[:rank]
            leads = match.gains.argmax() not in [other.gains.argmax() for other in before]
            assert leads or match.sounds - frozenset().union(*(other.sounds for other in before))
        # A mix that was passed over brings nothing that a better one has not brought.
        by_hand = scores_by_hand(index, evidence, photo, KNOWN[:, photo], soundnet=False)
        for entry, score in enumerate(by_hand):
            better = [match for match in found if match.score < score - 1e-6]
            if score < found[0].score + RIVAL_NATS and entry not in [m.entry for m in found]:
                heard = frozenset().union(*(match.sounds for match in better))
                assert set(np.flatnonzero(index.gains[entry])) <= heard


def test_fewer_alternatives_where_there_are_no_more(index: SoundIndex) -> None:
    evidence = evidence_like(index, [0])
    sure = np.array([[-50.0], [0], [0], [0], [0]])
    ((only,),) = search(index, evidence, top=5, known=sure)
    assert only.sounds == {0}
    assert runner_up([only]) is None


def test_the_runner_up_is_of_other_sounds_where_there_is_one(index: SoundIndex) -> None:
    evidence = evidence_like(index, [0, 29])
    for found in search(index, evidence, top=100, known=KNOWN, soundnet=False):
        second = runner_up(found)
        assert second is not None
        others = [m.score for m in found[1:] if m.sounds.isdisjoint(found[0].sounds)]
        assert second.score == (min(others) if others else found[1].score)


@given(worse=st.floats(0, 5), level=st.floats(0.1, 1))
def test_each_sound_is_as_loud_as_it_fits(worse: float, level: float) -> None:
    """The shares minimise expected divergence less entropy, which no other shares do as well."""
    gains = levels(np.array([level, 0, level], np.float32), np.array([1.0, -9, 1 + worse]))
    assert gains[0] == pytest.approx(level)
    assert gains[1] == 0
    best = power_shares(gains[None])

    def free_energy(shares: np.ndarray) -> float:
        expected = float(shares[0] @ np.array([1.0, 0, 1 + worse]))
        return expected - CHOICE_TEMPERATURE_NATS * float(choice_entropy(shares)[0])

    for other in np.linspace(0.01, 0.99, 50):
        assert free_energy(best) <= free_energy(np.array([[other, 0, 1 - other]])) + 1e-3


def test_a_sound_only_just_worth_adding_is_6_db_softer() -> None:
    limit = 2 * CHOICE_TEMPERATURE_NATS * math.log(2)
    gains = levels(np.ones(2, np.float32), np.array([0.0, limit]))
    assert 20 * np.log10(gains[1] / gains[0]) == pytest.approx(-6.02, abs=0.1)


def peaked(height: float) -> np.ndarray:
    """Return log-probabilities [1, 401] of which the first is `height` nats above all others."""
    logits = np.zeros((1, 401))
    logits[0, 0] = height
    return np.asarray(logits - np.log(np.exp(logits).sum()))


@pytest.mark.parametrize(("difference", "n_sounds"), [(0.1, 2), (0.9, 2), (1.1, 1), (3.0, 1)])
def test_a_second_sound_is_added_when_it_fits_nearly_as_well(
    tmp_path: Path, difference: float, n_sounds: int
) -> None:
    """The limit is 2 τ log 2 for a mix that SoundNet hears as what lies between its sounds."""
    lower = 2 * CHOICE_TEMPERATURE_NATS * math.log(2) * difference * 401 / 400
    scenes = np.concatenate([peaked(5.0), peaked(5.0 - lower), peaked(5.0 - lower / 2)])
    objects = np.full((3, 1000), -math.log(1000))
    gains = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32)
    write_index(tmp_path / "a.h5", HEADER, ("a", "b"), gains, iter([(objects, scenes)]))
    seen = np.zeros((1, 401))
    seen[0, 0] = 1.0
    with open_index(tmp_path / "a.h5") as index:
        classes = shared_scenes(soundnet_scene_labels())
        ((best,),) = search(index, {"scenes": Evidence.of(seen, classes)})
    assert len(best.sounds) == n_sounds
    assert 0 in best.sounds


def test_a_sound_without_an_entry_of_its_own_is_one_clear_line(tmp_path: Path) -> None:
    gains = np.array([[1, 0], [1, 1]], dtype=np.float32)
    blocks = iter([(some_log_probs(2, 1000, 1), some_log_probs(2, 401, 2))])
    write_index(tmp_path / "a.h5", HEADER, ("a", "b"), gains, blocks)
    with open_index(tmp_path / "a.h5") as index, pytest.raises(IndexFileError) as caught:
        search(index, evidence_like(index, [0]))
    assert_one_line(caught.value, tmp_path / "a.h5", "b alone", "build-index")


@given(hnp.arrays(np.float32, (3, 4), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
def test_shares_are_distributions_and_their_entropy_is_one(gains: np.ndarray) -> None:
    gains[gains.sum(axis=1) == 0, 0] = 1
    shares = power_shares(gains)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert ((shares > 0) == (gains > 0)).all()
    entropy = choice_entropy(shares)
    assert (entropy > -1e-12).all()
    assert (entropy <= np.log(np.count_nonzero(gains, axis=1)) + 1e-12).all()


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
    evidence = {head: evidence_like(index, [2])[head]}
    (found,) = search(index, evidence, top=3)
    assert found[0].entry == 2
    assert set(found[0].kl_by_label_set) == {head}


def test_between_equal_mixes_the_earlier_wins(tmp_path: Path) -> None:
    same = (np.repeat(some_log_probs(1, 1000), 6, 0), np.repeat(some_log_probs(1, 401), 6, 0))
    gains = np.repeat(np.eye(3, dtype=np.float32), 2, 0)
    write_index(tmp_path / "a.h5", HEADER, tuple("abc"), gains, iter([same]))
    with open_index(tmp_path / "a.h5") as index:
        (found,) = search(index, evidence_like(index, [0]), top=4)
    assert [match.entry for match in found] == [0, 2, 4]


@pytest.mark.parametrize("head", ["objects", "scenes"])
@pytest.mark.parametrize("entry", [3, 7])
def test_a_winner_that_is_no_distribution_is_refused(tmp_path: Path, head: str, entry: int) -> None:
    path = write_random_index(tmp_path / "a.h5")
    with open_index(path) as whole:
        evidence = evidence_like(whole, [3])
    with h5py.File(path, "r+") as file:
        file[head][entry] = np.where(evidence[head].probs[0] > 1e-3, 0, MAX_CODE)
    with open_index(path) as damaged, pytest.raises(IndexFileError) as caught:
        search(damaged, evidence, top=100)
    assert_one_line(caught.value, path, head)


def test_a_network_of_fewer_scenes_is_compared_over_what_it_shares(index: SoundIndex) -> None:
    classes = shared_scenes(miniplaces_labels())
    seen = np.exp(log_project(index.log_probs("scenes")[[1]], classes))
    (found,) = search(index, {"scenes": Evidence(classes, seen.astype(float))})
    assert found[0].entry == 1
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
