"""What is retried and what is not, and what the log says."""

from __future__ import annotations

import airflow_scenarios
from airflow_scenarios import COPY, tries

from .containers import Containers, within


def test_a_wrong_login_is_not_retried(site: Containers) -> None:
    airflow_scenarios.wrong_login(site)


def test_an_unknown_host_key_is_not_retried(site: Containers) -> None:
    airflow_scenarios.unknown_host_key(site)


def test_a_target_that_is_down_is_retried(site: Containers) -> None:
    airflow_scenarios.target_down(site)


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
