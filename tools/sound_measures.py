"""Measures of an ambient sound: what tells it from a recording, and what would spoil it.

Every function takes samples [samples, channels] of float64 in [-1, 1] at `SAMPLE_RATE`. Loops
are taken as rings: what comes after the end is the beginning.
"""

from __future__ import annotations

import numpy as np

SAMPLE_RATE = 44_100

BANDS_HZ = 1000.0 * 2.0 ** (np.arange(-14, 13) / 3)
"""Centres of the third-octave bands from 40 Hz to 16 kHz (IEC 61260, base two)."""

MODULATIONS_HZ = 0.125 * 2.0 ** np.arange(9)
"""Lower edges of the octaves in which an envelope's modulation is added up, up to 64 Hz."""

FRAME_S = 0.01
"""Step of envelopes, in seconds."""

EVENT_DB, EVENT_NEARBY_S = 6.0, 0.5
"""An event is a peak of the envelope this far above the median of this time to both sides."""

SIDES_HZ = (500.0, 2000.0)
"""Where the three bands meet in which left and right are compared."""

RESOLUTION = 16_384
"""Length of the long-term spectra, in samples: lines 2.7 Hz apart."""


def a_weighted(x: np.ndarray) -> np.ndarray:
    """Return a ring [samples] or [samples, channels] weighted as the ear does (IEC 61672, A)."""
    from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

    n = x.shape[0]
    padded = next_fast_len(n + 2 * SAMPLE_RATE, real=True)
    ring = np.take(x, np.arange(padded) - SAMPLE_RATE, axis=0, mode="wrap")
    f2 = rfftfreq(padded, 1 / SAMPLE_RATE) ** 2
    gain = 12194**2 * f2**2 / ((f2 + 20.6**2) * (f2 + 12194**2))
    gain *= 1.2589 / np.sqrt((f2 + 107.7**2) * (f2 + 737.9**2))
    spectrum = rfft(ring, axis=0) * (gain if x.ndim == 1 else gain[:, None])
    return np.asarray(irfft(spectrum, padded, axis=0)[SAMPLE_RATE : SAMPLE_RATE + n])


