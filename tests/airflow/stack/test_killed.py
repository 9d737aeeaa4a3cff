"""Whatever is killed in the middle of a batch: the task is tried again, nothing is torn, and nobody goes on unseen."""

from __future__ import annotations

import os
import signal

import pytest
from airflow_stack.client import AirflowClient, wait_for
from airflow_stack.stack import Stack

from servers.process import alive, descendants, send

from .support import engines, fill, parent, partials, published, tree

COUNT = 30
SIZE_BYTES = 300_000
COPY = "copy.copy"


def start(stack: Stack, client: AirflowClient, folder: str) -> str:
    """Starts a slow copy in two batches and waits until some files have arrived."""
    fill(stack.source_root / folder, COUNT, SIZE_BYTES)
    run_id = client.trigger("slow", conf={"folder": folder})
    target = stack.target_root / folder
    wait_for(lambda: engines(stack) and len(published(target)) >= 2, 60, "files to arrive")
    return run_id


def check_done(stack: Stack, client: AirflowClient, folder: str, run_id: str, before: dict[str, int]) -> None:
    assert client.wait_for_run("slow", run_id, 180) == "success"
    source, target = stack.source_root / folder, stack.target_root / folder
    assert tree(target) == tree(source)
    after = published(target)
    assert {path: after[path] for path in before} == before, "files that had arrived were copied again"
    assert partials(target) == []


@pytest.mark.parametrize("victim", ["engine", "task", "supervisor"])
def test_sigkill_of_one_process(stack: Stack, client: AirflowClient, victim: str) -> None:
    folder = f"killed-{victim}"
    run_id = start(stack, client, folder)
    engine = engines(stack)[0]
    task = parent(engine[0])
    # Celery's pool child supervises the task.
    pid = {"engine": engine[0], "task": task, "supervisor": parent(task)}[victim]
    before = published(stack.target_root / folder)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(engine), 10, "the engine of the killed task to end")
    check_done(stack, client, folder, run_id, before)
    tries = [item["try_number"] for item in client.tasks("slow", run_id) if item["task_id"] == COPY]
    assert max(tries) > 1


def test_sigkill_of_a_whole_worker(stack: Stack, client: AirflowClient) -> None:
    """As if its machine had gone: the heartbeat stops, and the other worker takes over."""
    folder = "killed-worker"
    run_id = start(stack, client, folder)
    engine = engines(stack)[0]
    worker = next(child for child in stack.worker_processes if child.running() and engine in descendants(child.pid))
    before = published(stack.target_root / folder)
    processes = descendants(worker.pid)
    worker.popen.kill()
    send(processes, signal.SIGKILL)
    worker.popen.wait()
    stack.start_worker()
    check_done(stack, client, folder, run_id, before)
    tries = [item["try_number"] for item in client.tasks("slow", run_id) if item["task_id"] == COPY]
    assert max(tries) > 1


def test_mark_failed_and_clear_stop_the_engine(stack: Stack, client: AirflowClient) -> None:
    folder = "marked-failed"
    run_id = start(stack, client, folder)
    mapped = [item for item in client.tasks("slow", run_id) if item["task_id"] == COPY and item["state"] == "running"]
    assert mapped
    running = engines(stack)
    for item in mapped:
        client.set_state("slow", run_id, COPY, "failed", item["map_index"])
    wait_for(lambda: not any(alive(engine) for engine in running), 10, "the engines of failed tasks to end")
    before = published(stack.target_root / folder)
    assert client.wait_for_run("slow", run_id, 60) == "failed"
    failure = client.log("slow", run_id, "copy.finish")
    assert "file(s) are missing at the target" in failure

    client.clear("slow", run_id, only_failed=True)
    wait_for(lambda: engines(stack), 60, "the cleared tasks to run")
    again = engines(stack)
    wait_for(lambda: len(published(stack.target_root / folder)) > len(before), 60, "more files to arrive")
    before = published(stack.target_root / folder)
    client.clear("slow", run_id)
    wait_for(lambda: not any(alive(engine) for engine in again), 10, "the engines of cleared tasks to end")
    check_done(stack, client, folder, run_id, before)
