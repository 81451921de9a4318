"""The command line: parses options, calls the library, prints results."""

from __future__ import annotations

import atexit
import gc
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from deepmersion.cli.address_space import save_address_space
from deepmersion.cli.exits import NO_MEMORY, leave, one_line_error, out_of_memory, system_error
from deepmersion.cli.packages import broken_package
from deepmersion.cli.say import shown
from deepmersion.cli.streams import claim_stderr, discard, name_streams, silence_loggers
from deepmersion.errors import DeepmersionError
from deepmersion.version import __version__

COMMANDS = {
    "match": "deepmersion.cli.match",
    "play": "deepmersion.cli.play",
    "serve": "deepmersion.cli.serve",
    "places": "deepmersion.cli.places",
    "build-index": "deepmersion.cli.build_index",
    "devices": "deepmersion.cli.devices",
    "soundbank": "deepmersion.cli.soundbank",
    "index": "deepmersion.cli.index",
    "weights": "deepmersion.cli.weights",
}
"""Maps each command to the module that defines it under the same name, imported on use."""


class LazyGroup(click.Group):
    """A group that imports commands on use and shows errors in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands' names, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(COMMANDS[cmd_name])
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the arguments before the command."""
        with _harmless():
            return super().make_context(*args, **kwargs)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command and exit."""
        try:
            return self._main(*args, **kwargs)
        except SystemExit as ended:
            leave(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
            raise

    def _main(self, *args: Any, **kwargs: Any) -> Any:
        claim_stderr()
        name_streams()
        try:
            save_address_space()
            return super().main(*args, **kwargs)
        # Caught here: help and the version are printed before `invoke`.
        except Exception as error:
            found = broken_package(error)
            if found is None and out_of_memory(error):  # there was none for the line that says so
                found = click.ClickException(NO_MEMORY)
            if found is None and isinstance(error, OSError):
                found = system_error(error)
            if found is None:
                raise
            discard(sys.stdout)
            found.message = shown(found.message)  # type: ignore[misc]
            try:
                found.show()
            except OSError:  # standard error itself is unwritable
                discard(sys.stderr)
            sys.exit(found.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        try:
            with _harmless():
                return super().invoke(ctx)
        except DeepmersionError as error:
            raise one_line_error(error) from error
        except BrokenPipeError:
            # The reader of the pipe has gone: the normal end of an endless stream.
            discard(sys.stdout)
            ctx.exit(0)
        except (MemoryError, ImportError, RuntimeError) as error:
            if not out_of_memory(error):
                raise  # to `_main`
            raise click.ClickException(NO_MEMORY) from error


@contextmanager
def _harmless() -> Iterator[None]:
    """Escape what click quotes of the command line, such as the name of a file."""
    try:
        yield
    except click.ClickException as error:
        error.message = shown(error.message)  # type: ignore[misc]  # click says that it is final
        raise


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="deepmersion")
def main() -> None:
    """Turn a photo of where you are into an ambient sound that belongs there."""
    # Python's last garbage collection would walk all of PyTorch, which takes most of a second.
    atexit.register(gc.freeze)
    silence_loggers()
    # File names may be invalid text, and terminals may lack characters.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
