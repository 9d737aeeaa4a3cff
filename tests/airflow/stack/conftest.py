"""One Airflow with two Celery workers for all tests, as processes on free ports."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_stack.client import AirflowClient, wait_for
from airflow_stack.sample import fill_source
from airflow_stack.stack import Stack

from scratch import GIB, scratch_directory

from .support import Processes

LINEAGE = "lineage.json"
"""Below the stack's directory: OpenLineage's events, one a line."""

HERE = Path(__file__).resolve().parent
DAG_IDS = {
    "dates",
    "slow",
    "large",
    "balanced",
    "single",
    "per_file",
    "observed",
    "transformed",
    "checkvalve_sftp_to_s3",
    "checkvalve_s3_to_sftp",
}


def gather_dags(folder: Path) -> Path:
    """The scenarios and, as they are shipped, the DAGs to and from S3."""
    shutil.copytree(HERE / "dags", folder)
    shutil.copytree(HERE / "dags_with_lineage", folder, dirs_exist_ok=True)
    for dag_id in DAG_IDS:
        shipped = HERE.parents[2] / "dags" / f"{dag_id}.py"
        if shipped.exists():
            shutil.copy(shipped, folder)
    return folder


@pytest.fixture(scope="session")
def statsd() -> Iterator[socket.socket]:
    """Where Airflow's metrics go, a line or more a datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        yield receiver


@pytest.fixture(scope="session")
def stack(statsd: socket.socket) -> Iterator[Stack]:
    # With CHECKVALVE_LARGE, 1.1 GiB and copies of them on SFTP and S3.
    needed_bytes = 4 * GIB if os.environ.get("CHECKVALVE_LARGE") == "1" else GIB
    with scratch_directory("checkvalve-airflow-", needed_bytes) as place:
        yield from run_stack(place, statsd)


def run_stack(place: Path, statsd: socket.socket) -> Iterator[Stack]:
    environment = {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "12",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(statsd.getsockname()[1]),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "^checkvalve",
        "AIRFLOW__OPENLINEAGE__SELECTIVE_ENABLE": "True",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
            {"type": "file", "log_file_path": str(place / LINEAGE), "append": True}
        ),
    }
    stack = Stack(place, dags=gather_dags(place / "dags"), environment=environment, s3=True)
    fill_source(stack.source_root, files=60)
    try:
        with stack:
            client = stack.client
            wait_for(lambda: client.dag_ids() >= DAG_IDS or client.import_errors(), 90, "the DAG files to be read")
            assert client.import_errors() == []
            for dag_id in DAG_IDS - {"dates"}:
                client.set_paused(dag_id, False)
            yield stack
    except BaseException:
        for name, text in stack.logs().items():
            print(f"--- {name}\n{text}")
        raise


@pytest.fixture
def client(stack: Stack) -> AirflowClient:
    return stack.client


@pytest.fixture
def site(stack: Stack) -> Processes:
    return Processes(stack)
