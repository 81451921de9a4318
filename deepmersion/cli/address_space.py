"""Uses address space sparingly where it is limited, as by ``ulimit -v`` or a hosting service.

Libraries reserve far more of it than they use. Without a limit that costs nothing.
"""

from __future__ import annotations

import os
import sys

M_ARENA_MAX = -8
"""Parameter of glibc's mallopt(3): how many heaps there may be."""

PRODUCT_SIDE = 512
"""Side of a matrix whose product needs OpenBLAS's buffer; it multiplies small ones without."""


def save_address_space() -> None:
    """Reserve less, if address space is limited; before NumPy is imported.

    glibc reserves 64 MB for the heap of each thread. OpenBLAS reserves some 32 MB for each of its
    threads, the first time it is used, and ends the program without a word where it cannot: it has
    to come first.
    """
    if not _is_limited():
        return
    if sys.platform == "linux":
        import ctypes

        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and no such heaps
        if mallopt is not None:
            mallopt(M_ARENA_MAX, 1)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import numpy as np

    matrix = np.zeros((PRODUCT_SIDE, PRODUCT_SIDE), np.float32)
    matrix @ matrix


def _is_limited() -> bool:
    try:
        import resource
    except ImportError:  # Windows
        return False
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
