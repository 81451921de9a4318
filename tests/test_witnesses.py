"""The witnesses besides SoundNet: what is known of a kind of sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepmersion.kinds.table import Kind, all_kinds
from deepmersion.labels import places365_labels
from deepmersion.matching.rule import centred_kl_divergence
from deepmersion.matching.witnesses import (
    HOME_NATS,
    home_divergences,
    homes,
)

N_CLASSES = 7


@given(
    at_home=st.lists(st.booleans(), min_size=N_CLASSES, max_size=N_CLASSES),
    seed=st.integers(0, 1000),
)
def test_a_kind_pooled_with_soundnet_adds_its_own_divergence(
    at_home: list[bool], seed: int
) -> None:
    """The centred divergence from the pool q d is that from q and that from d, added."""
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(N_CLASSES), (2, 1))
    pool = np.log(q) + HOME_NATS["scenes"] * np.array(at_home)
    pool -= np.log(np.exp(pool).sum())
    home = {"scenes": np.array([at_home])}
    pooled = centred_kl_divergence(p, pool)
    alone = centred_kl_divergence(p, np.log(q)) + home_divergences(home, {"scenes": p})
    assert pooled == pytest.approx(alone)


def test_a_kind_that_says_nothing_drops_out() -> None:
    home = homes([None, Kind("hum")], {"scenes": places365_labels()})
    seen = np.random.default_rng(1).dirichlet(np.ones(365), 3)
    assert (home_divergences(home, {"scenes": seen}) == 0).all()


def test_a_sound_is_nearer_where_it_is_at_home() -> None:
    kinds = [all_kinds()["ocean waves"], all_kinds()["fire"]]
    labels = {"scenes": ("beach", "campsite", "office"), "conditions": ("surf", "flames", "night")}
    seen = {
        "scenes": np.array([[0.8, 0.1, 0.1], [0.2, 0.4, 0.4]]),
        "conditions": np.array([[0.9, 0.05, 0.05], [0.0, 0.9, 0.1]]),
    }
    waves, fire = home_divergences(homes(kinds, labels), seen)
    assert waves[0] < 0 < waves[1]
    assert fire[1] < 0 < fire[0]


def test_label_sets_that_are_not_asked_say_nothing() -> None:
    labels = {"scenes": ("street",), "conditions": ("rain", "snow")}
    home = homes([all_kinds()["rain"]], labels)
    seen = {"scenes": np.ones((1, 1)), "conditions": np.array([[1.0, 0.0]])}
    scenes = {"scenes": home["scenes"]}
    assert home_divergences(home, seen)[0, 0] < home_divergences(scenes, seen)[0, 0]
