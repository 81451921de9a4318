"""Tells of options that have no effect beside the others of a command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from deepmersion.cli.say import note


class Idle(NamedTuple):
    """When some options have no effect.

    Attributes
    ----------
    options : tuple of str
        The command's parameters, by name.
    when : callable
        Called with all parameters by name.
    why : str
        Ends the sentence "… has no effect: ".
    """

    options: tuple[str, ...]
    when: Callable[[Mapping[str, Any]], bool]
    why: str


SOUND = ("duration_s", "volume_db", "fade_in_s", "fade_out_s", "ebb", "seed", "output_device")

ANY = (Idle(("output_device",), lambda p: p["output"] is not None, "the sound is not played"),)

PLAY = (
    *ANY,
    Idle(("verbose",), lambda p: p["output"] is not None, "it counts what the sound card missed"),
)

MATCH = (
    Idle((*SOUND, "crossfade_s"), lambda p: _silent(p), "--json makes no sound without -o"),
    *ANY,
    Idle(("verbose",), lambda p: p["as_json"], "--json has all figures"),
    Idle(("crossfade_s",), lambda p: not (_silent(p) or p["changing"]), "there is only one photo"),
    Idle(("every_s",), lambda p: not p["address"], "it is for --watch with an address"),
    Idle(("recursive",), lambda p: not p["folders"], "no folder is named"),
    Idle(("listen",), lambda p: p["rule"] == "2018", "the rule 2018 listens to SoundNet alone"),
    Idle(
        ("label_sets",),
        lambda p: p["listen"] == ("conditions",) and p["rule"] != "2018",
        "conditions alone decide",
    ),
)


def _silent(parameters: Mapping[str, Any]) -> bool:
    return bool(parameters["as_json"] and parameters["output"] is None)


def warn_of_idle(table: tuple[Idle, ...], **facts: Any) -> None:
    """Print a line for the options on the command line that have no effect, reason by reason.

    Parameters
    ----------
    table : tuple of Idle
    **facts
        What else than the parameters its conditions ask for.
    """
    context = click.get_current_context()
    written = {parameter.name: parameter.opts[-1] for parameter in context.command.params}
    for options, when, why in table:
        given = [
            written[name]
            for name in options
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        ]
        if given and when({**context.params, **facts}):
            *first, last = given
            them = f"{', '.join(first)} and {last} have" if first else f"{last} has"
            note(f"Warning: {them} no effect: {why}.")
