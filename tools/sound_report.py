"""Judge the base sounds: compare them with recordings and measure their loops.

    python tools/sound_report.py recordings.tar esc10.tar

The first archive holds Blanket's recordings (NAME.ogg), the second ESC-10 (KIND/FOLD-CLIP.ogg).
Updates the tables in docs/sound.md and the plots in docs/sound/, and returns 1 if a sound fails a
requirement.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "soundbank"))

import sound_tables  # noqa: E402
from esc10 import read_archive  # noqa: E402
from sound_measures import (  # noqa: E402
    click_ratio,
    loneliest_event_db,
    tonal_peak_db,
)
from sound_plots import plot_modulation, plot_spectra, plot_spectrograms  # noqa: E402
from sound_profiles import profile, read_sound, real_sounds  # noqa: E402
from sound_recognition import RECOGNISED, RECORDING_KINDS, recognise, train  # noqa: E402

from deepmersion.hearing.listener import LEVEL_RMS, WINDOW_S, Listener, heard_sounds  # noqa: E402
from deepmersion.hearing.soundnet import SAMPLE_RATE as SOUNDNET_RATE  # noqa: E402
from deepmersion.hearing.soundnet import SoundNet  # noqa: E402
from deepmersion.labels import soundnet_scene_labels  # noqa: E402
from deepmersion.sound.bank import SoundBank, open_bank  # noqa: E402
from deepmersion.sound.loudness import true_peak_db  # noqa: E402
from deepmersion.sound.recording import SAMPLE_RATE  # noqa: E402
from deepmersion.sound.seam import measure_seam  # noqa: E402
from deepmersion.weights.store import ensure_soundnet  # noqa: E402
from render import MAX_SEAM_RANK, PEAK_DBTP  # noqa: E402

RECOGNISED_SHARE = 0.9
HIGHEST_DC_DBFS = -80.0
"""A mean this low is below the rounding of 16-bit players."""

NOISES = ("fire", "rain", "stream", "train", "waves", "white-noise", "wind")
HIGHEST_TONE_DB = 6.0
"""In these sounds, a line further above its surroundings would be heard as a tone. Thunder is left
out: ten strikes are too few for a smooth long-term spectrum."""

LONELIEST_DB = 10.0
"""A moment further above the third loudest would be recognised in every round of the loop."""

N_SCENES = 5

Loops = dict[str, dict[str, float]]


def measure_loops(sounds: dict[str, np.ndarray]) -> Loops:
    """Return the loop table: measures by sound and column."""
    rows = {}
    for name, x in sounds.items():
        seam = measure_seam(x, SAMPLE_RATE)
        rows[name] = {
            "length, s": len(x) / SAMPLE_RATE,
            "flux at the seam, percentile": 100 * seam.flux_rank,
            "level step, percentile": 100 * seam.step_rank,
            "click": click_ratio(x),
            "mean, dBFS": 20 * np.log10(np.abs(x.mean(axis=0)).max() + 1e-12),
            "true peak, dBTP": true_peak_db(x.astype(np.float32)),
            "highest line, dB": tonal_peak_db(x),
            "loneliest moment, dB": loneliest_event_db(x),
        }
    return rows


def failures(loops: Loops, calls: dict[str, Counter[str]]) -> list[str]:
    """Return the requirements that fail, one sentence each."""
    found = []
    for name, called in calls.items():
        if called[name] < RECOGNISED_SHARE * sum(called.values()):
            found.append(f"{name} is recognised in {called[name]} of {sum(called.values())} crops")
    limits = {
        "flux at the seam, percentile": 100 * MAX_SEAM_RANK,
        "level step, percentile": 100 * MAX_SEAM_RANK,
        "click": 1.0,
        "mean, dBFS": HIGHEST_DC_DBFS,
        "true peak, dBTP": PEAK_DBTP,
        "loneliest moment, dB": LONELIEST_DB,
    }
    for name, row in loops.items():
        tone = {"highest line, dB": HIGHEST_TONE_DB} if name in NOISES else {}
        for column, limit in {**limits, **tone}.items():
            if row[column] > limit:
                found.append(f"{name}: {column} is {row[column]:.1f}, more than {limit:g}")
    return found


def hear(network: SoundNet, bank: SoundBank) -> dict[str, str]:
    """Return SoundNet's most probable scenes for each sound of a bank, as in the index."""
    labels = soundnet_scene_labels()
    sounds = heard_sounds(bank, SOUNDNET_RATE, WINDOW_S)
    listener = Listener(network, sounds, LEVEL_RMS)
    predicted = listener.hear(np.eye(len(bank.sounds), dtype=np.float32))
    probs = np.exp(predicted[:, -len(labels) :])
    return {
        name: ", ".join(f"{labels[i]} {row[i]:.2f}" for i in np.argsort(-row)[:N_SCENES])
        for name, row in zip(bank.names, probs, strict=True)
    }


def hear_both(network: SoundNet, bank: SoundBank, recordings: Path) -> dict[str, tuple[str, str]]:
    """Return SoundNet's scenes for each sound, and for Blanket's recording of the same."""
    with tempfile.TemporaryDirectory() as folder:
        import soundfile

        for path, samples, rate in read_archive(recordings):
            if path.stem in RECORDING_KINDS:
                name = RECORDING_KINDS[path.stem]
                soundfile.write(Path(folder) / f"{name}.flac", samples, rate, subtype="PCM_24")
        real = hear(network, open_bank(folder))
    return {name: (scenes, real.get(name, "")) for name, scenes in hear(network, bank).items()}


def report(bank: SoundBank, recordings: Path, esc10: Path, docs: Path) -> list[str]:
    """Update the tables and plots in a documentation folder; return the failures."""
    sounds = {sound.name: read_sound(sound.path) for sound in bank.sounds}
    real = real_sounds(recordings, esc10)
    rendered = {name: profile(x) for name, x in sounds.items()}
    profiles = {name: [profile(x) for x in several] for name, several in real.items()}
    plots = docs / "sound"
    plots.mkdir(parents=True, exist_ok=True)
    plot_spectra(plots / "spectra.png", rendered, profiles)
    plot_modulation(plots / "modulation.png", rendered, profiles)
    firsts = {name: several[0] for name, several in real.items()}
    plot_spectrograms(plots / "spectrograms.png", sounds, firsts)
    network = SoundNet.load(ensure_soundnet())
    svm = train(network, recordings, esc10)
    calls = {name: recognise(network, svm, sounds[name], SAMPLE_RATE) for name in RECOGNISED}
    loops = measure_loops(sounds)
    tables = {
        "comparison": sound_tables.comparison(rendered, profiles),
        "recognition": sound_tables.recognition(calls),
        "scenes": sound_tables.scenes(hear_both(network, bank, recordings)),
        "loops": sound_tables.loops(loops),
    }
    sound_tables.replace_tables(docs / "sound.md", tables)
    return failures(loops, calls)


def main() -> int:
    """Write the report; print what fails and return 1 if anything does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path, help="Blanket's recordings as a tar archive")
    parser.add_argument("esc10", type=Path, help="ESC-10 as a tar archive")
    parser.add_argument("--soundbank", type=Path, help="default: the one that is shipped")
    parser.add_argument("--docs", type=Path, default=HERE.parent / "docs", help="where sound.md is")
    arguments = parser.parse_args()
    bank = open_bank(arguments.soundbank)
    found = report(bank, arguments.recordings, arguments.esc10, arguments.docs)
    print("\n".join(found) or "Every sound is as good as it has to be.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
