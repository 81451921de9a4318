"""An ambience: a photo, what is seen in it, and the mixes that belong to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepmersion.errors import RequestError
from deepmersion.matching.rule import Match
from deepmersion.places.place import Place, kept_gains
from deepmersion.sound.bank import SoundBank
from deepmersion.sound.output import FILE_DURATION_S
from deepmersion.sound.recipe import mix_text, named_gains
from deepmersion.sound.recording import SAMPLE_RATE

if TYPE_CHECKING:
    from deepmersion.heatmap import Heatmap
    from deepmersion.matching.explain import Explanation

SCHEMA = 1
"""Version of the records that ``match --json`` prints."""

SIMILARITY_DECIMALS = 3


@dataclass(frozen=True)
class Recognised:
    """A kept place that a photo shows.

    Attributes
    ----------
    place : Place
    similarity : float
        To the photo that was kept, from 0 to 1 (`places.recognition`).
    gains : ndarray, shape = (sounds,), float32, or None
        The kept mix; None if it is of another bank, or the bank does not have all of its sounds.
    problem : str or None
        Why there are no gains, in one line.
    """

    place: Place
    similarity: float
    gains: np.ndarray | None
    problem: str | None = None

    @classmethod
    def of(cls, place: Place, similarity: float, bank: SoundBank) -> Recognised:
        """Return a place with its mix as gains of the bank's sounds."""
        try:
            return cls(place, similarity, kept_gains(place, bank))
        except RequestError as error:
            return cls(place, similarity, None, str(error))

    def record(self) -> dict[str, Any]:
        """Return what ``match --json`` prints of it."""
        return {
            "id": self.place.id,
            "name": self.place.name,
            "mix": self.place.mix,
            "similarity": round(self.similarity, SIMILARITY_DECIMALS),
        }


@dataclass(frozen=True)
class Ambience:
    """A photo, what is seen in it, and the mixes that fit it.

    Attributes
    ----------
    photo : str
        Its name (`vision.photo.name_of`): its path, ``-`` for standard input, or ``the photo``.
    networks : str
        The image networks that classified it: ``"lite"`` or ``"paper"``.
    weights : mapping of str to str
        Identities of their weights.
    objects, scenes, conditions : tuple of (str, float)
        The most probable classes and their probabilities, in descending order.
    matches : tuple of Match
        The best mix, then alternatives; see `matching.rule.search`.
    bank : SoundBank
        The base sounds that the matches mix.
    explanation : Explanation or None
        The reasons for the best mix (`matching.explain`), if requested.
    heatmap : Heatmap or None
        Where in the photo its sounds come from, if that was asked for.
    without : tuple of str
        The readings that were struck out.
    place : Recognised or None
        The kept place that the photo shows. Its mix is what is played; the matches are what would
        be without it.
    signature : ndarray, shape = (`lite_session.N_FEATURES`,), float32
        What a place is recognised by (`places.recognition.signature`).
    """

    photo: str
    networks: str
    weights: dict[str, str]
    objects: tuple[tuple[str, float], ...]
    scenes: tuple[tuple[str, float], ...]
    conditions: tuple[tuple[str, float], ...]
    matches: tuple[Match, ...]
    bank: SoundBank
    explanation: Explanation | None = None
    heatmap: Heatmap | None = None
    without: tuple[str, ...] = ()
    place: Recognised | None = None
    signature: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)

    @property
    def best(self) -> Match:
        """The first match: the chatter mix if a chatter level was given, else the index's best."""
        return self.matches[0]

    @property
    def gains(self) -> np.ndarray:
        """What is played, float32 [sounds]: the mix of a recognised place, else the best match."""
        kept = None if self.place is None else self.place.gains
        return self.best.gains if kept is None else kept

    @property
    def sounds(self) -> dict[str, float]:
        """What is played: gains by name, the loudest first."""
        return named_gains(self.gains, self.bank.names)

    @property
    def why(self) -> tuple[str, ...]:
        """One sentence per sound of the best mix on why it was chosen; empty if not requested."""
        if self.explanation is None:
            return ()
        from deepmersion.matching.words import sentence

        reasons = self.explanation.reasons
        return tuple(sentence(self._titles[name], listed) for name, listed in reasons.items())

    @property
    def _titles(self) -> dict[str, str]:
        return {sound.name: sound.title for sound in self.bank.sounds}

    def blocks(self, **options: Any) -> Iterator[np.ndarray]:
        """Return what is played as a stream, float32 [samples, 2] a block, at 44,100 Hz.

        Options are passed to `deepmersion.sound.renderer.Renderer`.
        """
        from deepmersion.sound.renderer import Renderer

        return Renderer(self.bank, self.gains, **options).blocks()

    def write(self, path: Path | str, duration_s: float = FILE_DURATION_S, **options: Any) -> None:
        """Write what is played to an audio file (.wav, .flac, .ogg or .mp3).

        Parameters
        ----------
        path : Path or str
            Its suffix selects the format. The file appears only when it is complete.
        duration_s : float
            In seconds.
        **options
            Passed to `deepmersion.sound.renderer.Renderer`.

        Raises
        ------
        OutputError
            When the file cannot be written.
        RequestError
            When a duration, fade or volume is invalid.
        SoundBankError
            When a sound cannot be used.
        """
        from deepmersion.sound.output import write_file

        blocks = self.blocks(duration_s=duration_s, **options)
        write_file(Path(path), blocks, SAMPLE_RATE, round(duration_s * SAMPLE_RATE))

    def write_heatmap(self, path: Path | str) -> None:
        """Write a picture that shows where in the photo the sounds of the best mix come from.

        Parameters
        ----------
        path : Path or str
            Its suffix selects the format: .png, .jpg or .jpeg. The file appears only when it is
            complete.

        Raises
        ------
        RequestError
            When no heat map was requested.
        OutputError
            When the file cannot be written.
        """
        if self.heatmap is None:
            raise RequestError("there is no heat map; ask for one with heatmap=True")
        from deepmersion.vision.overlay import write_picture

        maps = [(self._titles[name], of_sound) for name, of_sound in self.heatmap.by_sound.items()]
        write_picture(Path(path), self.heatmap.photo, maps)

    def record(self, output: str | None = None) -> dict[str, Any]:
        """Return the ambience as ``match --json`` prints it."""
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "photo": self.photo,
            "networks": self.networks,
            "weights": self.weights,
            "objects": [{"label": label, "p": round(p, 6)} for label, p in self.objects],
            "scenes": [{"label": label, "p": round(p, 6)} for label, p in self.scenes],
            "conditions": [{"label": label, "p": round(p, 6)} for label, p in self.conditions],
            "matches": [
                {
                    "rank": rank,
                    "sounds": named_gains(match.gains, self.bank.names),
                    "mix": mix_text(named_gains(match.gains, self.bank.names)),
                    "kl": round(match.kl, 6),
                    **{f"kl_{name}": round(kl, 6) for name, kl in match.kl_by_label_set.items()},
                    "score": round(match.score, 6),
                }
                for rank, match in enumerate(self.matches, 1)
            ],
            "without": list(self.without),
            "place": None,
            "output": output,
        }
        if self.place is not None and self.place.problem is None:
            record["place"] = self.place.record()
        elif self.place is not None:
            record["place_problem"] = f"{self.place.place.name}: {self.place.problem}"
        if self.explanation is not None:
            record["why"] = list(self.why)
            record["explanation"] = asdict(self.explanation)
        return record
