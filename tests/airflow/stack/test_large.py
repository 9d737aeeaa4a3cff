"""Many files and one large one in one folder, over two workers; batches that take equally long.

CHECKVALVE_LARGE=1: 10,000 files and 1 GiB.
"""

from __future__ import annotations

import os

from airflow_stack.stack import Stack

from airflow_scenarios import balanced, large

from .support import Processes

LARGE = os.environ.get("CHECKVALVE_LARGE") == "1"
COUNT = 10_000 if LARGE else 1_000
FILE_BYTES = 13_700
ONE_BYTES = 1 << 30 if LARGE else 64 << 20


def tasks_started(stack: Stack) -> list[int]:
    """How many tasks each living worker has begun so far, by its log."""
    return [
        worker.log.read_text(errors="replace").count("execute_workload[")
        for worker in stack.worker_processes
        if worker.running()
    ]


def test_a_folder_over_two_workers(stack: Stack, site: Processes) -> None:
    site.fill("large", COUNT, FILE_BYTES)
    with (stack.source_root / "large" / "one.bin").open("wb") as file:
        for number in range(ONE_BYTES >> 20):
            file.write(bytes([number & 255]) * (1 << 20))
    started = tasks_started(stack)
    large(site, COUNT + 1, ONE_BYTES)
    assert all(after > before for before, after in zip(started, tasks_started(stack), strict=True))


def test_batches_take_equally_long(site: Processes) -> None:
    balanced(site)
