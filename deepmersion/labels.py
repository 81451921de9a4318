"""The class names of the networks, and the classes that two networks share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from deepmersion.errors import RequestError
from deepmersion.shipped import DATA

CLASSES = {"objects": 1000, "scenes": 401}
"""Number of classes of SoundNet's heads: ImageNet's, and those of Places2's first release."""

LABELS = DATA / "labels"

N_NEAR = 3
"""Similar names that are offered for an unknown one."""

MAX_SHOWN = 40
"""Characters of an unknown name that are shown."""

SAME_PLACE = {
    "bayou": "swamp",
    "car_interior/backseat": "car_interior",
    "car_interior/frontseat": "car_interior",
    "cubicle/office": "office_cubicles",
    "dinette/home": "dining_room",
    "dock": "pier",
    "freeway": "highway",
    "game_room": "recreation_room",
    "garbage_dump": "landfill",
    "gorge": "canyon",
    "hallway": "corridor",
    "kitchenette": "kitchen",
    "lavatory": "bathroom",
    "limousine_interior": "car_interior",
    "parlor": "living_room",
    "temple/east_asia": "temple/asia",
    "temple/south_asia": "temple/asia",
    "train_railway": "railroad_track",
    "veranda": "porch",
    "waterfall/block": "waterfall",
    "waterfall/fan": "waterfall",
    "waterfall/plunge": "waterfall",
    "woodland": "forest/broadleaf",
}
"""SoundNet's scenes that another network has under another name, or does not distinguish.

SoundNet's classes are the 401 of Places2's first release; Places365 (Zhou et al. 2017) merged,
renamed and dropped some of them. Only identical places are listed: a sea cliff is not just any
cliff, nor a cathedral any church, and such classes have no counterpart.
"""


def likeliest(
    probs: np.ndarray, labels: Sequence[str], n: int, but: Collection[int] = ()
) -> tuple[tuple[str, float], ...]:
    """Return the `n` most probable classes and their probabilities, in descending order.

    Parameters
    ----------
    probs : ndarray, shape = (classes,)
    labels : sequence of str
        The classes' names.
    n : int
    but : collection of int
        Numbers of classes to leave out.
    """
    order = [int(i) for i in np.argsort(-probs, kind="stable") if i not in but]
    return tuple((labels[i], float(probs[i])) for i in order[:n])


