"""The options of ``match`` for kept places and for readings that are struck out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import click

from deepmersion.cli.say import note
from deepmersion.errors import NameTakenError, PhotoError
from deepmersion.request import Request, split_labels

if TYPE_CHECKING:
    from deepmersion.ambience import Ambience
    from deepmersion.pipeline import Matcher
    from deepmersion.places.store import Places
    from deepmersion.vision.photo import Photo

_OPTIONS = [
    click.option(
        "--without",
        type=split_labels,
        default="",
        metavar="CLASSES",
        help="Strike out what the photo does not show, such as flames,stove, and match anew.",
    ),
    click.option(
        "--keep",
        metavar="NAME",
        help="Keep the photo's place and its best mix, which plays when the place is seen again.",
    ),
    click.option(
        "--replace", is_flag=True, help="With --keep, replace the place that has this name."
    ),
    click.option(
        "--no-places", is_flag=True, help="Match anew, even a photo of a place that you keep."
    ),
]


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options whose values `PlaceOptions` holds."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class PlaceOptions:
    """What a command line says of places.

    Attributes
    ----------
    keep : str or None
        The name to keep the photo under.
    replace : bool
        Whether a place of that name may be replaced.
    recognise : bool
        Whether photos are looked for among the places.
    """

    keep: str | None
    replace: bool
    recognise: bool

    def open(self) -> Places | None:
        """Return the places, or None if they are not needed."""
        if self.keep is None and not self.recognise:
            return None
        from deepmersion.places.store import Places

        return Places()

    def check(self, photos: Sequence[str], watched: object) -> None:
        """Check everything about ``--keep`` before the networks are loaded.

        Raises
        ------
        UsageError
            When it does not go with the other arguments.
        RequestError
            When it is no name.
        NameTakenError
            When the name is taken, and is not to be replaced.
        """
        if self.keep is None:
            if self.replace:
                raise click.UsageError("--replace goes with --keep NAME; give the name")
            return
        if watched is not None or len(photos) > 1:
            raise click.UsageError("--keep keeps one photo; name one, or leave --keep out")
        places = self.open()
        assert places is not None
        try:
            if not self.replace:
                places.require_free(self.keep)
        except NameTakenError as error:
            raise NameTakenError(
                f"a place named {self.keep} is kept already; add --replace to replace it, or "
                "choose another name"
            ) from error

    def kept(
        self, matcher: Matcher, photo: Photo, request: Request
    ) -> Iterator[Ambience | PhotoError]:
        """Keep a photo and yield its ambience, or the error if it cannot be opened."""
        from deepmersion.vision.photo import name_of, rereadable

        assert self.keep is not None
        name = name_of(photo)
        try:
            file = rereadable(photo, name)
            ambience = matcher.match(file, request, name=name)
        except PhotoError as error:
            yield error
            return
        if isinstance(file, BytesIO):
            file.seek(0)
        place = matcher.keep(self.keep, file, ambience, replace=self.replace)
        assert matcher.places is not None
        note(f"Kept as {place.name} in {matcher.places.path}")
        yield ambience
