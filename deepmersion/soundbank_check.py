"""Measures recordings as base sounds, runs SoundNet on them, and warns of problems."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepmersion.hearing.listener import Listener, Settings, mono_window
from deepmersion.index.file import open_index
from deepmersion.labels import CLASSES, likeliest, soundnet_scene_labels
from deepmersion.matching.rule import single_entries
from deepmersion.sound.analysis import spectrogram
from deepmersion.sound.bank import BaseSound, SoundBank
from deepmersion.sound.cuts import find_cuts
from deepmersion.sound.keys import Cuts
from deepmersion.sound.recording import (
    SAMPLE_RATE,
    decode,
    integrated_loudness,
    load_loop,
    true_peak_db,
)
from deepmersion.sound.seam import Seam, measure_seam

if TYPE_CHECKING:
    from deepmersion.hearing.soundnet import SoundNet

N_NAMED = 5
"""Number of most probable scenes reported."""

SHORT_S = 20.0
"""A shorter loop repeats noticeably, and SoundNet, which needs this much for its four predictions,
hears it more than once."""

FULL_SCALE = 0.999
"""Magnitude from which a sample counts as clipped; lossy codecs shift it slightly."""

MIN_CLIPPED_RUN = 3
"""Consecutive samples at full scale that make a clipped peak; an intact peak touches it once."""

MAX_CLIPPED_RUNS = 3
"""More clipped peaks than this are not an accident."""

MAX_RANGE_LU = 15.0
"""Loudness range (EBU Tech 3342) beyond which one part of a sound is too loud for a background, or
another drowns in the noise of a room. Ten recordings have 1 to 10 LU (rain 4, waves and a storm
10), and one of birds, with near and far ones, 17."""

MAX_SEAM_RANK = 0.99
"""Rank from which a loop point gets a warning. Two figures are checked: at the 95th percentile, one
good loop in ten would get a warning by chance."""

FLAT_SCENES = 150.0
"""To SoundNet, white noise could be any of 150 scenes, and a sound with as many says no more about
a place. Recordings that it recognises well lie far below, waves at 27 and birds at 42; a café, a
storm and traffic lie above, and are matched by their kinds alone."""

MIN_RANGE_S = 1.5
"""A shorter recording has no loudness range: its first short-term loudness (3 s) would include more
of the silence after it than of itself."""


@dataclass(frozen=True)
class Measures:
    """Measurements of a sound.

    Attributes
    ----------
    duration_s : float
        In seconds.
    sample_rate : int
        In Hz.
    loudness_lufs : float
        Integrated loudness of the file (ITU-R BS.1770).
    true_peak_dbtp : float
        Of the file.
    range_lu : float
        Loudness range, in LU.
    n_clipped : int
        Number of clipped peaks.
    stereo : bool
        True if the channels differ.
    centroid_hz, flatness : float
        Of its spectrum; see `Spectrogram`.
    events_per_s : float
        Onsets per second.
    seam : Seam or None
        The loop point, if the file is declared as a loop.
    cuts : Cuts
        Spans in which a cut is inaudible.
    """

    duration_s: float
    sample_rate: int
    loudness_lufs: float
    true_peak_dbtp: float
    range_lu: float
    n_clipped: int
    stereo: bool
    centroid_hz: float
    flatness: float
    events_per_s: float
    seam: Seam | None
    cuts: Cuts


def measure(sound: BaseSound) -> Measures:
    """Decode a sound and measure it.

    Raises
    ------
    SoundBankError
        When the sound cannot be used.
    """
    loop = load_loop(sound)
    samples, rate = decode(sound)
    spectrum = spectrogram(loop, SAMPLE_RATE)
    return Measures(
        duration_s=len(samples) / rate,
        sample_rate=rate,
        loudness_lufs=integrated_loudness(samples, rate),
        true_peak_dbtp=true_peak_db(samples),
        range_lu=loudness_range(samples, rate),
        n_clipped=count_clipped(samples),
        stereo=bool((samples[:, 0] != samples[:, 1]).any()),
        centroid_hz=spectrum.centroid_hz,
        flatness=spectrum.flatness,
        events_per_s=len(spectrum.events_s) / (len(loop) / SAMPLE_RATE),
        seam=measure_seam(loop, SAMPLE_RATE) if sound.loops else None,
        cuts=find_cuts(loop),
    )


def loudness_range(samples: np.ndarray, sample_rate: int) -> float:
    """Return the loudness range of samples [samples, channels] in LU (EBU Tech 3342).

    0 for silence. The abrupt end of the recording is included, which adds up to 3 LU if it is
    shorter than half a minute.
    """
    import pyloudnorm

    if len(samples) < MIN_RANGE_S * sample_rate:
        return 0.0
    with np.errstate(divide="ignore"):
        found = float(pyloudnorm.Meter(sample_rate).loudness_range(samples))
    return 0.0 if math.isnan(found) else found


def count_clipped(samples: np.ndarray) -> int:
    """Return the number of clipped peaks of samples [samples, channels] in [-1, 1]."""
    full = np.abs(samples) >= FULL_SCALE
    inside = full[: -MIN_CLIPPED_RUN + 1].copy()
    for i in range(1, MIN_CLIPPED_RUN):
        inside &= full[i : len(full) - MIN_CLIPPED_RUN + 1 + i]
    # Only the beginning of a peak counts, so a long one is counted once.
    return int(inside[0].sum() + (inside[1:] & ~inside[:-1]).sum()) if len(inside) else 0


def hear_alone(network: SoundNet, sound: BaseSound) -> np.ndarray:
    """Return the probabilities of SoundNet's 401 scenes for a sound, as in an index.

    Raises
    ------
    SoundBankError
        When the sound is silent in the part that SoundNet hears.
    """
    from deepmersion.hearing import soundnet

    settings, rate = Settings(), soundnet.SAMPLE_RATE
    window = mono_window(sound, rate, round(settings.window_s * rate))
    heard = Listener(network, window[None], settings.level_rms).hear(np.ones((1, 1), np.float32))
    return np.asarray(np.exp(heard[0, CLASSES["objects"] :]))


def known_scenes(bank: SoundBank, index: Path) -> dict[str, np.ndarray]:
    """Return SoundNet's scene probabilities for each single sound in an index, by name.

    Empty if the index belongs to another bank.

    Raises
    ------
    IndexFileError, SoundBankError
        When the index or a sound cannot be read.
    """
    with open_index(index) as opened:
        if opened.header.soundbank != bank.fingerprint:
            return {}
        return {
            name: np.exp(opened.log_probs("scenes", entry, entry + 1)[0])
            for name, entry in zip(opened.sounds, single_entries(opened).tolist(), strict=True)
        }


def likeliest_scenes(probs: np.ndarray) -> tuple[tuple[str, float], ...]:
    """Return the most probable scenes and their probabilities, in descending order."""
    return likeliest(probs, soundnet_scene_labels(), N_NAMED)


def effective_scenes(probs: np.ndarray) -> float:
    """Return the effective number of scenes, the exponential of the distribution's entropy."""
    p = probs[probs > 0].astype(np.float64)
    return float(np.exp(-(p * np.log(p)).sum()))


