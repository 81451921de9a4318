"""Chatter as a match: instead of the one best mix, every sound, as loud as it fits by itself.

`deepmersion.matching.chatter` has the rule.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepmersion.matching import Match, chatter, power_shares


def chatter_match(singles: Sequence[Match], level: float) -> Match:
    """Return the chatter mix as a match.

    SoundNet has not heard this mix. Its divergences and its score are the means of its sounds'
    own, weighted by their shares of the power. For the divergences that is a bound: they are
    convex, so from the weighted mean of the sounds' distributions they cannot be larger.

    Parameters
    ----------
    singles : sequence of Match
        Of one photo, as `deepmersion.matching.single_sounds` returns them; the `entry` of the
        result is that of the first.
    level : float
        From 0 to 1; see `deepmersion.matching.chatter`.
    """
    by_rank = chatter(np.array([match.score for match in singles]), level)
    shares = power_shares(by_rank[None])[0]

    def mean(values: Sequence[float]) -> float:
        return float(shares @ np.array(values))

    kl = {head: mean([m.kl_by_head[head] for m in singles]) for head in singles[0].kl_by_head}
    gains = np.zeros_like(singles[0].gains)
    for match, gain in zip(singles, by_rank, strict=True):
        gains[match.gains.argmax()] = gain
    score = mean([match.score for match in singles])
    return Match(singles[0].entry, gains, sum(kl.values()), kl, score)
