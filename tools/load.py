"""Load-test the page's server: many uploads at once, all of which must be answered.

    python tools/load.py photo.jpg [photo.jpg ...] --uploads 100 --clients 20

Starts the installed command on this machine and lets clients post photos to it. A client that gets
a 503 retries after the time in Retry-After. The report has the time of an upload from the first try
to its record, the number of 503 responses, and the server's memory.
"""

from __future__ import annotations

import argparse
import http.client
import re
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

COMMAND = Path(sysconfig.get_path("scripts")) / "deepmersion"

TIMEOUT_S = 120
"""Timeout of a request; a client that waits longer counts as lost."""

MAX_TRIES = 200


@dataclass
class Report:
    """Outcome of the uploads.

    Attributes
    ----------
    took_s : list of float
        Time from each upload's first try to its record, in seconds.
    n_busy : int
        Number of 503 responses.
    lost : list of str
        Errors of uploads without a proper response.
    memory_before_mib, memory_peak_mib : float
        Resident memory of the server once ready, and at its peak.
    """

    took_s: list[float] = field(default_factory=list)
    n_busy: int = 0
    lost: list[str] = field(default_factory=list)
    memory_before_mib: float = 0.0
    memory_peak_mib: float = 0.0

    def __str__(self) -> str:
        median, slow = np.percentile(self.took_s, [50, 95]) if self.took_s else (np.nan, np.nan)
        return (
            f"{len(self.took_s)} answered, {len(self.lost)} lost, {self.n_busy} times "
            f"busy; median {median:.2f} s, 95th percentile {slow:.2f} s; memory "
            f"{self.memory_before_mib:.0f} MiB, at most {self.memory_peak_mib:.0f} MiB"
        )


def load(photos: Sequence[Path], n_uploads: int, n_clients: int) -> Report:
    """Start a server, send uploads from several clients at once, and report.

    Parameters
    ----------
    photos : sequence of Path
        Sent in turn.
    n_uploads, n_clients : int
        Total number of uploads, and of clients that share them.
    """
    contents = [photo.read_bytes() for photo in photos]
    report = Report()
    process = subprocess.Popen(
        [COMMAND, "serve", "--port", "0", "--networks", "lite"], stderr=subprocess.PIPE, text=True
    )
    try:
        port = _port(process)
        report.memory_before_mib = _memory_mib(process, "VmRSS")
        left = iter(range(n_uploads))
        lock = threading.Lock()
        clients = [
            threading.Thread(target=_client, args=(port, contents, left, lock, report))
            for _ in range(n_clients)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        report.memory_peak_mib = _memory_mib(process, "VmHWM")
    finally:
        process.terminate()
        process.communicate()
    return report


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
            return int(found[1])
    raise SystemExit("the server did not start")


def _memory_mib(process: subprocess.Popen[str], name: str) -> float:
    """Return a memory figure of a process from Linux; NaN on other systems."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text("ascii")
    except OSError:
        return float("nan")
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


def _client(
    port: int, contents: list[bytes], left: Iterator[int], lock: threading.Lock, report: Report
) -> None:
    """Process the remaining uploads until none is left."""
    while True:
        with lock:
            number = next(left, None)
        if number is None:
            return
        start = time.perf_counter()
        n_busy, failure = _upload(port, contents[number % len(contents)])
        with lock:
            report.n_busy += n_busy
            if failure:
                report.lost.append(failure)
            else:
                report.took_s.append(time.perf_counter() - start)


def _upload(port: int, photo: bytes) -> tuple[int, str]:
    """Post a photo until it is accepted; return the number of 503 responses, and any error."""
    for n_busy in range(MAX_TRIES):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", "/api/match", photo, {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return n_busy, repr(error)
        finally:
            connection.close()
        if answer.status == 200:
            return n_busy, ""
        if answer.status != 503:
            return n_busy, f"{answer.status} {body!r}"
        time.sleep(float(answer.headers["Retry-After"]))
    return MAX_TRIES, "busy too often"


def main() -> None:
    """Parse the command line and print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--uploads", type=int, default=100)
    parser.add_argument("--clients", type=int, default=20)
    options = parser.parse_args()
    report = load(options.photos, options.uploads, options.clients)
    print(report)
    for lost in report.lost:
        print(lost, file=sys.stderr)
    sys.exit(bool(report.lost))


if __name__ == "__main__":
    main()
