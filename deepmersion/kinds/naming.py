"""Finds the kind of sound that a recording's name and title suggest."""

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
"""Words that do not change the meaning of a sound's name."""

NEGATIONS = frozenset({"no", "not", "without", "ohne", "sans", "sin", "senza"})
"""The word after one of these names a sound that is *not* heard, as in "rain without thunder"."""


def kind_of(name: str, title: str = "") -> Kind | None:
    """Return the kind that a sound's name and title suggest, or None.

    Case, accents, plurals, digits, hyphens and small words such as "the" do not matter, and words
    may be written together ("Wind-Chimes 02", "windchime"). Of several kinds, a word for a sound
    beats a place or time that only suggests one, then a longer phrase beats a shorter one ("wind
    chime" before "wind"), then the first wins, the name before the title. Words after "no" or
    "without" do not count.

    Parameters
    ----------
    name : str
        The sound's name in its file or bank.
    title : str, optional
        The title shown to people.
    """
    meant = _phrases().meant
    found = [span for span in (*_spans(name), *_spans(title)) if span in meant]
    # Of equals, max returns the first.
    best = max(found, key=lambda span: (meant[span][0], len(span)), default=None)
    return all_kinds()[meant[best][1]] if best else None


@dataclass(frozen=True)
class _Phrases:
    meant: Mapping[str, tuple[int, str]]  # 1 for the word of a sound or 0 for a setting; the kind
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
    """Yield every run of consecutive words of a text, up to a maximum length, as one word."""
    words = _words(text)
    for start in range(len(words)):
        for end in range(start + 1, min(start + _phrases().longest, len(words)) + 1):
            yield "".join(words[start:end])


def _words(text: str) -> list[str]:
    """Return the meaningful words of a text, without accents and in the singular."""
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
    # "bus" and "glass" are not plurals.
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
