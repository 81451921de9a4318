"""Singing bowls: three bowls, struck softly every now and then, ringing into each other.

A bowl rings in inharmonic partials. No bowl is perfectly round, so each partial is two modes that
lie a fraction of a hertz to a few hertz apart and beat (Inácio, Henrique and Antunes, *The dynamics
of Tibetan singing bowls*, Acta Acustica 92, 2006). The place of the strike decides how the energy
is shared between the two, hence the depth of the beating.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthesis import dsp, events
from synthesis.lengths import N_SAMPLES

TITLE = "Singing bowls"
MADE = (
    "Three bowls a fourth and an octave apart, struck softly: inharmonic partials, each split "
    "into two slowly beating modes that die away over most of a minute, in a quiet room."
)

RATIOS = np.array([1.0, 2.71, 5.15, 8.1, 11.6, 15.6, 20.1])
"""Frequencies of a bowl's partials relative to the lowest."""

T60_S = np.array([52.0, 36.0, 20.0, 9.0, 4.5, 2.8, 1.8])
"""Time in which each partial falls by 60 dB, for the largest bowl."""

STRIKE_DB = np.array([0.0, -2.0, -11.0, -23.0, -34.0, -42.0, -50.0])
"""Level of each partial under the softest blow; a firmer one emphasises the upper ones. A rim
radiates its lowest partial poorly, and small loudspeakers hardly give it: there the second is what
one hears of a bowl."""

FUNDAMENTALS_HZ = (82.0, 109.4, 164.2)
"""The bowls: about E, A and the E above, slightly detuned to keep their partials from locking.
Wide, heavy bowls sound this low; small ones, an octave and two higher, are bright and call for
notice."""

SPACING_S, REST_S = (5.5, 8.5), (9.0, 11.5)
"""Strikes come in phrases, each bowl once in every one: the shortest and the longest time between
two strikes, and of the rest after a phrase."""

SHARE_RAD = (0.2, 0.6)
"""Unevenness with which a blow is shared between the two modes of a pair: equal shares (0.79) would
beat down to silence on a single loudspeaker."""


@dataclass(frozen=True)
class Bowl:
    """One bowl: both modes of each partial, and its position."""

    lower_hz: np.ndarray
    upper_hz: np.ndarray
    t60_s: np.ndarray
    position: float


def render(rng: np.random.Generator) -> np.ndarray:
    """Return one loop of the bowls, float64 [samples, 2], at an arbitrary level."""
    n = N_SAMPLES["singing-bowl"]
    bowls = [
        make_bowl(rng, f, position)
        for f, position in zip(FUNDAMENTALS_HZ, (-0.45, 0.4, -0.05), strict=True)
    ]
    dry = np.zeros((n, 2))
    for phrase in strike_times(rng, n):
        for start, bowl in zip(phrase, rng.permutation(len(bowls)), strict=True):
            for event in strike(rng, bowls[bowl], firmness=rng.beta(4, 6)):
                dsp.add_event(dry, int(start), event)
    room = dsp.reverb(rng, dry, rt60_s=2.4, damping_hz=2500.0)
    air = dsp.diffuse_noise(rng, n, dsp.curve({40: -20, 120: 0, 500: -8, 2000: -18, 8000: -30}))
    return dry + 0.35 * room + 0.0025 * air


def make_bowl(rng: np.random.Generator, fundamental_hz: float, position: float) -> Bowl:
    """Return a bowl; smaller ones ring shorter and beat a little faster."""
    centre = fundamental_hz * RATIOS * (1 + rng.normal(0, 0.006, RATIOS.size))
    centre[0] = fundamental_hz
    split = fundamental_hz / 220 * rng.uniform(0.35, 0.8) * (1 + 0.6 * np.arange(RATIOS.size))
    split *= rng.uniform(0.8, 1.2, RATIOS.size)
    t60 = T60_S * (FUNDAMENTALS_HZ[0] / fundamental_hz) ** 0.4
    return Bowl(centre - split / 2, centre + split / 2, t60, position)


def strike_times(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return sample positions of strikes [phrases, bowls], evenly spread around the ring."""
    count = len(FUNDAMENTALS_HZ)
    phrase_s = ((count - 1) * sum(SPACING_S) + sum(REST_S)) / 2
    phrases = round(n / dsp.SAMPLE_RATE / phrase_s)
    gaps = rng.uniform(*SPACING_S, (phrases, count))
    gaps[:, 0] = rng.uniform(*REST_S, phrases)
    moments = np.cumsum(gaps).reshape(gaps.shape) * n / gaps.sum()
    return np.asarray((moments + rng.uniform(0, n)).astype(np.int64) % n)


def strike(rng: np.random.Generator, bowl: Bowl, firmness: float) -> list[np.ndarray]:
    """Return one strike as events [samples, 2]: lower modes, upper modes, the mallet's touch.

    The two modes of a pair are rotated against each other on the rim, so each is heard from its own
    side.

    Parameters
    ----------
    firmness : float
        0 is the softest blow, 1 the firmest.
    """
    levels = 10 ** (STRIKE_DB * (1 - 0.45 * firmness) / 20) * rng.uniform(0.8, 1.2, RATIOS.size)
    angle = rng.uniform(*SHARE_RAD, RATIOS.size)
    angle = np.where(rng.random(RATIOS.size) < 0.5, angle, np.pi / 2 - angle)
    attack_s = 0.022 - 0.012 * firmness
    lower = events.damped_modes(bowl.lower_hz, bowl.t60_s, levels * np.cos(angle), attack_s)
    upper = events.damped_modes(bowl.upper_hz, bowl.t60_s, levels * np.sin(angle), attack_s)
    touch = 0.05 * dsp.noise(rng, int(0.05 * dsp.SAMPLE_RATE), dsp.band(150, 700, order=2))
    force = 0.5 + 0.5 * firmness
    return [
        force * dsp.pan(lower, bowl.position - 0.25),
        force * dsp.pan(upper, bowl.position + 0.25),
        force * dsp.pan(events.fade(touch, 0.008, 0.04), bowl.position),
    ]
