"""Songs of the birds of a wood: phrases typical of each kind.

Each function invents one phrase of a kind's song; a bird's repertoire is a handful of phrases that
it keeps for life.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synthesis.birdsong import Phrase, Syllable


def blackbird(rng: np.random.Generator) -> Phrase:
    """Return a slow fluted phrase with a squeaky end."""
    phrase = []
    for _ in range(int(rng.integers(3, 7))):
        f = rng.uniform(1750, 2900)
        bend = rng.uniform(0.88, 1.14, 2)
        vibrato = rng.choice([0.0, 0.0, rng.uniform(0.01, 0.03)])
        curve = (f, f * bend[0], f * bend[0] * bend[1])
        phrase.append(
            Syllable(
                curve, rng.uniform(0.1, 0.34), rng.uniform(0.02, 0.1), rng.uniform(0.7, 1.0),
                rng.uniform(18, 35), vibrato, (0.05, 0.015),
            )
        )  # fmt: skip
    for _ in range(int(rng.integers(2, 8))):
        f = rng.uniform(3200, 6000)
        curve = (f, f * rng.uniform(0.8, 1.3), f * rng.uniform(0.7, 1.1))
        phrase.append(Syllable(curve, rng.uniform(0.03, 0.07), 0.012, rng.uniform(0.12, 0.3)))
    return phrase


def great_tit(rng: np.random.Generator) -> Phrase:
    """Return a two- or three-note figure, repeated like a squeaking pump."""
    high = rng.uniform(3600, 4600)
    pitches = [high, high * rng.uniform(0.68, 0.82), high * rng.uniform(0.85, 0.95)]
    figure = [
        Syllable((f * 1.02, f, f * 0.985), rng.uniform(0.08, 0.14), rng.uniform(0.03, 0.08),
                 rng.uniform(0.75, 1.0), harmonics=(0.06,))
        for f in pitches[: int(rng.integers(2, 4))]
    ]  # fmt: skip
    return figure * int(rng.integers(3, 8))


def chaffinch(rng: np.random.Generator) -> Phrase:
    """Return a rattle that falls in steps and ends in a flourish."""
    phrase: Phrase = []
    top, duration = rng.uniform(5000, 5800), 0.055
    for _ in range(int(rng.integers(3, 5))):
        low = top * rng.uniform(0.52, 0.64)
        gap = rng.uniform(0.035, 0.07)
        note = Syllable((top, top * 0.8, low), duration, gap, rng.uniform(0.55, 0.9))
        phrase += [note] * int(rng.integers(3, 7))
        top, duration = top * rng.uniform(0.8, 0.93), duration * rng.uniform(1.0, 1.25)
    end = rng.uniform(2400, 3000)
    phrase.append(Syllable((4600, 3000, 4200), 0.11, 0.02, 0.9))
    phrase.append(Syllable((end * 1.5, end, end * 1.25, end * 0.95), 0.22, 0.1, 1.0))
    return phrase


def robin(rng: np.random.Generator) -> Phrase:
    """Return a thin silvery phrase that leaps between high and low."""
    phrase = []
    for _ in range(int(rng.integers(7, 16))):
        f = rng.choice([rng.uniform(2200, 3300), rng.uniform(3500, 5000), rng.uniform(5000, 7200)])
        curve = tuple(f * rng.uniform(0.8, 1.2, int(rng.integers(2, 5))))
        fast = rng.random() < 0.35
        phrase.append(
            Syllable(
                curve, rng.uniform(0.04, 0.22), rng.uniform(0.01, 0.09), rng.uniform(0.35, 0.9),
                rng.uniform(25, 60), 0.05 if fast else 0.0, (0.03,),
            )
        )  # fmt: skip
    return phrase


def wren(rng: np.random.Generator) -> Phrase:
    """Return a long, hurried chain of trills on different pitches."""
    phrase: Phrase = []
    for _ in range(int(rng.integers(4, 7))):
        f, duration = rng.uniform(3600, 6200), rng.uniform(0.03, 0.08)
        curve = tuple(f * rng.uniform(0.78, 1.2, 3))
        note = Syllable(curve, duration, rng.uniform(0.02, 0.05), rng.uniform(0.6, 1.0))
        phrase += [note] * int(rng.integers(3, 14))
    return phrase


def chiffchaff(rng: np.random.Generator) -> Phrase:
    """Return an even, unhurried series of two clipped notes in random order."""
    notes = [
        Syllable((f * 1.5, f * 1.02, f), 0.10, rng.uniform(0.2, 0.26), 0.9, harmonics=(0.04,))
        for f in (rng.uniform(3900, 4300), rng.uniform(3300, 3700))
    ]
    return [notes[int(i)] for i in rng.integers(0, 2, int(rng.integers(6, 15)))]


def warbler(rng: np.random.Generator) -> Phrase:
    """Return soft descending whistles, each a little lower and slower than the one before."""
    f, duration, phrase = rng.uniform(4300, 5200), 0.07, []
    for _ in range(int(rng.integers(9, 15))):
        curve = (f * 1.12, f, f * rng.uniform(0.86, 0.92))
        phrase.append(Syllable(curve, duration, 0.05, rng.uniform(0.6, 0.95)))
        f, duration = f * rng.uniform(0.93, 0.975), duration * 1.06
    return phrase


def wood_pigeon(rng: np.random.Generator) -> Phrase:
    """Return five muffled coos."""
    f = rng.uniform(440, 510)
    rhythm = [
        (0.32, 0.9, 0.08),
        (0.62, 1.06, 0.06),
        (0.5, 1.0, 0.24),
        (0.3, 0.96, 0.1),
        (0.34, 0.93, 0.5),
    ]
    coos = [
        Syllable((f * r * 0.94, f * r, f * r * 0.96), d, gap, 1.0, 8, 0.006, (0.04, 0.015))
        for d, r, gap in rhythm
    ]
    return coos * int(rng.integers(2, 4))


def sparrow(rng: np.random.Generator) -> Phrase:
    """Return a few plain, slightly rough chirps."""
    phrase = []
    for _ in range(int(rng.integers(2, 6))):
        f = rng.uniform(2700, 3800)
        curve = (
            f * rng.uniform(0.85, 1.0),
            f * rng.uniform(1.1, 1.35),
            f * rng.uniform(0.75, 0.95),
        )
        phrase.append(
            Syllable(curve, rng.uniform(0.06, 0.13), rng.uniform(0.15, 0.5), rng.uniform(0.5, 1.0),
                     rng.uniform(60, 110), 0.02, (0.25, 0.1))
        )  # fmt: skip
    return phrase


def contact_call(rng: np.random.Generator) -> Phrase:
    """Return one to three thin calls by which birds keep in touch."""
    f, long = rng.uniform(5500, 8000), rng.random() < 0.4
    duration = rng.uniform(0.12, 0.3) if long else rng.uniform(0.03, 0.06)
    drop = 0.97 if long else rng.uniform(0.75, 1.15)
    call = Syllable((f, f * (1 + drop) / 2, f * drop), duration, rng.uniform(0.08, 0.3), 0.6)
    return [call] * int(rng.integers(1, 4))


def song_thrush(rng: np.random.Generator) -> Phrase:
    """Return a few short motifs, each repeated two to four times before the next."""
    phrase: Phrase = []
    for _ in range(int(rng.integers(2, 5))):
        motif = []
        for _ in range(int(rng.integers(1, 4))):
            curve = tuple(rng.uniform(2000, 4000) * rng.uniform(0.75, 1.3, int(rng.integers(2, 5))))
            trill = 0.06 if rng.random() < 0.3 else 0.0
            motif.append(
                Syllable(curve, rng.uniform(0.06, 0.2), rng.uniform(0.02, 0.06),
                         rng.uniform(0.6, 1.0), rng.uniform(25, 70), trill, (0.14, 0.05))
            )  # fmt: skip
        motif[-1] = replace(motif[-1], gap_s=rng.uniform(0.12, 0.3))
        phrase += motif * int(rng.integers(2, 5))
        phrase[-1] = replace(phrase[-1], gap_s=rng.uniform(0.35, 0.8))
    return phrase


def greenfinch(rng: np.random.Generator) -> Phrase:
    """Return a short trill and a long, nasal wheeze, or the wheeze alone."""
    f = rng.uniform(2800, 3600)
    note = Syllable((f, f * 1.25, f * 0.95), 0.05, 0.045, 0.7, harmonics=(0.15, 0.05))
    trill = [note] * int(rng.integers(5, 11)) if rng.random() < 0.5 else []
    top = rng.uniform(3800, 4400)
    wheeze = Syllable((top * 0.9, top, top * 0.94, top * 0.8), rng.uniform(0.5, 0.8), 0.1, 0.9,
                      rng.uniform(110, 150), 0.07, (0.12, 0.06), 0.01)  # fmt: skip
    return [*trill, wheeze]


def goldfinch(rng: np.random.Generator) -> Phrase:
    """Return a tinkling twitter with a dry buzz or two in it."""
    phrase: Phrase = []
    for _ in range(int(rng.integers(4, 8))):
        f = rng.uniform(3600, 6200)
        buzz = rng.random() < 0.25
        curve = tuple(f * rng.uniform(0.85, 1.25, 3))
        note = Syllable(
            curve, rng.uniform(0.15, 0.3) if buzz else rng.uniform(0.03, 0.08),
            rng.uniform(0.03, 0.09), rng.uniform(0.4, 0.9),
            rng.uniform(70, 110), 0.06 if buzz else 0.0, (0.12, 0.05), 0.02 if buzz else 0.0,
        )  # fmt: skip
        phrase += [note] * (1 if buzz else int(rng.integers(1, 4)))
    return phrase


def nuthatch(rng: np.random.Generator) -> Phrase:
    """Return a row of full whistles that rise."""
    f, duration = rng.uniform(2100, 2500), rng.uniform(0.14, 0.22)
    note = Syllable((f * 0.85, f, f * 1.4), duration, rng.uniform(0.08, 0.16), 0.9,
                    harmonics=(0.25, 0.12, 0.05))  # fmt: skip
    return [note] * int(rng.integers(3, 7))


def cuckoo(rng: np.random.Generator) -> Phrase:
    """Return a falling third, called again and again from afar."""
    f = rng.uniform(640, 700)
    high = Syllable((f * 0.99, f, f * 0.97), 0.17, 0.16, 1.0, harmonics=(0.06, 0.02))
    low = Syllable((f * 0.81, f * 0.82, f * 0.80), 0.26, rng.uniform(0.6, 0.8), 0.9,
                   harmonics=(0.06, 0.02))  # fmt: skip
    return [high, low] * int(rng.integers(3, 6))


def woodpecker(rng: np.random.Generator) -> Phrase:
    """Return a drum roll on a dry branch, quicker and softer towards its end."""
    count, f = int(rng.integers(11, 17)), rng.uniform(800, 1300)
    return [
        Syllable((f, f * 0.85), 0.022, 0.036 - 0.014 * k / count, 1.0 - 0.7 * k / count,
                 harmonics=(0.6, 0.35, 0.2), roughness=0.25)
        for k in range(count)
    ]  # fmt: skip
