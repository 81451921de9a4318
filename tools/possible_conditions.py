"""The conditions that photos of each scene may show.

A photo of a bamboo wood was taken by day and in dry weather, whatever else it shows; a photo of a
bar shows a room, with or without people. So a head can learn from photos without a condition label.
The lists are general knowledge about collections of scene photos; scenes that could show any
condition are left out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deepmersion.labels import condition_labels

ROOMS = ("calm room", "busy room")
BY_DAY = ("clear day", "fog", "other")
OUTDOORS = (*BY_DAY, "night")
SOCIAL = ("people outdoors", "clear day", "other", "night")

POSSIBLE: dict[tuple[str, ...], str] = {
    ROOMS: (
        "airport_terminal art_gallery auditorium bakery/shop ballroom banquet_hall bar bathroom "
        "beauty_salon bedroom bookstore bowling_alley butchers_shop candy_store classroom "
        "clothing_store coffee_shop conference_room corridor dining_room food_court "
        "hospital_room kindergarden_classroom kitchen laundromat living_room lobby locker_room "
        "martial_arts_gym museum/indoor office restaurant shower stage/indoor supermarket"
    ),
    (*ROOMS, "other"): "bus_interior cockpit subway_station/platform",
    BY_DAY: (
        "badlands bamboo_forest botanical_garden canyon corn_field desert/sand golf_course "
        "racecourse rainforest rock_arch swamp trench valley yard"
    ),
    OUTDOORS: (
        "abbey amphitheater aqueduct cemetery chalet church/outdoor courtyard driveway "
        "lighthouse monastery/outdoor palace shed skyscraper temple/east_asia"
    ),
    (*BY_DAY, "running water"): "river",
    (*BY_DAY, "snow"): "mountain",
    (*BY_DAY, "surf"): "coast",
    (*OUTDOORS, "running water"): "dam fountain",
    (*OUTDOORS, "traffic"): "bridge highway",
    ("snow",): "ski_slope",
    SOCIAL: "amusement_park baseball_field market/outdoor playground stadium/football",
}
"""Scenes of MiniPlaces by the conditions that their photos may show."""


def possible_conditions() -> dict[str, Tensor]:
    """Return the conditions that each scene of `POSSIBLE` may show, bool [14]."""
    labels = condition_labels()
    return {
        scene: torch.tensor([label in conditions for label in labels])
        for conditions, scenes in POSSIBLE.items()
        for scene in scenes.split()
    }
