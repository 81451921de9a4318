"""Decodes recordings of phones (AAC, AMR, WMA, Opus in WebM) through PyAV, an optional extra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepmersion.errors import SoundBankError, in_one_line
from deepmersion.sound.bank import undecodable

if TYPE_CHECKING:
    from av.container import InputContainer

HOW_TO_GET = "install it with: pip install 'deepmersion[phone]'"


def is_installed() -> bool:
    """Return whether PyAV is installed, without importing it."""
    return find_spec("av") is not None


@contextmanager
def decoding_phone(path: Path) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """Open a recording; yield its rate in Hz and its samples, float32 [samples, channels].

    Raises
    ------
    SoundBankError
        When PyAV is missing, or the file holds no sound or cannot be decoded.
    """
    if not is_installed():
        raise SoundBankError(f"{path} needs the package av; {HOW_TO_GET}")
    import av

    av.logging.set_level(av.logging.PANIC)  # its errors are raised as well
    try:
        container = av.open(str(path), "r")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise undecodable(path, _cause(error)) from error
    with container:
        if not container.streams.audio:
            raise SoundBankError(f"{path} holds no sound; remove it from the sound bank")
        rate = int(container.streams.audio[0].rate or 0)
        yield rate, _pieces(path, container, rate)


def _pieces(path: Path, container: InputContainer, rate: int) -> Iterator[np.ndarray]:
    import av

    resampler = None
    try:
        for frame in container.decode(audio=0):
            # Made from the first frame: a stream's own description can be wrong.
            resampler = resampler or av.AudioResampler("fltp", frame.layout, rate)
            for piece in resampler.resample(frame):
                yield piece.to_ndarray().T
        for piece in resampler.resample(None) if resampler else ():
            yield piece.to_ndarray().T
    except (av.FFmpegError, OSError, ValueError) as error:
        raise undecodable(path, _cause(error)) from error


def _cause(error: BaseException) -> str:
    return getattr(error, "strerror", None) or in_one_line(error)
