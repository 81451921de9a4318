"""The pipeline from photos to the sounds that belong there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepmersion.ambience import Ambience, Recognised
from deepmersion.errors import IndexFileError, PhotoError, RequestError
from deepmersion.index.file import open_index
from deepmersion.labels import (
    condition_labels,
    likeliest,
    numbers_of,
    object_labels,
    shared_objects,
    shared_scenes,
    without,
)
from deepmersion.matching.chatter import chatter_match
from deepmersion.matching.rule import Evidence, Match, runner_up, search, single_sounds
from deepmersion.matching.witnesses import home_divergences, homes
from deepmersion.places.place import Place
from deepmersion.places.recognition import recognise, signature
from deepmersion.places.store import NewPlace, Places
from deepmersion.places.thumbnail import DECODED_SIDE, thumbnail
from deepmersion.request import LABEL_SETS, Request
from deepmersion.shipped import shipped_index
from deepmersion.sound.bank import open_bank
from deepmersion.sound.recipe import gains_vector, mix_text, named_gains, parse_mix
from deepmersion.torch_device import require_device
from deepmersion.vision.choose import Choice, OnChoice, load_networks
from deepmersion.vision.decoders import Decoders
from deepmersion.vision.opened import Opened, open_photo
from deepmersion.vision.photo import Photo, name_of, rereadable
from deepmersion.vision.read_ahead import read_ahead
from deepmersion.weights.specs import SOUNDNET_SHA256

if TYPE_CHECKING:
    from deepmersion.heatmap import Heatmap
    from deepmersion.matching.explain import Explanation

N_LABELS = 5
"""Number of most probable objects and scenes in an ambience."""

SEEN_BY = "EfficientNet-Lite0"
"""The network whose features places are recognised by; both choices of networks have it."""

PHOTOS_AT_ONCE = 4
"""Photos decoded and classified together. The paper's networks need them at full size, about 36 MB
each, and must stay below 2 GB of memory."""

DEVICE_PHOTOS_AT_ONCE = 16
"""The same with the networks on a GPU. As many are decoded ahead, by as many threads as there are
processors: the GPU is never what others wait for."""


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
    places : Places, optional
        The kept places to recognise photos as, and where `keep` keeps others; by default none.

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
        places: Places | None = None,
    ) -> None:
        self.places = places
        self._at_once = PHOTOS_AT_ONCE if device == "cpu" else DEVICE_PHOTOS_AT_ONCE
        self.bank = open_bank(soundbank)
        with ExitStack() as resources:
            path = shipped_index(self.bank.name) if index is None else Path(index)
            self._index = resources.enter_context(open_index(path))
            self._check_index(path)
            require_device(device)
            self.networks = load_networks(networks, device, on_choice)
            self._decoders = resources.enter_context(Decoders())
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
        """Close the index, and end the decoding of photos."""
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
        RequestError, IndexFileError, PlacesError
            As `match_all` raises them.
        """
        request = self.checked(_request(request, options))
        opened = open_photo(photo, self.networks, self._decoders, name, shown=request.heatmap)
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
            When an option is out of bounds or a class unknown; raised before a photo is opened.
        IndexFileError
            When a part of the index that is read is damaged.
        PlacesError
            When the kept places cannot be read.
        """
        return self._match_all(photos, self.checked(_request(request, options)))

    def checked(self, request: Request) -> Request:
        """Return a request, or raise RequestError if it strikes out what the networks don't know.

        Every match does this before it opens a photo.
        """
        numbers_of(request.without, self._labels)
        return request

    def keep(
        self,
        name: str,
        photo: Photo,
        ambience: Ambience | None = None,
        *,
        mix: str | None = None,
        replace: bool = False,
    ) -> Place:
        """Keep a photo as a place, to be recognised by every matcher that has these places.

        Parameters
        ----------
        name : str
            Of the place.
        photo : Path, str or binary file
            A small picture of it is stored.
        ambience : Ambience, optional
            What was found for this photo before; else it is matched now.
        mix : str, optional
            What is to be played (`sound.recipe`); by default the photo's best mix.
        replace : bool
            Whether to take the place of the one of that name, if there is one.

        Returns
        -------
        Place

        Raises
        ------
        PhotoError
            When the photo cannot be opened.
        RequestError
            When the name or the mix is invalid, or the matcher has no places.
        NameTakenError
            When a place of that name is kept already.
        PlacesError
            When it cannot be stored.
        """
        if self.places is None:
            raise RequestError("this matcher keeps no places; make it with places=Places()")
        if mix is not None:
            gains_vector(parse_mix(mix), self.bank.names)
        own_name = name_of(photo)
        file = rereadable(photo, own_name)
        if ambience is None:
            ambience = self.match(file, places=False, name=own_name)
            if isinstance(file, BytesIO):
                file.seek(0)
        picture = self._decoders.load(file, own_name, min_side=DECODED_SIDE)
        new = NewPlace(
            name=name,
            mix=mix or mix_text(named_gains(ambience.best.gains, self.bank.names)),
            soundbank=self.bank.lasting_argument,
            network=self._network,
            signature=ambience.signature,
            thumbnail=thumbnail(picture),
        )
        return self.places.keep(new, replace=replace)

    @property
    def _network(self) -> str:
        return self.networks.weights[SEEN_BY]

    def _match_all(
        self, photos: Sequence[Photo], request: Request
    ) -> Iterator[Ambience | PhotoError]:
        opened = read_ahead(
            lambda photo: open_photo(photo, self.networks, self._decoders, shown=request.heatmap),
            photos,
            self._at_once,
        )
        while some := list(islice(opened, self._at_once)):
            readable = [photo for photo in some if photo.error is None]
            found = iter(self._match_opened(readable, request))
            for photo in some:
                yield next(found) if photo.error is None else photo.error

    def _match_opened(self, photos: Sequence[Opened], request: Request) -> list[Ambience]:
        """Return the ambiences of photos; raise the error of one that could not be opened."""
        if not photos:
            return []
        distributions = self.networks.classify([photo.pixels() for photo in photos])
        struck = numbers_of(request.without, self._labels)
        seen = {
            label_set: without(probs, struck[label_set])
            for label_set, probs in distributions.by_label_set.items()
        }
        evidence = {
            label_set: Evidence.of(seen[label_set], self._classes[label_set])
            for label_set in LABEL_SETS
            if label_set in request.label_sets
        }
        home = self._asked(request)
        known = home_divergences(home, seen) if home else None
        matches, deciding = self._rank(evidence, known, request)
        heard = evidence if "soundnet" in request.listen else {}
        why = [
            self._explain(seen, heard, home, deciding[i], i) if request.explains else None
            for i in range(len(photos))
        ]
        signatures = [signature(of_photo) for of_photo in distributions.features]
        places = self.places.all() if self.places is not None and request.places else []
        return [
            Ambience(
                photo=photo.name,
                networks=self.networks.name,
                weights=dict(self.networks.weights),
                **{
                    label_set: likeliest(
                        probs[i], self._labels[label_set], N_LABELS, struck[label_set]
                    )
                    for label_set, probs in seen.items()
                },
                matches=tuple(matches[i][: request.top]),
                bank=self.bank,
                explanation=why[i],
                heatmap=self._heatmap(photo, why[i]),
                without=tuple(request.without),
                place=self._recognised(signatures[i], places),
                signature=signatures[i],
            )
            for i, photo in enumerate(photos)
        ]

    def _recognised(self, of_photo: np.ndarray, places: Sequence[Place]) -> Recognised | None:
        found = recognise(of_photo, self._network, places)
        return None if found is None else Recognised.of(*found, self.bank)

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
        seen: Mapping[str, np.ndarray],
        heard: Mapping[str, Evidence],
        home: Mapping[str, np.ndarray],
        matches: Sequence[Match],
        photo: int,
    ) -> Explanation:
        from deepmersion.matching.explain import Seen, explain

        of_photo = Seen(
            evidence={label_set: shown.of_photo(photo) for label_set, shown in heard.items()},
            probs={label_set: probs[photo] for label_set, probs in seen.items()},
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
    places: Places | None = None,
    **options: Any,
) -> Ambience:
    """Return the mixes for one photo, as `Matcher.match` does.

    The parameters are those of `Matcher` and of `Request`: ``match("photo.jpg", top=3)``.
    """
    request = _request(request, options)
    with Matcher(
        networks=networks,
        index=index,
        soundbank=soundbank,
        device=device,
        on_choice=on_choice,
        places=places,
    ) as matcher:
        return matcher.match(photo, request)


def _request(request: Request | None, options: Mapping[str, Any]) -> Request:
    return replace(request or Request(), **options)
