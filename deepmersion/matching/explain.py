"""Why this mix: the classes that decided, by witness.

E of a sound (see `rule`) is a sum over the classes of all label sets, so what decided can be read
off class by class. Two questions are answered.

**Why these sounds?** A class that has probability p in the photo speaks for sound i, against an
average sound of the bank, by

    SoundNet:           p (λ_i - mean_j λ_j),    λ = log q less its mean over the classes,
    kinds, conditions:  L (p - 1/N) (h_i - mean_j h_j),    h = 1 where a sound is at home, else 0.

Over all classes these add up to how much better the sound fits than the bank's sounds do on
average. They are the `Reason` of each sound.

**Why this mix and not the next?** The same with the two mixes in place of the sound and the
average, each with its sounds weighted as they count in E. What is left of the difference between
the scores is that of the numbers of sounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepmersion.index.file import SoundIndex
from deepmersion.labels import dropped_mass
from deepmersion.matching.rule import (
    Evidence,
    Match,
    composition,
    gains_in_index,
    log_project,
    power_shares,
    single_entries,
)
from deepmersion.matching.witnesses import HOME_NATS

N_CLASSES = 5
"""Classes named of each label set: those that decided most."""

N_REASONS = 3
"""Reasons named of each witness, for a sound."""

MIN_REASON_NATS = 0.15
"""What counts less than this decided nothing, and is not named as a reason."""


@dataclass(frozen=True)
class Seen:
    """All that the witnesses are asked about one photo.

    Attributes
    ----------
    evidence : mapping of str to Evidence
        What the photo shows over the classes that SoundNet knows too; empty where SoundNet is not
        listened to.
    probs : mapping of str to ndarray, shape = (classes,)
        The image networks' probabilities by label set, over all of their classes.
    labels : mapping of str to tuple of str
        The names of those classes.
    home : mapping of str to ndarray, shape = (sounds, classes), bool
        Where the sounds are at home (`witnesses.homes`), by the label sets that are asked.
    """

    evidence: Mapping[str, Evidence]
    probs: Mapping[str, np.ndarray]
    labels: Mapping[str, tuple[str, ...]]
    home: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Reason:
    """A class that speaks for a sound.

    Attributes
    ----------
    witness : str
        Of `request.WITNESSES`.
    label_set, label : str
    photo : float
        The class's probability in the photo.
    nats : float
        By how much it speaks for the sound, against an average sound of the bank.
    """

    witness: str
    label_set: str
    label: str
    photo: float
    nats: float


@dataclass(frozen=True)
class Contribution:
    """What one class contributed to the lead of the best mix over the runner-up.

    Attributes
    ----------
    label : str
    photo : float
        Its probability in the photo.
    heard, known : float
        By how much it speaks for the winner through what SoundNet hears, and through what is known
        of the sounds' kinds, in nats; negative when against it.
    nats : float
        Their sum.
    """

    label: str
    photo: float
    heard: float
    known: float
    nats: float


@dataclass(frozen=True)
class Explanation:
    """What decided for the best mix of a photo.

    Attributes
    ----------
    reasons : mapping of str to tuple of Reason
        By name of each sound in the mix, those that count most first.
    lead_nats : float
        By how much the winner's score is lower than the runner-up's; 0 without a runner-up.
    by_witness : mapping of str to float
        How much of it each witness makes, in nats.
    by_number_of_sounds : float
        How much of it the numbers of sounds make, in nats.
    contributions : mapping of str to tuple of Contribution
        By label set, the largest first.
    dropped : mapping of str to float
        By label set, the photo's probability in classes that SoundNet does not know.
    """

    reasons: Mapping[str, tuple[Reason, ...]]
    lead_nats: float
    by_witness: Mapping[str, float]
    by_number_of_sounds: float
    contributions: Mapping[str, tuple[Contribution, ...]]
    dropped: Mapping[str, float]


def witness_of(label_set: str) -> str:
    """Return which witness what is known of a kind over a label set belongs to."""
    return "conditions" if label_set == "conditions" else "kinds"


def explain(index: SoundIndex, seen: Seen, winner: Match, runner_up: Match | None) -> Explanation:
    """Return why a mix was chosen, and why before another.

    Parameters
    ----------
    index : SoundIndex
        The index that both were found in.
    seen : Seen
    winner : Match
    runner_up : Match or None
        None when there is no other mix.
    """
    heard, known = {}, {}
    if runner_up is not None:
        heard = {
            label_set: _heard(index, label_set, shown, composition(index, winner))
            - _heard(index, label_set, shown, composition(index, runner_up))
            for label_set, shown in seen.evidence.items()
        }
        shares = power_shares(np.stack([gains_in_index(index, mix) for mix in (winner, runner_up)]))
        difference = shares[0] - shares[1]
        known = {label_set: _known(seen, label_set, difference) for label_set in seen.home}
    lead = 0.0 if runner_up is None else runner_up.score - winner.score
    by_witness = {"soundnet": sum(float(nats.sum()) for nats in heard.values())} if heard else {}
    for label_set, nats in known.items():
        witness = witness_of(label_set)
        by_witness[witness] = by_witness.get(witness, 0.0) + float(nats.sum())
    return Explanation(
        reasons=reasons(index, seen, winner),
        lead_nats=lead,
        by_witness=by_witness,
        by_number_of_sounds=lead - sum(by_witness.values()),
        contributions={
            label_set: _contributions(seen, label_set, heard.get(label_set), known.get(label_set))
            for label_set in seen.labels
            if label_set in heard or label_set in known
        },
        dropped={
            label_set: float(dropped_mass(seen.probs[label_set][None], shown.classes.image)[0])
            for label_set, shown in seen.evidence.items()
        },
    )


def reasons(index: SoundIndex, seen: Seen, match: Match) -> dict[str, tuple[Reason, ...]]:
    """Return for each sound of a mix the classes that speak for it, those that count most first."""
    singles = single_entries(index)
    average = {int(entry): 1 / len(singles) for entry in singles}
    everywhere = {
        label_set: _heard(index, label_set, shown, average)
        for label_set, shown in seen.evidence.items()
    }
    found: dict[str, tuple[Reason, ...]] = {}
    for sound in sorted(match.sounds, key=lambda sound: -match.gains[sound]):
        one = np.eye(len(singles))[sound]
        listed: list[Reason] = []
        for label_set, shown in seen.evidence.items():
            probs = seen.probs[label_set]
            nats = _heard(index, label_set, shown, {int(singles[sound]): 1.0})
            nats -= everywhere[label_set]
            shared = shown.classes.image >= 0
            listed += _named("soundnet", label_set, shown.classes.names, probs[shared], nats)
        for label_set in seen.home:
            nats = _known(seen, label_set, one - 1 / len(singles))
            probs, names = seen.probs[label_set], seen.labels[label_set]
            listed += _named(witness_of(label_set), label_set, names, probs, nats)
        found[index.sounds[sound]] = tuple(sorted(listed, key=lambda reason: -reason.nats))
    return found


def _named(
    witness: str, label_set: str, names: tuple[str, ...], probs: np.ndarray, nats: np.ndarray
) -> list[Reason]:
    best = [int(i) for i in np.argsort(-nats, kind="stable")[:N_REASONS]]
    return [
        Reason(witness, label_set, names[i], float(probs[i]), float(nats[i]))
        for i in best
        if nats[i] >= MIN_REASON_NATS and _is_likely(probs[i], len(probs))
    ]


def _is_likely(p: float, n_classes: int) -> bool:
    """Return whether a photo shows a class: that it lacks one is not said as a reason."""
    return p > 1 / n_classes


def _heard(
    index: SoundIndex, label_set: str, shown: Evidence, weights: Mapping[int, float]
) -> np.ndarray:
    """Return p λ of some entries, averaged with weights that sum to 1, in nats [classes]."""
    log_q = np.zeros(len(shown.classes.names))
    for entry, weight in weights.items():
        log_probs = index.log_probs(label_set, entry, entry + 1)
        log_q += weight * log_project(log_probs, shown.classes)[0]
    return np.asarray(shown.probs[0] * (log_q - log_q.mean()))


def _known(seen: Seen, label_set: str, weights: np.ndarray) -> np.ndarray:
    """Return L (p - 1/N) Σ w_i h_i, in nats [classes]; `weights` are of the sounds."""
    probs = seen.probs[label_set].astype(np.float64)
    at_home = weights @ seen.home[label_set]
    return np.asarray(HOME_NATS[label_set] * (probs - 1 / len(probs)) * at_home)


def _contributions(
    seen: Seen, label_set: str, heard: np.ndarray | None, known: np.ndarray | None
) -> tuple[Contribution, ...]:
    """Return what the classes of a label set contributed, the largest first."""
    names, probs = seen.labels[label_set], seen.probs[label_set]
    by_class = np.zeros((2, len(names)))
    if heard is not None:
        by_class[0, seen.evidence[label_set].classes.image >= 0] = heard
    if known is not None:
        by_class[1] = known
    total = by_class.sum(axis=0)
    return tuple(
        Contribution(names[i], float(probs[i]), *map(float, (*by_class[:, i], total[i])))
        for i in np.argsort(-np.abs(total), kind="stable")[:N_CLASSES]
    )
