"""One run of one command: wall time, CPU time, peak memory."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LIMIT_SECONDS = 1800


class RunError(Exception):
    """A tool failed, took too long, or did not do what it was asked for."""


@dataclass(frozen=True)
class Measurement:
    seconds: float
    cpu_seconds: float  # user and system, of the command and what it waited for
    peak_bytes: int  # resident, of its largest process


def measure(argv: Sequence[str], env: Mapping[str, str]) -> Measurement:
    """Runs the command to its end. GNU time starts it: the peak memory that Linux reports for a child
    includes what the child had before exec, and for a child of GNU time that is next to nothing."""
    with tempfile.TemporaryDirectory() as directory:
        usage = Path(directory) / "time"
        output = Path(directory) / "output"
        with output.open("wb") as out:
            start = time.perf_counter()
            run = subprocess.Popen(
                ["/usr/bin/time", "-q", "-f", "%U %S %M", "-o", str(usage), *argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **env},
                start_new_session=True,
            )
            # Popen.wait(timeout) looks only every 50 ms, which is 10% of the shortest runs: the clock kills instead.
            overdue = threading.Timer(LIMIT_SECONDS, os.killpg, (run.pid, signal.SIGKILL))
            overdue.start()
            try:
                code = run.wait()
            except BaseException:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()
                raise
            finally:
                overdue.cancel()
            seconds = time.perf_counter() - start
        if code != 0:
            tail = output.read_text(errors="replace")[-1500:]
            raise RunError(f"exit code {code} of {' '.join(argv)[:300]}\n{tail}")
        user, system, peak_kib = usage.read_text().split()
        return Measurement(seconds, float(user) + float(system), int(peak_kib) * 1024)
