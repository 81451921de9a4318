"""Formats the tables of `docs/sound.md`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from sound_profiles import Profile, modulation_distance_db, spectrum_distance_db


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def comparison(rendered: Mapping[str, Profile], real: Mapping[str, Sequence[Profile]]) -> str:
    """Return the distances of rendered and of other real sounds from Blanket's recordings."""
    head = ["sound", "spectrum, dB", "modulation, dB", "crest factor, dB", "events a second"]
    head.append("left and right: below 500 Hz, to 2 kHz, above")
    rows = []
    for name, (blanket, *others) in real.items():
        mine = rendered[name]
        distances = [
            f"{measure(mine, blanket):.1f}" + _among(others, blanket, measure)
            for measure in (spectrum_distance_db, modulation_distance_db)
        ]
        rows.append(
            [
                name,
                *distances,
                f"{mine.crest_db:.0f} / {blanket.crest_db:.0f}",
                f"{mine.events:.1f} / {blanket.events:.1f}",
                f"{_list(mine.correlations)} / {_list(blanket.correlations)}",
            ]
        )
    return markdown(head, rows)


def _among(others: Sequence[Profile], blanket: Profile, measure: object) -> str:
    if not others or not callable(measure):
        return ""
    return f" ({np.median([measure(other, blanket) for other in others]):.1f})"


def _list(values: np.ndarray) -> str:
    return ", ".join(f"{value:.1f}" for value in np.round(values, 1) + 0.0)


def recognition(calls: Mapping[str, Counter[str]]) -> str:
    """Return the share of each sound's crops recognised, and the names given to the others."""
    rows = []
    for name, called in calls.items():
        others = ", ".join(f"{kind} {n}" for kind, n in called.most_common() if kind != name)
        right, total = called[name], sum(called.values())
        rows.append([name, str(total), str(right), f"{100 * right / total:.0f} %", others])
    return markdown(["sound", "crops", "right", "", "otherwise called"], rows)


def loops(found: Mapping[str, Mapping[str, float]]) -> str:
    """Return the measures of each loop by name."""
    head = ["sound", *next(iter(found.values()))]
    rows = [[name, *(f"{value:.1f}" for value in row.values())] for name, row in found.items()]
    return markdown(head, rows)


def scenes(heard: Mapping[str, tuple[str, str]]) -> str:
    """Return SoundNet's scenes for rendered and for real sounds."""
    rows = [[name, *both] for name, both in heard.items()]
    return markdown(["sound", "rendered", "Blanket's recording"], rows)


def replace_tables(path: Path, tables: Mapping[str, str]) -> None:
    """Put tables into a Markdown file, each between its comments ``<!-- NAME -->``.

    Raises
    ------
    ValueError
        When the file lacks such a pair of comments; it is then left unchanged.
    """
    text = path.read_text("utf-8")
    for name, table in tables.items():
        parts = text.split(f"<!-- {name} -->")
        if len(parts) != 3:
            raise ValueError(f"{path} has no two comments <!-- {name} --> to put the table between")
        text = f"<!-- {name} -->".join([parts[0], f"\n{table}\n", parts[2]])
    path.write_text(text, "utf-8")
