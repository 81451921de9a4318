"""What ``POST /api/maps`` answers: where in a photo the sounds and the reasons for them are.

A map is a table of numbers over the whole photo, upright, from its upper left corner, squashed to a
square as the networks see it: row r of n covers the photo's height from r / n to (r + 1) / n.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deepmersion.ambience import Ambience
from deepmersion.matching.words import phrase

SCHEMA = 1
"""Version of the answer."""

SIDE = 16
"""Rows and columns of a map. The networks tell about 9 by 9 places of a photo apart."""

DECIMALS = 2


def described(ambience: Ambience) -> dict[str, Any]:
    """Return the maps of an ambience that has a heat map and an explanation."""
    assert ambience.heatmap is not None
    assert ambience.explanation is not None
    by_sound = ambience.heatmap.by_sound
    maps = []
    for sound, by_reason in ambience.heatmap.by_reason.items():
        reasons = ambience.explanation.reasons[sound]
        maps.append(
            {
                "sound": sound,
                "rows": SIDE,
                "columns": SIDE,
                "values": _values(by_sound[sound]),
                "reasons": [
                    {
                        "label_set": reason.label_set,
                        "label": reason.label,
                        "words": phrase(reason.label_set, reason.label),
                        "values": _values(of_reason),
                    }
                    for reason, of_reason in zip(reasons, by_reason, strict=True)
                ],
            }
        )
    return {"schema": SCHEMA, "maps": maps}


def _values(cells: np.ndarray) -> list[list[float]]:
    """Return a map relative to its peak, from 0 to 1; all 0 if the class is seen nowhere."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(np.maximum(cells, 0), np.float32))
    small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)
    peak = float(small.max())
    relative: list[list[float]] = (small / peak if peak > 0 else small).round(DECIMALS).tolist()
    return relative
