"""What is shown of a photo: words for people, or a record a line for programs."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from deepmersion.cli.describe import describe
from deepmersion.errors import in_one_line

if TYPE_CHECKING:
    from deepmersion.ambience import Ambience


@dataclass(frozen=True)
class Report:
    """How results are shown.

    Attributes
    ----------
    as_json : bool
    to_stderr : bool
        Whether standard output is taken by something else.
    """

    as_json: bool
    to_stderr: bool

    def show(self, ambience: Ambience, output: str | None = None) -> None:
        """Show what was found for a photo, and which file it went into."""
        if self.as_json:
            click.echo(json.dumps(ambience.record(output)))
        else:
            stream = sys.stderr if self.to_stderr else sys.stdout
            if stream is not None:  # closed by whoever started this
                click.echo(describe(ambience, bars=stream.isatty()), file=stream)

    def fail(self, photo: str, error: Exception) -> None:
        """Show why there is nothing for a photo."""
        message = in_one_line(error)
        if self.as_json:
            click.echo(json.dumps({"photo": photo, "error": message}))
        click.echo(f"Error: {message}", err=True)
