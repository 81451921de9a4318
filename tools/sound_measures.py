"""Measures of an ambient sound: similarity to a recording, and flaws.

Every function takes samples [samples, channels] of float64 in [-1, 1] at `SAMPLE_RATE`. Loops are
treated as rings: the end leads into the beginning.
"""

from __future__ import annotations

import librosa
import numpy as np

from deepmersion.sound.analysis import spectrogram
from deepmersion.sound.recording import SAMPLE_RATE

BANDS_HZ = 1000.0 * 2.0 ** (np.arange(-14, 13) / 3)
"""Centres of the third-octave bands from 40 Hz to 16 kHz (IEC 61260, base two)."""

MODULATIONS_HZ = 0.125 * 2.0 ** np.arange(9)
"""Lower edges of the octaves over which an envelope's modulation is summed, up to 64 Hz."""

FRAME_S = 0.01
"""Step of envelopes, in seconds."""

SIDES_HZ = (500.0, 2000.0)
"""Edges between the three bands in which left and right are compared."""

MOMENT = 8192
"""Half a moment in samples: two of them are 0.37 s."""

RESOLUTION = 16_384
"""Length of the long-term spectra, in samples: lines 2.7 Hz apart."""


def a_weighting(frequencies: np.ndarray) -> np.ndarray:
    """Return the linear gain of the A-weighting (IEC 61672) at frequencies in Hz; 0 at 0 Hz."""
    with np.errstate(divide="ignore"):
        return np.asarray(librosa.db_to_amplitude(librosa.A_weighting(frequencies)))


def a_weighted(x: np.ndarray) -> np.ndarray:
    """Return a ring [samples, channels] with A-weighting."""
    from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

    n = x.shape[0]
    padded = next_fast_len(n + 2 * SAMPLE_RATE, real=True)
    ring = np.take(x, np.arange(padded) - SAMPLE_RATE, axis=0, mode="wrap")
    gain = a_weighting(rfftfreq(padded, 1 / SAMPLE_RATE))[:, None]
    heard = irfft(rfft(ring, axis=0) * gain, padded, axis=0)
    return np.asarray(heard[SAMPLE_RATE : SAMPLE_RATE + n])


def long_term_spectrum(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies [lines] in Hz and their mean power over time and channels."""
    from scipy.signal import welch

    f, power = welch(x, SAMPLE_RATE, nperseg=RESOLUTION, axis=0)
    return f, power.mean(axis=1)


def third_octaves(x: np.ndarray) -> np.ndarray:
    """Return the level [bands] in dB in each of `BANDS_HZ`, relative to the total."""
    f, power = long_term_spectrum(x)
    edges = np.append(BANDS_HZ / 2 ** (1 / 6), BANDS_HZ[-1] * 2 ** (1 / 6))
    cumulative = np.interp(edges, f, np.cumsum(power))
    levels = np.diff(cumulative)
    return np.asarray(10 * np.log10(np.maximum(levels / levels.sum(), 1e-9)))


def envelope(x: np.ndarray) -> np.ndarray:
    """Return the A-weighted amplitude [frames] of all channels together, every `FRAME_S`."""
    size = round(FRAME_S * SAMPLE_RATE)
    parts = librosa.feature.rms(y=a_weighted(x).T, frame_length=size, hop_length=size, center=False)
    return np.asarray(np.sqrt(np.mean(parts[:, 0] ** 2, axis=0)))


def modulation(x: np.ndarray) -> np.ndarray:
    """Return the modulation depth of the envelope [octaves] at each of `MODULATIONS_HZ`.

    In dB: 0 means a deviation equal to the mean.
    """
    from scipy.signal import welch

    course = envelope(x)
    f, power = welch(course / course.mean(), 1 / FRAME_S, nperseg=min(len(course), 1600))
    inside = [(f >= low) & (f < 2 * low) for low in MODULATIONS_HZ]
    depths = np.array([power[octave].sum() * (f[1] - f[0]) for octave in inside])
    return np.asarray(10 * np.log10(np.maximum(depths, 1e-6)))


def crest_db(x: np.ndarray) -> float:
    """Return the crest factor, the largest magnitude over the RMS, in dB."""
    return float(20 * np.log10(np.abs(x).max() / np.sqrt(np.mean(x**2))))


def events_per_second(x: np.ndarray) -> float:
    """Return the number of onsets per second; see `Spectrogram.events_s`."""
    return len(spectrogram(x, SAMPLE_RATE).events_s) / (len(x) / SAMPLE_RATE)


def side_correlations(x: np.ndarray) -> np.ndarray:
    """Return the correlation of left and right in three bands with edges at `SIDES_HZ`."""
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
    """Return the sharpness of a loop's bend at the loop point, 1 being the sharpest elsewhere.

    A click is a jump from one sample to the next, which has a large second difference.
    """
    ring = np.take(x, np.arange(-2, x.shape[0]), axis=0, mode="wrap")
    bends = np.abs(np.diff(ring, 2, axis=0))
    return float(bends[:2].max() / bends[2:].max())


def tonal_peak_db(x: np.ndarray) -> float:
    """Return the height of the long-term spectrum's most prominent line above its surroundings.

    In dB, from 60 Hz to 15 kHz, relative to the median of a third of an octave: noise has one or
    two, a faint whistle ten.
    """
    f, power = long_term_spectrum(x)
    level = 10 * np.log10(np.maximum(power, 1e-20))
    places = np.flatnonzero((f >= 60) & (f <= 15_000))
    lines = np.maximum(8, (places * (2 ** (1 / 6) - 1)).astype(int))
    around = [np.median(level[p - n : p + n + 1]) for p, n in zip(places, lines, strict=True)]
    return float(np.max(level[places] - around))


def loneliest_event_db(x: np.ndarray) -> float:
    """Return the level of a loop's loudest moment above the third loudest, in dB.

    Moments last 0.4 s and are at least two seconds apart. The worst octave counts, from 125 Hz to 8
    kHz, of those that are audible (A-weighted, at most 25 dB below the loudest).
    """
    lines = np.abs(librosa.stft(x.mean(axis=1), n_fft=MOMENT, hop_length=MOMENT)) ** 2
    f = librosa.fft_frequencies(sr=SAMPLE_RATE, n_fft=MOMENT)
    heard = lines * a_weighting(f)[:, None] ** 2
    rows = np.digitize(f, 125.0 * 2.0 ** (np.arange(8) - 0.5))
    power = np.array([heard[rows == i].sum(axis=0) for i in range(1, 8)])
    moments = librosa.power_to_db(power[:, :-1] + power[:, 1:], amin=1e-12, top_db=None)
    tops = np.array([_tops(row, 3, round(2 * SAMPLE_RATE / MOMENT)) for row in moments])
    loud = tops[:, 0] > tops.max() - 25
    return float(np.max(tops[loud, 0] - tops[loud, 2]))


def _tops(course: np.ndarray, count: int, apart: int) -> list[float]:
    left, found = course.copy(), []
    for _ in range(count):
        best = int(np.argmax(left))
        found.append(float(left[best]))
        left[np.arange(best - apart, best + apart + 1) % len(left)] = -np.inf
    return found
