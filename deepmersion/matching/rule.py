"""Which mix belongs to a photo: the least centred KL divergence, of a mix and of its sounds.

**The divergence.** Let p be what the image networks see in a photo and q what SoundNet hears in a
mix, over the classes both know. SoundNet was trained by minimising KL(p ‖ q) (Aytar et al. 2016,
section 3.1),

    KL(p ‖ q) = Σ p log p - Σ p log q,

and the mix that fits best would be the one with the least.

**Centred.** But some mixes are near to every photo (hubs): those of which SoundNet has no clear
opinion, whose q is flat. What such a mix has in common with all photos says nothing about this
one. So its divergence from a photo of which nothing is known, the uniform distribution u, is
subtracted:

    C(p, q) = KL(p ‖ q) - KL(u ‖ q) = Σ (u - p) log q + constant of p.

What is left compares what is special about the photo with what is special about the mix. A
temperature of SoundNet's would only scale it, for Σ (u - p) = 0, and nothing is assumed of what an
image network predicts on average, so that it holds alike for networks that nothing was fitted to.
Objects and scenes are two such figures; they are added up.

**Each sound by itself.** SoundNet never heard such mixes when it was trained, and two sounds
together may remind it of something that none of them is. So a mix is judged by its sounds as well,
each of which is an entry of the index of its own. With s_i the share of sound i in the mix's power,

    E(mix) = (1 - α) C(p, q_mix) + α Σ s_i C(p, q_i) + Σ s_i C(p, d_i),

where C(p, d_i) is what is known of the kind of the sound (`witnesses`).

**How many sounds.** The least E is nearly always that of one sound. But where several fit about
equally well, nothing is known of which is the one, and all of them say more about the place than
any one does. The distribution over sounds that takes the least of expected divergence less its
entropy, at a temperature τ (the variational free energy), takes them all:

    score(mix) = E(mix) - τ H(s),    H(s) = - Σ s_i log s_i.

At equal shares a second sound is worth adding when it fits worse than the first by less than
2 τ log 2.

**Sounds heard alone.** An index of many sounds holds each of them alone, for there are too many
pairs to hear (`indexing`). Its mixes are judged by their sounds, α = 1, at equal shares. The best
sound and the best two are then the least and the two least E of single sounds.

**How loud.** Once the sounds are chosen, their shares are free: expected divergence less entropy is
least at s_i ∝ exp(-E_i / τ), E_i being that of sound i alone. So each sound is as loud as it fits:
two that fit equally are equally loud, and one that was only just worth adding is 6 dB softer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from deepmersion.errors import IndexFileError
from deepmersion.index.file import SoundIndex
from deepmersion.index.scan import LinearForm, lowest
from deepmersion.labels import SharedClasses, project

SOUNDS_SHARE = 0.95
"""α: how much the sounds by themselves count, the rest being for the mix as a whole."""

CHOICE_TEMPERATURE_NATS = 1.8
"""τ: a second sound may fit worse than the first by 1.4 times this. From 1.5 to 2.1 about as many
photos are matched well (docs/relevance.md)."""

MAX_SOUNDS = 2
"""A place has one sound in front and one behind it. A third fits less often than it spoils the
mix, and is more to listen to than helps anybody concentrate."""

N_CANDIDATES = 128
"""How many of the best mixes alternatives are chosen from."""

GAIN_DECIMALS = 2
"""Gains are rounded to 0.01, at most 0.1 dB, so that a mix can be read and typed."""

RIVAL_NATS = 3.0
"""An alternative may score worse than the best mix by this."""

SMALLEST_PROB = 1e-14
"""Probabilities below this are taken as this before their logarithm; those of an index are not."""


@dataclass(frozen=True)
class Match:
    """A mix that was chosen for a photo.

    Attributes
    ----------
    entry : int or None
        Its number in the index; None for a mix of which the index holds only the sounds alone.
    gains : ndarray, shape = (sounds,), float32
        Linear gains of the base sounds.
    kl : float
        Sum of the divergences KL(photo ‖ mix) of the label sets in use, in nats; without an entry
        of the mix, the mean of its sounds' (`mean_divergences`).
    kl_by_label_set : mapping of str to float
        The divergence of each label set in use, in nats.
    score : float
        What mixes are ranked by, lowest first, in nats. Comparable between mixes for one photo,
        not between photos.
    """

    entry: int | None
    gains: np.ndarray
    kl: float
    kl_by_label_set: Mapping[str, float]
    score: float

    @property
    def sounds(self) -> frozenset[int]:
        """The numbers of the sounds that are heard in it."""
        return frozenset(map(int, np.flatnonzero(self.gains)))


@dataclass(frozen=True)
class Evidence:
    """What is seen in some photos, over the classes of one label set that SoundNet knows too.

    Attributes
    ----------
    classes : SharedClasses
    probs : ndarray, shape = (photos, shared classes), float64
        Rows sum to 1.
    """

    classes: SharedClasses
    probs: np.ndarray

    @classmethod
    def of(cls, probs: np.ndarray, classes: SharedClasses) -> Evidence:
        """Return the evidence in an image network's probabilities [photos, classes]."""
        return cls(classes, project(probs, classes.image, len(classes.names)))

    def of_photo(self, photo: int) -> Evidence:
        """Return what is seen in one of the photos."""
        return Evidence(self.classes, self.probs[photo : photo + 1])


