"""The pipeline from photos to the sounds that belong there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepmersion.ambience import Ambience
from deepmersion.errors import IndexFileError, PhotoError
from deepmersion.index.file import open_index
from deepmersion.labels import (
    condition_labels,
    likeliest,
    object_labels,
    shared_objects,
    shared_scenes,
)
from deepmersion.matching.chatter import chatter_match
from deepmersion.matching.rule import Evidence, Match, runner_up, search, single_sounds
from deepmersion.matching.witnesses import home_divergences, homes
from deepmersion.request import LABEL_SETS, Request
from deepmersion.shipped import shipped_index
from deepmersion.sound.bank import open_bank
from deepmersion.torch_device import require_device
from deepmersion.vision.choose import Choice, OnChoice, load_networks
from deepmersion.vision.networks import Distributions
from deepmersion.vision.opened import Opened, open_photo
from deepmersion.vision.photo import Photo
from deepmersion.vision.read_ahead import read_ahead
from deepmersion.weights.specs import SOUNDNET_SHA256

if TYPE_CHECKING:
    from deepmersion.heatmap import Heatmap
    from deepmersion.matching.explain import Explanation

N_LABELS = 5
"""Number of most probable objects and scenes in an ambience."""

PHOTOS_AT_ONCE = 4
"""Photos decoded and classified together. The paper's networks need them at full size, about 36 MB
each, and must stay below 2 GB of memory."""


class Matcher:
    """Image networks and a sound index, loaded once for many photos.

    Parameters
    ----------
    networks : {"auto", "lite", "paper"}
        ``auto`` chooses the paper's if their weights are present, else lite.
    index : Path, str or None
        Index file; None for the one that ships for the bank, if it is a shipped or a named one.
    soundbank : Path, str or None
        The base sounds that the index was made for, as `open_bank` takes them; None for the
        shipped ones.
    device : str
        PyTorch device to run the networks on.
    on_choice : callable, optional
        Called with a line that states which networks ``auto`` chose, and why.

    Raises
    ------
    SoundBankError, IndexFileError, WeightsError, RequestError
        When one of them cannot be used, the index was made for another sound bank or with other
        weights of SoundNet, or the networks or the device are unknown.
    """

    def __init__(
        self,
        *,
        networks: Choice = "auto",
        index: Path | str | None = None,
        soundbank: Path | str | None = None,
        device: str = "cpu",
        on_choice: OnChoice | None = None,
    ) -> None:
        self.bank = open_bank(soundbank)
        with ExitStack() as resources:
            path = shipped_index(self.bank.name) if index is None else Path(index)
            self._index = resources.enter_context(open_index(path))
            self._check_index(path)
            require_device(device)
            self.networks = load_networks(networks, device, on_choice)
            self._resources = resources.pop_all()
        self._labels = {
            "objects": object_labels(),
            "scenes": self.networks.scene_labels,
            "conditions": condition_labels(),
        }
        self._homes = homes([sound.known_kind for sound in self.bank.sounds], self._labels)
        self._classes = {
            "objects": shared_objects(),
            "scenes": shared_scenes(self.networks.scene_labels),
        }

    def __enter__(self) -> Matcher:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index."""
        self._resources.close()

    def _check_index(self, path: Path) -> None:
        if self._index.header.soundnet != SOUNDNET_SHA256:
            raise IndexFileError(
                f"the index {path} was made with other weights of SoundNet than the published "
                "ones; rebuild it with: deepmersion build-index"
            )
        made_for = self._index.header.soundbank, self._index.sounds
        if made_for == (self.bank.fingerprint, self.bank.names):
            return
        if self.bank.name and path == shipped_index(self.bank.name):
            raise IndexFileError(
                f"the recordings in {self.bank.folder} are not those that the ready-made index "
                f"was made for; run `deepmersion soundbank fetch {self.bank.name}`"
            )
        name = self.bank.argument
        option = f"--soundbank {name} " if name else ""
        raise IndexFileError(
            f"the index {path} was made for another sound bank than {name or 'the shipped one'}; "
            "give the right --soundbank, or build an index for this one with: "
            f"deepmersion build-index {option}-o FILE.h5"
        )

    def match(
        self,
        photo: Photo,
        request: Request | None = None,
        *,
        name: str | None = None,
        **options: Any,
    ) -> Ambience:
        """Return the mixes for a photo.

        Parameters
        ----------
        photo : Path, str or binary file
        request : Request, optional
            By default, a request for the best mix.
        name : str, optional
            The photo's name in the ambience; by default that of `vision.photo.name_of`.
        **options
            Fields that replace those of the request, such as ``top=3``.

        Raises
        ------
        PhotoError
            When the photo cannot be opened.
        RequestError, IndexFileError
            As `match_all` raises them.
        """
        request = _request(request, options)
        opened = open_photo(photo, self.networks, name, shown=request.heatmap)
        (ambience,) = self._match_opened([opened], request)
        return ambience

    def match_all(
        self, photos: Sequence[Photo], request: Request | None = None, **options: Any
    ) -> Iterator[Ambience | PhotoError]:
        """Yield for each photo, in order, its ambience, or the error if it cannot be opened.

        The parameters are those of `match`.

        Raises
        ------
        RequestError
            When an option is out of bounds; raised before a photo is opened.
        IndexFileError
            When a part of the index that is read is damaged.
        """
        return self._match_all(photos, _request(request, options))

    def _match_all(
        self, photos: Sequence[Photo], request: Request
    ) -> Iterator[Ambience | PhotoError]:
        opened = read_ahead(
            lambda photo: open_photo(photo, self.networks, shown=request.heatmap), photos
        )
        while some := list(islice(opened, PHOTOS_AT_ONCE)):
            readable = [photo for photo in some if photo.error is None]
            found = iter(self._match_opened(readable, request))
            for photo in some:
                yield next(found) if photo.error is None else photo.error

    def _match_opened(self, photos: Sequence[Opened], request: Request) -> list[Ambience]:
        """Return the ambiences of photos; raise the error of one that could not be opened."""
        if not photos:
            return []
        seen = self.networks.classify([photo.pixels() for photo in photos])
        evidence = {
            label_set: Evidence.of(getattr(seen, label_set), self._classes[label_set])
            for label_set in LABEL_SETS
            if label_set in request.label_sets
        }
        home = self._asked(request)
        known = home_divergences(home, asdict(seen)) if home else None
        matches, deciding = self._rank(evidence, known, request)
        heard = evidence if "soundnet" in request.listen else {}
        why = [
            self._explain(seen, heard, home, deciding[i], i) if request.explains else None
            for i in range(len(photos))
        ]
        return [
            Ambience(
                photo=photo.name,
                networks=self.networks.name,
                weights=dict(self.networks.weights),
                objects=likeliest(seen.objects[i], self._labels["objects"], N_LABELS),
                scenes=likeliest(seen.scenes[i], self._labels["scenes"], N_LABELS),
                conditions=likeliest(seen.conditions[i], self._labels["conditions"], N_LABELS),
                matches=tuple(matches[i][: request.top]),
                bank=self.bank,
                explanation=why[i],
                heatmap=self._heatmap(photo, why[i]),
            )
            for i, photo in enumerate(photos)
        ]

    def _asked(self, request: Request) -> dict[str, np.ndarray]:
        """Return the homes of the sounds for the label sets in the request."""
        if request.rule == "2018":
            return {}
        label_sets = [*request.label_sets] if "kinds" in request.listen else []
        label_sets += ["conditions"] if "conditions" in request.listen else []
        return {label_set: self._homes[label_set] for label_set in label_sets}

    def _rank(
        self, evidence: Mapping[str, Evidence], known: np.ndarray | None, request: Request
    ) -> tuple[list[list[Match]], list[list[Match]]]:
        """Return each photo's matches, and the ranking whose first place to explain."""
        if request.rule == "2018":
            from deepmersion.matching.rule_2018 import search_as_in_2018

            best = search_as_in_2018(self._index, evidence, request.top)
            return best, best
        soundnet = "soundnet" in request.listen
        n_found = max(request.top, 2) if request.explains else request.top
        best = search(self._index, evidence, n_found, known=known, soundnet=soundnet)
        if request.chatter is None:
            return best, best
        singles = single_sounds(self._index, evidence, known=known, soundnet=soundnet)
        mixes = [chatter_match(sounds, request.chatter) for sounds in singles]
        matches = [
            [mix, *(match for match in others if match.sounds != mix.sounds)]
            for mix, others in zip(mixes, best, strict=True)
        ]
        return matches, singles

    def _explain(
        self,
        seen: Distributions,
        heard: Mapping[str, Evidence],
        home: Mapping[str, np.ndarray],
        matches: Sequence[Match],
        photo: int,
    ) -> Explanation:
        from deepmersion.matching.explain import Seen, explain

        of_photo = Seen(
            evidence={label_set: shown.of_photo(photo) for label_set, shown in heard.items()},
            probs={label_set: probs[photo] for label_set, probs in asdict(seen).items()},
            labels=self._labels,
            home=home,
        )
        return explain(self._index, of_photo, matches[0], runner_up(matches))

    def _heatmap(self, photo: Opened, why: Explanation | None) -> Heatmap | None:
        if why is None or photo.picture is None:
            return None
        from deepmersion.heatmap import heatmap

        return heatmap(self.networks, self._labels, photo.pixels(), photo.picture, why.reasons)


def match(
    photo: Photo,
    request: Request | None = None,
    *,
    networks: Choice = "auto",
    index: Path | str | None = None,
    soundbank: Path | str | None = None,
    device: str = "cpu",
    on_choice: OnChoice | None = None,
    **options: Any,
) -> Ambience:
    """Return the mixes for one photo, as `Matcher.match` does.

    The parameters are those of `Matcher` and of `Request`: ``match("photo.jpg", top=3)``.
    """
    request = _request(request, options)
    with Matcher(
        networks=networks, index=index, soundbank=soundbank, device=device, on_choice=on_choice
    ) as matcher:
        return matcher.match(photo, request)


def _request(request: Request | None, options: Mapping[str, Any]) -> Request:
    return replace(request or Request(), **options)
