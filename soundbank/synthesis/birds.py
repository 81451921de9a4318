"""A wood in spring: birds of several kinds that sing, listen and answer.

Each bird has a place, a distance and a repertoire. Neighbours of a kind sing in turn: one sings,
the other answers or keeps quiet, then both rest, for longer after a bout of songs. Now and then the
whole wood falls silent. With distance, high notes and level fall, the level wavers, and more of the
wood's reverberation remains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthesis import birdkinds, birdsong, dsp, events
from synthesis.lengths import N_SAMPLES

TITLE = "Birds in a wood"
MADE = (
    "Songs of sixteen kinds of birds from frequency-modulated syllables, pure, buzzing or rough "
    "and never twice alike, each bird with its own repertoire, place and distance, answering its "
    "neighbours in the reverberation of a wood, with lulls in between."
)


@dataclass(frozen=True)
class Neighbours:
    """Birds of one kind within earshot of each other.

    Parameters
    ----------
    song : birdsong.Species
        Their song.
    distances_m : tuple of float
        One bird at each distance.
    rest_s : float
        Median time of silence between two exchanges.
    loudness : float
        Amplitude of the song at one metre, relative to a chaffinch's.
    repertoire : int
        Number of phrases per bird.
    """

    song: birdsong.Species
    distances_m: tuple[float, ...]
    rest_s: float
    loudness: float
    repertoire: int


WOOD = [
    Neighbours(birdkinds.blackbird, (10, 40, 75), 7.0, 0.6, 8),
    Neighbours(birdkinds.song_thrush, (26, 90), 9.0, 1.0, 8),
    Neighbours(birdkinds.robin, (9, 34, 60), 8.0, 0.6, 8),
    Neighbours(birdkinds.great_tit, (14, 30, 55), 12.0, 0.7, 3),
    Neighbours(birdkinds.chaffinch, (22, 48, 80), 15.0, 1.0, 3),
    Neighbours(birdkinds.wren, (24, 55), 30.0, 0.8, 3),
    Neighbours(birdkinds.chiffchaff, (42,), 16.0, 0.9, 3),
    Neighbours(birdkinds.warbler, (32, 60), 18.0, 0.8, 3),
    Neighbours(birdkinds.greenfinch, (28, 45), 18.0, 0.45, 3),
    Neighbours(birdkinds.goldfinch, (16, 24, 40), 11.0, 0.5, 4),
    Neighbours(birdkinds.nuthatch, (30, 65), 18.0, 0.9, 3),
    Neighbours(birdkinds.cuckoo, (140,), 25.0, 0.5, 1),
    Neighbours(birdkinds.woodpecker, (80, 110), 9.0, 0.6, 2),
    Neighbours(birdkinds.wood_pigeon, (50, 80), 22.0, 0.13, 1),
    Neighbours(birdkinds.sparrow, (15, 17, 21, 26), 7.0, 0.45, 4),
    Neighbours(birdkinds.contact_call, (8, 13, 20, 28), 6.0, 0.35, 4),
]

BOUT, BETWEEN_BOUTS = 4.0, 2.5
"""Mean number of songs or exchanges in a bout, and the factor by which the rest after it is
longer."""

LULLS_S, LULL_S = (11.0, 20.0), 1.8
"""Shortest and longest time between lulls, and the silence in one: birds listen for movement, and a
cut in a lull falls between phrases."""

WIDTH = 0.7
"""Extent of the birds to the sides: 1 would be on one side alone, which does not happen
outdoors."""

SHARED = 0.6
"""Correlation of left and right in the wood's reverberation: two coincident cardioids have a
correlation of 0.75 in diffuse sound, and far trunks reflect slightly differently to each side."""

ANSWER_AFTER_S = (0.4, 2.0)
"""Shortest and longest pause before a neighbour answers."""

ANSWERS = 0.4
"""Chance that a song is answered."""

LATE_S = 1.5
"""Mean wait of a bird after a lull."""

WAVERING, WAVERING_HZ = 0.09, 12.0
"""Deviation of the logarithm of the amplitude over ten metres, and its rate per second: eddies in
the air bend sound to and fro, more so over longer distances."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return one loop of the wood, float64 [samples, 2], at an arbitrary level."""
    n = N_SAMPLES["birds"]
    direct, scattered = np.zeros((n, 2)), np.zeros((n, 2))
    lulls_s = draw_lulls(rng, n / dsp.SAMPLE_RATE)
    for neighbours in WOOD:
        sing_in_turn(rng, neighbours, lulls_s, direct, scattered)
    tail = dsp.reverb(rng, scattered.mean(axis=1), rt60_s=1.2, damping_hz=3000.0)
    return np.asarray(direct + dsp.share(tail, SHARED) + leaves(rng, n))


