"""Why this mix: the classes that decided between the best mix and the runner-up.

E of a mix (see `rule`) is a sum over classes. Let l be the mean log-probability that the mix and
its sounds alone give a class, weighted as they count, and Δl the winner's less the runner-up's,
less its mean over all classes, for that is what centring takes away. Then a class that has
probability p in the photo speaks for the winner by

    p Δl   nats,

which for all classes and label sets together is how much lower E is. What is left of the difference
between the scores is that of the numbers of sounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepmersion.index.file import SoundIndex
from deepmersion.labels import dropped_mass
from deepmersion.matching.rule import Evidence, Match, composition, log_project

N_CLASSES = 5
"""Classes named of each label set: those that decided most."""


@dataclass(frozen=True)
class Contribution:
    """What one class contributed.

    Attributes
    ----------
    label : str
    photo : float
        Its probability in the photo.
    winner, runner_up : float
        Its probability in what SoundNet hears in the two mixes and in their sounds: the geometric
        mean, weighted as they count.
    nats : float
        By how much it speaks for the winner; negative when against it.
    """

    label: str
    photo: float
    winner: float
    runner_up: float
    nats: float


@dataclass(frozen=True)
class Explanation:
    """What decided between the best mix for a photo and the runner-up.

    Attributes
    ----------
    lead_nats : float
        By how much the winner's score is lower.
    by_head : mapping of str to float
        How much of it each label set makes, in nats.
    by_number_of_sounds : float
        How much of it the numbers of sounds make, in nats.
    contributions : mapping of str to tuple of Contribution
        By label set, the largest first.
    dropped : mapping of str to float
        By label set, the photo's probability in classes that SoundNet does not know.
    """

    lead_nats: float
    by_head: Mapping[str, float]
    by_number_of_sounds: float
    contributions: Mapping[str, tuple[Contribution, ...]]
    dropped: Mapping[str, float]


def explain(
    index: SoundIndex,
    seen: Mapping[str, np.ndarray],
    evidence: Mapping[str, Evidence],
    winner: Match,
    runner_up: Match,
) -> Explanation:
    """Return why one mix was chosen before another.

    Parameters
    ----------
    index : SoundIndex
        The index that both were found in.
    seen : mapping of str to ndarray, shape = (1, classes)
        The image network's probabilities for the one photo, by label set.
    evidence : mapping of str to Evidence
        The same over the shared classes.
    winner, runner_up : Match
    """
    all_classes = {
        head: _contributions(index, head, shown, winner.entry, runner_up.entry)
        for head, shown in evidence.items()
    }
    lead = runner_up.score - winner.score
    by_head = {head: sum(c.nats for c in classes) for head, classes in all_classes.items()}
    return Explanation(
        lead_nats=lead,
        by_head=by_head,
        by_number_of_sounds=lead - sum(by_head.values()),
        contributions={head: classes[:N_CLASSES] for head, classes in all_classes.items()},
        dropped={
            head: float(dropped_mass(seen[head], shown.classes.image)[0])
            for head, shown in evidence.items()
        },
    )


def _contributions(
    index: SoundIndex, head: str, shown: Evidence, winner: int, runner_up: int
) -> tuple[Contribution, ...]:
    """Return the contributions of all classes of a label set, the largest first."""
    ours, theirs = (_mean_log_q(index, head, shown, entry) for entry in (winner, runner_up))
    p, difference = shown.probs[0], ours - theirs
    nats = p * (difference - difference.mean())
    return tuple(
        Contribution(
            label=shown.classes.names[i],
            photo=float(p[i]),
            winner=float(np.exp(ours[i])),
            runner_up=float(np.exp(theirs[i])),
            nats=float(nats[i]),
        )
        for i in np.argsort(-np.abs(nats), kind="stable")
    )


def _mean_log_q(index: SoundIndex, head: str, shown: Evidence, entry: int) -> np.ndarray:
    """Return l of a mix over the shared classes, float64 [classes]."""
    mean = np.zeros(len(shown.classes.names))
    for part, weight in composition(index, entry).items():
        mean += weight * log_project(index.log_probs(head, part, part + 1), shown.classes)[0]
    return mean
