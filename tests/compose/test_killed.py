"""Workers that end in the middle of a batch, tasks that are stopped, and a batch that two workers do at once."""

from __future__ import annotations

import pytest

from airflow_scenarios import COPY, check_done, mark_failed_and_clear, start_slow, tries

from .containers import Containers, docker


@pytest.mark.short
def test_a_killed_worker_container_loses_nothing(site: Containers) -> None:
    run_id = start_slow(site, "killed")
    worker = sorted(site.engines())[0][0]
    docker("kill", str(worker))
    before = site.published("killed")
    check_done(site, "killed", run_id, before)
    assert tries(site, "slow", run_id, COPY) > 1
    # Its log outlives it.
    lost = next(
        item for item in site.client.tasks("slow", run_id) if item["task_id"] == COPY and item["try_number"] > 1
    )
    assert "Copying batch" in site.client.log("slow", run_id, COPY, 1, lost["map_index"])
    docker("start", str(worker))


def test_mark_failed_and_clear_stop_the_engine(site: Containers) -> None:
    mark_failed_and_clear(site)


def test_a_batch_that_is_started_twice_is_done_once(site: Containers) -> None:
    site.fill("twice", 30, 300_000)
    run_id = site.client.trigger("twice", conf={"folder": "twice"})
    assert site.client.wait_for_run("twice", run_id, 180) == "success"
    assert site.same("twice")
    copies = [item for item in site.client.tasks("twice", run_id) if item["task_id"] == "copy"]
    assert len(copies) == 4
    assert max(item["start_date"] for item in copies) < min(item["end_date"] for item in copies)
    reports = [item for item in site.client.xcoms("twice", run_id) if item["key"] == "checkvalve_report"]
    copied = [item["value"]["files_copied"] for item in reports if item["task_id"] == "copy"]
    assert sum(copied) == 30
    assert copied.count(0) == 2
