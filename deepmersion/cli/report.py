"""Prints results: text for people, or one JSON record per line for programs."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from deepmersion.cli.describe import describe
from deepmersion.cli.say import note, say

if TYPE_CHECKING:
    from deepmersion.ambience import Ambience


@dataclass(frozen=True)
class Report:
    """Prints results and failures.

    Attributes
    ----------
    as_json : bool
    to_stderr : bool
        True if standard output carries the sound.
    verbose : bool
        True to show divergences and scores, in nats.
    """

    as_json: bool
    to_stderr: bool
    verbose: bool

    def show(self, ambience: Ambience, output: str | None = None) -> None:
        """Show a photo's mixes, and the file that its sound was written to."""
        if self.as_json:
            click.echo(json.dumps(ambience.record(output)))
        else:
            stream = sys.stderr if self.to_stderr else sys.stdout
            if stream is not None:  # may have been closed from outside
                say(*describe(ambience, bars=stream.isatty(), verbose=self.verbose), file=stream)

    def fail(self, photo: str, error: Exception) -> None:
        """Show the error of a photo without a result."""
        if self.as_json:
            click.echo(json.dumps({"photo": photo, "error": str(error)}))
        note(f"Error: {error}")
