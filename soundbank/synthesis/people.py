"""A café at a busy hour: talk from every table, cups and cutlery, the room around them.

At each table one person talks at a time and the others reply, sometimes before the first has
finished. The listener sits among them: nearer tables are a little clearer, but the room blurs
everything, so talk is heard but no words. Left and right are a pair of cardioid microphones that
stand at one point at right angles, as in most small recorders.
"""

from __future__ import annotations

import numpy as np

from synthesis import dsp, events, voices
from synthesis.lengths import N_SAMPLES

TITLE = "People in a café"
MADE = (
    "Some forty voices of espeak-ng in ten languages, with livelier melodies than its own, talk "
    "in turn at fourteen tables, with cups and cutlery as damped modes, in the reverberation of a "
    "room that both microphones share."
)

N_TABLES = 14
"""Tables, each with about one person talking: enough to keep words from standing out."""

TAP, TAPS_HZ = 1.0, 0.9
"""Typical amplitude of a tap of cup or cutlery at one metre; groups of taps in a second."""

SEATS_APART = 0.2
"""Angle between two people at one table, in radians."""

NEAREST_M = 2.5
"""Distance of the nearest table."""

LIVELINESS, LIVELINESS_S = 0.16, (40.0, 1.5)
"""Common rise and fall of the room's talk, as people raise their voices over it, and its longest
and shortest period in seconds."""

AIMED = np.pi / 4
"""Angle of the microphones to the left and to the right, in radians."""

SHARED = 0.75
"""Correlation of two cardioids at right angles in diffuse sound: the mean product of their gains
over all directions, 1/4, over the mean square of one, 1/3."""

RT60_S = 0.6
"""Reverberation time of a furnished café, in seconds."""

TALK_RETURNED, TAPS_RETURNED = 0.09, 0.045
"""Amplitude of the room's reverberation of talk and of taps: soft seats and coats absorb more of
the taps, which are high."""

MOUTH = dsp.curve(
    {
        100: 7,
        160: 4,
        250: 0,
        500: 0,
        800: -3,
        1100: -6,
        2000: -4,
        4000: -1,
        6300: 2,
        8000: 5,
        10000: 9,
    }
)
"""Correction of espeak-ng's voices to the long-term spectrum of speech (Byrne et al., *An
international comparison of long-term average speech spectra*, JASA 96, 1994), with the tilt of
slightly raised voices."""


def render(rng: np.random.Generator) -> np.ndarray:
    """Return one loop of the café, float64 [samples, 2], at an arbitrary level."""
    n = N_SAMPLES["people"]
    direct, send = np.zeros((n, 2)), np.zeros(n)
    for distance_m in np.geomspace(NEAREST_M, 14.0, N_TABLES):
        talk_at_table(rng, float(distance_m), direct, send)
    mood = dsp.gust_curve(rng, 4096, n / dsp.SAMPLE_RATE, *LIVELINESS_S)
    liveliness = np.exp(LIVELINESS * dsp.stretch(mood, n))
    direct *= liveliness[:, None]
    send *= liveliness
    add_tableware(rng, direct, send)
    tail = dsp.reverb(rng, send, RT60_S, damping_hz=2500.0)
    return np.asarray(direct + dsp.share(tail, SHARED) + room_tone(rng, n))


def aim(x: np.ndarray, azimuth: float) -> np.ndarray:
    """Return a mono event as recorded by the two microphones, [samples, 2].

    Parameters
    ----------
    azimuth : float
        Direction in radians: 0 is ahead, positive to the right.
    """
    left, right = (0.5 + 0.5 * np.cos(azimuth + aimed) for aimed in (AIMED, -AIMED))
    return np.stack([x * left, x * right], axis=1)


