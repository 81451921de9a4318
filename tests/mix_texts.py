"""Mixes as text, which the command, the server and the page must parse identically."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1).filter(
    str.isprintable
)

MIXES = st.dictionaries(NAMES, st.floats(0, 2**100, width=32), min_size=1)

PIECES = [
    *(",", "=", ":", " ", "\n", "\u00a0", "%", "\\", "-", "~", "+", "a", "b", "é", "😀"),
    *(":2C", ":2c", ":C3:A4", ":C3", ":ED:A0:80", ":0", "%41", "%2C"),
    *("0", "1", "5", ".", "e3", "=1", "=.5,"),
]

TEXTS = st.lists(st.sampled_from(PIECES)).map("".join)
"""Texts from the meaningful parts of a mix, in any order: some are mixes, most are not."""

READ: dict[str, dict[str, float] | None] = {
    "waves": {"waves": 1},
    "waves=1,birds=0.5": {"waves": 1, "birds": 0.5},
    " waves, far birds = .5,fire=0 ": {"waves": 1, "far birds": 0.5, "fire": 0},
    "a=1.": {"a": 1},
    "rain:2C:20heavy=1": {"rain, heavy": 1},
    "rain:2c heavy=1": {"rain, heavy": 1},
    ":20a:20=1": {" a ": 1},
    "50%41=1": {"50%41": 1},
    "C:3A:5Cx:3D1=2": {"C:\\x=1": 2},
    "\\=1": {"\\": 1},
    ":C3:84msel=1,Öl=1": {"Ämsel": 1, "Öl": 1},
    ":F0:9F:98:80": {"😀": 1},
    ":2Do=1": {"-o": 1},
    **dict.fromkeys(("", " ", ",", "=", "=1", "a,", "a=1,,b=1", "a=1,a=2", "a,:61")),
    **dict.fromkeys(("a:b", "a:", "a:2", "a:2g", "a:C3", "a:FF", "a:ED:A0:80")),
    **dict.fromkeys(("a=", "a= ", "a=loud", "a=1=2", "a=1 2", "a=-1", "a=+1", "a=.", "a=1e3")),
    **dict.fromkeys(("a=nan", "a=Infinity", "a=1_0", "a=0x1", "a=１", "a=\u00a01")),
}
"""Expected results for some texts; None is not a mix."""