def numbers_of(names: Iterable[str], labels: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """Return the classes with certain names: their numbers, by label set.

    Parameters
    ----------
    names : iterable of str
    labels : mapping of str to sequence of str
        The classes by label set. One name may mean several of them.

    Raises
    ------
    RequestError
        When a name is that of no class; similar ones are named.
    """
    found: dict[str, list[int]] = {label_set: [] for label_set in labels}
    for name in names:
        of_name = {
            label_set: [i for i, label in enumerate(classes) if label == name]
            for label_set, classes in labels.items()
        }
        if not any(of_name.values()):
            raise RequestError(_unknown(name, labels))
        for label_set, numbers in of_name.items():
            found[label_set] += numbers
    return found


def _unknown(name: str, labels: Mapping[str, Sequence[str]]) -> str:
    import difflib  # slow, and needed only for an error

    known = sorted({label for classes in labels.values() for label in classes})
    parts = [label for label in known if name and name in label]
    named = (parts or difflib.get_close_matches(name, known, N_NEAR))[:N_NEAR]
    hint = f"did you mean {' or '.join(named)}?" if named else "see `deepmersion match --json`"
    return f"the networks know no class called {name[:MAX_SHOWN]!r}; {hint}"


def without(probs: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """Return distributions [rows, classes] with some classes struck out and the others raised.

    Where nothing is left, nothing is known: the row is uniform.
    """
    if not len(numbers):
        return probs
    kept = probs.copy()
    kept[:, list(numbers)] = 0
    total = kept.sum(axis=1, keepdims=True)
    uniform = np.full_like(kept, 1 / kept.shape[1])
    return np.asarray(np.divide(kept, total, out=uniform, where=total > 0))


@dataclass(frozen=True)
class SharedClasses:
    """The classes that two networks share, and how each network's own classes map to them.

    Attributes
    ----------
    names : tuple of str
        Names of the shared classes.
    sound, image : ndarray of int64
        For each class of SoundNet and of the image network, the number of its shared class, or
        -1 where it has no counterpart.
    """

    names: tuple[str, ...]
    sound: np.ndarray
    image: np.ndarray

    @property
    def identical(self) -> bool:
        """True if both networks have the same classes in the same order."""
        one_to_one = np.arange(len(self.names))
        return np.array_equal(self.sound, one_to_one) and np.array_equal(self.image, one_to_one)


def shared_scenes(image_labels: Sequence[str]) -> SharedClasses:
    """Return the scenes that SoundNet shares with a network whose scenes are `image_labels`.

    A class maps to the one of its own name, else to the one that `SAME_PLACE` gives. Several
    classes that map to the same one are added up.
    """
    known = set(image_labels)
    targets = [name if name in known else SAME_PLACE.get(name) for name in soundnet_scene_labels()]
    shared = set(targets) & known
    names = tuple(name for name in image_labels if name in shared)
    number = {name: i for i, name in enumerate(names)}
    return SharedClasses(
        names=names,
        sound=np.array([number.get(name or "", -1) for name in targets]),
        image=np.array([number.get(name, -1) for name in image_labels]),
    )


def shared_objects() -> SharedClasses:
    """Return ImageNet's objects, which all networks have in the same order."""
    one_to_one = np.arange(len(object_labels()))
    return SharedClasses(object_labels(), one_to_one, one_to_one)


def project(probs: np.ndarray, mapping: np.ndarray, n_shared: int) -> np.ndarray:
    """Return distributions over shared classes: equal classes added up, others left out.

    Parameters
    ----------
    probs : ndarray, shape = (rows, classes), float
        Probabilities.
    mapping : ndarray, shape = (classes,), int
        ``SharedClasses.sound`` or ``.image``.
    n_shared : int
        Number of shared classes.

    Returns
    -------
    ndarray, shape = (rows, n_shared), float64
        Renormalised: each row sums to 1. A row without any shared class is uniform.
    """
    kept = np.flatnonzero(mapping >= 0)
    assign = np.zeros((len(kept), n_shared))
    assign[np.arange(len(kept)), mapping[kept]] = 1.0
    shared = probs[:, kept].astype(np.float64) @ assign
    kept_mass = shared.sum(axis=1, keepdims=True)
    uniform = np.full_like(shared, 1 / n_shared)
    return np.asarray(np.divide(shared, kept_mass, out=uniform, where=kept_mass > 0))


def dropped_mass(probs: np.ndarray, mapping: np.ndarray) -> np.ndarray:
    """Return the probability of the classes without a counterpart, float64 [rows]."""
    return np.asarray(probs[:, mapping < 0].sum(axis=1, dtype=np.float64))


@cache
def _read(file_name: str) -> tuple[str, ...]:
    return tuple((LABELS / file_name).read_text("utf-8").splitlines())


def object_labels() -> tuple[str, ...]:
    """Return the 1000 object classes of ImageNet's challenge.

    Two names occur twice, as in ImageNet: a crane is a bird and a machine, a maillot two kinds of
    swimsuit. Only the position tells them apart.
    """
    return _read("imagenet1000.txt")


def places365_labels() -> tuple[str, ...]:
    """Return the 365 scene classes of Places365 (Zhou et al. 2017)."""
    return _read("places365.txt")


def miniplaces_labels() -> tuple[str, ...]:
    """Return the 100 scene classes of MiniPlaces, those of the embedded network."""
    return _read("miniplaces100.txt")


def condition_labels() -> tuple[str, ...]:
    """Return the 14 conditions that a photo may show: weather, time of day, fire, water, people.

    They change the sound of one and the same place. Those that are themselves audible are
    `deepmersion.kinds.table.CONDITIONS`.
    """
    return _read("conditions.txt")


def soundnet_scene_labels() -> tuple[str, ...]:
    """Return the 401 scene classes of SoundNet (Aytar, Vondrick and Torralba 2016)."""
    return _read("soundnet-scenes.txt")
