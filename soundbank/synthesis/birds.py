"""A wood in spring: birds of several kinds that sing, listen and answer.

Each bird has a place, a distance and a repertoire. Neighbours of a kind sing in turn: one sings,
the other answers or keeps quiet, then both rest. Distance takes the high notes, lowers the level
and leaves more of the wood's reverberation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthesis import birdsong, dsp, events
from synthesis.lengths import N_SAMPLES

TITLE = "Birds in a wood"
MADE = (
    "Songs of ten kinds of birds from frequency-modulated syllables, each bird with its own "
    "repertoire, place and distance, answering its neighbours in the reverberation of a wood."
)


@dataclass(frozen=True)
class Neighbours:
    """Birds of one kind within earshot of each other.

    Parameters
    ----------
    song : birdsong.Species
        What they sing.
    distances_m : tuple of float
        One bird at each distance.
    rest_s : float
        Median time of silence between two exchanges.
    loudness : float
        Amplitude of the song at one metre, relative to a chaffinch's.
    repertoire : int
        How many phrases each bird knows.
    """

    song: birdsong.Species
    distances_m: tuple[float, ...]
    rest_s: float
    loudness: float
    repertoire: int


WOOD = [
    Neighbours(birdsong.blackbird, (14, 38), 9.0, 0.6, 8),
    Neighbours(birdsong.robin, (11, 30), 9.0, 0.6, 8),
    Neighbours(birdsong.great_tit, (13, 27, 50), 11.0, 0.7, 3),
    Neighbours(birdsong.chaffinch, (15, 33), 14.0, 1.0, 2),
    Neighbours(birdsong.wren, (22, 45), 30.0, 0.8, 3),
    Neighbours(birdsong.chiffchaff, (35,), 14.0, 0.9, 3),
    Neighbours(birdsong.warbler, (24, 42), 12.0, 0.8, 3),
    Neighbours(birdsong.wood_pigeon, (50, 80), 22.0, 0.13, 1),
    Neighbours(birdsong.sparrow, (17, 19, 21, 26), 6.0, 0.45, 3),
    Neighbours(birdsong.contact_call, (9, 13, 20, 28), 6.0, 0.35, 4),
]

ANSWER_AFTER_S = (0.4, 2.0)
"""Shortest and longest pause before a neighbour answers."""

ANSWERS = 0.5
"""Chance that a song is answered."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return one loop of the wood, float64 [samples, 2], at an arbitrary level."""
    n = N_SAMPLES["birds"]
    direct, scattered = np.zeros((n, 2)), np.zeros((n, 2))
    for neighbours in WOOD:
        sing_in_turn(rng, neighbours, direct, scattered)
    wood = dsp.reverb(rng, scattered, rt60_s=1.2, damping_hz=3000.0)
    return np.asarray(direct + wood + leaves(rng, n))


def leaves(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the air in the wood [n, 2]: a low breath, and leaves that stir with it."""
    breath = dsp.slow_curve(rng, n, 2.5, slope=1.2)
    low: dict[float, float] = {
        30: -18,
        80: 0,
        160: -2,
        300: -7,
        700: -12,
        1500: -18,
        4000: -28,
        12000: -42,
    }
    air = dsp.diffuse_noise(rng, n, dsp.curve(low))
    high: dict[float, float] = {500: -22, 1500: -8, 4000: 0, 7000: -3, 14000: -14}
    stir = dsp.diffuse_noise(rng, n, dsp.curve(high), ears_m=1.0)
    gust = np.exp(0.3 * breath)[:, None]
    return np.asarray((0.0024 * air + 0.0008 * stir) * gust)


def sing_in_turn(
    rng: np.random.Generator, kind: Neighbours, direct: np.ndarray, scattered: np.ndarray
) -> None:
    """Add the exchanges of one kind of bird to the direct and the scattered sound."""
    n_birds = len(kind.distances_m)
    places = rng.permutation(np.linspace(-0.8, 0.8, n_birds) + rng.uniform(-0.1, 0.1, n_birds))
    repertoires = [[kind.song(rng) for _ in range(kind.repertoire)] for _ in range(n_birds)]
    now_s, end_s = rng.uniform(0, kind.rest_s), direct.shape[0] / dsp.SAMPLE_RATE
    bird = int(rng.integers(n_birds))
    while now_s < end_s:
        phrase = repertoires[bird][int(rng.integers(kind.repertoire))]
        song = perform(rng, phrase, kind.distances_m[bird])
        level = kind.loudness / kind.distances_m[bird] * rng.uniform(0.75, 1.1)
        event = events.pan_level(level * song, float(np.clip(places[bird], -1, 1)))
        start = int(now_s * dsp.SAMPLE_RATE)
        dsp.add_event(direct, start, event)
        dsp.add_event(scattered, start, event * (0.12 + 0.011 * kind.distances_m[bird]))
        now_s += song.size / dsp.SAMPLE_RATE
        answered = n_birds > 1 and rng.random() < ANSWERS
        now_s += rng.uniform(*ANSWER_AFTER_S) if answered else kind.rest_s * rng.lognormal(0, 0.8)
        bird = int((bird + rng.integers(1, n_birds)) % n_birds) if n_birds > 1 else bird


def perform(rng: np.random.Generator, phrase: birdsong.Phrase, distance_m: float) -> np.ndarray:
    """Return one performance of a phrase [samples], as heard from a distance, at unit level."""

    def absorb_db(f: np.ndarray) -> np.ndarray:
        return np.asarray(0.10 * distance_m * (f / 5000) ** 1.6)

    tempo = rng.normal(1, 0.02)
    parts = []
    for syllable in phrase:
        tone = birdsong.sing_syllable(rng, syllable, absorb_db) * rng.uniform(0.85, 1.1)
        parts += [tone, np.zeros(int(syllable.gap_s * tempo * dsp.SAMPLE_RATE))]
    return np.concatenate(parts)
