"""``deepmersion serve``: serve the page from the user's own machine."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal

import click

from deepmersion.cli.exits import abandon_threads
from deepmersion.cli.matcher_options import matcher_options, no_places
from deepmersion.cli.say import note
from deepmersion.cli.signals import ending
from deepmersion.errors import ServerError

PORT = 8017
"""Not used by any common program."""

OPEN_TO_OTHERS = (
    "Everyone who can reach this address can use the page and this machine's processor. Photos are "
    "sent to it unencrypted, and browsers on other machines will not offer their camera."
)

PLACES_OPEN_TOO = (
    "They can also see, change and forget the places that you keep; --no-places switches that off."
)


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="HOST",
    help="Address to listen on. Any other than 127.0.0.1, ::1 and localhost admits other machines.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="Port to listen on; 0 picks a free one.",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in your browser.")
@no_places
@matcher_options
def serve(
    host: str,
    port: int,
    open_page: bool,
    no_places: bool,
    networks: Literal["auto", "lite", "paper"],
    index: Path | None,
    soundbank: Path | str | None,
    device: str,
) -> None:
    """Serve a page that takes a photo and plays its sound in the browser.

    Nothing leaves this machine, and of photos only what you keep is stored.

    \b
      deepmersion serve --open
      deepmersion serve --soundbank recordings/ --index mine.h5
    """  # noqa: D301  (click looks for the sign itself)
    _require_extra()
    from deepmersion.pipeline import Matcher
    from deepmersion.places.store import Places
    from deepmersion.web.limits import Limits
    from deepmersion.web.safety import is_loopback
    from deepmersion.web.server import address_of, bind, serve, warm_up

    with (
        bind(host, port) as listener,
        Matcher(
            networks=networks,
            index=index,
            soundbank=soundbank,
            device=device,
            on_choice=lambda choice: note(f"Networks: {choice}"),
            places=None if no_places else Places(),
        ) as matcher,
    ):
        warm_up(matcher)
        address = address_of(listener, host)
        if not is_loopback(host):
            note(OPEN_TO_OTHERS)
            if not no_places:
                note(PLACES_OPEN_TOO)

        def on_ready() -> None:
            note(f"The page is at {address} (Ctrl-C ends it)")
            if open_page:
                click.launch(address)

        stop = threading.Event()
        with ending("", code=0, by=stop.set):
            serve(matcher, listener, host, Limits(), on_ready, stop)
    # A network may still be processing a large photo whose result is no longer needed.
    abandon_threads()


def _require_extra() -> None:
    try:
        import starlette
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ServerError(
            f"the page needs the package {error.name}; install it with: "
            "pip install 'deepmersion[web]'"
        ) from error
    del starlette
