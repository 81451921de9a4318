"""The witnesses of where a sound belongs: SoundNet, the kind of the sound, and the conditions.

SoundNet says which objects and scenes a sound suggests (`rule`), and it is half deaf: wind, rain
and fire are much the same to it. The kind of a sound (`deepmersion.kinds`) is known without hearing
it, and with the kind where it is usually heard: in which scenes, near which objects, and in which
conditions of a place, such as rain, night or flames.

Let a kind be at home in K of the N classes of a label set. Its distribution d over them is uniform
but for a factor e^L on those K. Pooled with SoundNet's q logarithmically, so that each witness
multiplies in what it knows (a logarithmic opinion pool; Genest and Zidek 1986, section 3),

    q'(c) = q(c) d(c) / Σ q d,

the centred divergence from a photo p becomes a sum over the witnesses,

    C(p, q') = C(p, q) + C(p, d),    C(p, d) = L (K / N - p(home)),

for Σ (u - p) = 0, and neither normalisation is left in it. A kind that says nothing has K = 0 and
drops out exactly. SoundNet does not know the conditions, so there C(p, d) stands alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from deepmersion.kinds.table import Kind, at_home

HOME_NATS = {"objects": 2.0, "scenes": 4.0, "conditions": 6.0}
"""L, by label set: how many times likelier, as a logarithm, a class is where a kind is at home.

What stands about says less of what is heard than the place does, and the conditions say most.
From 2 to 4, 3 to 5 and 4 to 8 about as many photos are matched well (docs/relevance.md)."""


def homes(
    kinds: Sequence[Kind | None], labels: Mapping[str, Sequence[str]]
) -> dict[str, np.ndarray]:
    """Return where sounds are at home: by label set, bool [sounds, classes].

    Parameters
    ----------
    kinds : sequence of Kind or None
        The kind of each sound; None where it is unknown.
    labels : mapping of str to sequence of str
        The image networks' classes, by label set: ``objects``, ``scenes``, ``conditions``.
    """
    return {
        label_set: np.stack([at_home(getattr(kind, label_set, ()), names) for kind in kinds])
        for label_set, names in labels.items()
    }


def home_divergences(home: Mapping[str, np.ndarray], seen: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return C(p, d) of every sound from photos, the label sets added up, [sounds, photos].

    Parameters
    ----------
    home : mapping of str to ndarray, shape = (sounds, classes), bool
        By the label sets that are asked, one or more, as `homes` returns it.
    seen : mapping of str to ndarray, shape = (photos, classes)
        What the image networks see, by label set.

    Returns
    -------
    ndarray, float64
        In nats; negative where a sound is at home.
    """
    parts = [
        HOME_NATS[label_set] * (where.mean(axis=1)[:, None] - where @ seen[label_set].T)
        for label_set, where in home.items()
    ]
    return np.asarray(np.sum(parts, axis=0))
