"""What a new user sees: three dates arrive; then nothing has to move; more workers share the load."""

from __future__ import annotations

import pytest
from airflow_stack.client import wait_for
from airflow_stack.sample import DATES

from .containers import Containers, compose, containers

DAILY = "checkvalve_daily"


@pytest.mark.short
def test_three_dates_arrive(site: Containers) -> None:
    client = site.client
    client.set_paused(DAILY, False)

    def ended() -> list[str]:
        states = [run["state"] for run in client.runs(DAILY)]
        return states if len(states) == len(DATES) and set(states) <= {"success", "failed"} else []

    assert wait_for(ended, 280, "three runs") == ["success"] * len(DATES)
    for date in DATES:
        source = {path: digest for path, digest in site.digests("source", f"source/{date}").items() if ".txt" in path}
        assert len(source) > 100
        assert site.digests("target", f"target/{date}") == source
    run_id = client.runs(DAILY)[0]["dag_run_id"]
    assert "Plan " in client.log(DAILY, run_id, "copy_day.plan")
    before = site.published("target")
    client.clear(DAILY, run_id)
    assert client.wait_for_run(DAILY, run_id, 120) == "success"
    assert client.xcom(DAILY, run_id, "copy_day.finish", "return_value")["value"]["files_copied"] == 0
    assert site.published("target") == before


def test_more_workers(site: Containers) -> None:
    """Ten slow batches: more than the slots of two workers."""
    old = set(containers("worker"))
    compose("up", "-d", "--scale", "worker=3")
    try:
        assert old < set(containers("worker"))
        site.fill("scaled", 30, 300_000)
        runs = [site.client.trigger("slow", conf={"folder": "scaled"}) for _ in range(5)]
        assert [site.client.wait_for_run("slow", run_id, 240) for run_id in runs] == ["success"] * len(runs)
        hosts = {task["hostname"] for run_id in runs for task in site.client.tasks("slow", run_id)}
        assert len(hosts) == 3
        assert site.same("scaled")
    finally:
        compose("up", "-d", "--scale", "worker=2")
