"""What kind of sound each base sound is, by the names of deepmersion's kinds.toml."""

from __future__ import annotations

KINDS: dict[str, str] = {
    "birds": "bird",
    "crickets": "cricket",
    "fire": "fire",
    "people": "café",
    "rain": "rain",
    "singing-bowl": "singing bowl",
    "thunder": "thunderstorm",
    "waves": "ocean waves",
    "white-noise": "white noise",
    "wind": "wind",
}
"""Kind of each base sound: it says where the sound is at home."""
