"""The stack that run.sh has started."""

from __future__ import annotations

import os

import httpx
import pytest
from airflow_stack.client import AirflowClient, wait_for

from .containers import Containers, within

DAG_IDS = {
    "slow",
    "large",
    "balanced",
    "single",
    "twice",
    "outage",
    "checkvalve_sftp_to_s3",
    "checkvalve_s3_to_sftp",
}


@pytest.fixture(scope="session")
def site() -> Containers:
    url = os.environ["AIRFLOW_URL"]

    def healthy() -> bool:
        try:
            health = httpx.get(f"{url}/api/v2/monitor/health", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return False
        return all((health.get(part) or {}).get("status") == "healthy" for part in ("scheduler", "dag_processor"))

    wait_for(healthy, 240, "Airflow to be healthy")
    client = AirflowClient(url, "admin", within("api-server", "cat /var/lib/checkvalve/database/admin-password"))
    client.login()
    wait_for(lambda: client.import_errors() or DAG_IDS | {"checkvalve_daily"} <= client.dag_ids(), 120, "the DAG files")
    assert client.import_errors() == []
    for dag_id in DAG_IDS:
        client.set_paused(dag_id, False)
    return Containers(client)
