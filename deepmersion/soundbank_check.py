"""Measures a recording as a base sound, lets SoundNet hear it, and warns of what is wrong."""

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
"""How many of the likeliest scenes are named."""

SHORT_S = 20.0
"""A loop shorter than this is soon noticed to repeat, and SoundNet, which needs as much for its
four predictions, hears it more than once."""

FULL_SCALE = 0.999
"""Magnitude from which a sample counts as clipped; lossy codecs move it a little."""

MIN_CLIPPED_RUN = 3
"""Neighbouring samples at full scale that make a clipped peak: a rounded one touches it once."""

MAX_CLIPPED_RUNS = 3
"""More clipped peaks than these are no accident."""

MAX_RANGE_LU = 15.0
"""Loudness range (EBU Tech 3342) beyond which one part of a sound is too loud for a background, or
another is lost in the noise of a room. Ten recordings have 1 to 10 LU (rain 4, waves and a
storm 10), and one of birds, with near and far ones, 17."""

MAX_SEAM_RANK = 0.99
"""A loop point that stands out more than this share of the other places is warned of. Two figures
are looked at: from the 95th percentile on, one good loop in ten would be warned of by chance."""

FLAT_SCENES = 150.0
"""SoundNet takes white noise for any of 150 scenes. A sound that could come from as many tells it
no more of a place. Recordings that it hears well lie far below, waves at 27 and birds at 42; a
café, a storm and traffic lie above, and are matched by their kinds alone."""

MIN_RANGE_S = 1.5
"""A shorter recording has no loudness range: the time of a first short-term loudness (3 s) would
hold more of the silence that follows it than of itself."""


@dataclass(frozen=True)
class Measures:
    """A sound in figures.

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
        Clipped peaks.
    stereo : bool
        Whether the channels differ.
    centroid_hz, flatness : float
        Of its spectrum; see `Spectrogram`.
    events_per_s : float
        How many things begin in a second.
    seam : Seam or None
        The loop point of a file that says that it is a loop.
    cuts : Cuts
        Where it may be cut unheard.
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
        When it cannot be used.
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

    0 for silence. It includes the end of the recording, where the sound stops: below half a
    minute this adds up to 3 LU.
    """
    import pyloudnorm

    if len(samples) < MIN_RANGE_S * sample_rate:
        return 0.0
    with np.errstate(divide="ignore"):
        found = float(pyloudnorm.Meter(sample_rate).loudness_range(samples))
    return 0.0 if math.isnan(found) else found


def count_clipped(samples: np.ndarray) -> int:
    """Return how many peaks of samples [samples, channels] in [-1, 1] are cut off."""
    full = np.abs(samples) >= FULL_SCALE
    inside = full[: -MIN_CLIPPED_RUN + 1].copy()
    for i in range(1, MIN_CLIPPED_RUN):
        inside &= full[i : len(full) - MIN_CLIPPED_RUN + 1 + i]
    # A longer peak is one, not several: only the beginning of each counts.
    return int(inside[0].sum() + (inside[1:] & ~inside[:-1]).sum()) if len(inside) else 0


def hear_alone(network: SoundNet, sound: BaseSound) -> np.ndarray:
    """Return the probabilities of SoundNet's 401 scenes for a sound, as in an index.

    Raises
    ------
    SoundBankError
        When the sound is silent where SoundNet listens.
    """
    from deepmersion.hearing import soundnet

    settings, rate = Settings(), soundnet.SAMPLE_RATE
    window = mono_window(sound, rate, round(settings.window_s * rate))
    heard = Listener(network, window[None], settings.level_rms).hear(np.ones((1, 1), np.float32))
    return np.asarray(np.exp(heard[0, CLASSES["objects"] :]))


def known_scenes(bank: SoundBank, index: Path) -> dict[str, np.ndarray]:
    """Return by name what an index says SoundNet hears in each sound alone; see `Ear.hear`.

    Nothing when the index is another bank's.

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
    """Return the likeliest scenes and their probabilities, the likeliest first."""
    return likeliest(probs, soundnet_scene_labels(), N_NAMED)


def effective_scenes(probs: np.ndarray) -> float:
    """Return from how many equally likely scenes a sound could come: the exponential of entropy."""
    p = probs[probs > 0].astype(np.float64)
    return float(np.exp(-(p * np.log(p)).sum()))


def warnings(measures: Measures, scenes: np.ndarray | None) -> list[str]:
    """Return in words why a sound will match badly, or not sound well.

    Parameters
    ----------
    measures : Measures
    scenes : ndarray, shape = (401,), or None
        What SoundNet hears; None where that is unknown, or does not matter because the sound's
        kind says where it belongs.
    """
    seam_rank = measures.seam.rank if measures.seam else 0.0
    found = {
        f"lasts {measures.duration_s:.1f} s, so that it is soon noticed to repeat; give at least "
        f"{SHORT_S:g} s": measures.duration_s < SHORT_S,
        "is mono, and sounds flat beside stereo sounds": not measures.stereo,
        f"is clipped in {measures.n_clipped} places; record it at a lower level": (
            measures.n_clipped > MAX_CLIPPED_RUNS
        ),
        f"varies in loudness by {measures.range_lu:.0f} LU; compress it, or cut what is too loud": (
            measures.range_lu > MAX_RANGE_LU
        ),
        "has a loop point that can be heard, although soundbank.toml says that it is a loop; "
        "take out `loops = true`": seam_rank > MAX_SEAM_RANK,
    }
    if scenes is not None and (n := effective_scenes(scenes)) >= FLAT_SCENES:
        found[
            f"means no particular place to SoundNet (any of some {n:.0f}, as white noise does), "
            "and its kind is unknown, so that it will seldom be matched"
        ] = True
    return [what for what, holds in found.items() if holds]
