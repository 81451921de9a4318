"""Endless sound from randomly drawn stretches of a loop, joined where the joins are inaudible."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from deepmersion.sound.cuts import SHORTEST_S as SHORTEST_CUT_S
from deepmersion.sound.keys import Cuts
from deepmersion.sound.recording import SAMPLE_RATE

LEAST_S = 8.0
MOST_S = 25.0
"""Length of a stretch: shorter ones sound like a patchwork, longer ones repeat as a whole."""

MOST_SHARE = 0.25
"""Longest stretch as a share of its sound: longer ones would leave too few to choose from."""

REST_SHARE = 0.35
"""After it ends, no part of a stretch is heard again for this share of the sound's length."""

SHORTEST_S = 20.0
"""A shorter sound is simply looped: its stretches would be scraps."""

JOIN_S = 2.0
"""Longest join: slow enough to change one noise into another unnoticed. Shorter in short quiet
spans."""

MARGIN_SHARE = 0.25
"""Distance of a join's middle from the ends of a short span, as a share of that span."""

N_TRIES = 40
"""Attempts at drawing a stretch that has rested long enough; about one search in 100 fails and
falls back on the one that has rested longest."""


class Cut(NamedTuple):
    """A place for a join.

    Attributes
    ----------
    at : int
        Its middle, in samples of the loop; beyond its length in a further round.
    room : int
        Samples that the join may use on either side.
    """

    at: int
    room: int


class Segment(NamedTuple):
    """The next part of the output: one place of the loop, or a crossfade between two.

    Attributes
    ----------
    start : int
        First sample in the loop; the segment may wrap around the loop's end.
    n_samples : int
    leaving : int or None
        First sample of what fades out meanwhile; None outside a join.
    """

    start: int
    n_samples: int
    leaving: int | None = None


class Stretches:
    """Draws the stretches of a loop.

    Parameters
    ----------
    n_samples : int
        Length of the loop, at 44,100 Hz.
    cuts : Cuts
        Spans in which it may be cut. No span means anywhere, as does one span over the whole loop.
    random : numpy.random.Generator
    """

    def __init__(self, n_samples: int, cuts: Cuts, random: np.random.Generator) -> None:
        self._n = n_samples
        self._random = random
        self._join = round(JOIN_S / 2 * SAMPLE_RATE)
        shortest = SHORTEST_CUT_S * SAMPLE_RATE
        spans = np.array(cuts, dtype=np.float64).reshape(-1, 2) * SAMPLE_RATE
        spans = np.minimum(spans, n_samples).round().astype(np.int64)
        lengths = spans[:, 1] - spans[:, 0]
        spans = spans[lengths >= shortest]
        anywhere = not len(spans) or lengths.max() > n_samples - shortest
        margins = np.minimum(self._join, (MARGIN_SHARE * (spans[:, 1] - spans[:, 0])).astype(int))
        # Of each span its ends, and between which samples the middle of a join may lie.
        self._spans = np.column_stack([spans, spans[:, 0] + margins, spans[:, 1] - margins])
        self._anywhere = bool(anywhere)
        self._most = round(min(MOST_S * SAMPLE_RATE, MOST_SHARE * n_samples))
        self._least = min(round(LEAST_S * SAMPLE_RATE), self._most // 2)
        self._rest = round(REST_SHARE * n_samples)
        self._recent: deque[tuple[int, int, int]] = deque()
        self._clock = 0

    def segments(self) -> Iterator[Segment]:
        """Yield segments without end."""
        if self._n < SHORTEST_S * SAMPLE_RATE:
            while True:
                yield Segment(0, self._n)
        entry, end = self._draw()
        position = entry.at
        while True:
            entry, following_end = self._draw()
            half = min(end.room, entry.room)
            yield Segment(position % self._n, end.at - half - position)
            yield Segment((entry.at - half) % self._n, 2 * half, (end.at - half) % self._n)
            position, end = entry.at + half, following_end

    def _draw(self) -> tuple[Cut, Cut]:
        """Return the beginning and end of the next stretch."""
        longest = -float("inf")
        for _ in range(N_TRIES):
            begin = self._cut_from(int(self._random.integers(self._n)))
            begin = begin._replace(at=begin.at % self._n)
            end = self._cut_from(begin.at + int(self._random.integers(self._least, self._most + 1)))
            rested = self._rested(begin, end)
            if rested > longest:
                longest, chosen = rested, (begin, end)
            if rested >= self._rest:
                break
        begin, end = chosen
        length = end.at - begin.at
        self._clock += length
        self._recent.append((begin.at, length, self._clock))
        while self._recent[0][2] < self._clock - self._rest:
            self._recent.popleft()
        return chosen

    def _rested(self, begin: Cut, end: Cut) -> float:
        """Return the samples since a part of a stretch was heard; negative if it is too long.

        It is not where the spans are so far apart that no shorter one begins there: what lies
        between them would never be heard.
        """
        length, most = end.at - begin.at, round(MOST_S * SAMPLE_RATE)
        if length > most >= self._first_from(begin.at + self._least) - begin.at:
            return most - length
        heard = [
            self._clock - until
            for start, n, until in self._recent
            if (begin.at - start) % self._n < n or (start - begin.at) % self._n < length
        ]
        return min(heard, default=self._n)

    def _cut_from(self, place: int) -> Cut:
        """Return a cut at a place, or else one in the first span after it."""
        if self._anywhere:
            return Cut(place, self._join)
        start, stop, first, last = self._span_from(place)
        at = place if first <= place else int(self._random.integers(first, last))
        return Cut(at, min(self._join, at - start, stop - at))

    def _first_from(self, place: int) -> int:
        """Return the first sample from a place on at which a cut may lie."""
        return place if self._anywhere else max(place, self._span_from(place)[2])

    def _span_from(self, place: int) -> tuple[int, int, int, int]:
        """Return the first span, as in `_spans`, in which a cut may lie at or after a place."""
        rounds, within = divmod(place, self._n)
        later = np.flatnonzero(self._spans[:, 3] > within)
        if not len(later):
            rounds, later = rounds + 1, np.array([0])
        start, stop, first, last = map(int, self._spans[later[0]] + rounds * self._n)
        return start, stop, first, last
