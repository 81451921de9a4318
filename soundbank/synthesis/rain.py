"""Rain: thousands of single drops nearby, over the sum of all distant ones.

Near drops are of three kinds: those that hit hard ground (a dry tick), leaves (a short dull knock)
and water (a tick, and the ring of the bubble that the drop leaves behind; Minnaert 1933, Pumphrey &
Crum 1990). Their sizes follow Marshall & Palmer (1948). They fall evenly on the plane around the
listener, so a few are close and most are far.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synthesis import dsp
from synthesis.lengths import N_SAMPLES

TITLE = "Rain"
MADE = (
    "Over 100,000 single drops on ground, leaves and water, of Marshall-Palmer sizes and all "
    "distances, over the diffuse sound of far rain; the shower slowly thickens and thins."
)

FAR_SPECTRUM: dict[float, float] = {
    40: -9, 80: -6, 160: -4, 315: -3, 630: -1.5, 1250: -1, 2500: -1, 5000: 0, 8000: 0, 10000: -1,
    16000: -6,
}  # fmt: skip
"""Level of far rain in dB in bands of equal width on a log axis: nearly flat up to where air
absorbs the top, as in most recordings of rain."""

MEAN_DIAMETER_MM = 0.6
"""Mean of Marshall and Palmer's exponential sizes at about 10 mm of rain an hour."""

SIZES_MM = (0.4, 3.0)
"""Smaller drops are too faint to be heard singly; larger ones burst as they fall."""

DISTANCES_M = (2.0, 15.0)
"""Drops are heard singly between these distances. The nearer bound keeps a drop from sticking
out."""

SHOWER_DB, SHOWER_S = 1.5, (120.0, 4.0)
"""Deviation of the slow rise and fall, and its periods: a shower thickens and thins over half a
minute and more. Recorded rain drifts by 1 to 3 dB from one half minute to the next."""

SHARED = 0.7
"""Correlation of the rise and fall of all parts of the rain: it comes in sheets slanted by the
wind, sometimes with more leaves and sometimes with more water."""

GROWTH = 0.21
"""A heavier rain has larger drops: their mean grows with the rate to this power (Marshall and
Palmer)."""

CONTROL_HZ = 20
EVENT_S = 0.016
CHUNK = 4000


def render(rng: np.random.Generator) -> np.ndarray:
    """Return the sound, float64 [samples, 2] at 44.1 kHz."""
    n = N_SAMPLES["rain"]
    seconds = n / dsp.SAMPLE_RATE
    shower, far, *near = _showers(rng, seconds, 2 + len(KINDS))
    out = _far(rng, n, _together(shower, far))
    for course, (make, rate, level_db) in zip(near, KINDS, strict=True):
        drops = _near(rng, n, make, int(rate * seconds), _together(shower, course))
        out += drops / np.sqrt(np.mean(drops**2)) * dsp.db(level_db)
    return dsp.join_bass(out)


def _showers(rng: np.random.Generator, seconds: float, count: int) -> list[np.ndarray]:
    """Return independent courses [points] in dB."""
    points = int(seconds * CONTROL_HZ)
    return [SHOWER_DB * dsp.gust_curve(rng, points, seconds, *SHOWER_S) for _ in range(count)]


