"""The kind of sound that a recording's name and title speak of."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from deepmersion.kinds.table import Kind, all_kinds

FILLERS = frozenset(
    re.findall(
        r"\w+",
        "a an and at in of on the with, das der die am auf im mit und, "
        "d de des du en et l la le les sur, el il los las y",
    )
)
"""Words that names of sounds have or leave out without meaning another sound."""

NEGATIONS = frozenset({"no", "not", "without", "ohne", "sans", "sin", "senza"})
"""The word after one of these names what is *not* heard, as in "rain without thunder"."""


def kind_of(name: str, title: str = "") -> Kind | None:
    """Return the kind that a sound's name and title speak of; None where they name none.

    Case, accents, plurals, digits, hyphens and small words such as "the" do not matter, and
    words may be written together ("Wind-Chimes 02", "windchime"). Of several kinds, a word for a
    sound counts before a place or time that only suggests one, then the longer phrase ("wind
    chime" before "wind"), then what stands first, the name before the title. What follows "no"
    or "without" does not count.

    Parameters
    ----------
    name : str
        What the sound's file or its bank calls it.
    title : str, optional
        What a person reads.
    """
    meant = _phrases().meant
    found = [span for span in (*_spans(name), *_spans(title)) if span in meant]
    # Of equals, max takes the first.
    best = max(found, key=lambda span: (meant[span][0], len(span)), default=None)
    return all_kinds()[meant[best][1]] if best else None


@dataclass(frozen=True)
class _Phrases:
    meant: Mapping[str, tuple[int, str]]  # 1 of a word for a sound or 0 of a setting; the kind
    longest: int  # words in one


@cache
def _phrases() -> _Phrases:
    meant = {}
    longest = 0
    for kind in all_kinds().values():
        for strength, texts in enumerate((kind.settings, (kind.name, *kind.words))):
            for text in texts:
                words = _words(text)
                meant["".join(words)] = (strength, kind.name)
                longest = max(longest, len(words))
    return _Phrases(meant, longest)


def _spans(text: str) -> Iterator[str]:
    """Yield the words of a text that follow one another, one to some of them, as one word."""
    words = _words(text)
    for start in range(len(words)):
        for end in range(start + 1, min(start + _phrases().longest, len(words)) + 1):
            yield "".join(words[start:end])


def _words(text: str) -> list[str]:
    """Return the words of a text that say something, without accents and in the singular."""
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", "".join(letters))
    words = [w for w in re.findall(r"[^\W\d_]+", apart.casefold()) if w not in FILLERS]
    kept = [w for before, w in zip(["", *words], words, strict=False) if before not in NEGATIONS]
    return [_singular(w) for w in kept if w not in NEGATIONS]


def _singular(word: str) -> str:
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    if word.endswith("ies"):
        return word[:-3] + "y"
    # "bus" and "glass" are no plurals.
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
