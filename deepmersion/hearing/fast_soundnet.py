"""Runs SoundNet over many mixes of the same sounds without computing each from its samples.

The result is that of `soundnet.predict`, computed in an order that suits a processor better. Let
x_i be the sounds, g_i a mix's gains, and W, b the first convolution with its batch normalisation
folded in (both are linear).

1. The first layer is linear before its ReLU, and a mix is a sum, so its response to a mix is
   the sum of its responses to the sounds:  W (s Σ g_i x_i) + b = Σ (s g_i) (W x_i) + b. The W x_i
   are computed once for many mixes; the sums for all mixes are one matrix product, in which b is
   the response to one more sound, always at full level.
2. The factor s that normalises a mix needs no samples either: the mean square is g^T G g, where G
holds the mean products of all pairs of sounds (their Gram matrix). 3. ReLU and adding a constant
are monotonic, so they commute with max-pooling, and pooling first leaves an eighth of the work. 4.
The first two layers' outputs are large (42 MB and 5 MB per minute of mix), the pooled ones small
(0.7 MB). So the time axis is cut into tiles, and each goes through both layers and both poolings
while it is in the processor's cache. Neighbouring tiles overlap by what the second convolution sees
beyond a tile's ends. 5. Eight neighbouring columns of the first layer, which are then pooled,
depend on 78 samples: a matrix product with the kernel shifted eight times (a Toeplitz matrix)
yields them in the best order for the pooling.

Channels come last in memory throughout. Tiles, and then parts of the batch, are distributed to
threads that compute alone: splitting each small operation among all threads would cost more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepmersion.hearing.soundnet import (
    INPUT_SCALE,
    N_EDGE_COLUMNS,
    N_OBJECTS,
    Predictions,
    SoundNet,
    log_mean_probability,
    loop_up,
)

STRIDE = 2
POOL = 8
KERNEL_1, KERNEL_2 = 64, 32
"""Of the first two layers; each pads by half its kernel at both ends."""

COLUMN_SAMPLES = STRIDE * POOL
"""Distance between the beginnings of two neighbouring columns of pool1, in samples, and of pool2,
in columns of pool1."""

COLUMN_WINDOW = KERNEL_1 + STRIDE * (POOL - 1)
"""Samples that one column of pool1 sees."""

OVERLAP = KERNEL_2 - STRIDE
"""Columns of pool1 that a tile needs beyond its own."""

TILE_COLUMNS = 16
"""Columns of pool2 in a tile, and"""

TILE_MIXES = 8
"""how many mixes of it are computed together: the best of some measured pairs. They make arrays
of 1 MB, about what a processor's core has as its own cache."""

Map = Callable[[Callable[[Any], None], Iterable[Any]], None]
"""Calls a function for each of several arguments, and returns when all calls have."""