def _together(shower: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the course of one part of the rain: the whole shower's and its own."""
    return np.asarray(np.sqrt(SHARED) * shower + np.sqrt(1 - SHARED) * own)


def _far(rng: np.random.Generator, n: int, shower: np.ndarray) -> np.ndarray:
    """Return the bed [n, 2] for a shower's course [points] in dB.

    More rain is also brighter, because heavy drops splash.
    """
    colour, pink = dsp.curve(FAR_SPECTRUM), dsp.tilt(-3.0)
    bed = dsp.diffuse_noise(rng, n, lambda f: colour(f) * pink(f))
    bright = dsp.filter_ring(bed, dsp.band(low_hz=2500, order=1))
    swell = dsp.stretch(shower, n)[:, None]
    return bed * 10 ** (0.6 * swell / 20) + bright * (10 ** (0.8 * swell / 20) - 1)


def _near(
    rng: np.random.Generator, n: int, make: Splash, count: int, shower: np.ndarray
) -> np.ndarray:
    """Return the near drops of one kind, [n, 2]."""
    rate = 10 ** (2 * shower / 20)
    starts = dsp.draw_times(rng, count, rate, n)
    mean_mm = MEAN_DIAMETER_MM * rate**GROWTH
    out = np.zeros((n, 2))
    for chunk in np.array_split(starts, max(1, count // CHUNK)):
        k = len(chunk)
        size = np.clip(rng.exponential(mean_mm[chunk * len(rate) // n]), *SIZES_MM)
        away = np.sqrt(rng.uniform(DISTANCES_M[0] ** 2, DISTANCES_M[1] ** 2, k))
        drops = make(rng, size) * (size**1.5 / away)[:, None]
        place = 0.8 * np.sin(rng.uniform(-np.pi, np.pi, k))
        angle, late = (place + 1) * np.pi / 4, (place * 0.00025 * dsp.SAMPLE_RATE).astype(int)
        dsp.scatter(out[:, 0], chunk + late, drops * np.cos(angle)[:, None])
        dsp.scatter(out[:, 1], chunk - late, drops * np.sin(angle)[:, None])
    return dsp.filter_ring(out, dsp.band(low_hz=120))


def _time() -> np.ndarray:
    return np.arange(int(EVENT_S * dsp.SAMPLE_RATE)) / dsp.SAMPLE_RATE


def _tick(rng: np.random.Generator, decay_s: np.ndarray) -> np.ndarray:
    """Return bursts of noise [k, length] that rise in a few samples and decay exponentially."""
    t = _time()
    x = rng.standard_normal((len(decay_s), len(t)))
    return np.asarray(x * (1 - np.exp(-t / 0.00015)) * np.exp(-t / decay_s[:, None]))


def _on_ground(rng: np.random.Generator, size: np.ndarray) -> np.ndarray:
    """Return splashes on stone or earth: larger drops splash for longer, and duller."""
    ticks = _tick(rng, 0.0006 * size * rng.lognormal(0.0, 0.4, len(size)))
    ticks[:, 1:] += np.clip(size / 2, 0.2, 0.95)[:, None] * ticks[:, :-1]
    return ticks


def _on_leaf(rng: np.random.Generator, size: np.ndarray) -> np.ndarray:
    """Return knocks on leaves: a leaf rings low and briefly, each one differently."""
    t, k = _time(), len(size)
    knock = np.zeros((k, len(t)))
    for _ in range(2):
        pitch = rng.lognormal(np.log(900), 0.6, k)[:, None]
        decay = rng.lognormal(np.log(0.0018), 0.4, k)[:, None]
        phase = rng.uniform(0, 2 * np.pi, k)[:, None]
        knock += np.exp(-t / decay) * np.sin(2 * np.pi * pitch * t + phase)
    return np.asarray(knock * (1 - np.exp(-t / 0.0003)) + 0.4 * _tick(rng, 0.0005 * size))


def _on_water(rng: np.random.Generator, size: np.ndarray) -> np.ndarray:
    """Return plips: a faint tick, then the bubble, whose pitch depends on its radius and rises."""
    t, k = _time(), len(size)
    pitch = np.clip(rng.lognormal(np.log(3200), 0.5, k), 900, 9000)[:, None]
    decay = 9 / (np.pi * pitch)
    late = np.maximum(t - rng.uniform(0.001, 0.006, k)[:, None], 0.0)
    bubble = np.exp(-late / decay) * (1 - np.exp(-late / 0.0002))
    bubble *= np.sin(2 * np.pi * pitch * (1 + 8 * late) * late)
    return np.asarray(bubble + 0.3 * _tick(rng, 0.0004 * size))


Splash = Callable[[np.random.Generator, np.ndarray], np.ndarray]
"""Sounds of drops [k, length] for their sizes [k] in mm."""

KINDS: tuple[tuple[Splash, int, float], ...] = (
    (_on_ground, 700, -12.0),
    (_on_leaf, 500, -12.0),
    (_on_water, 450, -6.0),
)
"""Surfaces that near drops fall on, drops per second, and their level in dB relative to far rain.
Water is loudest: the ringing bubbles distinguish rain from other noise. Louder drops would patter,
unlike recordings of steady rain; more drops per second would no longer be heard singly."""
