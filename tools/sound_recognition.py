"""Classifies rendered sounds by a classifier trained on real recordings.

A linear SVM on the features of SoundNet's layer pool5, as in `esc10`, trained on real sounds alone:
the clips of ESC-10 and crops of Blanket's recordings. Everything is cut to five seconds and
normalised to one level, which makes loudness uninformative.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from esc10 import clips, linear_svm, mono, read_archive

from deepmersion.hearing.listener import LEVEL_RMS
from deepmersion.hearing.soundnet import SAMPLE_RATE, SoundNet, pool5_features

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

ESC_KINDS = {"rain": "rain", "sea-waves": "waves", "fire-crackling": "fire"}
"""ESC-10's kinds that correspond to a base sound; the others keep their names, and are what a
rendered sound could be mistaken for."""

RECORDING_KINDS = {
    "birds": "birds",
    "city": "city",
    "coffee-shop": "people",
    "fireplace": "fire",
    "rain": "rain",
    "storm": "thunder",
    "summer-night": "crickets",
    "train": "train",
    "waves": "waves",
    "wind": "wind",
}
"""The same for Blanket's recordings; the boat keeps its name."""

RECOGNISED = tuple(sorted(RECORDING_KINDS.values()))
"""Base sounds with recordings to train on; the others have none."""

CROP_S = 5.0
TRAINING_HOP_S, TESTING_HOP_S = 1.0, 2.5
"""Steps between crops. Some recordings last only 15 s, so their crops overlap."""

BATCH = 16


def crops(waveform: np.ndarray, hop_s: float) -> np.ndarray:
    """Return a waveform [samples] at 22,050 Hz cut into crops [crops, samples] of one level."""
    size, hop = (round(s * SAMPLE_RATE) for s in (CROP_S, hop_s))
    starts = range(0, max(1, len(waveform) - size + 1), hop)
    cut = np.stack([np.resize(waveform[start : start + size], size) for start in starts])
    rms = np.sqrt(np.mean(cut**2, axis=1, keepdims=True))
    return np.asarray(cut / np.maximum(rms, 1e-9) * LEVEL_RMS)


def features(network: SoundNet, waveform: np.ndarray, hop_s: float) -> np.ndarray:
    """Return the pool5 features [crops, 512] of a waveform's crops."""
    cut = crops(waveform, hop_s)
    batches = np.array_split(cut, -(-len(cut) // BATCH))
    return np.concatenate([pool5_features(network, batch) for batch in batches])


def train(network: SoundNet, recordings: Path, esc10: Path) -> Pipeline:
    """Return the classifier, fitted to both archives; all kinds have equal weight."""
    rows, kinds = [], []
    real = [(ESC_KINDS.get(kind, kind), waveform) for kind, _, waveform in clips(esc10)]
    for path, samples, rate in read_archive(recordings):
        real.append((RECORDING_KINDS.get(path.stem, path.stem), mono(samples, rate)))
    for kind, waveform in real:
        found = features(network, waveform, TRAINING_HOP_S)
        rows.append(found)
        kinds += [kind] * len(found)
    return linear_svm(class_weight="balanced").fit(np.concatenate(rows), np.array(kinds))


def recognise(network: SoundNet, svm: Pipeline, samples: np.ndarray, rate: int) -> Counter[str]:
    """Return the classifier's names for the crops of a sound [samples, channels]."""
    found = features(network, mono(samples, rate), TESTING_HOP_S)
    return Counter(str(kind) for kind in svm.predict(found))
