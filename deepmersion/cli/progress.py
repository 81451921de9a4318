"""Shows progress: a bar on a terminal, else one line at the end."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from deepmersion.callbacks import OnProgress
from deepmersion.cli.say import note


@contextmanager
def progress_bar(description: str, unit: str, *, unit_scale: bool = False) -> Iterator[OnProgress]:
    """Show progress, rate and remaining time on standard error.

    If standard error is not a terminal, one line is printed at the end unless the work failed.
    Nothing is shown if no progress was reported.

    Parameters
    ----------
    description : str
        The activity, in a word or two.
    unit : str
        The unit of progress, such as ``B`` or ``mix``.
    unit_scale : bool
        Whether large counts are shown as k, M, G.

    Yields
    ------
    callable
        To be called with the amount done and the total, None if unknown. The first call sets the
        start: earlier work does not count towards the rate.
    """
    # It may have been closed when the program was started.
    show = _bar if sys.stderr is not None and sys.stderr.isatty() else _last_line
    with show(description, unit, unit_scale) as on_progress:
        yield on_progress


@contextmanager
def _bar(description: str, unit: str, unit_scale: bool) -> Iterator[OnProgress]:
    from tqdm import tqdm

    bar: tqdm[None] | None = None

    def update(done: int, total: int | None) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(
                desc=description,
                unit=unit,
                unit_scale=unit_scale,
                total=total,
                initial=done,
                file=sys.stderr,
                # By default, tqdm shows nothing on terminals that do not report their size.
                ncols=shutil.get_terminal_size().columns,
                nrows=shutil.get_terminal_size().lines,
            )
        elif done < bar.n:  # begun again from an earlier point
            bar.reset(total)
            bar.initial = bar.n = done
        else:
            bar.total = total
            bar.update(done - bar.n)

    try:
        yield update
    finally:
        if bar is not None:
            bar.close()


@contextmanager
def _last_line(description: str, unit: str, unit_scale: bool) -> Iterator[OnProgress]:
    start = time.monotonic()
    latest: int | None = None

    def update(done: int, total: int | None) -> None:  # noqa: ARG001
        nonlocal latest
        latest = done

    yield update
    if latest is not None:
        from tqdm import tqdm

        amount = tqdm.format_sizeof(latest) if unit_scale else f"{latest} "
        seconds = time.monotonic() - start
        note(f"{description}: {amount}{unit} in {seconds:.0f} s")
