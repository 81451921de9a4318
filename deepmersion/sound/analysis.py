"""Mel spectrogram of a sound, and the measures derived from it.

librosa does the work. It takes a second to import, and only `soundbank check`, the renderer of the
shipped sounds and the scripts in tools/ use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np

FRAME_SAMPLES = 1024
"""23 ms at 44.1 kHz: short enough for a click to fill the spectrum of a frame, long enough to
tell tones 50 Hz apart."""

FRAME_HOPS = 4
HOP_SAMPLES = FRAME_SAMPLES // FRAME_HOPS

N_BANDS = 64
"""Mel bands. With more, those in the bass would be narrower than the lines of a frame."""

BANDS_HZ = (40.0, 16_000.0)
"""Range of the bands. Few adults hear anything above it, and lossy codecs keep little of that."""

MASKED_DB = 50.0
"""Floor of a band relative to the loudest one at the same time. When that has 60 dB, the level of
quiet talk, such a band has 10 dB and drowns in the noise of a quiet room; lossy codecs change such
bands at will."""

SMALLEST = 1e-10
"""Power treated as silence: -100 dB, below the rounding noise of 16 bits."""

NEIGHBOURS = 3
"""A band's rise is measured from the highest of this many bands around it: a gliding tone, which
moves from band to band, does not count as many onsets (SuperFlux; Böck and Widmer 2013)."""

EVENT_DB = 1.0
"""Rise of the flux above its mean over 0.1 s on both sides that counts as an event. White noise
stays below 0.9; a burst of 20 ms that is 3 dB louder than the noise around it reaches 1.4."""

AROUND_S = 0.1
APART_S = 0.03
"""Reach of that mean to either side, and the least time between two events: within it the ear hears
one."""

FRAMES_AT_ONCE = 8192
"""Frames transformed together: 48 s, which take 70 MB."""


@dataclass(frozen=True)
class Spectrogram:
    """The spectrum of a ring of samples over time, its channels averaged.

    Attributes
    ----------
    bands : ndarray, shape = (N_BANDS, frames), float32
        Power density in each mel band; frame i is centred on sample i * HOP_SAMPLES.
    lines : ndarray, shape = (FRAME_SAMPLES // 2 + 1,), float64
        Mean power of each line of the Fourier transform.
    sample_rate : int
        In Hz.
    """

    bands: np.ndarray
    lines: np.ndarray
    sample_rate: int

    @property
    def bands_db(self) -> np.ndarray:
        """Levels of `bands` relative to the loudest in dB, floored MASKED_DB below each frame's."""
        import librosa

        levels = librosa.power_to_db(self.bands, ref=np.max, amin=SMALLEST, top_db=None)
        return np.asarray(np.maximum(levels, levels.max(axis=0) - MASKED_DB))

    @property
    def flux(self) -> np.ndarray:
        """Spectral flux [frames] in dB: the mean rise of the bands since the last disjoint frame.

        Clicks, onsets and changes to another sound make it large. The first frames, which have no
        predecessor, have 0.
        """
        import librosa

        return np.asarray(
            librosa.onset.onset_strength(
                S=self.bands_db, center=False, lag=FRAME_HOPS, max_size=NEIGHBOURS
            )
        )

    @property
    def events_s(self) -> np.ndarray:
        """Onset times [events] in seconds: peaks of the flux (Böck, Krebs and Schedl 2012)."""
        # Not librosa's own picker, which numba compiles at its first use: that takes seconds, and
        # two processes that do it at once can crash.
        rate, flux = self.sample_rate / HOP_SAMPLES, self.flux
        near, wide = int(APART_S * rate), int(AROUND_S * rate)
        highest = flux >= _windows(flux, near, 0).max(axis=1)
        above = flux >= _windows(flux, wide, wide).mean(axis=1) + EVENT_DB
        frames: list[int] = []
        for frame in map(int, np.flatnonzero(highest & above)):
            if not frames or frame - frames[-1] > near:
                frames.append(frame)
        return np.array(frames) / rate

    @property
    def flatness(self) -> float:
        """Spectral flatness of the long-term spectrum: 1 for white noise, 0 for a tone."""
        import librosa

        lines = self.lines[self._heard, None]
        return float(librosa.feature.spectral_flatness(S=lines, power=1.0, amin=SMALLEST)[0, 0])

    @property
    def centroid_hz(self) -> float:
        """Spectral centroid of the long-term spectrum, in Hz: low for dark sounds."""
        import librosa

        frequencies = self._line_hz[self._heard]
        lines = self.lines[self._heard, None]
        return float(librosa.feature.spectral_centroid(S=lines, freq=frequencies)[0, 0])

    @property
    def _line_hz(self) -> np.ndarray:
        return np.fft.rfftfreq(FRAME_SAMPLES, 1 / self.sample_rate)

    @property
    def _heard(self) -> np.ndarray:
        low, high = BANDS_HZ
        return (self._line_hz >= low) & (self._line_hz <= high)


def _windows(values: np.ndarray, before: int, after: int) -> np.ndarray:
    """Return each value with those before and after it, [values, before + 1 + after]."""
    padded = np.pad(values, (before, after), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, before + 1 + after)


def spectrogram(ring: np.ndarray, sample_rate: int) -> Spectrogram:
    """Return the spectrum of a ring over time.

    Parameters
    ----------
    ring : ndarray, shape = (samples, channels), float32 or float64
        Its end leads into its beginning.
    sample_rate : int
        In Hz.
    """
    import librosa

    filters = librosa.filters.mel(
        sr=sample_rate,
        n_fft=FRAME_SAMPLES,
        n_mels=N_BANDS,
        fmin=BANDS_HZ[0],
        fmax=min(BANDS_HZ[1], sample_rate / 2),
    )
    bands, n_frames, total = [], 0, np.zeros(FRAME_SAMPLES // 2 + 1)
    for power in _powers(ring):
        bands.append((filters @ power).astype(np.float32))
        n_frames += power.shape[1]
        total += power.sum(axis=1)
    return Spectrogram(np.concatenate(bands, axis=1), total / n_frames, sample_rate)


def _powers(ring: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the power [lines, frames] of a ring in parts, a bounded number of frames each."""
    import librosa

    half = FRAME_SAMPLES // 2
    padded = np.pad(ring, ((half, half), (0, 0)), mode="wrap").T
    step = FRAMES_AT_ONCE * HOP_SAMPLES
    for start in range(0, padded.shape[1] - FRAME_SAMPLES + 1, step):
        part = padded[:, start : start + step + FRAME_SAMPLES - HOP_SAMPLES]
        lines = librosa.stft(
            np.ascontiguousarray(part), n_fft=FRAME_SAMPLES, hop_length=HOP_SAMPLES, center=False
        )
        power = np.square(lines.real) + np.square(lines.imag)
        # numpy's own mean is slow over so few channels.
        yield np.asarray(reduce(np.add, power) / len(power))
