"""What is retried and what is not, what the log says, and what never shows."""

from __future__ import annotations

import json
from pathlib import Path

from airflow_stack.client import AirflowClient, wait_for
from airflow_stack.stack import Stack, server_key

from servers.keys import make_key

from .support import engines, fill, tree

PASSWORD = "not-the-Passw0rd-at-all"


def failed_at_once(client: AirflowClient, run_id: str) -> str:
    """The log of a task that failed in its first try."""
    assert client.wait_for_run("single", run_id, 90) == "failed"
    task = client.task("single", run_id, "sync")
    assert task
    assert (task["state"], task["try_number"]) == ("failed", 1)
    return client.log("single", run_id, "sync")


def test_a_wrong_login_is_not_retried(stack: Stack, client: AirflowClient, tmp_path: Path) -> None:
    connection = stack.connection("wrong_login", stack.source, private_key=make_key(tmp_path / "key").read_text())
    client.create_connection({**connection, "password": PASSWORD})
    fill(stack.source_root / "wrong-login", 1, 10)
    run_id = client.trigger("single", conf={"folder": "wrong-login", "source_conn_id": "wrong_login"})
    log = failed_at_once(client, run_id)
    assert "Check login, password and key of connection 'wrong_login'" in log
    assert PASSWORD not in log


def test_an_unknown_host_key_is_not_retried(stack: Stack, client: AirflowClient) -> None:
    client.create_connection(stack.connection("unknown_host", stack.target, host_key=""))
    fill(stack.source_root / "unknown-host", 1, 10)
    run_id = client.trigger("single", conf={"folder": "unknown-host", "target_conn_id": "unknown_host"})
    assert "extra 'host_key' of connection" in failed_at_once(client, run_id)


def test_a_target_that_is_down_is_retried(stack: Stack, client: AirflowClient) -> None:
    fill(stack.source_root / "down", 3, 10)
    stack.target.stop()
    try:
        run_id = client.trigger("single", conf={"folder": "down"})
        wait_for(lambda: (client.task("single", run_id, "sync") or {}).get("try_number", 0) >= 2, 90, "a second try")
    finally:
        stack.target.start()
    assert client.wait_for_run("single", run_id, 120) == "success"
    assert tree(stack.target_root / "down") == tree(stack.source_root / "down")


def test_one_file_that_fails_does_not_stop_the_others(stack: Stack, client: AirflowClient) -> None:
    fill(stack.source_root / "one-fails", 8, 10)
    (stack.target_root / "one-fails" / "even" / "00002.txt" / "in the way").mkdir(parents=True)
    run_id = client.trigger("slow", conf={"folder": "one-fails"})
    assert client.wait_for_run("slow", run_id, 120) == "failed"
    arrived = set(tree(stack.target_root / "one-fails"))
    assert arrived == set(tree(stack.source_root / "one-fails")) - {"even/00002.txt"}
    assert "even/00002.txt" in client.log("slow", run_id, "copy.finish")


def test_one_task_a_file_and_its_limit(stack: Stack, client: AirflowClient) -> None:
    fill(stack.source_root / "files", 4, 1000)
    run_id = client.trigger("per_file", conf={"folder": "files"})
    assert client.wait_for_run("per_file", run_id, 90) == "success"
    labels = [item["rendered_map_index"] for item in client.tasks("per_file", run_id) if item["map_index"] >= 0]
    assert sorted(labels) == [f"batch {number}/4 · 1 file · 1.0 kB" for number in range(1, 5)]
    fill(stack.source_root / "too-many", 6, 1000)
    run_id = client.trigger("per_file", conf={"folder": "too-many"})
    assert client.wait_for_run("per_file", run_id, 90) == "failed"
    assert 'use strategy="batches"' in client.log("per_file", run_id, "copy.plan")


def test_no_secret_shows_anywhere(stack: Stack, client: AirflowClient) -> None:
    """The private key by its middle line, in all that the tests of this stack have left behind."""
    secret = server_key(stack.source).splitlines()[2]
    fill(stack.source_root / "secrets", 10, 300_000)
    run_id = client.trigger("slow", conf={"folder": "secrets"})
    running = wait_for(lambda: engines(stack), 60, "an engine to run")
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
