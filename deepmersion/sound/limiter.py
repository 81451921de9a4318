"""A look-ahead limiter for true peaks (ITU-R BS.1770-4, annex 2), in constant memory."""

from __future__ import annotations

from functools import reduce

import numpy as np

REACH_S = 0.02
"""Half-width of the dip in gain around a peak: long compared with a period of audible sound, so it
is not heard as distortion, and short enough not to be heard as pumping."""

OVERSAMPLING = 8
TAPS_PER_PHASE = 64
KAISER_BETA = 3.0
"""Twice the rate and five times the taps of annex 2 of BS.1770-4, whose filter misses up to 1 dB
above 15 kHz; this one is accurate up to 21 kHz, and still cheap."""

ESTIMATION_MARGIN_DB = 0.7
"""Rise of the peaks, as measured, when limited full-scale white noise (the worst case) passes a
steep low-pass such as a converter's or a resampler's."""


def _interpolators() -> np.ndarray:
    """Return the filters of the phases between samples, [phases - 1, taps]."""
    offsets = np.arange(TAPS_PER_PHASE) - (TAPS_PER_PHASE - 1) // 2
    shifts = np.arange(1, OVERSAMPLING) / OVERSAMPLING
    distance = offsets[None, :] - shifts[:, None]
    inside = np.maximum(0.0, 1 - (2 * distance / (TAPS_PER_PHASE + 1)) ** 2)
    taps = np.sinc(distance) * np.i0(KAISER_BETA * np.sqrt(inside))
    return np.asarray(taps / taps.sum(axis=1, keepdims=True))


_INTERPOLATORS = _interpolators()

SURE_RATIO = 1 / float(np.abs(_INTERPOLATORS).sum(axis=1).max())
"""An estimate between samples exceeds the samples around it at most by the sum of a filter's
magnitudes (about three); below this share of the ceiling, samples need no closer look."""

APART_SAMPLES = 8 * TAPS_PER_PHASE
"""Loud samples closer together than this are interpolated in one go: each call has a cost."""


def true_peaks(samples: np.ndarray) -> np.ndarray:
    """Return, for each sample, the largest magnitude of the signal from it to the next.

    Parameters
    ----------
    samples : ndarray, shape = (samples, channels)

    Returns
    -------
    ndarray, shape = (samples,)
        The largest over the channels, at eight times the rate.
    """
    peaks = _louder(samples)
    before = (TAPS_PER_PHASE - 1) // 2
    padded = np.pad(samples, ((before, TAPS_PER_PHASE - 1 - before), (0, 0)))
    # Of the samples' own type: otherwise each call would convert them all.
    for taps in _INTERPOLATORS.astype(samples.dtype):
        for channel in padded.T:
            between = np.abs(np.correlate(channel, taps, mode="valid"))
            np.maximum(peaks, between, out=peaks)
    return np.asarray(peaks)


def _louder(samples: np.ndarray) -> np.ndarray:
    """Return the magnitude of each sample in the channel where it is louder."""
    # numpy's own maximum is slow along so short an axis.
    return np.asarray(reduce(np.maximum, np.abs(samples).T))


def peaks_above(samples: np.ndarray, level: float) -> np.ndarray | None:
    """Return `true_peaks` wherever one can exceed a level, and zero elsewhere; None if none can."""
    loud = np.flatnonzero(_louder(samples) > level * SURE_RATIO)
    if not len(loud):
        return None
    peaks = np.zeros(len(samples), dtype=samples.dtype)
    runs = np.split(loud, np.flatnonzero(np.diff(loud) > APART_SAMPLES) + 1)
    for run in runs:
        start, stop = max(0, run[0] - TAPS_PER_PHASE), run[-1] + TAPS_PER_PHASE
        # The filters need samples on either side of a run; their output there is discarded.
        margin = min(start, TAPS_PER_PHASE)
        found = true_peaks(samples[start - margin : stop + TAPS_PER_PHASE])
        peaks[start:stop] = found[margin : margin + len(peaks[start:stop])]
    return peaks


class Limiter:
    """Keeps the true peaks of a stereo stream below a ceiling.

    The gain at a sample is a weighted mean (Hann window) of the smallest gains that the peaks
    within `REACH_S` of its neighbours need, so it never exceeds what its own peak needs, moves
    smoothly, and does not depend on how the stream is cut into blocks.

    Parameters
    ----------
    ceiling_dbtp : float
        In dB relative to full scale, true peak.
    sample_rate : int
        In Hz.
    """

    def __init__(self, ceiling_dbtp: float, sample_rate: int) -> None:
        self._ceiling = 10 ** ((ceiling_dbtp - ESTIMATION_MARGIN_DB) / 20)
        self._reach = round(REACH_S * sample_rate)
        window = np.hanning(2 * self._reach + 3)[1:-1]
        self._window = window / window.sum()
        # Both the smallest gain and the mean look `reach` samples to either side.
        self._margin = 2 * self._reach + TAPS_PER_PHASE
        self._pending = np.zeros((self._margin, 2), dtype=np.float32)

    def process(self, block: np.ndarray) -> np.ndarray:
        """Return limited samples for a block [samples, 2], with a short delay."""
        pending = np.concatenate([self._pending, block])
        n_ready = len(pending) - 2 * self._margin
        if n_ready <= 0:
            self._pending = pending
            return np.zeros((0, 2), dtype=np.float32)
        ready = pending[self._margin : self._margin + n_ready]
        self._pending = pending[n_ready:]
        gain = self._gain(pending)
        if gain is None:
            return ready
        return np.asarray(ready * gain[:, None], dtype=np.float32)

    def _gain(self, pending: np.ndarray) -> np.ndarray | None:
        """Return the gain of all samples except a margin at either end; None if all gains are 1."""
        peaks = peaks_above(pending, self._ceiling)
        if peaks is None:
            return None
        needed = self._ceiling / np.maximum(peaks, self._ceiling)
        if (needed == 1).all():
            return None
        width = 2 * self._reach + 1
        smallest = np.lib.stride_tricks.sliding_window_view(needed, width).min(axis=1)
        mean = np.convolve(smallest, self._window, mode="valid")
        return mean[TAPS_PER_PHASE:-TAPS_PER_PHASE]
