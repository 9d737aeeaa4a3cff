"""The container stack as shipped: three dates arrive, a worker is killed, and nobody sees more than it needs."""

from __future__ import annotations

import json
import os
import shlex
import subprocess

import httpx
import pytest
from airflow_stack.client import AirflowClient, wait_for
from airflow_stack.sample import DATES

COMPOSE = shlex.split(os.environ.get("CHECKVALVE_COMPOSE", ""))
HOME = "/home/checkvalve"
FILL = 'mkdir -p {folder} && cd {folder} && for n in $(seq 30); do head -c 300000 /dev/urandom >"$n.txt"; done'


def compose(*words: str) -> str:
    done = subprocess.run([*COMPOSE, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def within(service: str, command: str, index: int = 1) -> str:
    """Runs a shell command in a container of the service."""
    return compose("exec", "-T", f"--index={index}", service, "sh", "-c", command)


def containers(service: str) -> list[str]:
    return compose("ps", "-q", service).split()


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


def digests(service: str, folder: str) -> dict[str, str]:
    """SHA-256 by name of the .txt files below a folder of an SFTP server."""
    text = within(service, f"cd {HOME}/{folder} && find . -name '*.txt' -type f -exec sha256sum {{}} +")
    return {name: digest for digest, name in (line.split("  ", 1) for line in text.splitlines())}


@pytest.fixture(scope="session")
def client() -> AirflowClient:
    url = os.environ["AIRFLOW_URL"]

    def healthy() -> bool:
        try:
            health = httpx.get(f"{url}/api/v2/monitor/health", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return False
        return all((health.get(part) or {}).get("status") == "healthy" for part in ("scheduler", "dag_processor"))

    wait_for(healthy, 240, "Airflow to be healthy")
    password = within("api-server", "cat /var/lib/checkvalve/database/admin-password")
    client = AirflowClient(url, "admin", password)
    client.login()
    wait_for(lambda: {"checkvalve_daily", "slow"} <= client.dag_ids(), 120, "the DAG files to be read")
    assert client.import_errors() == []
    return client


def test_three_dates_arrive(client: AirflowClient) -> None:
    client.set_paused("checkvalve_daily", False)

    def ended() -> list[str]:
        states = [run["state"] for run in client.runs("checkvalve_daily")]
        return states if len(states) == len(DATES) and set(states) <= {"success", "failed"} else []

    assert wait_for(ended, 280, "three runs") == ["success"] * len(DATES)
    for date in DATES:
        source = digests("source", f"source/{date}")
        assert len(source) > 100
        assert digests("target", f"target/{date}") == source
    run = client.runs("checkvalve_daily")[0]["dag_run_id"]
    # The log is fetched from the worker's container by its host name.
    assert "Plan " in client.log("checkvalve_daily", run, "copy_day.plan")


def test_a_killed_worker_container_loses_nothing(client: AirflowClient) -> None:
    client.set_paused("slow", False)
    within("source", FILL.format(folder=f"{HOME}/killed"))
    run_id = client.trigger("slow", conf={"folder": "killed"})
    count = f"ls {HOME}/killed/*.txt 2>/dev/null | wc -l"
    wait_for(lambda: int(within("target", count)) >= 2, 120, "files to arrive")
    busy = [name for name in containers("worker") if "checkvalve run" in docker("top", name, "-eo", "pid,args")
            or "--batch" in docker("top", name, "-eo", "pid,args")]  # fmt: skip
    assert busy
    docker("kill", busy[0])
    assert client.wait_for_run("slow", run_id, 280) == "success"
    assert digests("target", "killed") == digests("source", "killed")
    assert within("target", f"find {HOME}/killed -name '.*' -type f") == ""
    tries = [item["try_number"] for item in client.tasks("slow", run_id) if item["task_id"] == "copy.copy"]
    assert max(tries) > 1
    docker("start", busy[0])


def test_nobody_runs_as_root_or_sees_more_than_it_needs(client: AirflowClient) -> None:
    for service in ("redis", "api-server", "scheduler", "dag-processor", "worker", "source", "target"):
        assert within(service, "id -u").strip() != "0", service
        [name, *_] = containers(service)
        config = json.loads(docker("inspect", name))[0]
        assert config["HostConfig"]["CapDrop"] == ["ALL"]
        assert config["HostConfig"]["Memory"] > 0
    secrets = {
        within("api-server", f"cat /var/lib/checkvalve/database/{name}").strip()
        for name in ("jwt-secret", "fernet-key", "admin-password")
    }
    for name in (*containers("worker"), *containers("scheduler"), *containers("api-server")):
        shown = docker("inspect", name) + docker("top", name, "-eo", "pid,args")
        assert not [secret for secret in secrets if secret in shown]
    assert within("worker", "ls -A /var/lib/checkvalve/database /var/lib/checkvalve/metadata").split() == [
        "/var/lib/checkvalve/database:",
        "/var/lib/checkvalve/metadata:",
    ]
