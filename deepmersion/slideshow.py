"""One continuous sound for changing scenes: photos in turn, or a watched camera.

The next scene is matched and prepared in its own thread, so the stream never waits for a network.
The time of a change is measured in delivered samples, so the content of a pipe does not depend on
how fast it is read.
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
"""Crossfade from one scene to the next, in seconds: slow enough not to startle."""

LEAVE_S = 0.1
"""Longest wait at the end for a photo that is still being matched but no longer needed."""

_END = object()
"""Marks the end of the scenes."""


def crossfade_length(each_s: float | None, crossfade_s: float | None) -> float:
    """Return the length of a crossfade in seconds.

    Parameters
    ----------
    each_s : float or None
        Time that a scene plays, in seconds; None plays it until the next one is ready.
    crossfade_s : float or None
        The requested length; None takes the default, shortened if scenes are short.

    Raises
    ------
    RequestError
        When the crossfade is longer than a scene.
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
    """A stream of sound that crossfades from scene to scene.

    A context manager: leaving it ends the thread that prepares scenes.

    Parameters
    ----------
    renderer : Renderer
        Set up with the first scene.
    scenes : iterator of Ambience
        The scenes after the first; consumed in another thread, where they may block.
    each_s : float or None
        Time that each scene plays, in seconds; the sound ends with the last one. None changes to
        each scene as soon as it is ready.
    crossfade_s, fade_out_s : float
        Crossfade between scenes and fade-out at the end, in seconds.
    on_scene : callable
        Called in that other thread with every scene when its sound begins.
    patient : bool
        Whether to wait for a scene that is due but not ready, as a pipe can. A sound card cannot
        wait, so the previous scene plays on.
    stop : threading.Event or None
        Set at the end, to stop `scenes` that block.
    """

    n_samples = None
    """Length in samples: unknown."""

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
        # The last scene fades out within its own time, so it must be known to be the last.
        self._n_notice = round(fade_out_s * SAMPLE_RATE) + 2 * BLOCK_SAMPLES
        self._coming: object = None

    def __enter__(self) -> Following:
        self._ahead.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ahead.leave()

    @property
    def busy(self) -> bool:
        """True if a photo that is no longer needed is still being matched."""
        return self._ahead.is_alive()

    def finish(self, fade_out_s: float) -> None:
        """Fade out from the next block on and end; may be called from another thread."""
        self._renderer.finish(fade_out_s)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the sound as `Renderer.blocks` does.

        Raises
        ------
        DeepmersionError
            After the sound has faded out, if the next scene failed.
        """
        position = 0
        for block in self._renderer.blocks():
            yield block
            position += len(block)
            self._direct(position)
        if self._ahead.failure is not None:
            raise self._ahead.failure

    def _direct(self, position: int) -> None:
        """Change to the next scene if it is ready and due."""
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
            # A late scene still gets its full time.
            late = position - self._due > BLOCK_SAMPLES
            self._due = (position if late else self._due) + self._n_each

    def _end(self) -> None:
        if self._ahead.failure is None:
            self._renderer.finish(self._fade_out_s, self._due / SAMPLE_RATE)
        else:
            self._renderer.finish(min(self._fade_out_s, FADE_OUT_S))


class _Ahead(threading.Thread):
    """Prepares one scene ahead.

    Attributes
    ----------
    failure : Exception or None
        The error that ended the scenes, if any.
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
        """Prepare scene after scene, each once the one before is playing."""
        try:
            for scene in self._scenes:
                self._ready.put(self._prepare(scene.gains))
                self._taken.acquire()
                if self._stopped.is_set():
                    break
                self._on_scene(scene)
        except Exception as error:
            self.failure = error  # raised again by `blocks`
        finally:
            self._ready.put(_END)

    def get(self, *, wait: bool) -> object:
        """Return a ready `Change` or `_END`; None if neither is ready and `wait` is false."""
        try:
            return self._ready.get(block=wait)
        except Empty:
            return None

    def taken(self) -> None:
        """Signal that the last change from `get` is now playing."""
        self._taken.release()

    def leave(self) -> None:
        """Signal that no more scenes are needed."""
        self._stopped.set()
        self._taken.release()
        self.join(LEAVE_S)