def log_project(log_probs: np.ndarray, classes: SharedClasses) -> np.ndarray:
    """Return SoundNet's log-probabilities over shared classes, float32 [entries, shared]."""
    if classes.identical:
        return log_probs
    shared = project(np.exp(log_probs), classes.sound, len(classes.names))
    return np.asarray(np.log(np.maximum(shared, SMALLEST_PROB)), dtype=np.float32)


def kl_divergence(p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Return KL(p ‖ q) in nats of every photo from every entry, [..., entries, photos].

    Parameters
    ----------
    p : ndarray, shape = (photos, classes)
        Probabilities; zero counts as zero (0 log 0 = 0).
    log_q : ndarray, shape = (..., entries, classes)
        Log-probabilities in nats.
    """
    negative_entropy = np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=1)
    return np.asarray(negative_entropy - log_q @ p.T)


def centred_kl_divergence(p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Return C = KL(p ‖ q) - KL(u ‖ q) in nats, u being uniform, [..., entries, photos]."""
    uniform = np.full((1, p.shape[1]), 1 / p.shape[1])
    return np.asarray(kl_divergence(p, log_q) - kl_divergence(uniform, log_q))


def centred_weights(p: np.ndarray) -> np.ndarray:
    """Return u - p, what log q counts by in the centred divergence from photos, as `p`."""
    return np.asarray(1 / p.shape[1] - p)


def power_shares(gains: np.ndarray) -> np.ndarray:
    """Return s: each sound's share in the power of mixes, float64 [mixes, sounds].

    The base sounds are of one loudness and uncorrelated, so their powers go by their gains and
    add up.
    """
    power = np.square(gains, dtype=np.float64)
    return np.asarray(power / power.sum(axis=1, keepdims=True))


def choice_entropy(shares: np.ndarray) -> np.ndarray:
    """Return H(s) in nats, float64 [mixes]."""
    return np.asarray(-np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)), axis=1))


def single_entries(index: SoundIndex) -> np.ndarray:
    """Return for each sound of an index the entry in which it is alone, int [sounds].

    Raises
    ------
    IndexFileError
        When a sound has no entry of its own.
    """
    alone = np.flatnonzero(np.count_nonzero(index.gains, axis=1) == 1)
    sounds, first = np.unique(index.gains[alone].argmax(axis=1), return_index=True)
    missing = sorted(set(range(len(index.sounds))) - set(sounds.tolist()))
    if missing:
        raise IndexFileError(
            f"the index {index.path} has no entry of {index.sounds[missing[0]]} alone; build it "
            "anew with: deepmersion build-index"
        )
    return np.asarray(alone[first])


def gains_in_index(index: SoundIndex, match: Match) -> np.ndarray:
    """Return the gains that a mix was judged at, before `levels`, float32 [sounds]."""
    if match.entry is not None:
        return np.asarray(index.gains[match.entry])
    alone = single_entries(index)[sorted(match.sounds)]
    return np.asarray(index.gains[alone].sum(axis=0))


def composition(index: SoundIndex, match: Match) -> dict[int, float]:
    """Return the entries whose centred divergences make up E of a mix, and how much each counts.

    They are the mix itself, if it has an entry, and each of its sounds alone; the weights sum to 1.
    """
    shares = power_shares(gains_in_index(index, match)[None])[0]
    weights = {} if match.entry is None else {match.entry: 1 - SOUNDS_SHARE}
    of_sounds = 1 - sum(weights.values())
    for sound, single in enumerate(single_entries(index)):
        if shares[sound] > 0:
            weights[int(single)] = weights.get(int(single), 0.0) + of_sounds * shares[sound]
    return weights


