"""The whole way from photos to the sounds that belong there."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from deepmersion.errors import IndexFileError, PhotoError, RequestError
from deepmersion.index.file import open_index
from deepmersion.labels import likeliest, object_labels, shared_objects, shared_scenes
from deepmersion.matching.chatter import chatter_match
from deepmersion.matching.explain import Explanation, explain
from deepmersion.matching.rule import HEADS, Evidence, Match, runner_up, search, single_sounds
from deepmersion.matching.rule_2018 import search_as_in_2018
from deepmersion.shipped import shipped_index, shipped_soundbank
from deepmersion.sound.bank import SoundBank, open_bank
from deepmersion.sound.output import FILE_DURATION_S
from deepmersion.sound.recipe import mix_text, named_gains
from deepmersion.sound.recording import SAMPLE_RATE
from deepmersion.torch_device import require_device
from deepmersion.vision.choose import Choice, OnChoice, load_networks
from deepmersion.vision.networks import Distributions
from deepmersion.vision.photo import Photo, load_photo, name_of
from deepmersion.vision.read_ahead import read_ahead
from deepmersion.weights.specs import SOUNDNET_SHA256

Rule = Literal["centred", "2018"]
"""What mixes are ranked by: see `matching.rule` and `matching.rule_2018`."""

_SEARCHES = {"centred": search, "2018": search_as_in_2018}

SCHEMA = 1
"""Version of the records that ``match --json`` prints."""

N_LABELS = 5
"""How many of the likeliest objects and scenes a record names."""

PHOTOS_AT_ONCE = 4
"""Photos that are decoded and go through the networks together. The paper's networks take them at
full size, some 36 MB each, and must stay below 2 GB of memory."""


@dataclass(frozen=True)
class Ambience:
    """A photo, what is seen in it, and the mixes that fit it.

    Attributes
    ----------
    photo : str
        Its name (`vision.photo.name_of`): its path, ``-`` for standard input, or ``the photo``.
    networks : str
        Which image networks looked at it: ``"lite"`` or ``"paper"``.
    weights : mapping of str to str
        Identities of their weights.
    objects, scenes : tuple of (str, float)
        The likeliest classes and their probabilities, the likeliest first.
    matches : tuple of Match
        The best, then alternatives; see `matching.rule.search`.
    bank : SoundBank
        The base sounds that the matches mix.
    explanation : Explanation or None
        Why the best mix came before the runner-up (`matching.rule.runner_up`), if that was asked
        for.
    """

    photo: str
    networks: str
    weights: dict[str, str]
    objects: tuple[tuple[str, float], ...]
    scenes: tuple[tuple[str, float], ...]
    matches: tuple[Match, ...]
    bank: SoundBank
    explanation: Explanation | None = None

    @property
    def best(self) -> Match:
        """The first match: with a chatter level the chatter mix, else the best of the index."""
        return self.matches[0]

    @property
    def sounds(self) -> dict[str, float]:
        """The best mix: gains by name, the loudest first."""
        return named_gains(self.best.gains, self.bank.names)

    def blocks(self, **options: Any) -> Iterator[np.ndarray]:
        """Return the best mix as a stream, float32 [samples, 2] a block, at 44,100 Hz.

        The options are those of `deepmersion.sound.renderer.Renderer`.
        """
        from deepmersion.sound.renderer import Renderer

        return Renderer(self.bank, self.best.gains, **options).blocks()

    def write(self, path: Path | str, duration_s: float = FILE_DURATION_S, **options: Any) -> None:
        """Write the best mix to an audio file (.wav, .flac, .ogg or .mp3).

        Parameters
        ----------
        path : Path or str
            Its suffix chooses the format. It appears there only when it is whole.
        duration_s : float
            In seconds.
        **options
            Those of `deepmersion.sound.renderer.Renderer`.

        Raises
        ------
        OutputError
            When the file cannot be written.
        RequestError
            When a duration, fade or volume makes no sense.
        SoundBankError
            When a sound cannot be used.
        """
        from deepmersion.sound.output import write_file

        blocks = self.blocks(duration_s=duration_s, **options)
        write_file(Path(path), blocks, SAMPLE_RATE, round(duration_s * SAMPLE_RATE))

    def record(self, output: str | None = None) -> dict[str, Any]:
        """Return the ambience as ``match --json`` prints it."""
        record = {
            "schema": SCHEMA,
            "photo": self.photo,
            "networks": self.networks,
            "weights": self.weights,
            "objects": [{"label": label, "p": round(p, 6)} for label, p in self.objects],
            "scenes": [{"label": label, "p": round(p, 6)} for label, p in self.scenes],
            "matches": [
                {
                    "rank": rank,
                    "sounds": named_gains(match.gains, self.bank.names),
                    "mix": mix_text(named_gains(match.gains, self.bank.names)),
                    "kl": round(match.kl, 6),
                    **{f"kl_{head}": round(kl, 6) for head, kl in match.kl_by_head.items()},
                    "score": round(match.score, 6),
                }
                for rank, match in enumerate(self.matches, 1)
            ],
            "output": output,
        }
        if self.explanation is not None:
            record["explanation"] = asdict(self.explanation)
        return record


class Matcher:
    """Image networks and a sound index, loaded once for many photos.

    Parameters
    ----------
    networks : {"auto", "lite", "paper"}
        ``auto`` takes the paper's if their weights are there, else lite.
    use : sequence of str
        Which label sets decide: ``objects``, ``scenes`` or both.
    index : Path, str or None
        Index file; None for the shipped one.
    soundbank : Path, str or None
        The folder of base sounds that the index was made for; None for the shipped one.
    rule : {"centred", "2018"}
        What mixes are ranked by.
    device : str
        Where the networks run, as torch names it.
    on_choice : callable, optional
        Told in one line which networks ``auto`` took, and why.

    Raises
    ------
    SoundBankError, IndexFileError, WeightsError, RequestError
        When one of them cannot be used, the index was made for another sound bank or with other
        weights of SoundNet, or there are no such networks, label sets, rule or device.
    """

    def __init__(
        self,
        *,
        networks: Choice = "auto",
        use: Sequence[str] = HEADS,
        index: Path | str | None = None,
        soundbank: Path | str | None = None,
        rule: Rule = "centred",
        device: str = "cpu",
        on_choice: OnChoice | None = None,
    ) -> None:
        _check_heads(use)
        check_request(rule)
        self.bank = open_bank(soundbank)
        with ExitStack() as resources:
            path = shipped_index() if index is None else Path(index)
            self._index = resources.enter_context(open_index(path))
            self._check_index(path)
            require_device(device)
            self.networks = load_networks(networks, device, on_choice)
            self._resources = resources.pop_all()
        self._rule: Rule = rule
        self._all_classes = {
            "objects": shared_objects(),
            "scenes": shared_scenes(self.networks.scene_labels),
        }
        self._classes = {head: self._all_classes[head] for head in HEADS if head in use}

    def __enter__(self) -> Matcher:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def using(self, use: Sequence[str]) -> Matcher:
        """Return a matcher that lets these label sets decide, and shares all that is loaded.

        It works until this one is closed.

        Raises
        ------
        RequestError
            When there is no such label set, or none is named.
        """
        _check_heads(use)
        other = copy.copy(self)
        other._classes = {head: self._all_classes[head] for head in HEADS if head in use}
        return other

    def close(self) -> None:
        """Close the index."""
        self._resources.close()

    def _check_index(self, path: Path) -> None:
        if self._index.header.soundnet != SOUNDNET_SHA256:
            raise IndexFileError(
                f"the index {path} was made with other weights of SoundNet than the published "
                "ones; build it anew with: deepmersion build-index"
            )
        made_for = self._index.header.soundbank, self._index.sounds
        if made_for == (self.bank.fingerprint, self.bank.names):
            return
        shipped = self.bank.folder == shipped_soundbank()
        name = "the shipped one" if shipped else str(self.bank.folder)
        option = "" if shipped else f"--soundbank {self.bank.folder} "
        raise IndexFileError(
            f"the index {path} was made for another sound bank than {name}; give the right "
            "--soundbank, or build an index for this one with: "
            f"deepmersion build-index {option}-o FILE.h5"
        )

    def match(
        self,
        photo: Photo,
        top: int = 1,
        *,
        explained: bool = False,
        chatter: float | None = None,
    ) -> Ambience:
        """Return `top` mixes for a photo, and on request why the first is the first.

        They are the best one and alternatives of other sounds; see `matching.rule.search`. With a
        `chatter` level, from 0 to 1, the first is the mix of all sounds that
        `matching.chatter.chatter` makes, the others are those that would be first without, and what
        is explained is why its loudest sound comes before the next one.

        Raises
        ------
        PhotoError
            When the photo cannot be opened.
        RequestError, IndexFileError
            As `match_all` raises them.
        """
        (result,) = self.match_all([photo], top, explained=explained, chatter=chatter)
        if isinstance(result, PhotoError):
            raise result
        return result

    def match_all(
        self,
        photos: Sequence[Photo],
        top: int = 1,
        *,
        explained: bool = False,
        chatter: float | None = None,
    ) -> Iterator[Ambience | PhotoError]:
        """Yield for each photo, in order, its ambience, or the error if it cannot be opened.

        The parameters are those of `match`.

        Raises
        ------
        RequestError
            When `top` is below 1, the chatter level is not from 0 to 1, or an explanation or
            chatter is asked for with the rule of 2018.
        IndexFileError
            When the index is damaged where it is read.
        """
        check_request(self._rule, top, explained=explained, chatter=chatter)
        return self._match_all(photos, top, explained, chatter)

    def _match_all(
        self, photos: Sequence[Photo], top: int, explained: bool, chatter: float | None
    ) -> Iterator[Ambience | PhotoError]:
        opened = zip(map(name_of, photos), read_ahead(self._open, photos), strict=True)
        while named := list(islice(opened, PHOTOS_AT_ONCE)):
            images = [image for _, image in named if not isinstance(image, PhotoError)]
            names = [name for name, image in named if not isinstance(image, PhotoError)]
            found = iter(self._match_images(names, images, top, explained, chatter))
            for _, image in named:
                yield image if isinstance(image, PhotoError) else next(found)

    def _open(self, photo: Photo) -> np.ndarray | PhotoError:
        try:
            source = Path(photo) if isinstance(photo, str) else photo
            image = load_photo(source, name_of(photo), min_side=self.networks.min_side)
            return self.networks.reduced(image)
        except PhotoError as error:
            return error

    def _match_images(
        self,
        names: list[str],
        images: list[np.ndarray],
        top: int,
        explained: bool,
        chatter: float | None,
    ) -> list[Ambience]:
        if not images:
            return []
        seen = self.networks.classify(images)
        evidence = {
            head: Evidence.of(getattr(seen, head), classes)
            for head, classes in self._classes.items()
        }
        search_index = _SEARCHES[self._rule]
        matches = search_index(self._index, evidence, max(top, 2) if explained else top)
        deciding = matches
        if chatter is not None:
            deciding = single_sounds(self._index, evidence)
            mixes = [chatter_match(singles, chatter) for singles in deciding]
            matches = [
                [mix, *(match for match in best if match.sounds != mix.sounds)]
                for mix, best in zip(mixes, matches, strict=True)
            ]
        return [
            Ambience(
                photo=name,
                networks=self.networks.name,
                weights=dict(self.networks.weights),
                objects=likeliest(seen.objects[i], object_labels(), N_LABELS),
                scenes=likeliest(seen.scenes[i], self.networks.scene_labels, N_LABELS),
                matches=tuple(matches[i][:top]),
                bank=self.bank,
                explanation=self._explain(seen, evidence, deciding[i], i) if explained else None,
            )
            for i, name in enumerate(names)
        ]

    def _explain(
        self,
        seen: Distributions,
        evidence: dict[str, Evidence],
        matches: list[Match],
        photo: int,
    ) -> Explanation | None:
        second = runner_up(matches)
        if second is None:
            return None
        one = slice(photo, photo + 1)
        return explain(
            self._index,
            {head: getattr(seen, head)[one] for head in evidence},
            {head: shown.of_photo(photo) for head, shown in evidence.items()},
            matches[0],
            second,
        )


def match(
    photo: Photo,
    top: int = 1,
    *,
    explained: bool = False,
    chatter: float | None = None,
    **options: Any,
) -> Ambience:
    """Return mixes for one photo as `Matcher.match` does; the options are those of `Matcher`."""
    with Matcher(**options) as matcher:
        return matcher.match(photo, top, explained=explained, chatter=chatter)


def check_request(
    rule: str, top: int = 1, *, explained: bool = False, chatter: float | None = None
) -> None:
    """Refuse what `Matcher` cannot be asked for, before any work is done.

    Raises
    ------
    RequestError
        When there is no such rule, or it knows neither explanations nor chatter, or no mix at all
        is asked for.
    """
    if rule not in _SEARCHES:
        raise RequestError(f"there is no rule {rule}; choose among {', '.join(_SEARCHES)}")
    if rule != "centred" and (explained or chatter is not None):
        raise RequestError("explanations and chatter go with the rule centred; leave the rule out")
    if top < 1:
        raise RequestError(f"{top} mixes are none; ask for one or more")


def _check_heads(use: Sequence[str]) -> None:
    if not use or set(use) - set(HEADS):
        raise RequestError(f"the label sets to use are {' and '.join(HEADS)}, one or both")