def warnings(measures: Measures, scenes: np.ndarray | None) -> list[str]:
    """Return warnings about why a sound will match badly or sound bad.

    Parameters
    ----------
    measures : Measures
    scenes : ndarray, shape = (401,), or None
        SoundNet's probabilities; None if unknown, or irrelevant because the sound's kind determines
        its places.
    """
    seam_rank = measures.seam.rank if measures.seam else 0.0
    found = {
        f"lasts {measures.duration_s:.1f} s, so its repetition will be noticed; give at least "
        f"{SHORT_S:g} s": measures.duration_s < SHORT_S,
        "is mono, and sounds flat next to stereo sounds": not measures.stereo,
        f"is clipped in {measures.n_clipped} places; record it at a lower level": (
            measures.n_clipped > MAX_CLIPPED_RUNS
        ),
        f"varies in loudness by {measures.range_lu:.0f} LU; compress it, or cut what is too loud": (
            measures.range_lu > MAX_RANGE_LU
        ),
        "has an audible loop point, although soundbank.toml declares a loop; "
        "remove `loops = true`": seam_rank > MAX_SEAM_RANK,
    }
    if scenes is not None and (n := effective_scenes(scenes)) >= FLAT_SCENES:
        found[
            f"means no particular place to SoundNet (any of about {n:.0f}, like white noise), "
            "and its kind is unknown, so it will seldom be matched"
        ] = True
    return [what for what, holds in found.items() if holds]
