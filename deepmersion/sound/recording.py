"""Turns an audio file into a seamless loop: decodes, resamples and normalises it."""

from __future__ import annotations

import math

import numpy as np

from deepmersion.errors import SoundBankError
from deepmersion.sound.bank import BaseSound

SAMPLE_RATE = 44_100
"""Rate at which mixes are rendered, in Hz; the shipped sounds have it already."""

N_CHANNELS = 2
"""Everything that is played or written is stereo."""

BASE_LOUDNESS_LUFS = -27.0
"""Integrated loudness to which every base sound is normalised: equal gains sound equally loud. The
shipped files have it already and play as they are."""

MIN_DURATION_S = 1.0
"""Anything shorter is too short for an ambient sound and for BS.1770's gating."""

MAX_SAMPLE = 1e3
"""60 dB beyond full scale: floating-point files may exceed it a little, damaged ones by any
factor."""

MIN_RATE_HZ = 4_000
"""Below this, the filters that measure loudness (BS.1770, annex 1) are undefined."""

UNDECODABLE = (OSError, RuntimeError, TypeError, ValueError)
"""Errors that soundfile raises on a file that it cannot open or decode: its own, which are
RuntimeErrors; TypeError for headerless formats (``.raw``); and Python's."""

DECODE_SAMPLES = 65_536
"""Samples decoded at once: a second and a half."""

CROSSFADE_S = 2.0
"""Length of the crossfade that closes a recording into a loop: long compared with the edge of any
event, short compared with the recording."""

RING_MARGIN_S = 0.1
"""Length of a loop's other end that the resampler sees: its filter lasts a few milliseconds."""

MAX_CROSSFADE_SHARE = 0.25
"""Largest share of a short recording that the crossfade may use."""


