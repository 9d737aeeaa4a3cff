"""What is retried and what is not, what the log says, and what never shows."""

from __future__ import annotations

import json
from pathlib import Path

from airflow_stack.client import AirflowClient, wait_for
from airflow_stack.stack import Stack, server_key

import airflow_scenarios
from airflow_scenarios import PASSWORD

from .support import Processes


def test_a_wrong_login_is_not_retried(site: Processes) -> None:
    airflow_scenarios.wrong_login(site)


def test_an_unknown_host_key_is_not_retried(site: Processes) -> None:
    airflow_scenarios.unknown_host_key(site)


def test_a_target_that_is_down_is_retried(site: Processes) -> None:
    airflow_scenarios.target_down(site)


def test_one_file_that_fails_does_not_stop_the_others(stack: Stack, site: Processes, client: AirflowClient) -> None:
    site.fill("one-fails", 8, 10)
    (stack.target_root / "one-fails" / "even" / "00002.txt" / "in the way").mkdir(parents=True)
    run_id = client.trigger("slow", conf={"folder": "one-fails"})
    assert client.wait_for_run("slow", run_id, 120) == "failed"
    expected = site.digests("source", "one-fails")
    del expected["even/00002.txt"]
    assert site.digests("target", "one-fails") == expected
    assert "even/00002.txt" in client.log("slow", run_id, "copy.finish")


def test_one_task_a_file_and_its_limit(site: Processes, client: AirflowClient) -> None:
    site.fill("files", 4, 1000)
    run_id = client.trigger("per_file", conf={"folder": "files"})
    assert client.wait_for_run("per_file", run_id, 90) == "success"
    labels = [item["rendered_map_index"] for item in client.tasks("per_file", run_id) if item["map_index"] >= 0]
    assert sorted(labels) == [f"batch {number}/4 · 1 file · 1.0 kB" for number in range(1, 5)]
    site.fill("too-many", 6, 1000)
    run_id = client.trigger("per_file", conf={"folder": "too-many"})
    assert client.wait_for_run("per_file", run_id, 90) == "failed"
    assert 'use strategy="batches"' in client.log("per_file", run_id, "copy.plan")


def test_no_secret_shows_anywhere(stack: Stack, site: Processes, client: AirflowClient) -> None:
    """The private key by its middle line, in all that the tests of this stack have left behind."""
    secret = server_key(stack.source).splitlines()[2]
    site.fill("secrets", 10, 300_000)
    run_id = client.trigger("slow", conf={"folder": "secrets"})
    running = wait_for(site.engines, 60, "an engine to run")
    for pid, _ in running:
        for kind in ("cmdline", "environ"):
            try:
                assert secret.encode() not in Path(f"/proc/{pid}/{kind}").read_bytes()
            except OSError:
                continue
    assert client.wait_for_run("slow", run_id, 120) == "success"
    for task in client.tasks("slow", run_id):
        assert secret not in json.dumps(task)
    assert secret not in json.dumps(client.xcoms("slow", run_id))
    looked_at = 0
    for folder in (stack.directory / "task-logs", stack.state.parent):
        for path in folder.rglob("*"):
            if path.is_file():
                looked_at += 1
                content = path.read_bytes()
                assert secret.encode() not in content, path
                assert PASSWORD.encode() not in content, path
    assert looked_at > 3
