"""Many files and one large one in one folder, over two workers. CHECKVALVE_LARGE=1: 10,000 files and 1 GiB."""

from __future__ import annotations

import os
from statistics import mean

from airflow_stack.client import AirflowClient
from airflow_stack.stack import Stack

from .support import fill, tree

LARGE = os.environ.get("CHECKVALVE_LARGE") == "1"
COUNT = 10_000 if LARGE else 1_000
FILE_BYTES = 13_700
ONE_BYTES = 1 << 30 if LARGE else 64 << 20
MEMORY_BYTES = 96 << 20
MOST_TASKS = 16
FILE_COST_BYTES = 64 << 10  # what the planner counts for a file beside its bytes
UNEVEN = 1.2


def cost(files: int, size_bytes: int) -> int:
    return size_bytes + files * FILE_COST_BYTES


def over_two_workers(costs: list[int]) -> tuple[int, int]:
    """What each of two workers gets if the free one takes the largest batch that is left: the smaller sum first."""
    loads = [0, 0]
    for item in sorted(costs, reverse=True):
        loads[loads.index(min(loads))] += item
    return min(loads), max(loads)


def tasks_started(stack: Stack) -> list[int]:
    """How many tasks each living worker has begun so far, by its log."""
    return [
        worker.log.read_text(errors="replace").count("execute_workload[")
        for worker in stack.worker_processes
        if worker.running()
    ]


def test_a_folder_over_two_workers(stack: Stack, client: AirflowClient) -> None:
    source = stack.source_root / "large"
    fill(source, COUNT, FILE_BYTES)
    with (source / "one.bin").open("wb") as file:
        for number in range(ONE_BYTES >> 20):
            file.write(bytes([number & 255]) * (1 << 20))
    started = tasks_started(stack)
    run_id = client.trigger("large", conf={"folder": "large"})
    assert client.wait_for_run("large", run_id, 280) == "success"
    assert tree(stack.target_root / "large") == tree(source)
    copies = [item for item in client.tasks("large", run_id) if item["task_id"] == "copy.copy"]
    assert 2 <= len(copies) <= MOST_TASKS
    assert all(after > before for before, after in zip(started, tasks_started(stack), strict=True))
    reports = [item for item in client.xcoms("large", run_id) if item["key"] == "checkvalve_report"]
    copied = [item["value"] for item in reports if item["task_id"] == "copy.copy"]
    assert sum(item["files_copied"] for item in copied) == COUNT + 1
    assert max(item["peak_rss_bytes"] for item in copied) < MEMORY_BYTES
    references = client.xcom("large", run_id, "copy.plan", "return_value")["value"]
    assert len(str(references)) < 120 * len(references)

    one_file = cost(1, ONE_BYTES)  # can't be cut
    costs = [cost(item["files"], item["bytes"]) for item in references]
    assert max(costs) <= max(UNEVEN * mean(costs), one_file)
    without_it = [item for item in costs if item < one_file]
    assert not without_it or max(without_it) <= UNEVEN * min(without_it)
    least, most = over_two_workers(costs)
    assert most <= max(UNEVEN * least, one_file)
