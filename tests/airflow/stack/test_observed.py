"""What reports a run besides the log: metrics, lineage, the link of each task and the report behind it."""

from __future__ import annotations

import json
import re
import socket
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from airflow_stack.client import AirflowClient, wait_for
from airflow_stack.stack import Stack

from .conftest import LINEAGE
from .support import fill

FOLDER = "observed"
COUNT = 50
SIZE_BYTES = 1_000


@pytest.fixture(scope="module")
def run_id(stack: Stack) -> str:
    fill(stack.source_root / FOLDER, COUNT, SIZE_BYTES)
    run_id = stack.client.trigger("observed", conf={"folder": FOLDER})
    assert stack.client.wait_for_run("observed", run_id, 120) == "success"
    return run_id


def received(statsd: socket.socket) -> list[str]:
    lines: list[str] = []
    while True:
        try:
            lines += statsd.recv(65536).decode().splitlines()
        except BlockingIOError:
            return lines


@pytest.mark.usefixtures("run_id")
def test_metrics(statsd: socket.socket) -> None:
    tag = ",dag_id=observed,task_id=copy.copy"
    sums: dict[str, float] = {}
    for line in received(statsd):
        if found := re.fullmatch(rf"airflow\.checkvalve\.(\w+){re.escape(tag)}:([\d.]+)\|(c|ms)", line):
            sums[found[1]] = sums.get(found[1], 0) + float(found[2])
    assert sums.pop("seconds") > 0
    assert {name: value for name, value in sums.items() if value} == {
        "files_copied": COUNT,
        "bytes_copied": COUNT * SIZE_BYTES,
    }


def test_lineage(stack: Stack, run_id: str) -> None:
    def complete() -> list[dict[str, Any]]:
        """The events of tasks that ended, which come some time after their tasks."""
        file = stack.directory / LINEAGE
        events = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        ended = [event for event in events if event["eventType"] == "COMPLETE" and event["outputs"]]
        return ended if {event["job"]["name"] for event in ended} >= wanted else []

    wanted = {f"observed.copy.{name}" for name in ("plan", "copy", "finish")}
    events = wait_for(complete, 60, "the lineage of all tasks")
    ports = {"inputs": stack.source.port, "outputs": stack.target.port}
    for event in events:
        for side, port in ports.items():
            assert [(item["namespace"], item["name"]) for item in event[side]] == [
                (f"sftp://127.0.0.1:{port}", f"/~/{FOLDER}")
            ]
    counts = {
        name: sum(
            event["outputs"][0]["outputFacets"]["outputStatistics"]["fileCount"]
            for event in events
            if event["job"]["name"] == f"observed.copy.{name}"
        )
        for name in ("copy", "finish")
    }
    assert counts == {"copy": COUNT, "finish": COUNT}


def test_the_link_leads_to_the_report_for_those_who_may_read_it(
    stack: Stack, client: AirflowClient, run_id: str
) -> None:
    run = f"/dags/observed/dagRuns/{quote(run_id, safe='')}"
    links = client.get(f"{run}/taskInstances/copy.finish/links")["extra_links"]
    path = links["Copied files"]
    assert path == f"/checkvalve/report/observed/{quote(run_id, safe='')}"
    assert client.get(f"{run}/taskInstances/copy.copy/links", map_index=0)["extra_links"]["Copied files"] == path
    page = httpx.get(stack.url + path, headers={"Authorization": f"Bearer {client.login()}"})
    assert page.status_code == 200
    assert "copy.copy [2]" in page.text
    assert f"<td class=n>{COUNT}</td>" in page.text
    assert httpx.get(stack.url + path).status_code == 401
