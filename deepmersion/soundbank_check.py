"""Measures recordings as base sounds, runs SoundNet on them, and warns of problems."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepmersion.errors import rounded
from deepmersion.hearing.listener import Listener, Settings, mono_window
from deepmersion.index.file import open_index
from deepmersion.labels import CLASSES, likeliest, soundnet_scene_labels
from deepmersion.matching.rule import single_entries
from deepmersion.sound.analysis import FRAME_SAMPLES, spectrogram
from deepmersion.sound.bank import BaseSound, SoundBank
from deepmersion.sound.cuts import find_cuts
from deepmersion.sound.keys import Cuts
from deepmersion.sound.loudness import integrated_loudness, loudness_range, true_peak_db
from deepmersion.sound.recording import SAMPLE_RATE, Recording, open_loop
from deepmersion.sound.seam import Seam, measure_seam
from deepmersion.sound.spool import BLOCK_SAMPLES, Samples, blocks

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

PART_SAMPLES = 60 * SAMPLE_RATE
"""Spectra are taken of a minute at once, which take some 100 MB."""

SEAM_SAMPLES = 60 * SAMPLE_RATE
"""The loop point of a long sound is compared with places within a minute of it."""

MIN_OFFSET = 1e-3
"""Constant offset, of full scale, from which it is reported: -60 dBFS."""


@dataclass(frozen=True)
class Measures:
    """Measurements of a sound.

    Attributes
    ----------
    duration_s : float
        In seconds.
    sample_rate : int
        In Hz.
    offset : float
        The constant offset of the channel that has more, of full scale 1. The other figures are
        those without it.
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
    offset: float
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
    recording = Recording(sound)
    loop = open_loop(sound, recording=recording)
    lines, n_events = np.zeros(FRAME_SAMPLES // 2 + 1), 0
    for part in blocks(loop, PART_SAMPLES):
        spectrum = spectrogram(part, SAMPLE_RATE)
        lines += spectrum.lines * (len(part) / len(loop))
        n_events += len(spectrum.events_s)
    whole = replace(spectrum, lines=lines)
    return Measures(
        duration_s=recording.duration_s,
        sample_rate=recording.rate,
        offset=float(np.abs(recording.offset).max()),
        loudness_lufs=integrated_loudness(recording, recording.rate),
        true_peak_dbtp=true_peak_db(recording),
        range_lu=loudness_range(recording, recording.rate),
        n_clipped=count_clipped(recording.stored),
        stereo=any((part[:, 0] != part[:, 1]).any() for part in blocks(recording)),
        centroid_hz=whole.centroid_hz,
        flatness=whole.flatness,
        events_per_s=n_events / (len(loop) / SAMPLE_RATE),
        seam=_seam(loop) if sound.loops else None,
        cuts=find_cuts(loop),
    )


def _seam(loop: Samples) -> Seam:
    """Compare the loop point with the other places within `SEAM_SAMPLES` of it."""
    n = len(loop)
    if n <= 2 * SEAM_SAMPLES:
        return measure_seam(loop[:], SAMPLE_RATE)
    near = np.concatenate([loop[:SEAM_SAMPLES], loop[n - SEAM_SAMPLES : n]])
    return measure_seam(near, SAMPLE_RATE)


def count_clipped(samples: Samples) -> int:
    """Return the number of clipped peaks of samples [samples, channels] in [-1, 1]."""
    n_runs = 0
    for start in range(0, len(samples), BLOCK_SAMPLES):
        # With the sample before, which tells whether a peak begins here or goes on.
        before = min(start, 1)
        full = np.abs(samples[start - before : start + BLOCK_SAMPLES + MIN_CLIPPED_RUN - 1])
        full = full >= FULL_SCALE
        inside = full[: -MIN_CLIPPED_RUN + 1].copy()
        for i in range(1, MIN_CLIPPED_RUN):
            inside &= full[i : len(full) - MIN_CLIPPED_RUN + 1 + i]
        # Only the beginning of a peak counts, so a long one is counted once.
        first = inside[:1] if not before else inside[:0]
        n_runs += int(first.sum() + (inside[1:] & ~inside[:-1]).sum())
    return n_runs


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
        f"has a constant offset of {measures.offset:.2g} of full scale, which is taken off; mend "
        "the recorder": measures.offset >= MIN_OFFSET,
        f"lasts {rounded(measures.duration_s, SHORT_S, 1)} s, so its repetition will be noticed; "
        f"give at least {SHORT_S:g} s": measures.duration_s < SHORT_S,
        "is mono, and sounds flat next to stereo sounds": not measures.stereo,
        f"is clipped in {measures.n_clipped} places; record it at a lower level": (
            measures.n_clipped > MAX_CLIPPED_RUNS
        ),
        f"varies in loudness by {rounded(measures.range_lu, MAX_RANGE_LU, 0)} LU; compress it, or "
        "cut what is too loud": (measures.range_lu > MAX_RANGE_LU),
        "has an audible loop point, although soundbank.toml declares a loop; "
        "remove `loops = true`": seam_rank > MAX_SEAM_RANK,
    }
    if scenes is not None and (n := effective_scenes(scenes)) >= FLAT_SCENES:
        found[
            f"means no particular place to SoundNet (any of about {n:.0f}, like white noise), "
            "and its kind is unknown, so it will seldom be matched"
        ] = True
    return [what for what, holds in found.items() if holds]
