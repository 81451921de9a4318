"""Builds the index of a sound bank: SoundNet's predictions for its superimpositions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
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
from deepmersion.hearing.mixes import count_superimpositions, superimpositions
from deepmersion.index.file import MAX_GAINS, Header, write_index
from deepmersion.index.journal import Journal
from deepmersion.labels import CLASSES
from deepmersion.matching.rule import MAX_SOUNDS
from deepmersion.sound.bank import SoundBank, open_bank
from deepmersion.torch_device import require_device

MAX_SUPERIMPOSITIONS = 100_000
"""More than this takes hours on a desktop computer, so it must be requested with max_layers."""


BATCH_SIZE = 128
"""Mixes that go through the network together: enough to make the work shared by all of them (see
`hearing.fast_soundnet`) a small part; an interrupted build loses only seconds."""


ROWS_AT_ONCE = 1024
"""Rows copied from the journal to the index at once: 6 MB."""


def build_index(
    output: Path | str,
    soundbank: Path | str | None = None,
    *,
    max_layers: int | None = None,
    resume: bool = False,
    device: str = "cpu",
    dask: str | None = None,
    settings: Settings | None = None,
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
        Maximum number of sounds in one mix; None for no limit. Only the rule of 2018 chooses mixes
        of more than `deepmersion.matching.rule.MAX_SOUNDS`.
    resume : bool
        Continue an interrupted build of the same index.
    device : str
        PyTorch device to run SoundNet on.
    dask : str or None
        Address of a dask.distributed scheduler, to run SoundNet on its workers.
    settings : Settings or None
        SoundNet's listening settings; None for those of the shipped index.
    on_progress : callable or None
        Called with the number of finished mixes and the total.
    on_fetch : callable or None
        Called with the progress of downloading SoundNet's weights, if necessary.

    Raises
    ------
    SoundBankError, RequestError, WeightsError, ClusterError, IndexFileError
        When the bank cannot be used or makes too many mixes, SoundNet's weights cannot be obtained,
        the cluster cannot be used, or the file cannot be written or is already being built.
    """
    output = Path(output)
    settings = settings or Settings()
    check_place(output, IndexFileError)
    real = real_path(output)
    partial = real.with_name(real.name + ".partial")
    check_place(partial, IndexFileError)
    bank = open_bank(soundbank)
    require_feasible(len(bank.sounds), max_layers)
    gains = superimpositions(len(bank.sounds), max_layers)
    if dask is None:
        require_device(device)
    else:
        _require_distributed()
    header = _header(bank, settings)
    sounds = heard_sounds(bank, header.sample_rate, settings.window_s)
    job = {**asdict(header), "created": "", "max_layers": max_layers}
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
        _fill(journal, hear_all, gains, on_progress)
        write_index(output, header, bank.names, gains, _rows(journal, len(gains)))
        journal.remove()
    return output


def require_feasible(n_sounds: int, max_layers: int | None = None) -> None:
    """Raise RequestError if there are more mixes than the request or an index allows."""
    n_entries = count_superimpositions(n_sounds, max_layers)
    asked_for = max_layers is not None
    if (n_entries > MAX_SUPERIMPOSITIONS and not asked_for) or n_entries * n_sounds > MAX_GAINS:
        raise _too_many(n_sounds, n_entries)


def _too_many(n_sounds: int, n_entries: int) -> RequestError:
    number = f"{n_entries:,}" if n_entries < 10**12 else f"some 10^{math.log10(n_entries):.0f}"
    enough = count_superimpositions(n_sounds, MAX_SOUNDS) <= MAX_SUPERIMPOSITIONS
    layers = MAX_SOUNDS if enough else 1
    fewer = f"--max-layers {layers} ({count_superimpositions(n_sounds, layers):,} mixes)"
    return RequestError(
        f"{n_sounds} sounds make {number} mixes; limit the number of sounds in a mix with {fewer}, "
        f"as `match` uses at most {MAX_SOUNDS}"
    )


def _header(bank: SoundBank, settings: Settings) -> Header:
    from deepmersion.hearing.soundnet import SAMPLE_RATE
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
    on_progress: OnShare | None,
) -> None:
    missing = np.flatnonzero(~journal.finished())
    n_finished = len(gains) - len(missing)
    if on_progress:
        on_progress(n_finished, len(gains))
    parts = (missing[start : start + BATCH_SIZE] for start in range(0, len(missing), BATCH_SIZE))
    for heard in hear_all(Block(rows, gains[rows]) for rows in parts):
        if not np.isfinite(heard.log_probs).all():
            raise IndexFileError(
                "SoundNet's predictions are not finite on this device; choose another --device"
            )
        for row, log_probs in zip(heard.rows, heard.log_probs, strict=True):
            journal.write(int(row), log_probs[None])
            n_finished += 1
            if on_progress:
                on_progress(n_finished, len(gains))


def _rows(journal: Journal, n_rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    n_objects = CLASSES["objects"]
    for start in range(0, n_rows, ROWS_AT_ONCE):
        rows = journal.read(start, min(start + ROWS_AT_ONCE, n_rows))
        yield rows[:, :n_objects], rows[:, n_objects:]
