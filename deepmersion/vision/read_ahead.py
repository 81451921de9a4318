"""Decodes the next photos while the networks classify the previous ones."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from deepmersion.vision.photo import Photo

T = TypeVar("T")


def read_ahead(load: Callable[[Photo], T], photos: Sequence[Photo], n_ahead: int) -> Iterator[T]:
    """Yield what `load` returns for each photo, in order; it must not raise.

    At most `n_ahead` are decoded ahead, which bounds the memory of their pixels;
    `decoders.MEMORY_BYTES` bounds what decoding them takes.

    Files are loaded by several threads, which pays because decoders release Python's lock. Sources
    that may block, such as standard input or a pipe, are loaded in turn by the calling thread,
    where Ctrl-C can interrupt them; so is a single photo.
    """
    if len(photos) == 1:
        yield load(photos[0])
        return
    pool = ThreadPoolExecutor(min(n_ahead, os.cpu_count() or 1), "photos")
    remaining = iter(photos)
    coming: deque[Callable[[], T]] = deque()

    def start(n: int) -> None:
        for photo in islice(remaining, n):
            # Path.is_file raises if a name is too long or a folder may not be entered.
            is_file = isinstance(photo, str | Path) and os.path.isfile(photo)  # noqa: PTH113
            coming.append(pool.submit(load, photo).result if is_file else partial(load, photo))

    try:
        start(n_ahead)
        while coming:
            loaded = coming.popleft()()
            start(1)
            yield loaded
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
