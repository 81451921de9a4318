"""The ring buffer between renderer and sound card, and the fade-out at a stop.

A sound card fetches samples on its own thread and cannot wait. The code that it calls must neither
block nor allocate memory.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable

import numpy as np

from deepmersion.sound.recording import N_CHANNELS

POLL_S = 0.02
"""Pause of the rendering thread before it checks for room again. Polling is cheap; a lock or a
signal between the two threads could make the sound card wait."""


class Ring:
    """A ring of samples between one thread that writes and one that reads.

    The reader never waits and never allocates: missing samples are played as silence and counted.
    Each side moves only its own counter, so neither needs a lock.

    Parameters
    ----------
    n_samples : int
        Capacity.
    """

    def __init__(self, n_samples: int) -> None:
        self._samples = np.zeros((n_samples, N_CHANNELS), dtype=np.float32)
        self._written = 0
        self._read = 0
        self.n_underruns = 0
        self.closed = False

    @property
    def capacity(self) -> int:
        """Total number of samples that fit."""
        return len(self._samples)

    @property
    def filled(self) -> int:
        """Number of samples waiting to be read."""
        return self._written - self._read

    @property
    def drained(self) -> bool:
        """True once everything has been read and nothing more will come."""
        return self.closed and not self.filled

    def write(self, block: np.ndarray) -> int:
        """Copy as much of a block [samples, 2] as fits; return the number of samples copied."""
        done = 0
        while n := min(len(block) - done, self.capacity - self.filled):
            start = self._written % self.capacity
            n = min(n, self.capacity - start)
            self._samples[start : start + n] = block[done : done + n]
            self._written += n
            done += n
        return done

    def read_into(self, out: np.ndarray) -> None:
        """Fill `out` [samples, 2] with the next samples, and with silence if they run out."""
        done = 0
        while n := min(len(out) - done, self.filled):
            start = self._read % self.capacity
            n = min(n, self.capacity - start)
            out[done : done + n] = self._samples[start : start + n]
            self._read += n
            done += n
        if done < len(out):
            out[done:] = 0
            self.n_underruns += not self.closed


class FadeOut:
    """The quick fade that ends a stream when it is stopped.

    Parameters
    ----------
    n_samples : int
        Its length.
    """

    def __init__(self, n_samples: int) -> None:
        share = np.linspace(0, 1, n_samples)[:, None]
        curve = np.cos(share * (math.pi / 2)).astype(np.float32)
        curve[-1] = 0
        # Both channels are spelled out: broadcasting one over two would allocate.
        self._curve = np.repeat(curve, N_CHANNELS, axis=1)
        self._done = 0
        self.begun = False

    @property
    def finished(self) -> bool:
        """True once the fade has ended in silence."""
        return self._done >= len(self._curve)

    def apply(self, out: np.ndarray) -> None:
        """Fade a block [samples, 2] in place, once begun."""
        if not self.begun:
            return
        curve = self._curve[self._done : self._done + len(out)]
        out[: len(curve)] *= curve
        out[len(curve) :] = 0
        self._done += len(curve)


class Feeder(threading.Thread):
    """Renders ahead into a ring, in a thread of its own.

    Parameters
    ----------
    blocks : iterable of ndarray, shape = (samples, 2), float32
    ring : Ring
        Closed when the blocks have ended.
    n_ahead : int
        Samples to render before playing begins.

    Attributes
    ----------
    primed : threading.Event
        Set once that many samples are ready, or no more will come.
    failure : Exception or None
        The error that ended rendering, if any.
    """

    def __init__(self, blocks: Iterable[np.ndarray], ring: Ring, n_ahead: int) -> None:
        super().__init__(daemon=True)
        self._blocks = blocks
        self._ring = ring
        self._n_ahead = n_ahead
        self._stop_asked = threading.Event()
        self.primed = threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        """Render until the blocks end or the stream is stopped."""
        try:
            for block in self._blocks:
                if not self._put(block):
                    break
        except Exception as error:
            self.failure = error  # raised again in the thread that reads
        finally:
            self._ring.closed = True
            self.primed.set()

    def stop(self) -> None:
        """End the thread, and wait until it has ended."""
        self._stop_asked.set()
        self.join()

    def _put(self, block: np.ndarray) -> bool:
        """Write a block as room becomes available; return False if stopped meanwhile."""
        while len(block):
            block = block[self._ring.write(block) :]
            if self._ring.filled >= self._n_ahead:
                self.primed.set()
            if len(block) and self._stop_asked.wait(POLL_S):
                return False
        return not self._stop_asked.is_set()
