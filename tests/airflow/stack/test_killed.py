"""Whatever is killed in mid-batch: the task is retried, no file is torn, and no process survives unnoticed."""

from __future__ import annotations

import os
import signal

import pytest
from airflow_stack.client import wait_for
from airflow_stack.stack import Stack

from airflow_scenarios import COPY, check_done, mark_failed_and_clear, start_slow, tries
from servers.process import alive, descendants, send

from .support import Processes, parent


@pytest.mark.parametrize("victim", ["engine", "task", "supervisor"])
def test_sigkill_of_one_process(site: Processes, victim: str) -> None:
    folder = f"killed-{victim}"
    run_id = start_slow(site, folder)
    engine = site.engine()
    task = parent(engine[0])
    # Celery's pool child supervises the task.
    pid = {"engine": engine[0], "task": task, "supervisor": parent(task)}[victim]
    before = site.published(folder)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(engine), 10, "the engine of the killed task to end")
    check_done(site, folder, run_id, before)
    assert tries(site, "slow", run_id, COPY) > 1


def test_sigkill_of_a_whole_worker(stack: Stack, site: Processes) -> None:
    """As if its machine had gone: the heartbeat stops, and the other worker takes over."""
    folder = "killed-worker"
    run_id = start_slow(site, folder)
    engine = site.engine()
    worker = next(child for child in stack.worker_processes if child.running() and engine in descendants(child.pid))
    before = site.published(folder)
    processes = descendants(worker.pid)
    worker.popen.kill()
    send(processes, signal.SIGKILL)
    worker.popen.wait()
    stack.start_worker()
    check_done(site, folder, run_id, before)
    assert tries(site, "slow", run_id, COPY) > 1


def test_mark_failed_and_clear_stop_the_engine(site: Processes) -> None:
    mark_failed_and_clear(site)
