"""Watches a webcam: an address where there is another photo from time to time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from deepmersion.errors import PhotoError
from deepmersion.fetching.address import Address
from deepmersion.vision.photo import Photo

T = TypeVar("T")


def watch_address(
    address: Address,
    every_s: float,
    look: Callable[[Photo], T],
    on_failure: Callable[[str, PhotoError], None],
    stop: threading.Event,
) -> Iterator[T]:
    """Yield what `look` returns for the photo at an address, then for each other one there.

    Parameters
    ----------
    address : Address
    every_s : float
        Seconds from one look to the next.
    look : callable
        Called with each new photo; raises PhotoError when it cannot be opened.
    on_failure : callable
        Called with the address and the error when there is no photo, once for the same error in a
        row. The next look may find one.
    stop : threading.Event
        Set to end the iterator.
    """
    said = ""
    while not stop.is_set():
        try:
            photo = address.changed()
            result = None if photo is None else look(photo)
        except PhotoError as error:
            if str(error) != said:
                on_failure(address.name, error)
            said = str(error)
        else:
            said = ""
            if result is not None:
                yield result
        stop.wait(every_s)