def room_tone(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the empty room [n, 2]: ventilation, and a refrigerator's low noise."""
    response = dsp.curve({30: -20, 70: -4, 120: 0, 250: -8, 600: -18, 2000: -30, 8000: -42})
    sides = np.stack([dsp.noise(rng, n, response) for _ in range(2)], axis=1)
    return 0.10 * dsp.share(sides, SHARED)


def talk_at_table(
    rng: np.random.Generator, distance_m: float, direct: np.ndarray, send: np.ndarray
) -> None:
    """Add the conversation of one table to the direct sound and to the reverberation's input."""
    language = str(rng.choice(list(voices.SENTENCES)))
    sentences = voices.SENTENCES[language]
    azimuth = rng.uniform(-np.pi, np.pi)
    party = [voices.make_talker(rng, language) for _ in range(int(rng.integers(2, 5)))]
    turned_hz = rng.uniform(2500, 9000, len(party))
    loudness = rng.lognormal(0, 0.35, len(party))
    now, who = rng.uniform(0, 4) * dsp.SAMPLE_RATE, 0
    while now < direct.shape[0]:
        speech = voices.speak(rng, party[who], str(rng.choice(sentences)))
        speech = events.filter_event(speech, towards(turned_hz[who]))
        level = 0.35 * loudness[who] * rng.lognormal(0, 0.25)
        heard = aim(level / distance_m * speech, azimuth + SEATS_APART * who)
        dsp.add_event(direct, int(now), heard)
        dsp.add_event(send, int(now), TALK_RETURNED * level * speech)
        pause_s = rng.uniform(-0.3, 0.5) if rng.random() < 0.8 else rng.exponential(3.0)
        now += speech.size + pause_s * dsp.SAMPLE_RATE
        if rng.random() < 0.6:
            who = int((who + rng.integers(1, len(party))) % len(party))


def towards(turned_hz: float) -> dsp.Response:
    """Return the response of a mouth turned away from the listener: less above `turned_hz`."""

    def response(f: np.ndarray) -> np.ndarray:
        return MOUTH(f) * dsp.band(80, turned_hz, order=1)(f)

    return response


def add_tableware(rng: np.random.Generator, direct: np.ndarray, send: np.ndarray) -> None:
    """Add cups and cutlery in small groups, from tables all around."""
    for start in events.poisson_times(rng, direct.shape[0], TAPS_HZ):
        ware = cup if rng.random() < 0.5 else cutlery
        frequency_hz = rng.uniform(1500, 2800) if ware is cup else rng.uniform(2600, 4800)
        distance_m = np.exp(rng.uniform(np.log(3), np.log(14)))
        azimuth = rng.uniform(-np.pi, np.pi)
        late = 0.0
        for _ in range(int(rng.integers(1, 5))):
            tap = TAP * min(rng.lognormal(0, 0.6), 3.0) * ware(rng, frequency_hz)
            position = int(start + late * dsp.SAMPLE_RATE)
            dsp.add_event(direct, position, aim(tap / distance_m, azimuth))
            dsp.add_event(send, position, TAPS_RETURNED * tap)
            late += rng.uniform(0.06, 0.4)


def cup(rng: np.random.Generator, frequency_hz: float) -> np.ndarray:
    """Return a cup set on its saucer: a few ceramic modes, quickly damped."""
    frequencies = frequency_hz * np.array([1.0, 1.42, 2.08, 2.77, 3.6])
    t60 = rng.uniform(0.05, 0.16) * np.array([1.0, 0.9, 0.7, 0.5, 0.4])
    return events.damped_modes(frequencies, t60, rng.normal(0, [1, 0.9, 0.6, 0.4, 0.2]), 0.0004)


def cutlery(rng: np.random.Generator, frequency_hz: float) -> np.ndarray:
    """Return a knife or spoon touching a plate: higher modes of metal that ring longer."""
    frequencies = frequency_hz * np.array([0.55, 1.0, 1.58, 2.31, 3.1])
    t60 = rng.uniform(0.08, 0.22) * np.array([0.5, 1.0, 1.0, 0.8, 0.6])
    return events.damped_modes(frequencies, t60, rng.normal(0, [0.4, 1, 0.8, 0.5, 0.3]), 0.0002)
