"""How the work of hearing many mixes is cut, to suit a processor's cache or a device's memory.

What is computed is the same (`hearing.fast_soundnet`); only the order differs. A processor is fast
while its data are in its cache, so it takes a short stretch of time of a few mixes through the two
layers whose outputs are large, and threads take a stretch each. A device such as a GPU is fast when
it has much to do at once: it takes the whole length of many mixes, and keeps the sounds' responses
to the first layer from one batch to the next.

Lengths are counted in columns of SoundNet's pool2, 256 samples each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SOUNDS_TOGETHER = 24
"""Most sounds of the mixes in one batch. The first layer's response to a mix is a weighted sum over
these, so more of them cost more than they share. Pairs from 8 sounds and 16 others, as
`mixes.neighbours` orders them, are a batch."""

SOUND_BYTES = 4 * 8 * 16 * 16
"""Of the first layer's response to a sound, in one column: 8 × 16 columns of 16 channels."""

MIX_BYTES = SOUND_BYTES * 5 // 4
"""Of a mix in a tile, in one column: the same, the same pooled (an eighth), and the second layer's
output (as much)."""

POOL2_BYTES = 4 * 32 * 4
"""Of a mix in a batch, in one column: 32 channels, and what the layers after it add."""

DEVICE_MIXES = 64
"""Mixes computed together on a device. On an H200, 16 reach two thirds of the speed, and 128 the
same in twice the memory."""

FEWEST_DEVICE_MIXES = 16
"""Where memory is short, a device's batch is halved down to this before the length is cut."""


@dataclass(frozen=True)
class Layout:
    """How the work is cut.

    Attributes
    ----------
    columns : int
        Length of a tile. Each goes through the first two layers by itself.
    mixes : int
        Mixes of a tile that are computed together.
    batch : int
        Most mixes that share the sounds' responses, and go through the later layers together.
    kept : int
        Number of sounds whose responses, over the whole length, are kept between batches; 0 where
        those of each tile are computed when it begins.
    threaded : bool
        Whether tiles are distributed to threads.
    """

    columns: int
    mixes: int
    batch: int
    kept: int = 0
    threaded: bool = False


PROCESSOR = Layout(columns=16, mixes=8, batch=128, threaded=True)
"""The best of some measured: arrays of 1 MB, about what a processor's core has as its own cache."""


def device_layout(n_columns: int, n_sounds: int, n_bytes: int) -> Layout:
    """Return the layout for a device.

    Parameters
    ----------
    n_columns : int
        Whole length.
    n_sounds : int
        Number of sounds; a mix has at most `SOUNDS_TOGETHER` of them.
    n_bytes : int
        Memory to stay within. The least that works is one mix's pool2 and one column of a tile.
    """
    n_rows = min(n_sounds, SOUNDS_TOGETHER) + 1  # and the bias
    mixes = DEVICE_MIXES

    def left_for_sounds() -> int:
        return n_bytes // n_columns - mixes * (MIX_BYTES + POOL2_BYTES)

    while mixes > FEWEST_DEVICE_MIXES and left_for_sounds() < n_rows * SOUND_BYTES:
        mixes //= 2
    kept = min(n_sounds, left_for_sounds() // SOUND_BYTES - 1)
    if kept >= n_rows - 1:
        return Layout(n_columns, mixes, mixes, kept)
    while mixes > 1 and mixes * n_columns * POOL2_BYTES > n_bytes // 2:
        mixes //= 2
    for_tiles = n_bytes - mixes * n_columns * POOL2_BYTES
    columns = for_tiles // (n_rows * SOUND_BYTES + mixes * MIX_BYTES)
    return Layout(min(max(1, columns), n_columns), mixes, mixes)


def batches(gains: np.ndarray, n_mixes: int) -> Iterator[slice]:
    """Yield parts of some mixes, in order: of at most `n_mixes` and `SOUNDS_TOGETHER` sounds.

    Parameters
    ----------
    gains : ndarray, shape = (mixes, sounds)
        A mix of more sounds is a part by itself.
    n_mixes : int
    """
    start, together = 0, np.zeros(gains.shape[1], dtype=bool)
    for i, heard in enumerate(gains != 0):
        more = together | heard
        if i > start and (i - start == n_mixes or np.count_nonzero(more) > SOUNDS_TOGETHER):
            yield slice(start, i)
            start, more = i, heard
        together = more
    yield slice(start, len(gains))