def load_loop(sound: BaseSound, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Return a base sound as a seamless stereo loop at the bank's common loudness.

    Parameters
    ----------
    sound : BaseSound
        Any rate, one or more channels (more than two are mixed down).
    sample_rate : int
        Rate of the result, in Hz.

    Returns
    -------
    ndarray, shape = (samples, 2), float32
        At `BASE_LOUDNESS_LUFS` plus the sound's own ``gain_db``. Unless the recording is marked as
        a loop, its end is crossfaded into its beginning with equal power.

    Raises
    ------
    SoundBankError
        When the file cannot be decoded, is shorter than a second, silent, not finite or far beyond
        full scale, or its rate is too low.
    """
    samples, rate = decode(sound)
    if rate < MIN_RATE_HZ:
        raise SoundBankError(
            f"{sound.path} has a rate of {rate} Hz; give recordings of at least {MIN_RATE_HZ} Hz"
        )
    if len(samples) < MIN_DURATION_S * rate:
        raise SoundBankError(
            f"{sound.path} lasts {len(samples) / rate:.2f} s; give recordings of at least "
            f"{MIN_DURATION_S:g} s"
        )
    if not (np.abs(samples) <= MAX_SAMPLE).all():  # written so that NaN fails too
        raise SoundBankError(
            f"{sound.path} holds samples that are not finite or far beyond full scale; "
            "export it again"
        )
    loudness = sound.loudness_lufs
    if loudness is None:
        # Loudness is measured at the rate of mixes: frequencies above it are not played.
        audible_rate = min(rate, SAMPLE_RATE)
        loudness = integrated_loudness(resample_ring(samples, rate, audible_rate), audible_rate)
    # A silent file may declare a loudness, and would be divided by its own peak.
    if not (math.isfinite(loudness) and samples.any()):
        raise SoundBankError(f"{sound.path} is silent; remove it from the sound bank")
    samples = resample_ring(samples, rate, sample_rate)
    if not sound.loops:
        samples = close_loop(samples, sample_rate)
    return samples * np.float32(10 ** ((BASE_LOUDNESS_LUFS + sound.gain_db - loudness) / 20))


def decode(sound: BaseSound) -> tuple[np.ndarray, int]:
    """Return a sound's samples as float32 [samples, 2] in [-1, 1], and their rate in Hz.

    Raises
    ------
    SoundBankError
        When libsndfile cannot decode the file.
    """
    import soundfile

    parts = [np.zeros((0, 2), dtype=np.float32)]
    try:
        with soundfile.SoundFile(sound.path) as file:
            rate = int(file.samplerate)
            # Piece by piece, to the end: the length in the header may be missing or wrong.
            while len(part := file.read(DECODE_SAMPLES, dtype="float32", always_2d=True)):
                parts.append(_stereo(part))
    except UNDECODABLE as error:
        reason = str(error).rstrip(".").rsplit(": ", 1)[-1]
        raise SoundBankError(
            f"{sound.path} cannot be decoded ({reason}); "
            "replace it, or export it again as WAV or FLAC"
        ) from error
    return np.concatenate(parts), rate


def _stereo(samples: np.ndarray) -> np.ndarray:
    if samples.shape[1] > 2:
        samples = samples.mean(axis=1, keepdims=True)
    return np.broadcast_to(samples, (len(samples), 2))


def integrated_loudness(samples: np.ndarray, sample_rate: int) -> float:
    """Return the integrated loudness in LUFS (ITU-R BS.1770-4, gated); -inf for silence.

    Parameters
    ----------
    samples : ndarray, shape = (samples, channels), float32 in [-1, 1]
    sample_rate : int
        In Hz.
    """
    import pyloudnorm

    with np.errstate(divide="ignore"):
        return float(pyloudnorm.Meter(sample_rate).integrated_loudness(samples))


def true_peak_db(samples: np.ndarray) -> float:
    """Return the true peak in dBTP of samples [samples, channels] in [-1, 1]; -inf for silence."""
    from deepmersion.sound.limiter import true_peaks

    peak = float(true_peaks(samples).max())
    return 20 * math.log10(peak) if peak > 0 else -math.inf


def resample_ring(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Return a loop [samples, ...] at another rate in Hz, its end still leading into its start."""
    if rate == new_rate:
        return samples
    import soxr

    # Beyond either end of a loop, the resampler's filter must see the other end.
    margin = min(len(samples), round(RING_MARGIN_S * rate))
    ring = np.concatenate([samples[-margin:], samples, samples[:margin]])
    start, length = round(margin * new_rate / rate), round(len(samples) * new_rate / rate)
    return np.asarray(soxr.resample(ring, rate, new_rate)[start : start + length])


def close_loop(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Close a recording [samples, channels] into a loop by an equal-power crossfade.

    The last seconds are laid over the first ones, so the loop is shorter by the crossfade.
    """
    n = int(min(CROSSFADE_S * sample_rate, MAX_CROSSFADE_SHARE * len(samples)))
    phase = ((np.arange(n, dtype=np.float32) + 0.5) / n * (math.pi / 2))[:, None]
    body, tail = samples[:-n].copy(), samples[-n:]
    body[:n] = body[:n] * np.sin(phase) + tail * np.cos(phase)
    return body


def at_level(waveforms: np.ndarray, level_rms: float) -> np.ndarray:
    """Return waveforms [..., samples] scaled so that each has an RMS of `level_rms`.

    Raises
    ------
    ValueError
        When a waveform is silent.
    """
    rms = np.sqrt(np.mean(np.square(waveforms, dtype=np.float64), axis=-1, keepdims=True))
    if not (rms > 0).all():
        raise ValueError("a silent waveform cannot be normalised")
    return np.asarray(waveforms * (level_rms / rms), dtype=np.float32)


def ring_window(loop: np.ndarray, start: int, n_samples: int) -> np.ndarray:
    """Return `n_samples` of a loop [samples, ...] from `start` on, wrapping around."""
    return np.take(loop, np.arange(start, start + n_samples), axis=0, mode="wrap")