def long_term_spectrum(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies [lines] in Hz and the mean power in them, over time and channels."""
    from scipy.signal import welch

    f, power = welch(x, SAMPLE_RATE, nperseg=RESOLUTION, axis=0)
    return f, power.mean(axis=1)


def third_octaves(x: np.ndarray) -> np.ndarray:
    """Return the level [bands] in dB in each of `BANDS_HZ`, against that of all together."""
    f, power = long_term_spectrum(x)
    edges = np.append(BANDS_HZ / 2 ** (1 / 6), BANDS_HZ[-1] * 2 ** (1 / 6))
    cumulative = np.interp(edges, f, np.cumsum(power))
    levels = np.diff(cumulative)
    return np.asarray(10 * np.log10(np.maximum(levels / levels.sum(), 1e-9)))


def envelope(x: np.ndarray, frame_s: float = FRAME_S) -> np.ndarray:
    """Return the A-weighted amplitude [frames] over time, of all channels together."""
    size = round(frame_s * SAMPLE_RATE)
    heard = a_weighted(x)[: x.shape[0] // size * size]
    return np.asarray(np.sqrt(np.mean(heard.reshape(-1, size * x.shape[1]) ** 2, axis=1)))


def modulation(x: np.ndarray) -> np.ndarray:
    """Return how deep the envelope moves [octaves] at each of `MODULATIONS_HZ`.

    In dB: 0 is a deviation as large as the mean.
    """
    from scipy.signal import welch

    course = envelope(x)
    f, power = welch(course / course.mean(), 1 / FRAME_S, nperseg=min(len(course), 1600))
    inside = [(f >= low) & (f < 2 * low) for low in MODULATIONS_HZ]
    depths = np.array([power[octave].sum() * (f[1] - f[0]) for octave in inside])
    return np.asarray(10 * np.log10(np.maximum(depths, 1e-6)))


def crest_db(x: np.ndarray) -> float:
    """Return the crest factor: the greatest magnitude against the RMS, in dB."""
    return float(20 * np.log10(np.abs(x).max() / np.sqrt(np.mean(x**2))))


def events_per_second(x: np.ndarray) -> float:
    """Return how many peaks of the envelope in a second stand out of what is around them."""
    from scipy.ndimage import maximum_filter1d, median_filter

    level = 20 * np.log10(np.maximum(envelope(x), 1e-9))
    around = median_filter(level, size=2 * round(EVENT_NEARBY_S / FRAME_S) + 1, mode="wrap")
    peaks = level == maximum_filter1d(level, 5, mode="wrap")
    return float(np.sum(peaks & (level > around + EVENT_DB)) / (x.shape[0] / SAMPLE_RATE))


def side_correlations(x: np.ndarray) -> np.ndarray:
    """Return the correlation of left and right in three bands that meet at `SIDES_HZ`."""
    from scipy.signal import csd

    if x.shape[1] == 1:
        return np.ones(3)
    (f, across), left, right = (
        csd(x[:, a], x[:, b], SAMPLE_RATE, nperseg=4096) for a, b in ((0, 1), (0, 0), (1, 1))
    )
    band = np.digitize(f, SIDES_HZ)
    sums = [[np.real(p[band == i]).sum() for p in (across, left[1], right[1])] for i in range(3)]
    return np.array([a / np.sqrt(le * r) for a, le, r in sums])


def click_ratio(x: np.ndarray) -> float:
    """Return how sharply a loop bends at its loop point: 1 is as sharply as anywhere else.

    A jump from one sample to the next, which is what a click is, is a large second difference.
    """
    ring = np.take(x, np.arange(-2, x.shape[0]), axis=0, mode="wrap")
    bends = np.abs(np.diff(ring, 2, axis=0))
    return float(bends[:2].max() / bends[2:].max())


def tonal_peak_db(x: np.ndarray) -> float:
    """Return how far the highest line of the long-term spectrum stands above its surroundings.

    In dB, from 60 Hz to 15 kHz, against the median of a third of an octave: noise has a dB or
    two, a faint whistle has ten.
    """
    f, power = long_term_spectrum(x)
    level = 10 * np.log10(np.maximum(power, 1e-20))
    places = np.flatnonzero((f >= 60) & (f <= 15_000))
    lines = np.maximum(8, (places * (2 ** (1 / 6) - 1)).astype(int))
    around = [np.median(level[p - n : p + n + 1]) for p, n in zip(places, lines, strict=True)]
    return float(np.max(level[places] - around))


def loneliest_event_db(x: np.ndarray) -> float:
    """Return how far the loudest moment of a loop is above the third loudest, in dB.

    Moments of 400 ms, two seconds and more apart, in each octave from 125 Hz to 8 kHz that is
    heard at all (A-weighted, at most 25 dB below the loudest); the worst octave counts.
    """
    from scipy.signal import stft

    f, _, lines = stft(a_weighted(x).mean(axis=1), SAMPLE_RATE, nperseg=8192, noverlap=0)
    edges = 125.0 * 2.0 ** (np.arange(8) - 0.5)
    rows = np.digitize(f, edges)
    power = np.array([(np.abs(lines[rows == i]) ** 2).sum(axis=0) for i in range(1, 8)])
    moments = 10 * np.log10(power[:, :-1] + np.roll(power, -1, axis=1)[:, :-1] + 1e-15)
    tops = np.array([_tops(row, 3, round(2 * SAMPLE_RATE / 8192)) for row in moments])
    heard = tops[:, 0] > tops.max() - 25
    return float(np.max(tops[heard, 0] - tops[heard, 2]))


def _tops(course: np.ndarray, count: int, apart: int) -> list[float]:
    left, found = course.copy(), []
    for _ in range(count):
        best = int(np.argmax(left))
        found.append(float(left[best]))
        left[np.arange(best - apart, best + apart + 1) % len(left)] = -np.inf
    return found
