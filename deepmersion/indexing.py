"""Builds the index of a sound bank: SoundNet's predictions for its superimpositions."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from deepmersion.callbacks import OnProgress, OnShare
from deepmersion.errors import ClusterError, IndexFileError, RequestError
from deepmersion.files import check_place, real_path
from deepmersion.hearing.listener import (
    Block,
    Heard,
    Listener,
    Settings,
    heard_sounds,
    load_soundnet,
)
from deepmersion.hearing.mixes import (
    MAX_PAIRED_SOUNDS,
    count_superimpositions,
    neighbours,
    superimpositions,
)
from deepmersion.hearing.rate import SAMPLE_RATE
from deepmersion.index.file import MAX_GAINS, Header, index_bytes, write_index
from deepmersion.index.journal import Journal
from deepmersion.labels import CLASSES
from deepmersion.matching.rule import MAX_SOUNDS
from deepmersion.sound.bank import SoundBank, open_bank
from deepmersion.torch_device import require_device

MIX_CORE_S = 0.1
"""Time that a core takes for a minute of a mix, in seconds (docs/scale.md), for an estimate."""

BATCH_SIZE = 128
"""Mixes heard in one go on a processor: an interrupted build loses only seconds."""

DEVICE_BATCH_SIZE = 4096
"""The same on other devices, which return them together: 23 MB, in a third of a second on a fast
GPU."""

ROWS_AT_ONCE = 1024
"""Rows copied from the journal to the index at once: 6 MB."""


@dataclass(frozen=True)
class Plan:
    """What a build is going to make.

    Attributes
    ----------
    n_mixes : int
    layers : int
        The most sounds in a mix.
    n_bytes : int
        Size of the index.
    seconds : float or None
        About how long SoundNet takes; None where that is not known beforehand.
    """

    n_mixes: int
    layers: int
    n_bytes: int
    seconds: float | None


def build_index(
    output: Path | str,
    soundbank: Path | str | None = None,
    *,
    max_layers: int | None = None,
    resume: bool = False,
    device: str = "cpu",
    dask: str | None = None,
    settings: Settings | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_progress: OnShare | None = None,
    on_fetch: OnProgress | None = None,
) -> Path:
    """Build the index of a sound bank and return its path.

    Parameters
    ----------
    output : Path or str
        The HDF5 file to write. Until it is complete, finished rows are kept beside it in
        ``OUTPUT.partial``.
    soundbank : Path, str or None
        Folder of base sounds; None for the shipped ones.
    max_layers : int or None
        Maximum number of sounds in one mix, 0 for no limit. By default as many as `match` chooses
        (`matching.rule.MAX_SOUNDS`), and 1 for more than `mixes.MAX_PAIRED_SOUNDS`. Only the rule
        of 2018 chooses larger mixes.
    resume : bool
        Continue an interrupted build of the same index.
    device : str
        PyTorch device to run SoundNet on.
    dask : str or None
        Address of a dask.distributed scheduler, to run SoundNet on its workers.
    settings : Settings or None
        SoundNet's listening settings; None for those of the shipped index.
    on_plan : callable or None
        Called once, before SoundNet is loaded, with what is going to be made.
    on_progress : callable or None
        Called with the number of finished mixes and the total.
    on_fetch : callable or None
        Called with the progress of downloading SoundNet's weights, if necessary.

    Raises
    ------
    SoundBankError, RequestError, WeightsError, ClusterError, IndexFileError
        When the bank cannot be used or makes more mixes than an index holds, SoundNet's weights
        cannot be obtained, the device has too little memory, the cluster cannot be used, or the
        file cannot be written or is already being built.
    """
    output = Path(output)
    settings = settings or Settings()
    check_place(output, IndexFileError)
    real = real_path(output)
    partial = real.with_name(real.name + ".partial")
    check_place(partial, IndexFileError)
    bank = open_bank(soundbank)
    layers = layers_for(len(bank.sounds), max_layers)
    require_feasible(len(bank.sounds), layers)
    gains = superimpositions(len(bank.sounds), layers)
    if dask is None:
        require_device(device)
    else:
        _require_distributed()
    header = _header(bank, settings)
    if on_plan:
        on_plan(_plan(gains, layers, settings, on_processor=dask is None and device == "cpu"))
    sounds = heard_sounds(bank, header.sample_rate, settings.window_s)
    job = {**asdict(header), "created": "", "max_layers": layers}
    with ExitStack() as resources:
        if dask is None:
            network = load_soundnet(device, on_fetch)
            hear_all = Listener(network, sounds, settings.level_rms).hear_all
        else:
            from deepmersion.hearing.cluster import connected

            cluster = connected(dask, sounds, settings.level_rms, device)
            hear_all = resources.enter_context(cluster).hear_all
        n_columns = sum(CLASSES.values())
        journal = Journal(partial, job, len(gains), n_columns, resume=resume)
        resources.enter_context(journal)
        _fill(journal, hear_all, gains, device, on_progress)
        write_index(output, header, bank.names, gains, _rows(journal, len(gains)))
        journal.remove()
    return output


def _plan(gains: np.ndarray, layers: int, settings: Settings, *, on_processor: bool) -> Plan:
    n_mixes, n_sounds = gains.shape
    seconds = n_mixes * MIX_CORE_S * settings.window_s / 60 / (os.cpu_count() or 1)
    n_bytes = index_bytes(n_mixes, n_sounds)
    return Plan(n_mixes, layers, n_bytes, seconds if on_processor else None)


def layers_for(n_sounds: int, max_layers: int | None = None) -> int:
    """Return the most sounds in a mix of an index, as `build_index` decides it.

    Raises
    ------
    RequestError
        When `max_layers` is negative.
    """
    if max_layers is None:
        max_layers = MAX_SOUNDS if n_sounds <= MAX_PAIRED_SOUNDS else 1
    if max_layers < 0:
        raise RequestError("the most sounds in a mix (--max-layers) must be 0, for all, or more")
    return min(max_layers or n_sounds, n_sounds)


def require_feasible(n_sounds: int, layers: int) -> None:
    """Raise RequestError if there are more mixes than an index holds."""
    if _fits(n_sounds, layers):
        return
    n_entries = count_superimpositions(n_sounds, layers)
    number = f"{n_entries:,}" if n_entries < 10**12 else f"some 10^{math.log10(n_entries):.0f}"
    fewer = next((n for n in (MAX_SOUNDS, 1) if _fits(n_sounds, n)), None)
    advice = (
        "use fewer sounds"
        if fewer is None
        else f"limit the number of sounds in a mix with --max-layers {fewer} "
        f"({count_superimpositions(n_sounds, fewer):,} mixes), as `match` uses at most {MAX_SOUNDS}"
    )
    raise RequestError(f"{n_sounds} sounds make {number} mixes, more than an index holds; {advice}")


def _fits(n_sounds: int, layers: int) -> bool:
    return count_superimpositions(n_sounds, layers) * n_sounds <= MAX_GAINS


def _header(bank: SoundBank, settings: Settings) -> Header:
    from deepmersion.weights.store import SOUNDNET_SHA256

    return Header(
        soundnet=SOUNDNET_SHA256,
        soundbank=bank.fingerprint,
        sample_rate=SAMPLE_RATE,
        window_s=settings.window_s,
        level_rms=settings.level_rms,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _require_distributed() -> None:
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise ClusterError(
            f"--dask needs dask.distributed, which is not installed ({error}); install it with: "
            "pip install 'deepmersion[distributed]'"
        ) from error


def _fill(
    journal: Journal,
    hear_all: Callable[[Iterable[Block]], Iterable[Heard]],
    gains: np.ndarray,
    device: str,
    on_progress: OnShare | None,
) -> None:
    order = neighbours(gains)
    missing = order[~journal.finished()[order]]
    n_finished = len(gains) - len(missing)
    if on_progress:
        on_progress(n_finished, len(gains))
    n = BATCH_SIZE if device == "cpu" else DEVICE_BATCH_SIZE
    parts = (missing[start : start + n] for start in range(0, len(missing), n))
    for heard in hear_all(Block(rows, gains[rows]) for rows in parts):
        if not np.isfinite(heard.log_probs).all():
            raise IndexFileError(
                "SoundNet's predictions are not finite on this device; choose another --device"
            )
        for run in np.split(
            np.arange(len(heard.rows)), np.flatnonzero(np.diff(heard.rows) != 1) + 1
        ):
            journal.write(int(heard.rows[run[0]]), heard.log_probs[run])
            for _ in run:
                n_finished += 1
                if on_progress:
                    on_progress(n_finished, len(gains))


def _rows(journal: Journal, n_rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    n_objects = CLASSES["objects"]
    for start in range(0, n_rows, ROWS_AT_ONCE):
        rows = journal.read(start, min(start + ROWS_AT_ONCE, n_rows))
        yield rows[:, :n_objects], rows[:, n_objects:]