def centred_divergences(
    index: SoundIndex, evidence: Mapping[str, Evidence], entries: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Return C of some entries, the label sets added up, in nats, [entries, photos]."""
    parts = [
        centred_kl_divergence(seen.probs, _each(index, label_set, seen.classes, entries))
        for label_set, seen in evidence.items()
    ]
    return np.asarray(np.sum(parts, axis=0)[:, 0])


def _each(
    index: SoundIndex, label_set: str, classes: SharedClasses, entries: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Return the log-probabilities of entries over shared classes, [entries, 1, classes].

    Each is by itself, so that equal ones have equal divergences. Within one product BLAS does not
    promise that, and chance would choose between equal mixes.
    """
    return log_project(index.log_probs_of(label_set, entries), classes)[:, None]


@dataclass(frozen=True)
class Alone:
    """How well each sound by itself fits some photos: what all scores are made of.

    Attributes
    ----------
    heard : ndarray, shape = (sounds, photos), float64
        C(p, q_i), in nats: what SoundNet hears, weighted by `weight`.
    known : ndarray, shape = (sounds, photos), float64
        C(p, d_i), in nats: what is known of the sounds' kinds.
    weight : float
        1, or 0 where SoundNet is not listened to.
    """

    heard: np.ndarray
    known: np.ndarray
    weight: float

    @classmethod
    def of(
        cls,
        index: SoundIndex,
        evidence: Mapping[str, Evidence],
        known: np.ndarray | None,
        *,
        soundnet: bool,
    ) -> Alone:
        """Return how well the sounds of an index fit; the parameters are those of `search`."""
        weight = float(soundnet)
        heard = weight * centred_divergences(index, evidence, single_entries(index))
        return cls(heard, np.zeros_like(heard) if known is None else known, weight)

    @property
    def parts(self) -> np.ndarray:
        """What a sound adds to E of a mix by its share of the power, [sounds, photos]."""
        return np.asarray(SOUNDS_SHARE * self.heard + self.known)

    @property
    def expected(self) -> np.ndarray:
        """E of each sound alone, [sounds, photos]."""
        return np.asarray(self.heard + self.known)


def search(
    index: SoundIndex,
    evidence: Mapping[str, Evidence],
    top: int = 1,
    *,
    known: np.ndarray | None = None,
    soundnet: bool = True,
) -> list[list[Match]]:
    """Return the best mix of an index for each photo, and alternatives, the lowest score first.

    An alternative is a mix that brings something new: it is led by another sound than the mixes
    before it, or has a sound that none of them has. Its score is within `RIVAL_NATS` of the best.

    Parameters
    ----------
    index : SoundIndex
    evidence : mapping of str to Evidence
        By label set (`request.LABEL_SETS`), one or both; the same photos in each.
    top : int
        How many mixes.
    known : ndarray, shape = (sounds, photos), float64, optional
        What is known of the sounds besides what SoundNet hears, in nats
        (`witnesses.home_divergences`).
    soundnet : bool
        Whether SoundNet is listened to.

    Returns
    -------
    list of list of Match
        For each photo up to `top` matches: fewer where there are no more alternatives.

    Raises
    ------
    IndexFileError
        When the index is damaged, or a sound has no entry of its own.
    """
    alone = Alone.of(index, evidence, known, soundnet=soundnet)
    n_candidates = top if top == 1 else max(top, N_CANDIDATES)
    if len(index) == len(index.sounds):  # and each has an entry of its own
        return [
            _alternatives(_of_single_sounds(index, evidence, alone, photo, n_candidates), top)
            for photo in range(alone.heard.shape[1])
        ]
    parts = alone.parts

    def offsets(start: int, stop: int) -> np.ndarray:
        gains = index.gains[start:stop]
        few = np.count_nonzero(gains, axis=1) <= MAX_SOUNDS
        shares = power_shares(gains[few])
        others = np.full((len(gains), parts.shape[1]), np.inf)
        others[few] = shares @ parts - _choice(shares)[:, None]
        return others

    whole = alone.weight * (1 - SOUNDS_SHARE)
    forms = [
        LinearForm(label_set, seen.classes.sound, whole * centred_weights(seen.probs))
        for label_set, seen in evidence.items()
    ]
    found = lowest(index, forms, offsets, n_candidates)
    return [
        _alternatives(_ranked(index, evidence, alone, photo, entries), top)
        for photo, entries in enumerate(found)
    ]


def single_sounds(
    index: SoundIndex,
    evidence: Mapping[str, Evidence],
    *,
    known: np.ndarray | None = None,
    soundnet: bool = True,
) -> list[list[Match]]:
    """Return for each photo how well each sound by itself fits, a match a sound, the best first.

    The parameters, and what is raised, are those of `search`.
    """
    alone = Alone.of(index, evidence, known, soundnet=soundnet)
    entries = single_entries(index)
    return [
        _ranked(index, evidence, alone, photo, entries) for photo in range(alone.heard.shape[1])
    ]


def _choice(shares: np.ndarray) -> np.ndarray:
    return CHOICE_TEMPERATURE_NATS * choice_entropy(shares)


def levels(gains: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the gains of mixes with each sound as loud as it fits, float32 [..., sounds].

    Parameters
    ----------
    gains : ndarray, shape = (..., sounds), float32
        Linear, as in the index.
    expected : ndarray, shape = (sounds,), float64
        E of each sound alone, in nats.

    Returns
    -------
    ndarray
        Linear gains; that of the sound that fits best is its own.
    """
    heard = gains > 0
    best = np.where(heard, expected, np.inf).min(axis=-1, keepdims=True)
    worse = np.where(heard, expected - best, 0.0)
    # Half, for the shares are of the power.
    softer = np.exp(-worse / (2 * CHOICE_TEMPERATURE_NATS))
    return np.asarray(gains * softer.round(GAIN_DECIMALS), dtype=np.float32)


def _ranked(
    index: SoundIndex,
    evidence: Mapping[str, Evidence],
    alone: Alone,
    photo: int,
    entries: np.ndarray,
) -> list[Match]:
    """Return entries as matches for one photo, ranked by the definition in double precision."""
    parts, expected = alone.parts[:, photo], alone.expected[:, photo]
    entries = np.sort(entries)
    shares = power_shares(index.gains[entries])
    scores = (shares[:, None] @ parts)[:, 0] - _choice(shares)
    kl: dict[str, np.ndarray] = {}
    for label_set, shown in evidence.items():
        seen = shown.of_photo(photo).probs
        log_q = _each(index, label_set, shown.classes, entries)
        kl[label_set] = kl_divergence(seen, log_q)[:, 0, 0]
        centred = centred_kl_divergence(seen, log_q)[:, 0, 0]
        scores += alone.weight * (1 - SOUNDS_SHARE) * centred
    gains = levels(index.gains[entries], expected)
    # Stable: between equal mixes the earlier wins.
    order = np.argsort(scores, kind="stable")
    return [
        _match(
            int(entries[i]), gains[i], {name: float(of[i]) for name, of in kl.items()}, scores[i]
        )
        for i in order
    ]


def _match(entry: int | None, gains: np.ndarray, kl: Mapping[str, float], score: float) -> Match:
    return Match(entry, gains, sum(kl.values()), kl, float(score))


def _of_single_sounds(
    index: SoundIndex, evidence: Mapping[str, Evidence], alone: Alone, photo: int, n: int
) -> list[Match]:
    """Return at least the `n` best mixes of an index that holds only single sounds, ranked."""
    # A sound of rank r is not in the n best pairs unless r of them are.
    best = np.argsort(alone.expected[:, photo], kind="stable")[: n + 1]
    singles = _ranked(index, evidence, alone, photo, single_entries(index)[best])
    gains = np.stack([match.gains for match in singles])
    scores = np.array([match.score for match in singles])
    mixes = list(singles)
    for n_sounds in range(2, MAX_SOUNDS + 1):
        picked = np.array(list(combinations(range(len(singles)), n_sounds)), int)
        picked = picked.reshape(-1, n_sounds)  # where there are too few sounds
        shares = power_shares(gains.max(axis=1)[picked])
        mixed = (shares * scores[picked]).sum(axis=1) - _choice(shares)
        for i in np.argsort(mixed, kind="stable")[:n]:
            sounds = [singles[k] for k in picked[i]]
            kl = mean_divergences(sounds, shares[i])
            level = levels(gains[picked[i]].sum(axis=0), alone.expected[:, photo])
            mixes.append(_match(None, level, kl, mixed[i]))
    return sorted(mixes, key=lambda match: match.score)


def mean_divergences(singles: Sequence[Match], shares: np.ndarray) -> dict[str, float]:
    """Return the divergences of single sounds, averaged by their shares in a mix, by label set.

    That is an upper bound on the mix's own if SoundNet hears in it the weighted mean of what it
    hears in its sounds: the divergence is convex.
    """
    return {
        label_set: float(shares @ np.array([match.kl_by_label_set[label_set] for match in singles]))
        for label_set in singles[0].kl_by_label_set
    }


def _alternatives(ranked: list[Match], top: int) -> list[Match]:
    chosen: list[Match] = []
    leaders: set[int] = set()
    used: set[int] = set()
    for match in ranked:
        if len(chosen) == top or match.score > ranked[0].score + RIVAL_NATS:
            break
        leader = int(match.gains.argmax())
        if leader not in leaders or not match.sounds <= used:
            chosen.append(match)
            leaders.add(leader)
            used |= match.sounds
    return chosen


def runner_up(matches: Sequence[Match]) -> Match | None:
    """Return what the first of ranked matches came before: the best of other sounds, if any is."""
    for match in matches[1:]:
        if match.sounds.isdisjoint(matches[0].sounds):
            return match
    return matches[1] if len(matches) > 1 else None
