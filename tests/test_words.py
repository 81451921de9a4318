"""Reasons in words."""

from __future__ import annotations

import pytest

from deepmersion.matching.explain import Reason
from deepmersion.matching.words import phrase, sentence


def reason(witness: str, label_set: str, label: str, photo: float) -> Reason:
    return Reason(witness, label_set, label, photo, 1.0)


def test_a_sentence_says_what_the_photo_shows_and_what_soundnet_hears() -> None:
    reasons = [
        reason("conditions", "conditions", "flames", 0.62),
        reason("soundnet", "scenes", "campsite", 0.2),
        reason("kinds", "objects", "stove", 0.11),
        reason("kinds", "objects", "caldron", 0.01),
    ]
    expected = "Fire: the photo shows flames (62%) and a stove (11%); SoundNet hears a campsite"
    assert sentence("Fire", reasons) == expected


def test_a_witness_that_says_nothing_is_not_named() -> None:
    heard = reason("soundnet", "scenes", "ocean", 0.5)
    assert sentence("Waves", [heard]) == "Waves: SoundNet hears an ocean"
    shown = reason("conditions", "conditions", "surf", 0.5)
    assert sentence("Waves", [shown]) == "Waves: the photo shows surf (50%)"
    assert "no single thing" in sentence("Waves", [])


@pytest.mark.parametrize(
    ("label_set", "label", "words"),
    [
        ("scenes", "market/outdoor", "a market (outdoor)"),
        ("scenes", "art_gallery", "an art gallery"),
        ("objects", "umbrella", "an umbrella"),
        ("conditions", "busy room", "people in a room"),
        ("conditions", "running water", "running water"),
    ],
)
def test_classes_are_named_as_a_sentence_names_them(label_set: str, label: str, words: str) -> None:
    assert phrase(label_set, label) == words
