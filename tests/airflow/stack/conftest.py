"""One Airflow with two Celery workers for all tests, as processes on free ports."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_stack.client import AirflowClient, wait_for
from airflow_stack.sample import fill_source
from airflow_stack.stack import Stack

from .support import Processes

HERE = Path(__file__).resolve().parent
DAG_IDS = {"dates", "slow", "large", "single", "per_file"}


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="checkvalve-airflow-", dir=memory if memory.is_dir() else None))
    place.chmod(0o755)
    environment = {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "12",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    }
    stack = Stack(place, dags=HERE / "dags", environment=environment)
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
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def client(stack: Stack) -> AirflowClient:
    return stack.client


@pytest.fixture
def site(stack: Stack) -> Processes:
    return Processes(stack)
