"""``deepmersion serve``: serve the page from the user's own machine."""

from __future__ import annotations

import io
import re
import threading
from pathlib import Path
from typing import Literal

import click

from deepmersion.cli.exits import abandon_threads
from deepmersion.cli.matcher_options import matcher_options
from deepmersion.cli.options import PATH
from deepmersion.cli.say import note
from deepmersion.cli.signals import ending
from deepmersion.errors import RequestError, ServerError

PORT = 8017
"""Not used by any common program."""

OPEN_TO_OTHERS = (
    "Everyone who can reach this address can use the page and this machine's processor."
)

PLACES_OPEN_TOO = (
    "They can also see, change and forget the places that you keep; --no-places switches that off."
)

UNENCRYPTED = (
    "Photos are sent to it unencrypted, and browsers on other machines will not offer their camera "
    "or keep the page for offline use; --ssl-certfile changes both."
)

ONLY_HERE = (
    "The code is of use to this machine alone, for the page is served to no other; "
    "--host 0.0.0.0 opens it to your network."
)


def _host_name(text: str) -> str:
    name = text.lower().removeprefix("[").removesuffix("]")
    if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:]*:[0-9a-f:.]*:[0-9a-f:.]*", name):
        raise click.BadParameter(
            f"'{text}' is not a host name; give it as www.example.org: without a scheme, a port, "
            "a path or a wildcard."
        )
    return name


def _root_path(text: str) -> str:
    path = text.rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path) or {".", ".."} & set(path.split("/")):
        raise click.BadParameter(f"'{text}' is not a path such as /sounds.")
    return path


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
    metavar="PORT",
    default=PORT,
    show_default=True,
    help="Port to listen on; 0 picks a free one.",
)
@click.option(
    "--ssl-certfile",
    "certificate",
    type=PATH,
    metavar="FILE",
    help="PEM file with a certificate, to serve the page over HTTPS.",
)
@click.option(
    "--ssl-keyfile",
    "key",
    type=PATH,
    metavar="FILE",
    help="PEM file with its private key, unless the certificate's file has it.",
)
@click.option(
    "--allowed-host",
    "allowed",
    multiple=True,
    metavar="NAME",
    callback=lambda _context, _option, names: tuple(_host_name(name) for name in names),
    help="Host name under which a proxy passes requests on. Can be repeated.",
)
@click.option(
    "--root-path",
    default="",
    metavar="/PATH",
    callback=lambda _context, _option, path: _root_path(path),
    help="Path at which a proxy offers the page, whether or not it takes the path off.",
)
@click.option("--qr", is_flag=True, help="Print the page's address as a QR code.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in your browser.")
@click.option(
    "--no-places", is_flag=True, help="Switch your places off: neither shown, recognised nor kept."
)
@matcher_options
def serve(
    host: str,
    port: int,
    certificate: Path | None,
    key: Path | None,
    allowed: tuple[str, ...],
    root_path: str,
    qr: bool,
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
      deepmersion serve --host 0.0.0.0 --ssl-certfile home.pem --qr
      deepmersion serve --root-path /sounds --allowed-host www.example.org
      deepmersion serve --soundbank recordings/ --index mine.h5
    """  # noqa: D301  (click looks for the sign itself)
    _require_extra()
    if key and not certificate:
        raise RequestError("--ssl-keyfile needs --ssl-certfile, the certificate of that key")
    from deepmersion.pipeline import Matcher
    from deepmersion.places.store import Places
    from deepmersion.web.limits import Limits
    from deepmersion.web.safety import is_loopback
    from deepmersion.web.server import address_of, bind, serve, warm_up
    from deepmersion.web.tls import check_certificate

    if certificate:
        check_certificate(certificate, key)
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
        address = address_of(listener, host, "https" if certificate else "http")
        if not is_loopback(host):
            note(OPEN_TO_OTHERS if certificate else f"{OPEN_TO_OTHERS} {UNENCRYPTED}")
            if not no_places:
                note(PLACES_OPEN_TOO)

        def on_ready() -> None:
            note(f"The page is at {address} (Ctrl-C ends it)")
            if qr:
                _print_code(address, is_loopback(host))
            if open_page:
                click.launch(address)

        stop = threading.Event()
        with ending("", code=0, by=stop.set):
            serve(
                matcher,
                listener,
                host,
                Limits(),
                on_ready,
                stop,
                certificate=certificate,
                key=key,
                allowed=allowed,
                root_path=root_path,
            )
    # A network may still be processing a large photo whose result is no longer needed.
    abandon_threads()


def _print_code(address: str, only_here: bool) -> None:
    import segno

    code = io.StringIO()
    segno.make(address, micro=False).terminal(code, compact=True)
    for line in code.getvalue().splitlines():  # its light parts are drawn: they have to be light
        click.secho(line, fg="bright_white", bg="black", err=True)
    if only_here:
        note(ONLY_HERE)


def _require_extra() -> None:
    try:
        import segno
        import starlette
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ServerError(
            f"the page needs the package {error.name}; install it with: "
            "pip install 'deepmersion[web]'"
        ) from error
    del segno, starlette
