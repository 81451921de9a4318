"""Draws the sounds of a bank: `soundbank check --plot`."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepmersion.errors import OutputError
from deepmersion.files import check_place, output_file
from deepmersion.sound.analysis import (
    BANDS_HZ,
    HOP_SAMPLES,
    N_BANDS,
    SMALLEST,
    spectrogram,
)
from deepmersion.sound.recording import SAMPLE_RATE, open_loop

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from deepmersion.sound.bank import BaseSound

N_COLUMNS = 800
"""Most columns of a spectrogram: about its width in pixels."""

MAX_PLOTTED_SAMPLES = 600 * SAMPLE_RATE
"""Of a longer sound, the first ten minutes are drawn."""

SHOWN_DB = 60.0
"""Range of the colours; anything softer is masked by the rest."""

MAX_SOUNDS = 100
"""Most sounds in one picture: with more, it would be too tall for image viewers."""

ROW_INCHES, WIDTH_INCHES = 2.2, 12.0
DPI = 100
FREQUENCIES_HZ = (250, 1000, 2000, 4000, 8000, 16_000)
EVENTS_FROM = 0.93
"""Bottom of the event ticks, as a share of the height of a spectrogram."""

EVENT_COLOUR, LOOP_COLOUR = "white", "cyan"


@dataclass(frozen=True)
class _Picture:
    """Plot data of a sound; levels in dB relative to its loudest column and band."""

    levels: np.ndarray  # [bands, columns]
    seconds: np.ndarray  # [columns], middles
    events_s: np.ndarray
    spectrum: np.ndarray  # [bands]


def require_plot(path: Path, n_sounds: int) -> None:
    """Check that a plot can be drawn, before any work is done for it.

    Raises
    ------
    OutputError
        When matplotlib is missing, there are too many sounds, or the file cannot be written.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise OutputError("--plot needs matplotlib; install it with: pip install matplotlib")
    if n_sounds > MAX_SOUNDS:
        raise OutputError(
            f"--plot draws at most {MAX_SOUNDS} sounds, and there are {n_sounds}; put some of "
            "them into a folder of their own"
        )
    check_place(path, OutputError)


def plot_sounds(path: Path, sounds: Sequence[BaseSound]) -> None:
    """Draw sounds into a PNG file, one below the other.

    Each sound gets a mel spectrogram with ticks at its events, and next to it the long-term
    spectrum. A loop is drawn from half a round before its loop point to half a round after.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    sounds : sequence of BaseSound

    Raises
    ------
    OutputError
        When the file cannot be written.
    SoundBankError
        When a sound cannot be used.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, ROW_INCHES * len(sounds) + 0.5), layout="constrained")
    grid = figure.subplots(len(sounds), 2, squeeze=False, width_ratios=(6, 1))
    for (main, side), sound in zip(grid, sounds, strict=True):
        picture = _picture(sound)
        _draw_spectrogram(main, picture, sound)
        _draw_spectrum(side, picture)
    with output_file(path, OutputError) as temporary:
        figure.savefig(temporary, dpi=DPI, format="png")


def _picture(sound: BaseSound) -> _Picture:
    loop = open_loop(sound)[:MAX_PLOTTED_SAMPLES]
    middle = len(loop) // 2 if sound.loops else 0
    found = spectrogram(np.roll(loop, middle, axis=0), SAMPLE_RATE)
    edges = np.linspace(0, found.bands.shape[1], N_COLUMNS, endpoint=False).astype(int)
    edges = np.unique(edges)
    widths = np.diff(np.append(edges, found.bands.shape[1]))
    columns = np.add.reduceat(found.bands, edges, axis=1) / widths
    return _Picture(
        levels=_against_loudest(columns),
        seconds=((edges + (widths - 1) / 2) * HOP_SAMPLES - middle) / SAMPLE_RATE,
        events_s=found.events_s - middle / SAMPLE_RATE,
        spectrum=_against_loudest(found.bands.mean(axis=1)),
    )


def _against_loudest(power: np.ndarray) -> np.ndarray:
    level = 10 * np.log10(np.maximum(power, SMALLEST))
    return np.asarray(np.maximum(level - level.max(), -SHOWN_DB))


def _draw_spectrogram(axes: Axes, picture: _Picture, sound: BaseSound) -> None:
    import librosa.display

    mesh = librosa.display.specshow(
        picture.levels,
        ax=axes,
        sr=SAMPLE_RATE,
        x_coords=picture.seconds,
        x_axis="s",
        y_axis="mel",
        fmin=BANDS_HZ[0],
        fmax=BANDS_HZ[1],
        vmin=-SHOWN_DB,
        vmax=0,
        cmap="magma",
    )
    _mel_axis(axes)
    axes.set_ylabel("frequency, Hz")
    axes.set_xlabel("time from the loop point, s" if sound.loops else "time, s")
    axes.vlines(
        picture.events_s,
        EVENTS_FROM,
        1,
        color=EVENT_COLOUR,
        linewidth=0.4,
        transform=axes.get_xaxis_transform(),
    )
    if sound.loops:
        axes.axvline(0, color=LOOP_COLOUR, linewidth=1, linestyle="--")
    axes.set_title(f"{sound.name} ({len(picture.events_s)} events)", fontsize=10)
    axes.figure.colorbar(mesh, ax=axes, label="dB", ticks=range(-round(SHOWN_DB), 1, 20), pad=0.01)


def _draw_spectrum(axes: Axes, picture: _Picture) -> None:
    import librosa

    middles = librosa.mel_frequencies(N_BANDS + 2, fmin=BANDS_HZ[0], fmax=BANDS_HZ[1])[1:-1]
    axes.plot(picture.spectrum, middles)
    _mel_axis(axes)
    axes.set_xlim(-SHOWN_DB, 3)
    axes.set_xlabel("dB")
    axes.grid(alpha=0.3)
    axes.set_title("long-term spectrum", fontsize=10)


def _mel_axis(axes: Axes) -> None:
    axes.set_yscale("symlog", linthresh=1000, base=2)
    axes.set_ylim(*BANDS_HZ)
    axes.set_yticks(FREQUENCIES_HZ, [f"{f:g}" for f in FREQUENCIES_HZ])
    axes.set_yticks([], minor=True)
