"""Profiles of sounds, and the distances between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from esc10 import read_archive
from sound_measures import (
    BANDS_HZ,
    crest_db,
    events_per_second,
    modulation,
    side_correlations,
    third_octaves,
)
from sound_recognition import ESC_KINDS, RECORDING_KINDS

from deepmersion.sound.recording import SAMPLE_RATE

COMPARED_HZ = (60.0, 11_000.0)
"""Range of the compared bands: below, recordings have handling noise, and rumble filtered to
varying degrees; above, many were low-passed."""

SHORTEST_S = 2.0
"""Minimum length of a clip without its silent padding."""


@dataclass(frozen=True)
class Profile:
    """The measures of one sound by `sound_measures`."""

    bands_db: np.ndarray
    modulation_db: np.ndarray
    crest_db: float
    events: float
    correlations: np.ndarray


def profile(x: np.ndarray) -> Profile:
    """Return the profile of samples [samples, channels] at `SAMPLE_RATE`."""
    return Profile(
        third_octaves(x), modulation(x), crest_db(x), events_per_second(x), side_correlations(x)
    )


def spectrum_distance_db(a: Profile, b: Profile) -> float:
    """Return the RMS difference of two spectra over `COMPARED_HZ`, with levels equalised."""
    compared = slice(*np.searchsorted(BANDS_HZ, COMPARED_HZ))
    return float(np.std(a.bands_db[compared] - b.bands_db[compared]))


def modulation_distance_db(a: Profile, b: Profile) -> float:
    """Return the RMS difference of two modulation spectra from 0.5 Hz up.

    Clips of a few seconds do not show slower modulation.
    """
    return float(np.sqrt(np.mean((a.modulation_db - b.modulation_db)[2:] ** 2)))


def read_sound(path: Path) -> np.ndarray:
    """Return a sound file as samples [samples, channels] at `SAMPLE_RATE`."""
    samples, rate = soundfile.read(path, always_2d=True)
    return np.asarray(soxr.resample(samples, rate, SAMPLE_RATE))


def real_sounds(recordings: Path, esc10: Path) -> dict[str, list[np.ndarray]]:
    """Return real sounds [samples, channels] by base sound: Blanket's, then clips of ESC-10."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in sorted(RECORDING_KINDS.values())}
    for archive, kind_of in ((recordings, _blanket_kind), (esc10, _esc_kind)):
        for path, samples, rate in read_archive(archive):
            heard = np.flatnonzero(np.abs(samples).max(axis=1) > 0)
            kind = kind_of(path.stem, path.parent.name)
            if kind and len(heard) > SHORTEST_S * rate:
                part = samples[heard[0] : heard[-1] + 1]
                found[kind].append(np.asarray(soxr.resample(part, rate, SAMPLE_RATE)))
    return found


def _blanket_kind(stem: str, _folder: str) -> str | None:
    return RECORDING_KINDS.get(stem)


def _esc_kind(_stem: str, folder: str) -> str | None:
    return ESC_KINDS.get(folder)
