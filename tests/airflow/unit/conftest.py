"""Fixtures: an Airflow home of its own, connections from the environment, real SSH servers, and a task's context."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

HOME = tempfile.mkdtemp(prefix="checkvalve-airflow-unit-")
ROOT = Path(__file__).resolve().parents[3]
os.environ |= {
    "AIRFLOW_HOME": HOME,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "CHECKVALVE_PROGRAM": os.environ.get("CHECKVALVE_PROGRAM") or str(ROOT / "build" / "checkvalve"),
}
os.environ.pop("SSH_AUTH_SOCK", None)

from servers.keys import public_key  # noqa: E402
from servers.openssh import SshServer  # noqa: E402


def pytest_configure() -> None:
    program = os.environ["CHECKVALVE_PROGRAM"]
    if not Path(program).exists():
        raise pytest.UsageError(f"{program} is missing: run ./dev build first, or set CHECKVALVE_PROGRAM")


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with SshServer(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one test, with its own sync state and user's home."""
    monkeypatch.setenv("CHECKVALVE_STATE", str(tmp_path / "state.db"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "source").mkdir()
    return tmp_path


@dataclass
class FakeTask:
    """What an operator uses of its task instance."""

    dag_id: str = "dag"
    task_id: str = "task"
    xcoms: dict[tuple[str, str], Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[self.task_id, key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str) -> Any:
        return self.xcoms.get((task_ids, key))


class Execution:
    """Runs operators one after another, as tasks of one run."""

    def __init__(self) -> None:
        self.task = FakeTask()
        self.outlet_events: dict[Any, Any] = defaultdict(lambda: SimpleNamespace(extra={}))

    def run(self, operator: Any) -> Any:
        self.task.task_id = operator.task_id
        return operator.execute({"ti": self.task, "outlet_events": self.outlet_events})

    def report(self, task_id: str) -> Any:
        return self.task.xcoms.get((task_id, "checkvalve_report"))


@pytest.fixture
def execution() -> Execution:
    return Execution()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Defines an Airflow connection for the test."""

    def define(conn_id: str, conn_type: str, **fields: Any) -> None:
        extra = fields.pop("extra", None)
        value = {"conn_type": conn_type, **fields, **({"extra": extra} if extra else {})}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))

    return define


@pytest.fixture
def sftp(server: SshServer, connect: Any) -> SshServer:
    """Connections "source" and "target" to one server, with the key as a secret and the host key pinned."""
    for conn_id in ("source", "target"):
        connect(conn_id, "sftp", **sftp_fields(server))
    return server


def sftp_fields(server: SshServer, **extra: Any) -> dict[str, Any]:
    extras = {"private_key": server.user_key.read_text(), "host_key": public_key(server.host_key), **extra}
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "login": server.user,
        "extra": {name: value for name, value in extras.items() if value is not None},
    }
