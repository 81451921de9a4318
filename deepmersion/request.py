"""The request to a matcher: everything besides the photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from deepmersion.errors import RequestError

LABEL_SETS = ("objects", "scenes")
"""ImageNet's objects, and the scenes of the Places networks."""

WITNESSES = ("soundnet", "kinds", "conditions")
"""SoundNet's predictions, the places of a sound's kind, and its conditions: see
`matching.witnesses`. SoundNet alone is the system as published."""

Rule = Literal["centred", "2018"]
"""The ranking of mixes: see `matching.rule` and `matching.rule_2018`."""


MAX_WITHOUT = 50
"""Most readings that can be struck out at once."""


def split_labels(text: str) -> tuple[str, ...]:
    """Return the classes named in a text such as ``flames,stove``, each once."""
    return tuple(dict.fromkeys(part.strip(" ") for part in text.split(","))) if text else ()


@dataclass(frozen=True)
class Request:
    """A request for mixes; the same one may serve many photos.

    Attributes
    ----------
    top : int
        Number of mixes: the best one and alternatives of other sounds (`matching.rule.search`).
    explain : bool
        Whether to explain why the best mix came before the runner-up.
    chatter : float or None
        A level from 0 to 1 puts the mix of all sounds (`matching.chatter.chatter`) before the
        others. The explanation is then why its loudest sound came before the next one.
    rule : {"centred", "2018"}
    label_sets : sequence of str
        Label sets that SoundNet and the kinds decide by: ``"objects"``, ``"scenes"`` or both.
    listen : sequence of str
        The deciding witnesses, from `WITNESSES`. The rule of 2018 uses SoundNet alone.
    heatmap : bool
        Whether to find where in the photo the sounds come from; what decided is said then, too.
    without : sequence of str
        Readings to strike out: classes of any label set, such as ``"flames"``, that the photo does
        not show. Their probabilities are taken as 0 and the others raised to sum to 1.
    places : bool
        Whether to look for the photo among the kept places, if the matcher has any.

    Raises
    ------
    RequestError
        When a value is out of bounds, or the rule of 2018 is combined with an explanation or
        chatter.
    """

    top: int = 1
    explain: bool = False
    chatter: float | None = None
    rule: Rule = "centred"
    label_sets: Sequence[str] = LABEL_SETS
    listen: Sequence[str] = WITNESSES
    heatmap: bool = False
    without: Sequence[str] = ()
    places: bool = True

    def __post_init__(self) -> None:
        if self.top < 1:
            raise RequestError("top must be at least 1")
        if self.chatter is not None and not 0 <= self.chatter <= 1:  # written so that NaN fails too
            raise RequestError("the chatter level must be from 0 (one sound) to 1 (all of them)")
        if self.rule not in get_args(Rule):
            raise RequestError(f"unknown rule {self.rule}; choose from {', '.join(get_args(Rule))}")
        if self.rule == "2018" and (self.explains or self.chatter is not None):
            raise RequestError(
                "the rule 2018 has neither explanations nor chatter; use the rule centred for them"
            )
        if not self.listen or not set(self.listen) <= set(WITNESSES):
            raise RequestError(f"witnesses must be one or more of {', '.join(WITNESSES)}")
        if self.rule == "2018" and "soundnet" not in self.listen:
            raise RequestError("the rule 2018 uses SoundNet alone; leave --listen out")
        if len(self.without) > MAX_WITHOUT:
            raise RequestError(f"{MAX_WITHOUT} readings at most can be struck out")
        if not self.label_sets or not set(self.label_sets) <= set(LABEL_SETS):
            raise RequestError(f"label sets must be {' or '.join(LABEL_SETS)}, or both")

    @property
    def explains(self) -> bool:
        """True if an explanation is needed, also for a heat map."""
        return self.explain or self.heatmap
