"""Why this mix: the classes that decided between the best mix and the runner-up.

The centred divergence (see `deepmersion.matching`) is a sum over classes, so the difference
between two mixes is one too. A class with probability p in the photo, of n classes, speaks for the
winner rather than the runner-up by

    (p - 1/n) (log q_winner - log q_runner_up)   nats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepmersion.index import SoundIndex
from deepmersion.labels import dropped_mass
from deepmersion.matching import Evidence, Match, log_project

N_CLASSES = 5
"""Classes named of each label set: those that decided most."""


@dataclass(frozen=True)
class Contribution:
    """What one class contributed.

    Attributes
    ----------
    label : str
    photo, winner, runner_up : float
        Its probability in the photo, and in what SoundNet hears in the two mixes.
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
    """What decided between the best mix for a photo and the next one.

    Attributes
    ----------
    lead_nats : float
        By how much the winner's score is lower.
    contributions : mapping of str to tuple of Contribution
        By label set, the largest first.
    dropped : mapping of str to float
        By label set, the photo's probability in classes that SoundNet does not know.
    """

    lead_nats: float
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
    return Explanation(
        lead_nats=runner_up.score - winner.score,
        contributions={
            head: _contributions(index, head, shown, winner.entry, runner_up.entry)
            for head, shown in evidence.items()
        },
        dropped={
            head: float(dropped_mass(seen[head], shown.classes.image)[0])
            for head, shown in evidence.items()
        },
    )


def _contributions(
    index: SoundIndex, head: str, shown: Evidence, winner: int, runner_up: int
) -> tuple[Contribution, ...]:
    log_q_winner, log_q_runner_up = (
        log_project(index.log_probs(head, entry, entry + 1), shown.classes)[0]
        for entry in (winner, runner_up)
    )
    p = shown.probs[0]
    nats = (p - 1 / len(p)) * (log_q_winner - log_q_runner_up)
    return tuple(
        Contribution(
            label=shown.classes.names[i],
            photo=float(p[i]),
            winner=float(np.exp(log_q_winner[i])),
            runner_up=float(np.exp(log_q_runner_up[i])),
            nats=float(nats[i]),
        )
        for i in np.argsort(-np.abs(nats), kind="stable")[:N_CLASSES]
    )
