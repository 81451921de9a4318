"""Runs SoundNet over many mixes of the same sounds without computing each from its samples.

The result is that of `soundnet.predict`, computed in an order that suits a processor better. Let
x_i be the sounds, g_i a mix's gains, and W, b the first convolution with its batch normalisation
folded in (both are linear).

1. The first layer is linear before its ReLU, and a mix is a sum, so its response to a mix is
   the sum of its responses to the sounds:  W (s Σ g_i x_i) + b = Σ (s g_i) (W x_i) + b. The W x_i
   are computed once for many mixes; the sums for all mixes are one matrix product, in which b is
   the response to one more sound, always at full level.
2. The factor s that normalises a mix needs no samples either: the mean square is g^T G g, where
   G holds the mean products of all pairs of sounds (their Gram matrix).
3. ReLU and adding a constant are monotonic, so they commute with max-pooling, and pooling first
   leaves an eighth of the work.
4. The first two layers' outputs are large (42 MB and 5 MB per minute of mix), the pooled ones small
   (0.7 MB). So the time axis is cut into tiles, and each goes through both layers and both poolings
   while it is in the processor's cache. Neighbouring tiles overlap by what the second convolution
   sees beyond a tile's ends.
5. Eight neighbouring columns of the first layer, which are then pooled, depend on 78 samples: a
   matrix product with the kernel shifted eight times (a Toeplitz matrix) yields them in the best
   order for the pooling.

Channels come last in memory throughout. How the work is cut, for a processor or for a device such
as a GPU, is a matter of `hearing.layout`; the layers are the same. On a processor, tiles, and then
parts of the batch, are distributed to threads that compute alone: splitting each small operation
among all threads would cost more. On a device, a tile is the whole length, the W x_i stay in its
memory, and nothing comes back before the last prediction.

Everything is computed in single precision, and TF32, which cuts numbers to 10 binary digits, is
off. Half precision would be 1.7 times as fast on an H200, but off by up to 0.045 nats, which is
ninety steps of an index (0.0005 nats): an index would tell which machine made it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from deepmersion.hearing.layout import PROCESSOR, SOUNDS_TOGETHER, batches, device_layout
from deepmersion.hearing.soundnet import (
    INPUT_SCALE,
    N_EDGE_COLUMNS,
    N_OBJECTS,
    N_SCENES,
    Predictions,
    SoundNet,
    loop_up,
)
from deepmersion.torch_device import memory_share

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

GRAM_SAMPLES = 1 << 16
"""Samples that are multiplied at once for the Gram matrix, in double precision: 0.5 MB a sound."""

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
    device_bytes : int, optional
        Memory to stay within in the layout for devices, besides the network's weights. By default
        a share of what is free on the network's device (`torch_device.memory_share`), and the
        layout for a processor on the CPU.

    Raises
    ------
    ValueError
        When the sounds hold values that are not finite.
    """

    @torch.inference_mode()
    def __init__(
        self,
        network: SoundNet,
        sounds: np.ndarray,
        level_rms: float,
        device_bytes: int | None = None,
    ) -> None:
        if not all(np.isfinite(sound).all() for sound in sounds):
            raise ValueError("sounds hold values that are not finite")
        self._gram = _gram(sounds)
        self._level_rms = level_rms
        self._device = next(network.parameters()).device
        self._sounds = loop_up(np.asarray(sounds, dtype=np.float32))
        self._n_pool1: int = (self._sounds.shape[1] // STRIDE + 1) // POOL
        self._n_pool2: int = (self._n_pool1 // STRIDE + 1) // POOL
        self._fold(network)
        if device_bytes is None:
            device_bytes = memory_share(self._device)
        self._layout = (
            PROCESSOR
            if device_bytes is None
            else device_layout(self._n_pool2, len(sounds), device_bytes)
        )
        self._kept: Tensor | None = None
        self._rows: dict[int, int] = {}

    def _fold(self, network: SoundNet) -> None:
        kernel, self._bias_1 = _folded(network.conv1)
        self._columns = _toeplitz(INPUT_SCALE * kernel[:, 0])
        self._conv2 = _planar(*_folded(network.conv2))
        trunk = (network.conv3, network.conv4, network.conv5, network.conv6, network.conv7)
        self._trunk = [_planar(*_folded(layer)) for layer in trunk]
        heads = (network.conv8_objs, network.conv8_scns)
        self._heads = _planar(
            torch.cat([head.weight for head in heads]),
            torch.cat([head.bias for head in heads if head.bias is not None]),
        )

    @torch.inference_mode()
    def predict(self, gains: np.ndarray) -> Predictions:
        """Return SoundNet's predictions for mixes, averaged over time.

        Parameters
        ----------
        gains : ndarray, shape = (mixes, sounds), float32
            Linear gains. Neighbouring mixes should share sounds (`mixes.neighbours`): a batch
            computes the responses to its sounds once. The predictions, 5.6 kB a mix, stay on the
            device until the last is there.

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
        found = torch.empty(len(gains), N_OBJECTS + N_SCENES, device=self._device)
        threads = _threads(torch.get_num_threads()) if self._layout.threaded else _one_by_one()
        with _single_precision(), threads as (each, n_threads):
            for batch in batches(gains, self._layout.batch):
                self._hear(levelled[batch], found[batch], each, n_threads)
        heard = found.cpu().numpy()
        return Predictions(heard[:, :N_OBJECTS], heard[:, N_OBJECTS:])

    def _levelled(self, gains: np.ndarray) -> np.ndarray:
        """Return the gains of normalised mixes, float32."""
        exact = gains.astype(np.float64)
        power = ((exact @ self._gram) * exact).sum(axis=1)
        if not (power > 0).all():
            raise ValueError("a silent mix cannot be normalised")
        scaled = exact * (self._level_rms / np.sqrt(power))[:, None]
        return np.asarray(scaled, dtype=np.float32)

    def _hear(self, levelled: np.ndarray, found: Tensor, each: Map, n_threads: int) -> None:
        """Fill in the predictions [mixes, classes] for a batch."""
        sounds = np.flatnonzero(levelled.any(axis=0))
        ones = np.ones((len(levelled), 1), np.float32)
        weights = np.concatenate([levelled[:, sounds], ones], axis=1)
        kept: Tensor | None = None
        if self._layout.kept:
            kept, weights = self._keep(sounds, weights)
        on_device = torch.from_numpy(weights).to(self._device)
        shape = (len(levelled), self._n_pool2, self._conv2[0].shape[0])
        pool2 = torch.empty(shape, device=self._device)

        def hear_tile(start: int) -> None:
            n_columns = COLUMN_SAMPLES * (self._stop(start) - start) + OVERLAP
            responses = self._responses(sounds, start, n_columns) if kept is None else kept
            self._hear_tile(on_device, responses, pool2, start)

        each(hear_tile, range(0, self._n_pool2, self._layout.columns))
        n_part = -(-len(levelled) // n_threads)
        parts = [slice(i, i + n_part) for i in range(0, len(levelled), n_part)]
        each(lambda part: self._conclude(pool2[part], found[part]), parts)

    def _stop(self, start: int) -> int:
        return min(start + self._layout.columns, self._n_pool2)

    @torch.inference_mode()
    def _hear_tile(self, weights: Tensor, responses: Tensor, pool2: Tensor, start: int) -> None:
        """Fill columns of pool2 [mixes, columns, channels] from `start` on.

        `weights` are of the rows of `responses`, [mixes, sounds + 1].
        """
        stop, step = self._stop(start), self._layout.mixes
        first = COLUMN_SAMPLES * start - KERNEL_2 // 2
        n_columns = COLUMN_SAMPLES * (stop - start) + OVERLAP
        for i in range(0, len(weights), step):
            mixed = (weights[i : i + step] @ responses).unflatten(1, (POOL, -1))
            pool1 = mixed.amax(dim=1).relu_().unflatten(1, (n_columns, -1))
            del mixed
            # The second convolution pads with zeros beyond the ends.
            pool1[:, : max(0, -first)] = 0
            pool1[:, max(0, self._n_pool1 - first) :] = 0
            conv2 = nn.functional.conv2d(_image(pool1), *self._conv2, stride=(1, STRIDE))
            pooled = nn.functional.max_pool2d(conv2, (1, POOL)).relu_()
            pool2[i : i + step, start:stop] = pooled[:, :, 0].transpose(1, 2)

    def _keep(self, sounds: np.ndarray, weights: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """Return responses over the whole length, and weights of their rows.

        Those that were computed before are still there, unless others have taken their place.
        """
        n_columns = COLUMN_SAMPLES * self._n_pool2 + OVERLAP
        if self._kept is None:
            values = POOL * n_columns * len(self._bias_1)
            self._kept = torch.zeros(self._layout.kept + 1, values, device=self._device)
            self._kept[-1] = self._bias_1.repeat(POOL * n_columns)
        for sound in map(int, sounds):
            row = self._rows.pop(sound, None)
            if row is None:
                row = self._free_row(set(sounds.tolist()))
                self._respond(sound, 0, self._kept[row].view(POOL, n_columns, -1))
            self._rows[sound] = row  # the last in it was used last
        rows = [*(self._rows[sound] for sound in map(int, sounds)), self._layout.kept]
        if self._layout.kept > SOUNDS_TOGETHER:
            return self._kept[rows], weights
        # To multiply some rows by zero costs less than to copy the others.
        scattered = np.zeros((len(weights), len(self._kept)), np.float32)
        scattered[:, rows] = weights
        return self._kept, scattered

    def _free_row(self, needed: set[int]) -> int:
        """Return a row for a sound: an unused one, or that of the sound used longest ago."""
        if len(self._rows) < self._layout.kept:
            return len(self._rows)
        return self._rows.pop(next(sound for sound in self._rows if sound not in needed))

    def _responses(self, sounds: np.ndarray, start: int, n_columns: int) -> Tensor:
        """Return the first layer's response to sounds, and its bias as the last row.

        [sounds + 1, `POOL` × columns × channels]: columns that are pooled together lie far apart.
        """
        shape = (len(sounds) + 1, POOL, n_columns, len(self._bias_1))
        responses = torch.empty(shape, device=self._device)
        for sound, response in zip(map(int, sounds), responses, strict=False):
            self._respond(sound, start, response)
        responses[-1] = self._bias_1
        return responses.flatten(1)

    @torch.inference_mode()
    def _respond(self, sound: int, start: int, response: Tensor) -> None:
        """Fill in the first layer's response to a sound [`POOL`, columns, channels]."""
        # The first sample that the leftmost column of pool1 sees, which may be padding.
        first = COLUMN_SAMPLES**2 * start - KERNEL_1 // 2 - COLUMN_SAMPLES * (KERNEL_2 // 2)
        n_columns = response.shape[1]
        n_samples = (n_columns - 1) * COLUMN_SAMPLES + COLUMN_WINDOW
        samples = np.zeros(n_samples, np.float32)
        before, inside = max(0, -first), self._sounds[sound, max(0, first) : first + n_samples]
        samples[before : before + len(inside)] = inside
        on_device = torch.from_numpy(samples).to(self._device)
        windows = on_device.unfold(0, COLUMN_WINDOW, COLUMN_SAMPLES)
        response.copy_((windows @ self._columns).view(n_columns, POOL, -1).transpose(0, 1))

    @torch.inference_mode()
    def _conclude(self, pool2: Tensor, found: Tensor) -> None:
        """Run pool2 through the other layers; fill in the predictions [mixes, classes]."""
        x = _image(pool2)
        for number, (weight, bias) in enumerate(self._trunk, start=3):
            padding = (0, weight.shape[3] // 2)
            x = nn.functional.conv2d(x, weight, bias, stride=(1, STRIDE), padding=padding)
            x = (nn.functional.max_pool2d(x, (1, 4)) if number == 5 else x).relu_()
        heard = x[..., :-N_EDGE_COLUMNS]
        logits = nn.functional.conv2d(heard, *self._heads, stride=(1, STRIDE))[:, :, 0]
        sizes = [N_OBJECTS, N_SCENES]
        for mean, head in zip(found.split(sizes, 1), logits.split(sizes, 1), strict=True):
            log_probs = torch.log_softmax(head, dim=1)
            mean.copy_(torch.logsumexp(log_probs, dim=2) - math.log(head.shape[2]))


def _gram(sounds: np.ndarray) -> np.ndarray:
    """Return the mean products of all pairs of sounds, float64 [sounds, sounds]."""
    total = np.zeros((len(sounds), len(sounds)))
    for start in range(0, sounds.shape[1], GRAM_SAMPLES):
        exact = sounds[:, start : start + GRAM_SAMPLES].astype(np.float64)
        total += exact @ exact.T
    return np.asarray(total / sounds.shape[1])


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
def _single_precision() -> Iterator[None]:
    """Keep a GPU from rounding to TF32 in products and convolutions."""
    cuda, cudnn = cast(Any, torch.backends.cuda), cast(Any, torch.backends.cudnn)
    settings = (cuda.matmul, cudnn.conv)
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = "ieee"
        yield
    finally:
        for setting, precision in zip(settings, before, strict=True):
            setting.fp32_precision = precision


@contextmanager
def _threads(n_threads: int) -> Iterator[tuple[Map, int]]:
    """Yield a function that maps another over several arguments, in threads, and their number."""
    # The setting holds for the thread that makes it and for threads started later.
    try:
        with ThreadPoolExecutor(n_threads, "soundnet", torch.set_num_threads, (1,)) as pool:
            yield lambda function, arguments: list(pool.map(function, arguments)).clear(), n_threads
    finally:
        torch.set_num_threads(n_threads)


@contextmanager
def _one_by_one() -> Iterator[tuple[Map, int]]:
    """Yield the same for the thread that calls it."""
    yield lambda function, arguments: list(map(function, arguments)).clear(), 1
