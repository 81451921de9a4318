"""Loudness, its range, and true peak of recordings of any length (ITU-R BS.1770, EBU Tech 3342).

pyloudnorm measures the loudness of each gating block. It takes arrays, so a long recording is given
to it in parts that overlap by what its filters need to settle; the gates then see all blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from deepmersion.sound.spool import Samples

PART_S = 27.0
"""Length of the parts, in seconds: a whole number of steps of every kind of block."""

SETTLING_S = 1.8
"""The filters forget what came before within this: they pass what is above 38 Hz."""

MOMENTARY = (0.4, 0.1)
SHORT_TERM = (3.0, 0.09)
"""Length and step of the blocks in seconds, for loudness and for its range."""

ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = 10.0
RELATIVE_GATE_OF_RANGE_LU = 20.0
RANGE_PERCENTILES = (10, 95)
"""Of BS.1770-4 and EBU Tech 3342."""

OFFSET_LUFS = -0.691
"""BS.1770's constant between power and loudness."""

RANGE_TAIL_S = 1.5
"""Silence that EBU Tech 3342 has after a recording."""

MIN_RANGE_S = 1.5
"""A shorter recording has no loudness range: its first short-term loudness (3 s) would include more
of the silence after it than of itself."""

PEAK_MARGIN = 64
"""Samples on either side of a part that the interpolating filters see."""


def integrated_loudness(samples: Samples, sample_rate: int) -> float:
    """Return the integrated loudness in LUFS (ITU-R BS.1770-4, gated); -inf for silence.

    Parameters
    ----------
    samples : Samples, [samples, channels], float32 in [-1, 1]
        At least 0.4 s.
    sample_rate : int
        In Hz.
    """
    powers = _gated(_block_powers(samples, sample_rate, *MOMENTARY), RELATIVE_GATE_LU)
    return _lufs(float(powers.mean())) if len(powers) else -math.inf


def loudness_range(samples: Samples, sample_rate: int) -> float:
    """Return the loudness range in LU (EBU Tech 3342); 0 for silence.

    The abrupt end of the recording is included, which adds up to 3 LU if it is shorter than half a
    minute.
    """
    if len(samples) < MIN_RANGE_S * sample_rate:
        return 0.0
    powers = _block_powers(samples, sample_rate, *SHORT_TERM, tail_s=RANGE_TAIL_S)
    kept = _gated(powers, RELATIVE_GATE_OF_RANGE_LU)
    if not len(kept):
        return 0.0
    low, high = np.percentile(10 * np.log10(kept), RANGE_PERCENTILES)
    return float(high - low)


def _lufs(power: float) -> float:
    return OFFSET_LUFS + 10 * math.log10(power)


def _gated(powers: np.ndarray, relative_lu: float) -> np.ndarray:
    """Return the powers of the blocks that pass both gates."""
    loud = powers[powers >= 10 ** ((ABSOLUTE_GATE_LUFS - OFFSET_LUFS) / 10)]
    return loud[loud > loud.mean() * 10 ** (-relative_lu / 10)] if len(loud) else loud


def _block_powers(
    samples: Samples, rate: int, block_s: float, step_s: float, *, tail_s: float = 0.0
) -> np.ndarray:
    """Return the weighted power of each block, float64 [blocks]."""
    import pyloudnorm

    meter = pyloudnorm.Meter(rate, block_size=block_s, overlap=1 - step_s / block_s)
    found = []
    for part, n_settling in _parts(samples, rate, block_s, round(tail_s * rate)):
        with np.errstate(divide="ignore"):
            meter.integrated_loudness(part)
        found += meter.blockwise_loudness[round(n_settling / rate / step_s) :]
    return np.asarray(10 ** ((np.array(found) - OFFSET_LUFS) / 10), dtype=np.float64)


def _parts(
    samples: Samples, rate: int, block_s: float, n_tail: int
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield parts whose blocks follow each other, with the samples that only settle the filters."""
    n, step = len(samples), round(PART_S * rate)
    settling, block = round(SETTLING_S * rate), round(block_s * rate)
    starts = [0, *range(step, n + n_tail - block + 1, step)]
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        before = min(start, settling)
        # The last block that belongs here begins one step before the next part.
        stop = n if following is None else min(n, following + block - rate // 10)
        part = samples[start - before : stop].astype(np.float64)
        if following is None:
            part = np.concatenate([part, np.zeros((n_tail, part.shape[1]))])
        yield part, before


def true_peak_db(samples: Samples) -> float:
    """Return the true peak in dBTP of samples [samples, 2] in [-1, 1]; -inf for silence."""
    from deepmersion.sound.limiter import peaks_above
    from deepmersion.sound.spool import BLOCK_SAMPLES

    peak = 0.0
    for start in range(0, len(samples), BLOCK_SAMPLES):
        before = min(start, PEAK_MARGIN)
        stop = min(start + BLOCK_SAMPLES, len(samples))
        block = samples[start - before : stop + PEAK_MARGIN]
        peak = max(peak, float(np.abs(block).max()))
        # Only those that can be higher than any so far have to be found.
        found = peaks_above(block, peak)
        if found is not None:
            peak = max(peak, float(found[before : before + stop - start].max()))
    return 20 * math.log10(peak) if peak > 0 else -math.inf
