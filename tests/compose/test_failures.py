"""What is retried and what is not, and what the log says."""

from __future__ import annotations

import time

from airflow_stack.client import wait_for

import airflow_scenarios
from airflow_scenarios import COPY, check_done, start_slow, tries

from .containers import Containers, within

OUTAGE_SECONDS = 30


def test_a_wrong_login_is_not_retried(site: Containers) -> None:
    airflow_scenarios.wrong_login(site)


def test_an_unknown_host_key_is_not_retried(site: Containers) -> None:
    airflow_scenarios.unknown_host_key(site)


def test_a_target_that_is_down_is_retried(site: Containers) -> None:
    airflow_scenarios.target_down(site)


def test_a_target_that_goes_down_in_the_middle_of_a_batch(site: Containers) -> None:
    """For half a minute, with the default retries."""
    folder, client = "outage", site.client
    run_id = start_slow(site, folder, dag_id="outage")
    before = site.published(folder)
    site.take_target_down()
    down_since = time.monotonic()

    def over() -> bool:
        copies = [item for item in client.tasks("outage", run_id) if item["task_id"] == COPY]
        gave_up = {item["state"] == "up_for_retry" or item["try_number"] > 1 for item in copies}
        return gave_up == {True} and time.monotonic() - down_since > OUTAGE_SECONDS

    try:
        wait_for(over, 120, "the first tries to end, and half a minute to pass")
    finally:
        site.bring_target_up()
    check_done(site, folder, run_id, before, dag_id="outage")
    assert tries(site, "outage", run_id, COPY) > 1


def test_one_unreadable_file_does_not_stop_the_others(site: Containers) -> None:
    client, folder, name = site.client, "unreadable", "./even/00002.txt"
    site.fill(folder, 8, 10)
    expected = site.digests("source", folder)
    del expected[name]
    within("source", f'chmod 000 "$HOME/{folder}/{name}"')
    run_id = client.trigger("slow", conf={"folder": folder})
    assert client.wait_for_run("slow", run_id, 120) == "failed"
    assert site.digests("target", folder) == expected
    assert tries(site, "slow", run_id, COPY) == 1
    assert "even/00002.txt" in client.log("slow", run_id, "copy.finish")
