"""Finds the quiet spans between a sound's events, in which a cut is inaudible.

Events are breakers, phrases, strokes or peals. An event in any one octave makes a moment unfit for
a cut, which protects a bird over loud surf. Noise without events may be cut anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from deepmersion.sound.keys import Cuts
from deepmersion.sound.recording import SAMPLE_RATE
from deepmersion.sound.spool import Samples

FRAME_SAMPLES = 2048
"""46 ms: the precision with which the edge of an event is found."""

FRAMES_AT_ONCE = 256
"""Limits the memory to about ten megabytes."""

SMOOTHED_FRAMES = 9
"""0.4 s, over which levels are averaged: a crackle or a syllable among many does not count as an
event of its own, and noise does not look eventful by chance."""

EDGES_HZ = 44.2 * 2.0 ** np.arange(9)
"""The octaves from 63 Hz to 8 kHz."""

MASKED_DB = 25.0
"""Octaves this far below the sound's usual level are masked."""

FLOOR_PERCENTILE = 10
LOUD_PERCENTILE = 90
"""Percentiles of the level: the background is seldom softer, events are seldom louder."""

STEADY_DB = 10.0
"""Below this rise over the background, a sound has no events that a join could cut. Rain, crickets,
cafés and fires have 3 to 10 dB, gusts 12, breakers 14, birds and bowls 25."""

QUIET_DB = 6.0
QUIET_SHARE = 1 / 3
"""Highest level that counts as quiet: above the background in dB, or as a share of the way up to
events."""

AT_LEAST_EVERY_S = 6.0
SLACK_DB = 2.0
"""If no quiet span is long enough, as among many birds, the quietest moment serves, with neighbours
at most this much louder."""

SHORTEST_S = 0.3
"""Shortest span that a join needs."""


def find_cuts(samples: Samples) -> Cuts:
    """Return the spans in which a loop may be cut; a single span over all of it if anywhere.

    Parameters
    ----------
    samples : Samples, [samples, channels], float32
        At 44,100 Hz, at any level; the end leads into the beginning.
    """
    heights = heights_db(samples)
    duration_s = len(samples) / SAMPLE_RATE
    loud_db = np.percentile(heights, LOUD_PERCENTILE)
    if loud_db <= STEADY_DB:
        return ((0.0, duration_s),)
    reach = round(AT_LEAST_EVERY_S / 2 * SAMPLE_RATE / FRAME_SAMPLES)
    around = np.pad(heights, reach, mode="wrap")
    lowest = np.lib.stride_tricks.sliding_window_view(around, 2 * reach + 1).min(axis=1)
    limit = np.maximum(max(QUIET_DB, loud_db * QUIET_SHARE), lowest + SLACK_DB)
    # The quietest moments, with as much around them as a join needs.
    least = np.ones(2 * math.ceil(SHORTEST_S / 2 * SAMPLE_RATE / FRAME_SAMPLES) + 1)
    moments = np.convolve(heights == lowest, least, mode="same") > 0
    return _spans((heights <= limit) | moments, duration_s)


def heights_db(samples: Samples) -> np.ndarray:
    """Return the height of a sound above its background, in the octave where it is highest.

    Returns
    -------
    ndarray, shape = (frames,), float64
        In dB, by frames of `FRAME_SAMPLES`.
    """
    power = _octave_powers(samples) + 1e-20
    padded = np.pad(power, ((SMOOTHED_FRAMES // 2, SMOOTHED_FRAMES // 2), (0, 0)), mode="wrap")
    windows = np.lib.stride_tricks.sliding_window_view(padded, SMOOTHED_FRAMES, axis=0)
    levels = 10 * np.log10(windows.mean(axis=2))
    usual = 10 * np.log10(np.median(power.sum(axis=1)))
    levels = np.maximum(levels, usual - MASKED_DB)
    floor = np.percentile(levels, FLOOR_PERCENTILE, axis=0)
    return np.asarray((levels - floor).max(axis=1), dtype=np.float64)


def _octave_powers(samples: Samples) -> np.ndarray:
    """Return A-weighted powers [frames, octaves], in no particular unit."""
    n_frames = len(samples) // FRAME_SAMPLES
    window = np.hanning(FRAME_SAMPLES).astype(np.float32)[:, None]
    frequencies = np.fft.rfftfreq(FRAME_SAMPLES, 1 / SAMPLE_RATE)
    bins = np.searchsorted(frequencies, EDGES_HZ)
    parts = []
    for start in range(0, n_frames, FRAMES_AT_ONCE):
        stop = min(start + FRAMES_AT_ONCE, n_frames)
        part = samples[start * FRAME_SAMPLES : stop * FRAME_SAMPLES]
        frames = part.reshape(stop - start, FRAME_SAMPLES, -1)
        spectra = np.fft.rfft(frames * window, axis=1)
        power = np.square(np.abs(spectra)).sum(axis=2)
        parts.append(np.add.reduceat(power[:, : bins[-1]], bins[:-1], axis=1))
    return np.asarray(np.concatenate(parts) * _a_weights(np.sqrt(EDGES_HZ[:-1] * EDGES_HZ[1:])))


def _a_weights(frequencies_hz: np.ndarray) -> np.ndarray:
    """Return A-weighting (IEC 61672-1) as a factor of powers, the largest being 1."""
    f2 = np.square(frequencies_hz)
    poles = (f2 + 20.6**2) ** 2 * (f2 + 107.7**2) * (f2 + 737.9**2) * (f2 + 12194.0**2) ** 2
    response = f2**4 / poles
    return np.asarray(response / response.max())


def _spans(quiet: np.ndarray, duration_s: float) -> Cuts:
    """Return the runs of frames that are quiet, with their neighbours, in seconds."""
    edges = np.flatnonzero(np.diff(quiet, prepend=False, append=False))
    runs = edges.reshape(-1, 2) * (FRAME_SAMPLES / SAMPLE_RATE)
    return tuple(
        (round(float(start), 2), min(round(float(stop), 2), duration_s))
        for start, stop in runs
        if stop - start >= SHORTEST_S
    )


def toml_line(cuts: Iterable[tuple[float, float]]) -> str:
    """Return cuts as a line for soundbank.toml."""
    return f"cuts = [{', '.join(f'[{start:.2f}, {stop:.2f}]' for start, stop in cuts)}]"
