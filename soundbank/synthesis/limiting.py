"""Finds true peaks, and limits them by lowering the gain, without clipping.

Everything runs on a ring of time like the rest of the synthesis, so limiting leaves no seam.
"""

from __future__ import annotations

import numpy as np

from synthesis.dsp import SAMPLE_RATE

OVERSAMPLING = 4
"""ITU-R BS.1770-5, annex 2, requires at least this to find peaks between samples."""

WINDOW_S = 0.03
"""Time over which the limiter's gain moves, before and after a peak: slow enough to avoid
distortion, fast enough not to duck the rain audibly behind a single drop."""

_BLOCK = 1 << 18
_MARGIN = 256


def peaks(x: np.ndarray) -> np.ndarray:
    """Return the largest magnitude [samples] from each sample of a ring to the next, over channels.

    Parameters
    ----------
    x : ndarray, shape = (samples, channels), float64
    """
    n = x.shape[0]
    out = np.empty(n)
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        at = np.arange(start - _MARGIN, stop + _MARGIN)
        fine = _oversample(x.take(at, axis=0, mode="wrap"))
        inside = fine[_MARGIN * OVERSAMPLING : -_MARGIN * OVERSAMPLING]
        out[start:stop] = np.abs(inside).reshape(stop - start, -1).max(axis=1)
    return out


def _oversample(x: np.ndarray) -> np.ndarray:
    """Return a block [samples, channels] at `OVERSAMPLING` times its rate, faded at both ends."""
    fade = np.minimum(1.0, np.arange(1, len(x) + 1) / (_MARGIN / 2))
    faded = x * np.minimum(fade, fade[::-1])[:, None]
    fine = len(x) * OVERSAMPLING
    return np.fft.irfft(np.fft.rfft(faded, axis=0), fine, axis=0) * OVERSAMPLING


def true_peak(x: np.ndarray) -> float:
    """Return the true peak of a ring [samples, channels], as an amplitude."""
    return float(peaks(x).max())


def limit(x: np.ndarray, ceiling: float) -> np.ndarray:
    """Return a ring [samples, channels] whose true peak is at or below a ceiling.

    Both channels share one gain, the lowest needed within half of `WINDOW_S`, smoothed by a Hann
    window of that length. The smoothed gain never exceeds the needed one, so nothing is clipped and
    the waveform is only turned down for a moment.
    """
    from scipy.ndimage import convolve1d, minimum_filter1d

    needed = np.minimum(1.0, ceiling / np.maximum(peaks(x), 1e-12))
    if needed.min() == 1.0:
        return x
    width = 2 * int(WINDOW_S * SAMPLE_RATE / 2) + 1
    window = np.hanning(width + 2)[1:-1]
    held = minimum_filter1d(needed, width, mode="wrap")
    return np.asarray(x * convolve1d(held, window / window.sum(), mode="wrap")[:, None])
