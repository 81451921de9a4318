"""The kind of each base sound, by its name in deepmersion's kinds.toml."""

from __future__ import annotations

KINDS: dict[str, str] = {
    "bells": "temple bell",
    "birds": "bird",
    "city": "traffic",
    "crickets": "cricket",
    "fan": "mechanical fan",
    "fire": "fire",
    "harbour": "moored boats",
    "keyboard": "keyboard typing",
    "people": "café",
    "rain": "rain",
    "singing-bowl": "singing bowl",
    "snow-wind": "howling wind",
    "stream": "stream",
    "thunder": "thunderstorm",
    "train": "train",
    "waves": "ocean waves",
    "white-noise": "white noise",
    "wind": "wind",
}
"""Kind of each base sound, which determines where it is at home."""
