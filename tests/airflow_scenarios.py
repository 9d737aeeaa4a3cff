"""The scenarios that must hold on any Airflow with Celery workers and two SFTP servers, as processes or in containers.

A Site starts and looks at the real parts; the scenarios are the same for all sites.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from statistics import mean
from typing import Any

from airflow_stack.client import AirflowClient, wait_for

COPY = "copy.copy"
PASSWORD = "not-the-Passw0rd-at-all"
SLOW_FILES = 30
SLOW_FILE_BYTES = 300_000
MOST_TASKS = 16
MEMORY_BYTES = 96 << 20  # of which 64 MiB are buffers
FILE_COST_BYTES = 64 << 10  # what the planner counts for a file beside its bytes
UNEVEN = 1.2
BATCHES = 4  # of the DAG "balanced"

Engine = tuple[str | int, int]


class Site(ABC):
    """Folders are below the home of the `source` and the `target` server. Files under temporary names don't count."""

    client: AirflowClient

    @abstractmethod
    def fill(self, folder: str, count: int, size_bytes: int) -> None:
        """`count` .txt files of random bytes at the source, in two folders."""

    @abstractmethod
    def digests(self, side: str, folder: str) -> dict[str, str]:
        """SHA-256 of all files by path."""

    @abstractmethod
    def published(self, folder: str) -> dict[str, int]:
        """Inodes of the target's files: a file that is published again gets another one."""

    @abstractmethod
    def partials(self, folder: str) -> list[str]:
        """The target's files under temporary names."""

    @abstractmethod
    def engines(self) -> set[Engine]:
        """The engine processes that the site's tasks run now."""

    @abstractmethod
    def connection(self, conn_id: str, side: str, **extra: str) -> dict[str, Any]:
        """A working connection, with the extras given; an extra with an empty value is removed."""

    @abstractmethod
    def new_key(self) -> str:
        """A private key that no server knows."""

    @abstractmethod
    def take_target_down(self) -> None: ...

    @abstractmethod
    def bring_target_up(self) -> None: ...

    def same(self, folder: str) -> bool:
        return self.digests("target", folder) == self.digests("source", folder)


def tries(site: Site, dag_id: str, run_id: str, task_id: str) -> int:
    """Of the mapped task that was tried most often."""
    return max(item["try_number"] for item in site.client.tasks(dag_id, run_id) if item["task_id"] == task_id)


def start_slow(site: Site, folder: str, dag_id: str = "slow") -> str:
    """Starts a slow copy in two batches and waits until some files have arrived; the run's id."""
    site.fill(folder, SLOW_FILES, SLOW_FILE_BYTES)
    run_id = site.client.trigger(dag_id, conf={"folder": folder})
    wait_for(lambda: site.engines() and len(site.published(folder)) >= 2, 120, "files to arrive")
    return run_id


def check_done(site: Site, folder: str, run_id: str, before: dict[str, int], dag_id: str = "slow") -> None:
    """The run succeeds, both sides are the same, and nothing of `before` was copied again."""
    assert site.client.wait_for_run(dag_id, run_id, 240) == "success"
    assert site.same(folder)
    after = site.published(folder)
    assert {path: after[path] for path in before} == before, "files that had arrived were copied again"
    assert not (left := site.partials(folder)), left


def mark_failed_and_clear(site: Site) -> None:
    """Both stop the engines; a cleared task copies what is missing."""
    folder, client = "marked-failed", site.client
    run_id = start_slow(site, folder)
    mapped = [item for item in client.tasks("slow", run_id) if item["task_id"] == COPY and item["state"] == "running"]
    assert mapped
    running = site.engines()
    for item in mapped:
        client.set_state("slow", run_id, COPY, "failed", item["map_index"])
    wait_for(lambda: not running & site.engines(), 10, "the engines of failed tasks to end")
    before = site.published(folder)
    assert client.wait_for_run("slow", run_id, 60) == "failed"
    assert "missing at the target" in client.log("slow", run_id, "copy.finish")

    client.clear("slow", run_id, only_failed=True)
    wait_for(site.engines, 60, "the cleared tasks to run")
    again = site.engines()
    wait_for(lambda: len(site.published(folder)) > len(before), 60, "more files to arrive")
    before = site.published(folder)
    client.clear("slow", run_id)
    wait_for(lambda: not again & site.engines(), 10, "the engines of cleared tasks to end")
    check_done(site, folder, run_id, before)


