"""Describes matches in plain text."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING

from deepmersion.cli.say import n_columns, padded
from deepmersion.sound.recipe import mix_text, named_gains

if TYPE_CHECKING:
    import numpy as np

    from deepmersion.ambience import Ambience
    from deepmersion.matching.explain import Explanation
    from deepmersion.matching.rule import Match
    from deepmersion.sound.bank import SoundBank

BAR_WIDTH = 16

INDENT = " " * 14
"""Aligns with the text after the first word of a line."""

N_SHOWN = 3
"""Number of objects and scenes shown."""


def describe(ambience: Ambience, *, bars: bool, verbose: bool) -> list[str]:
    """Return a few lines with the classes seen in the photo and the mixes that fit it.

    Parameters
    ----------
    ambience : Ambience
    bars : bool
        True to draw each sound's gain as a bar, for a terminal.
    verbose : bool
        True to show divergences and scores, in nats.
    """
    lines = [
        ambience.photo,
        f"  objects     {_classes(ambience.objects)}",
        f"  scenes      {_classes(ambience.scenes)}",
        f"  conditions  {_classes(ambience.conditions)}",
    ]
    if ambience.without:
        lines.append(f"  {'struck out':11} {', '.join(ambience.without)}")
    lines += _place(ambience, bars=bars)
    lines += _matches(ambience, bars=bars, verbose=verbose)
    if ambience.explanation is not None:
        lines += [
            f"  {'' if i else 'why':11} {sentence}" for i, sentence in enumerate(ambience.why)
        ]
        lines += _tables(ambience.explanation) if verbose else []
    lines.append(f"  again       {command(mix_text(ambience.sounds), ambience.bank.argument)}")
    return lines


def _place(ambience: Ambience, *, bars: bool) -> list[str]:
    """Return the lines of the kept place that the photo shows, if any."""
    seen = ambience.place
    if seen is None:
        return []
    if seen.gains is None:
        return [f"  your place: {seen.place.name}, matched anew: {seen.problem}"]
    return [
        f"  your place: {seen.place.name} (similarity {seen.similarity:.2f}; "
        "--no-places matches anew)",
        f"  {'mix':11} {in_words(seen.gains, ambience.bank)}",
        *(_bars(seen.gains, ambience.bank) if bars else ()),
    ]


def _matches(ambience: Ambience, *, bars: bool, verbose: bool) -> list[str]:
    """Return the lines of the matches; of a recognised place only if they were asked for."""
    several = len(ambience.matches) > 1
    plays_kept = ambience.place is not None and ambience.place.gains is not None
    if plays_kept and not (several or verbose or ambience.explanation):
        return []
    lines = []
    for rank, match in enumerate(ambience.matches, 1):
        number = f"{rank}." if several else "anew" if plays_kept else "mix"
        figures = f", {_figures(match)}" if verbose else ""
        lines.append(f"  {number:11} {in_words(match.gains, ambience.bank)}{figures}")
        if bars:
            lines += _bars(match.gains, ambience.bank)
    return lines


def command(mix: str, bank: str | None) -> str:
    """Return the command that plays a mix, quoted for a shell.

    Parameters
    ----------
    mix : str
    bank : str or None
        The sound bank, as `SoundBank.argument` has it.
    """
    words = ["deepmersion", "play", *(() if bank is None else ("--soundbank", bank)), mix]
    return " ".join(map(quote, words))


def _tables(explanation: Explanation) -> list[str]:
    parts = {**explanation.by_witness, "number of sounds": explanation.by_number_of_sounds}
    named = ", ".join(f"{what} {nats:+.2f}" for what, nats in parts.items())
    lines = [f"{INDENT}{explanation.lead_nats:.2f} nats before the runner-up: {named}"]
    for label_set, contributions in explanation.contributions.items():
        lines.append(f"{INDENT}{label_set:20}  photo  heard  known   nats")
        lines += [
            f"{INDENT}  {c.label[:18]:18} {c.photo:6.3f} {c.heard:+6.2f} {c.known:+6.2f}"
            f" {c.nats:+6.2f}"
            for c in contributions
        ]
        dropped = explanation.dropped.get(label_set, 0.0)
        if dropped > 0:
            lines.append(
                f"{INDENT}  {dropped:.2f} of the photo's {label_set} have no counterpart in "
                "SoundNet and are ignored"
            )
    return lines


def in_words(gains: np.ndarray, bank: SoundBank) -> str:
    """Return a mix in plain English, such as ``Waves and wind``."""
    titles = {sound.name: sound.title for sound in bank.sounds}
    named = [titles[name] for name in named_gains(gains, bank.names)]
    words = [named[0], *(title[:1].lower() + title[1:] for title in named[1:])]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _classes(likeliest: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{label} {p:.2f}" for label, p in likeliest[:N_SHOWN])


def _figures(match: Match) -> str:
    parts = ", ".join(f"{label_set} {kl:.2f}" for label_set, kl in match.kl_by_label_set.items())
    return f"score {match.score:.2f}, KL divergence {match.kl:.2f} nats ({parts})"


def _bars(gains: np.ndarray, bank: SoundBank) -> list[str]:
    by_name = named_gains(gains, bank.names)
    loudest, width = max(by_name.values()), max(map(n_columns, by_name))
    bars = {name: "█" * max(1, round(gain / loudest * BAR_WIDTH)) for name, gain in by_name.items()}
    return [
        f"{INDENT}{padded(name, width)} {bars[name]} {gain:.2f}" for name, gain in by_name.items()
    ]
