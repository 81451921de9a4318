"""Opens photos for the networks, and keeps the error of a photo that cannot be opened."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from deepmersion.errors import PhotoError
from deepmersion.vision.decoders import Decoders
from deepmersion.vision.networks import ImageNetworks
from deepmersion.vision.overlay import MAX_SIDE
from deepmersion.vision.photo import Photo, name_of, rereadable


@dataclass(frozen=True)
class Opened:
    """A photo's pixels, or the error that opening it raised.

    Attributes
    ----------
    name : str
    image : ndarray, shape = (height, width, 3), uint8, or None
        As small as the networks allow.
    error : PhotoError or None
        Exactly one of `image` and `error` is None.
    picture : ndarray, shape = (height, width, 3), uint8, or None
        The photo as shown to people, if requested.
    """

    name: str
    image: np.ndarray | None = None
    error: PhotoError | None = None
    picture: np.ndarray | None = None

    def pixels(self) -> np.ndarray:
        """Return the image, or raise the error."""
        if self.error is not None:
            raise self.error
        assert self.image is not None
        return self.image


def open_photo(
    photo: Photo,
    networks: ImageNetworks,
    decoders: Decoders,
    name: str | None = None,
    *,
    shown: bool = False,
) -> Opened:
    """Open a photo for image networks; problems with the photo are returned, not raised.

    Parameters
    ----------
    photo : Path, str or binary file
    networks : ImageNetworks
    decoders : Decoders
    name : str, optional
        By default that of `name_of`.
    shown : bool
        True to keep a picture to show to people.
    """
    own_name = name_of(photo)
    name = own_name if name is None else name
    source = Path(photo) if isinstance(photo, str) else photo
    picture = None
    try:
        if shown:
            source = rereadable(source, own_name)
            picture = decoders.load(source, own_name, min_side=MAX_SIDE)
            if isinstance(source, BytesIO):
                source.seek(0)
        # Decoded separately: the networks must see the same as when nothing is shown.
        image = decoders.load(
            source, own_name, min_side=networks.min_side, canvas_side=networks.canvas_side
        )
        return Opened(name, image, picture=picture)
    except PhotoError as error:
        return Opened(name, error=error)