def failed_at_once(site: Site, run_id: str) -> str:
    """The log of a task that failed in its first try."""
    assert site.client.wait_for_run("single", run_id, 90) == "failed"
    task = site.client.task("single", run_id, "sync")
    assert task
    assert (task["state"], task["try_number"]) == ("failed", 1)
    return site.client.log("single", run_id, "sync")


def wrong_login(site: Site) -> None:
    connection = site.connection("wrong_login", "source", private_key=site.new_key())
    site.client.create_connection({**connection, "password": PASSWORD})
    run_id = site.client.trigger("single", conf={"folder": "wrong-login", "source_conn_id": "wrong_login"})
    log = failed_at_once(site, run_id)
    assert "check login, password and key of connection 'wrong_login'" in log
    assert PASSWORD not in log


def unknown_host_key(site: Site) -> None:
    site.client.create_connection(site.connection("unknown_host", "target", host_key=""))
    site.fill("unknown-host", 1, 10)
    run_id = site.client.trigger("single", conf={"folder": "unknown-host", "target_conn_id": "unknown_host"})
    assert "extra 'host_key' of connection" in failed_at_once(site, run_id)


def target_down(site: Site) -> None:
    """For longer than the engine itself tries."""
    site.fill("down", 3, 10)
    site.take_target_down()
    try:
        run_id = site.client.trigger("single", conf={"folder": "down"})
        wait_for(lambda: (site.client.task("single", run_id, "sync") or {}).get("try_number", 0) >= 2, 90, "a retry")
    finally:
        site.bring_target_up()
    assert site.client.wait_for_run("single", run_id, 120) == "success"
    assert site.same("down")


def large(site: Site, files: int, largest_bytes: int) -> list[dict[str, Any]]:
    """Copies the folder "large", with one file of `largest_bytes`, in at most 16 balanced batches; the mapped tasks."""
    client = site.client
    run_id = client.trigger("large", conf={"folder": "large"})
    assert client.wait_for_run("large", run_id, 280) == "success"
    assert site.same("large")
    copies = [item for item in client.tasks("large", run_id) if item["task_id"] == COPY]
    assert 2 <= len(copies) <= MOST_TASKS
    reports = [item for item in client.xcoms("large", run_id) if item["key"] == "checkvalve_report"]
    copied = [item["value"] for item in reports if item["task_id"] == COPY]
    assert sum(item["files_copied"] for item in copied) == files
    assert max(item["peak_rss_bytes"] for item in copied) < MEMORY_BYTES
    references = client.xcom("large", run_id, "copy.plan", "return_value")["value"]
    assert len(str(references)) < 120 * len(references)

    one_file = cost(1, largest_bytes)  # can't be cut
    costs = [cost(item["files"], item["bytes"]) for item in references]
    assert max(costs) <= max(UNEVEN * mean(costs), one_file)
    without_it = [item for item in costs if item < one_file]
    assert not without_it or max(without_it) <= UNEVEN * min(without_it)
    least, most = over_two_workers(costs)
    assert most <= max(UNEVEN * least, one_file)
    return copies


def balanced(site: Site) -> None:
    """Files of very different sizes, in batches that each have a slow line of their own: they take equally long.

    At full speed the seconds of a batch tell how many others used the processor meanwhile, and not how large it was.
    """
    for name, count, size_bytes in (("large", 10, 3_000_000), ("middle", 30, 300_000), ("small", 20, 20_000)):
        site.fill(f"uneven/{name}", count, size_bytes)
    run_id = site.client.trigger("balanced", conf={"folder": "uneven"})
    assert site.client.wait_for_run("balanced", run_id, 180) == "success"
    assert site.same("uneven")
    reports = [item for item in site.client.xcoms("balanced", run_id) if item["key"] == "checkvalve_report"]
    copied = [item["value"] for item in reports if item["task_id"] == COPY]
    assert (len(copied), sum(item["files_copied"] for item in copied)) == (BATCHES, 60)
    seconds = [item["seconds"] for item in copied]
    assert max(seconds) <= UNEVEN * min(seconds), seconds


def cost(files: int, size_bytes: int) -> int:
    return size_bytes + files * FILE_COST_BYTES


def over_two_workers(costs: list[int]) -> tuple[int, int]:
    """What each of two workers gets if the free one takes the largest batch that is left: the smaller sum first."""
    loads = [0, 0]
    for item in sorted(costs, reverse=True):
        loads[loads.index(min(loads))] += item
    return min(loads), max(loads)