class SuperimposedSoundNet:
    """SoundNet, ready to hear mixes of some sounds.

    Parameters
    ----------
    network : SoundNet
        The fast path runs on the device of its parameters.
    sounds : ndarray, shape = (sounds, samples), float32 in [-1, 1]
        Mono at 22,050 Hz; looped up when shorter than `deepmersion.hearing.soundnet.MIN_SAMPLES`.
    level_rms : float
        The RMS to which every mix is normalised.

    Raises
    ------
    ValueError
        When the sounds hold values that are not finite.
    """

    @torch.inference_mode()
    def __init__(self, network: SoundNet, sounds: np.ndarray, level_rms: float) -> None:
        if not np.isfinite(sounds).all():
            raise ValueError("sounds hold values that are not finite")
        exact = sounds.astype(np.float64)
        self._gram = exact @ exact.T / sounds.shape[1]
        self._level_rms = level_rms
        self._device = next(network.parameters()).device
        looped = torch.from_numpy(loop_up(np.asarray(sounds, dtype=np.float32))).to(self._device)
        self._n_pool1 = (looped.shape[1] // STRIDE + 1) // POOL
        self._n_pool2 = (self._n_pool1 // STRIDE + 1) // POOL
        self._sounds = _padded(looped * INPUT_SCALE, self._n_pool2)
        self._fold(network)

    def _fold(self, network: SoundNet) -> None:
        kernel, self._bias_1 = _folded(network.conv1)
        self._columns = _toeplitz(kernel[:, 0])
        self._conv2 = _planar(*_folded(network.conv2))
        trunk = (network.conv3, network.conv4, network.conv5, network.conv6, network.conv7)
        self._trunk = [_planar(*_folded(layer)) for layer in trunk]
        heads = (network.conv8_objs, network.conv8_scns)
        self._heads = _planar(
            torch.cat([head.weight for head in heads]),
            torch.cat([head.bias for head in heads if head.bias is not None]),
        )

    def predict(self, gains: np.ndarray) -> Predictions:
        """Return SoundNet's predictions for mixes, averaged over time.

        Parameters
        ----------
        gains : ndarray, shape = (mixes, sounds), float32
            Linear gains. A few hundred mixes at once share the sounds' responses well; each takes
            0.7 MB per minute of sound.

        Returns
        -------
        Predictions
            Equal to those of `soundnet.predict` for the mixes' waveforms, except for rounding.

        Raises
        ------
        ValueError
            When a mix is silent.
        """
        levelled = self._levelled(gains)
        shape = (len(gains), self._n_pool2, self._conv2[0].shape[0])
        pool2 = torch.empty(shape, device=self._device)
        predictions = Predictions(
            np.empty((len(gains), N_OBJECTS), np.float32),
            np.empty((len(gains), len(self._heads[1]) - N_OBJECTS), np.float32),
        )
        n_threads = torch.get_num_threads() if self._device.type == "cpu" else 1
        with _threads(n_threads) as each:
            tiles = range(0, self._n_pool2, TILE_COLUMNS)
            each(lambda start: self._hear_tile(levelled, pool2, start), tiles)
            n_part = -(-len(gains) // n_threads)
            parts = [slice(i, i + n_part) for i in range(0, len(gains), n_part)]
            each(lambda part: self._conclude(pool2[part], predictions, part), parts)
        return predictions

    def _levelled(self, gains: np.ndarray) -> Tensor:
        """Return the gains of normalised mixes, and a last column of ones for b."""
        exact = gains.astype(np.float64)
        power = np.einsum("ms,st,mt->m", exact, self._gram, exact)
        if not (power > 0).all():
            raise ValueError("a silent mix cannot be normalised")
        scaled = exact * (self._level_rms / np.sqrt(power))[:, None]
        columns = np.concatenate([scaled, np.ones((len(gains), 1))], axis=1)
        return torch.from_numpy(columns.astype(np.float32)).to(self._device)

    @torch.inference_mode()
    def _hear_tile(self, levelled: Tensor, pool2: Tensor, start: int) -> None:
        """Fill columns of pool2 [mixes, columns, channels] from `start` on."""
        stop = min(start + TILE_COLUMNS, self._n_pool2)
        first = COLUMN_SAMPLES * start - KERNEL_2 // 2
        n_columns = COLUMN_SAMPLES * (stop - start) + OVERLAP
        responses = self._responses(COLUMN_SAMPLES**2 * start, n_columns)
        for i in range(0, len(levelled), TILE_MIXES):
            mixed = (levelled[i : i + TILE_MIXES] @ responses).unflatten(1, (POOL, -1))
            pool1 = mixed.amax(dim=1).relu_().unflatten(1, (n_columns, -1))
            # The second convolution pads with zeros beyond the ends.
            pool1[:, : max(0, -first)] = 0
            pool1[:, max(0, self._n_pool1 - first) :] = 0
            conv2 = nn.functional.conv2d(_image(pool1), *self._conv2, stride=(1, STRIDE))
            pooled = nn.functional.max_pool2d(conv2, (1, POOL)).relu_()
            pool2[i : i + TILE_MIXES, start:stop] = pooled[:, :, 0].transpose(1, 2)

    def _responses(self, start: int, n_columns: int) -> Tensor:
        """Return the first layer's response to every sound, and its bias as the last row.

        [sounds + 1, `POOL` × columns × channels]: columns that are pooled together lie far apart.
        """
        stop = start + (n_columns - 1) * COLUMN_SAMPLES + COLUMN_WINDOW
        windows = self._sounds[:, start:stop].unfold(1, COLUMN_WINDOW, COLUMN_SAMPLES)
        responses = (windows.flatten(0, 1) @ self._columns).view(*windows.shape[:2], POOL, -1)
        bias = self._bias_1.repeat(POOL * n_columns)
        return torch.cat([responses.transpose(1, 2).flatten(1), bias[None]])

    @torch.inference_mode()
    def _conclude(self, pool2: Tensor, predictions: Predictions, part: slice) -> None:
        """Run pool2 through the other layers; fill in the predictions for a part of the mixes."""
        x = _image(pool2)
        for number, (weight, bias) in enumerate(self._trunk, start=3):
            padding = (0, weight.shape[3] // 2)
            x = nn.functional.conv2d(x, weight, bias, stride=(1, STRIDE), padding=padding)
            x = (nn.functional.max_pool2d(x, (1, 4)) if number == 5 else x).relu_()
        heard = x[..., :-N_EDGE_COLUMNS]
        logits = nn.functional.conv2d(heard, *self._heads, stride=(1, STRIDE))[:, :, 0]
        n_scenes = logits.shape[1] - N_OBJECTS
        for found, head in zip(predictions, logits.split([N_OBJECTS, n_scenes], 1), strict=True):
            log_probs = torch.log_softmax(head, dim=1).transpose(1, 2)
            found[part] = log_mean_probability(log_probs.cpu().numpy())


def _padded(sounds: Tensor, n_pool2: int) -> Tensor:
    """Return sounds padded with zeros to hold every tile.

    The result begins with the first sample that the leftmost padding column of pool1 would see.
    """
    left = KERNEL_1 // 2 + COLUMN_SAMPLES * (KERNEL_2 // 2)
    last_column = COLUMN_SAMPLES * n_pool2 + OVERLAP - 1
    needed = last_column * COLUMN_SAMPLES + COLUMN_WINDOW
    right = max(0, needed - left - sounds.shape[1])
    return nn.functional.pad(sounds, (left, right))


def _folded(layer: nn.Sequential) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution with its layer's batch normalisation folded in."""
    convolution: Any = layer[0]
    norm: Any = layer[1]
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = (convolution.bias - norm.running_mean) * scale + norm.bias
    return convolution.weight * scale[:, None, None], bias


def _toeplitz(kernels: Tensor) -> Tensor:
    """Return kernels [channels, samples] shifted `POOL` times by `STRIDE`.

    [`COLUMN_WINDOW`, `POOL` × channels].
    """
    shifted = kernels.new_zeros(COLUMN_WINDOW, POOL, len(kernels))
    for i in range(POOL):
        shifted[STRIDE * i : STRIDE * i + kernels.shape[1], i] = kernels.T
    return shifted.flatten(1)


def _planar(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return a layer for one-line images, which allow channels last, unlike 1-D signals."""
    return weight[:, :, None].contiguous(memory_format=torch.channels_last), bias


def _image(columns: Tensor) -> Tensor:
    """Return [mixes, columns, channels] viewed as [mixes, channels, 1, columns], without a copy."""
    return columns.transpose(1, 2)[:, :, None]


@contextmanager
def _threads(n_threads: int) -> Iterator[Map]:
    """Yield a function that maps another over several arguments, in threads."""
    # The setting holds for the thread that makes it and for threads started later.
    try:
        with ThreadPoolExecutor(n_threads, "soundnet", torch.set_num_threads, (1,)) as pool:
            yield lambda function, arguments: list(pool.map(function, arguments)).clear()
    finally:
        torch.set_num_threads(n_threads)
