"""What a recording is like as a base sound: measured, heard by SoundNet, and judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepmersion.callbacks import OnProgress
from deepmersion.hearing.listener import Settings, mono_window
from deepmersion.index.file import open_index
from deepmersion.labels import likeliest, soundnet_scene_labels
from deepmersion.matching.rule import single_entries
from deepmersion.sound.bank import BaseSound, SoundBank
from deepmersion.sound.recording import (
    SAMPLE_RATE,
    at_level,
    decode,
    load_loop,
    loudness_blocks,
    true_peak_db,
)
from deepmersion.sound.seam import Seam, measure_seam

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
another is lost in the noise of a room; recordings of rain, waves and storms have 4 to 10 LU."""

MAX_SEAM_RANK = 0.99
"""A loop point that stands out more than this share of the other places is warned of. At the 95th
percentile a good loop in ten would be called bad, for two figures are looked at."""

FLAT_SCENES = 150.0
"""A sound that could come from as many scenes says no more of a place than white noise, which
SoundNet takes for any of 150. Recordings that it hears well lie far below, waves at 27 and
birds at 42; a café, a storm and traffic lie above, and are seldom matched with their places."""

_RANGE_GATE_LUFS = -70.0
_RANGE_GATE_LU = 20.0
_RANGE_PERCENTILES = (10, 95)
"""Of loudness range, as EBU Tech 3342 defines it: what is quieter than either gate, absolute or
below the mean, does not count, nor do the softest and the loudest moments."""

_SHORT_TERM_BLOCKS = 27
"""Blocks of 0.4 s, each 0.1 s after the one before, in the 3 s of EBU's short-term loudness."""


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
    seam : Seam
        The loop point, as the sound is played.
    """

    duration_s: float
    sample_rate: int
    loudness_lufs: float
    true_peak_dbtp: float
    range_lu: float
    n_clipped: int
    stereo: bool
    seam: Seam


def measure(sound: BaseSound) -> Measures:
    """Decode a sound and measure it.

    Raises
    ------
    SoundBankError
        When it cannot be used.
    """
    loop = load_loop(sound)
    samples, rate = decode(sound)
    loudness_lufs, blocks = loudness_blocks(samples, rate)
    return Measures(
        duration_s=len(samples) / rate,
        sample_rate=rate,
        loudness_lufs=loudness_lufs,
        true_peak_dbtp=true_peak_db(samples),
        range_lu=loudness_range(blocks),
        n_clipped=count_clipped(samples),
        stereo=bool((samples[:, 0] != samples[:, 1]).any()),
        seam=measure_seam(loop, SAMPLE_RATE),
    )


def loudness_range(blocks: np.ndarray) -> float:
    """Return the loudness range in LU (EBU Tech 3342).

    Parameters
    ----------
    blocks : ndarray, shape = (blocks,), float64
        Loudness of overlapping blocks as BS.1770 takes them, 0.4 s every 0.1 s, in LUFS.
    """
    width = min(_SHORT_TERM_BLOCKS, len(blocks))
    power = np.convolve(10 ** (blocks / 10), np.ones(width) / width, mode="valid")
    with np.errstate(divide="ignore"):
        short_term = 10 * np.log10(power)
    # Gated twice: what is silence, and what lies far below the rest.
    short_term = short_term[short_term >= _RANGE_GATE_LUFS]
    if not len(short_term):
        return 0.0
    mean = 10 * np.log10(np.mean(10 ** (short_term / 10)))
    low, high = np.percentile(short_term[short_term >= mean - _RANGE_GATE_LU], _RANGE_PERCENTILES)
    return float(high - low)


def count_clipped(samples: np.ndarray) -> int:
    """Return how many peaks of samples [samples, channels] in [-1, 1] are cut off."""
    full = np.abs(samples) >= FULL_SCALE
    inside = full[: -MIN_CLIPPED_RUN + 1].copy()
    for i in range(1, MIN_CLIPPED_RUN):
        inside &= full[i : len(full) - MIN_CLIPPED_RUN + 1 + i]
    # A longer peak is one, not several: only the beginning of each counts.
    return int(inside[0].sum() + (inside[1:] & ~inside[:-1]).sum()) if len(inside) else 0


class Ear:
    """SoundNet, for sounds alone.

    Parameters
    ----------
    on_fetch : callable or None
        Follows the download of its weights, if they have yet to be fetched.

    Raises
    ------
    WeightsError
        When the weights cannot be had.
    """

    def __init__(self, on_fetch: OnProgress | None = None) -> None:
        from deepmersion.hearing.soundnet import SoundNet
        from deepmersion.weights.store import ensure_soundnet

        self._network = SoundNet.load(ensure_soundnet(on_fetch))

    def hear(self, sound: BaseSound) -> np.ndarray:
        """Return the probabilities of SoundNet's 401 scenes, as an index is built from them.

        Raises
        ------
        SoundBankError
            When the sound is silent where SoundNet listens.
        """
        from deepmersion.hearing import soundnet

        settings = Settings()
        rate = soundnet.SAMPLE_RATE
        waveform = mono_window(sound, rate, round(settings.window_s * rate))
        heard = soundnet.predict(self._network, at_level(waveform[None], settings.level_rms))
        return np.asarray(np.exp(heard.scenes[0]))


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
        What SoundNet hears, if that is known.
    """
    seam = measures.seam
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
        "has a loop point that can be heard; cut it where it neither fades in nor out, and mark "
        "it as a loop only if it is one": max(seam.step_rank, seam.flux_rank) > MAX_SEAM_RANK,
    }
    if scenes is not None and (n := effective_scenes(scenes)) >= FLAT_SCENES:
        found[
            f"means no particular place to SoundNet (any of some {n:.0f}, as white noise does), "
            "and will seldom be matched with one"
        ] = True
    return [what for what, holds in found.items() if holds]
