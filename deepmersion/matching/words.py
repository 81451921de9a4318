"""Puts the reasons for a mix into plain sentences."""

from __future__ import annotations

from collections.abc import Sequence

from deepmersion.matching.explain import Reason

N_SHOWN = 2
"""Reasons given per sound: this many that the photo shows, and as many that SoundNet hears."""

PHRASES = {
    "night": "a night",
    "busy room": "people in a room",
    "calm room": "a calm room",
    "clear day": "a clear day",
}
"""Conditions that read better with an article or in other words."""


def sentence(title: str, reasons: Sequence[Reason]) -> str:
    """Return one sentence on why a sound was chosen.

    For example ``Wood fire: the photo shows flames (62 %) and a stove (20 %); SoundNet hears a
    campsite``.

    Parameters
    ----------
    title : str
        The sound's title.
    reasons : sequence of Reason
        In order of weight (`explain.reasons`).
    """
    shown = [reason for reason in reasons if reason.witness != "soundnet"][:N_SHOWN]
    heard = [reason for reason in reasons if reason.witness == "soundnet"][:N_SHOWN]
    parts = []
    if shown:
        named = [f"{phrase(r.label_set, r.label)} ({r.photo:.0%})" for r in shown]
        parts.append(f"the photo shows {_joined(named)}")
    if heard:
        parts.append(f"SoundNet hears {_joined([phrase(r.label_set, r.label) for r in heard])}")
    if not parts:
        parts.append("no single thing in the photo decides; it fits a little better throughout")
    return f"{title}: {'; '.join(parts)}"


def phrase(label_set: str, label: str) -> str:
    """Return a class as worded in a sentence, such as ``a market (outdoor)``."""
    if label_set == "conditions":
        return PHRASES.get(label, label)
    place, _, which = label.replace("_", " ").partition("/")
    article = "an" if place[:1].lower() in "aeiou" else "a"
    return f"{article} {place} ({which})" if which else f"{article} {place}"


def _joined(parts: Sequence[str]) -> str:
    """Return the distinct parts as a list in a sentence."""
    parts = list(dict.fromkeys(parts))
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
