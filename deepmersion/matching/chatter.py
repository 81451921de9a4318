"""Chatter: a mix of all sounds, each as loud as it fits the photo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepmersion.errors import RequestError
from deepmersion.matching.rule import Match, mean_divergences, power_shares

SMALLEST_CHATTER_GAIN = 0.01
"""40 dB below the loudest sound of a chatter mix, a sound is inaudible and left out."""


def chatter(scores: np.ndarray, level: float) -> np.ndarray:
    """Return the gains of a mix of all sounds; the better a sound fits, the louder it is.

    The sounds are ranked by their own scores. From one rank to the next, the power falls by the
    factor `level`, so the gain at rank r (0 is the best) is

        g = level^(r/2).

    Level 0 plays the best sound alone, level 1 all sounds equally. In between, about
    1 / (1 - level) sounds are heard. Gains below `SMALLEST_CHATTER_GAIN` are zero.

    Parameters
    ----------
    scores : ndarray, shape = (sounds,)
        Score of each sound alone, in nats; the lowest is the best, ties keep their order.
    level : float
        From 0 to 1.

    Returns
    -------
    ndarray, shape = (sounds,), float32
        Linear gains in [0, 1].

    Raises
    ------
    RequestError
        When the level is not from 0 to 1.
    """
    if not 0 <= level <= 1:  # written so that NaN fails too
        raise RequestError("the chatter level must be from 0 (one sound) to 1 (all of them)")
    gains = np.empty(len(scores), dtype=np.float32)
    gains[np.argsort(scores, kind="stable")] = level ** (np.arange(len(scores)) / 2)
    gains[gains < SMALLEST_CHATTER_GAIN] = 0
    return gains


def chatter_match(singles: Sequence[Match], level: float) -> Match:
    """Return the chatter mix as a match.

    SoundNet has not heard this mix. Its divergences (`mean_divergences`) and score are the means of
    its sounds' own, weighted by their shares of the power.

    Parameters
    ----------
    singles : sequence of Match
        Of one photo, as `deepmersion.matching.rule.single_sounds` returns them; the `entry` of the
        result is that of the first.
    level : float
        From 0 to 1; see `chatter`.
    """
    by_rank = chatter(np.array([match.score for match in singles]), level)
    shares = power_shares(by_rank[None])[0]

    kl = mean_divergences(singles, shares)
    gains = np.zeros_like(singles[0].gains)
    for match, gain in zip(singles, by_rank, strict=True):
        gains[match.gains.argmax()] = gain
    score = float(shares @ np.array([match.score for match in singles]))
    return Match(singles[0].entry, gains, sum(kl.values()), kl, score)
