"""One sound for scenes that change: photos in turn, or a place that a camera looks at.

The next scene is matched and prepared in a thread of its own, so that the stream never waits for a
network. The stream decides by the number of samples delivered when to change over, so that the
content of a pipe does not depend on how fast it is read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from deepmersion.errors import RequestError
from deepmersion.sound.recording import SAMPLE_RATE
from deepmersion.sound.renderer import BLOCK_SAMPLES, FADE_OUT_S, MAX_FADE_SHARE, Change, Renderer

if TYPE_CHECKING:
    from deepmersion.ambience import Ambience

CROSSFADE_S = 5.0
"""Seconds that one scene's sound takes to become the next one's: slow enough not to startle."""

LEAVE_S = 0.1
"""Seconds that the end waits for a photo that is still being matched, and no longer needed."""

_END = object()
"""Comes after the last scene."""


def crossfade_length(each_s: float | None, crossfade_s: float | None) -> float:
    """Return how long a crossfade is, in seconds.

    Parameters
    ----------
    each_s : float or None
        Time that a scene plays, in seconds; None plays it until the next one comes.
    crossfade_s : float or None
        The requested length; None takes the default, shortened if scenes are short.

    Raises
    ------
    RequestError
        When it is longer than a scene.
    """
    if crossfade_s is None:
        return CROSSFADE_S if each_s is None else min(CROSSFADE_S, MAX_FADE_SHARE * each_s)
    if each_s is not None and crossfade_s > each_s:
        raise RequestError(
            f"a crossfade (--fade) of {crossfade_s:g} s does not fit into a duration of "
            f"{each_s:g} s; make it shorter"
        )
    return crossfade_s


class Following:
    """A stream of sound that goes over from one scene to the next.

    A context: leaving it ends the thread that looks ahead.

    Parameters
    ----------
    renderer : Renderer
        Plays the first scene already.
    scenes : iterator of Ambience
        The scenes after the first; taken from another thread, and may wait for what comes.
    each_s : float or None
        Time that each scene plays, in seconds; the sound ends with the last one. None changes to
        every scene as soon as it comes.
    crossfade_s, fade_out_s : float
        Between scenes, and at the end, in seconds.
    on_scene : callable
        Called from that other thread with every scene when its sound begins.
    patient : bool
        Whether to wait for a scene that is due and not ready, as a pipe can. A sound card cannot,
        so the scene before it goes on.
    stop : threading.Event or None
        Set at the end: `scenes` that wait for something stop then.
    """

    n_samples = None
    """Its length in samples: unknown."""

    def __init__(
        self,
        renderer: Renderer,
        scenes: Iterator[Ambience],
        *,
        each_s: float | None,
        crossfade_s: float,
        fade_out_s: float,
        on_scene: Callable[[Ambience], None],
        patient: bool = False,
        stop: threading.Event | None = None,
    ) -> None:
        self._renderer = renderer
        self._ahead = _Ahead(renderer.prepare, scenes, on_scene, stop or threading.Event())
        self._crossfade_s = crossfade_s
        self._fade_out_s = fade_out_s
        self._patient = patient
        self._n_each = 0 if each_s is None else round(each_s * SAMPLE_RATE)
        self._due = self._n_each
        # The fade of the last scene lies within its time, so it must be known to be the last.
        self._n_notice = round(fade_out_s * SAMPLE_RATE) + 2 * BLOCK_SAMPLES
        self._coming: object = None

    def __enter__(self) -> Following:
        self._ahead.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ahead.leave()

    @property
    def busy(self) -> bool:
        """Whether a photo that is no longer wanted is still being matched."""
        return self._ahead.is_alive()

    def finish(self, fade_out_s: float) -> None:
        """Fade out from the next block on, and end; may be called from another thread."""
        self._renderer.finish(fade_out_s)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the sound as `Renderer.blocks` does.

        Raises
        ------
        DeepmersionError
            After the sound has faded out, when what comes next cannot be had.
        """
        position = 0
        for block in self._renderer.blocks():
            yield block
            position += len(block)
            self._direct(position)
        if self._ahead.failure is not None:
            raise self._ahead.failure

    def _direct(self, position: int) -> None:
        """Go over to what comes next, if it is there and its time has come."""
        if self._coming is None:
            self._coming = self._ahead.get(
                wait=self._patient and self._n_each > 0 and position >= self._due - self._n_notice
            )
            if self._coming is _END:
                self._end()
        if isinstance(self._coming, Change) and position >= self._due:
            self._renderer.change_to(self._coming, self._crossfade_s)
            self._ahead.taken()
            self._coming = None
            # One that came late has its whole time all the same.
            late = position - self._due > BLOCK_SAMPLES
            self._due = (position if late else self._due) + self._n_each

    def _end(self) -> None:
        if self._ahead.failure is None:
            self._renderer.finish(self._fade_out_s, self._due / SAMPLE_RATE)
        else:
            self._renderer.finish(min(self._fade_out_s, FADE_OUT_S))


class _Ahead(threading.Thread):
    """Looks one scene ahead.

    Attributes
    ----------
    failure : Exception or None
        Why there are no more scenes, when something went wrong.
    """

    def __init__(
        self,
        prepare: Callable[[np.ndarray], Change],
        scenes: Iterator[Ambience],
        on_scene: Callable[[Ambience], None],
        stop: threading.Event,
    ) -> None:
        super().__init__(daemon=True)
        self._prepare = prepare
        self._scenes = scenes
        self._on_scene = on_scene
        self._stopped = stop
        self._ready: SimpleQueue[object] = SimpleQueue()
        self._taken = threading.Semaphore(0)
        self.failure: Exception | None = None

    def run(self) -> None:
        """Make scene after scene ready, each when the one before is heard."""
        try:
            for scene in self._scenes:
                self._ready.put(self._prepare(scene.best.gains))
                self._taken.acquire()
                if self._stopped.is_set():
                    break
                self._on_scene(scene)
        except Exception as error:
            self.failure = error  # raised again by `blocks`
        finally:
            self._ready.put(_END)

    def get(self, *, wait: bool) -> object:
        """Return a `Change` that is ready, `_END`, or None when there is neither and no waiting."""
        try:
            return self._ready.get(block=wait)
        except Empty:
            return None

    def taken(self) -> None:
        """Say that the change that was got is heard now."""
        self._taken.release()

    def leave(self) -> None:
        """Say that nothing more is wanted."""
        self._stopped.set()
        self._taken.release()
        self.join(LEAVE_S)