def draw_lulls(rng: np.random.Generator, duration_s: float) -> np.ndarray:
    """Return the start times of a ring's lulls [lulls], in seconds and in order."""
    count = round(duration_s / np.mean(LULLS_S))
    apart = rng.uniform(*LULLS_S, count)
    return np.asarray(np.cumsum(apart) * duration_s / np.sum(apart) - LULL_S)


def put_off(lulls_s: np.ndarray, start_s: float, song_s: float, duration_s: float) -> float:
    """Return the first time from `start_s` on when a song would end before a lull, in seconds."""
    wrapped_s = np.concatenate([lulls_s - duration_s, lulls_s, lulls_s + duration_s])
    for lull_s in wrapped_s:
        if start_s < lull_s + LULL_S and lull_s < start_s + song_s:
            start_s = lull_s + LULL_S
    return start_s


def leaves(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the air in the wood [n, 2]: a low breath, and leaves that stir in it."""
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
    return np.asarray((0.0016 * air + 0.0006 * stir) * gust)


def sing_in_turn(
    rng: np.random.Generator,
    kind: Neighbours,
    lulls_s: np.ndarray,
    direct: np.ndarray,
    scattered: np.ndarray,
) -> None:
    """Add the exchanges of one kind of bird to the direct and the scattered sound."""
    n_birds = len(kind.distances_m)
    places = rng.permutation((np.arange(n_birds) + rng.random(n_birds)) / n_birds)
    places = WIDTH * (2 * places - 1)
    repertoires = [[kind.song(rng) for _ in range(kind.repertoire)] for _ in range(n_birds)]
    now_s, end_s = rng.uniform(0, kind.rest_s), direct.shape[0] / dsp.SAMPLE_RATE
    bird = int(rng.integers(n_birds))
    while True:
        phrase = repertoires[bird][int(rng.integers(kind.repertoire))]
        song = perform(rng, phrase, kind.distances_m[bird])
        song_s = song.size / dsp.SAMPLE_RATE
        free_s = put_off(lulls_s, now_s, song_s, end_s)
        # They do not all resume at once after a lull.
        if free_s > now_s:
            free_s = put_off(lulls_s, free_s + rng.exponential(LATE_S), song_s, end_s)
        if free_s >= end_s:
            break
        level = kind.loudness / kind.distances_m[bird] * rng.uniform(0.75, 1.1)
        event = events.pan_level(level * song, float(places[bird]))
        start = int(free_s * dsp.SAMPLE_RATE)
        dsp.add_event(direct, start, event)
        dsp.add_event(scattered, start, event * (0.12 + 0.011 * kind.distances_m[bird]))
        now_s = free_s + song_s + pause_s(rng, kind)
        bird = int((bird + rng.integers(1, n_birds)) % n_birds) if n_birds > 1 else bird


def pause_s(rng: np.random.Generator, kind: Neighbours) -> float:
    """Return the silence of a kind after a song, in seconds: the next song may be an answer."""
    if len(kind.distances_m) > 1 and rng.random() < ANSWERS:
        return float(rng.uniform(*ANSWER_AFTER_S))
    rest = BETWEEN_BOUTS if rng.random() < 1 / BOUT else 1.0
    return float(rest * kind.rest_s * rng.lognormal(0, 0.8))


def perform(rng: np.random.Generator, phrase: birdsong.Phrase, distance_m: float) -> np.ndarray:
    """Return one performance of a phrase [samples], heard from a distance, at unit level."""

    def absorb_db(f: np.ndarray) -> np.ndarray:
        return np.asarray(0.10 * distance_m * (f / 5000) ** 1.6)

    parts = []
    for syllable in birdsong.varied(rng, phrase):
        tone = birdsong.sing_syllable(rng, syllable, absorb_db)
        parts += [tone, np.zeros(int(syllable.gap_s * dsp.SAMPLE_RATE))]
    song = np.concatenate(parts)
    wavering = birdsong.uneven(rng, song.size, WAVERING_HZ)
    return np.asarray(song * np.exp(WAVERING * np.sqrt(distance_m / 10) * wavering))
