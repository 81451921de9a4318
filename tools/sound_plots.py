"""Plots rendered sounds next to real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import librosa
import librosa.display
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from sound_measures import BANDS_HZ, MODULATIONS_HZ
from sound_profiles import Profile

from deepmersion.sound.recording import SAMPLE_RATE

DPI = 80
RENDERED, REAL = "tab:blue", "tab:orange"

SHOWN_S = 20.0
"""Length of a sound shown in a spectrogram."""

N_ROWS = 96
HIGHEST_HZ = 16_000.0
"""Mel bands of a spectrogram, and their upper limit."""

N_COLOURS = 24


def plot_spectra(path: Path, rendered: dict[str, Profile], real: dict[str, list[Profile]]) -> None:
    """Draw the third-octave spectra of rendered and real sounds."""

    def draw(axes: Axes, name: str) -> None:
        _curves(axes, BANDS_HZ, rendered[name].bands_db, [p.bands_db for p in real[name]])
        axes.set_xlim(40, 16_000)
        axes.set_ylim(-60, 0)

    _grid(path, list(real), draw, "Hz", "dB against the whole")


def plot_modulation(
    path: Path, rendered: dict[str, Profile], real: dict[str, list[Profile]]
) -> None:
    """Draw the modulation spectra of rendered and real sounds."""

    def draw(axes: Axes, name: str) -> None:
        courses = [p.modulation_db for p in real[name]]
        _curves(axes, MODULATIONS_HZ * 2**0.5, rendered[name].modulation_db, courses)
        axes.set_xlim(0.15, 50)
        axes.set_ylim(-40, 3)

    _grid(path, list(real), draw, "modulation, Hz", "dB against the mean")


def _curves(axes: Axes, x: np.ndarray, rendered: np.ndarray, real: list[np.ndarray]) -> None:
    if len(real) > 1:
        low, high = np.percentile(real[1:], [10, 90], axis=0)
        axes.fill_between(x, low, high, color=REAL, alpha=0.25, label="ESC-10, 10 to 90 %")
    axes.plot(x, real[0], color=REAL, label="Blanket's recording")
    axes.plot(x, rendered, color=RENDERED, label="rendered")
    axes.set_xscale("log")
    axes.grid(alpha=0.3)


def _grid(
    path: Path, names: list[str], draw: Callable[[Axes, str], None], x_label: str, y_label: str
) -> None:
    figure = Figure(figsize=(13, 6))
    grid = figure.subplots(2, -(-len(names) // 2), sharex=True, sharey=True, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        draw(axes, name)
        axes.set_title(name)
    for axes in grid[1]:
        axes.set_xlabel(x_label)
    for axes in grid[:, 0]:
        axes.set_ylabel(y_label)
    most = max(grid.flat, key=lambda axes: len(axes.get_legend_handles_labels()[0]))
    figure.legend(*most.get_legend_handles_labels(), loc="lower center", ncols=3, frameon=False)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(path, dpi=DPI)


def plot_spectrograms(
    path: Path, rendered: dict[str, np.ndarray], real: dict[str, np.ndarray]
) -> None:
    """Draw spectrograms of the sounds' beginnings, next to real ones if there are any."""
    figure = Figure(figsize=(10, 1.5 * len(rendered)))
    grid = figure.subplots(len(rendered), 2, sharex=True)
    for row, (name, x) in zip(grid, rendered.items(), strict=True):
        _spectrogram(row[0], x, f"{name}, rendered")
        if name in real:
            _spectrogram(row[1], real[name], f"{name}, Blanket's recording")
        else:
            row[1].set_axis_off()
    for axes in grid[-1]:
        axes.set_xlabel("s")
    figure.tight_layout()
    figure.savefig(path, dpi=DPI)
    # Noise hardly compresses; few colours reduce it to a third.
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(N_COLOURS)
    few.save(path, optimize=True)


def _spectrogram(axes: Axes, x: np.ndarray, title: str) -> None:
    part = x[: round(SHOWN_S * SAMPLE_RATE)].mean(axis=1)
    power = librosa.feature.melspectrogram(y=part, sr=SAMPLE_RATE, n_mels=N_ROWS, fmax=HIGHEST_HZ)
    librosa.display.specshow(
        librosa.power_to_db(power, ref=np.max, top_db=50),
        ax=axes,
        sr=SAMPLE_RATE,
        x_axis="s",
        y_axis="mel",
        fmax=HIGHEST_HZ,
    )
    axes.set(title=title, xlabel="", ylabel="Hz")
    axes.title.set_fontsize(9)
