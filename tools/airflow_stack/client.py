"""Airflow's public REST API, as far as the demo and the tests need it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

T = TypeVar("T")


class AirflowClient:
    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=30)
        self._login = {"username": user, "password": password}

    def login(self) -> str:
        token = str(self._http.post("/auth/token", json=self._login).raise_for_status().json()["access_token"])
        self._http.headers["Authorization"] = f"Bearer {token}"
        return token

    def get(self, path: str, **parameters: Any) -> Any:
        return self._http.get(f"/api/v2{path}", params=parameters).raise_for_status().json()

    def send(self, method: str, path: str, body: Any) -> Any:
        answer = self._http.request(method, f"/api/v2{path}", json=body)
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def dag_ids(self) -> set[str]:
        return {dag["dag_id"] for dag in self.get("/dags", limit=100)["dags"]}

    def import_errors(self) -> list[str]:
        return [item["stack_trace"] for item in self.get("/importErrors")["import_errors"]]

    def set_paused(self, dag_id: str, paused: bool) -> None:
        self.send("PATCH", f"/dags/{dag_id}", {"is_paused": paused})

    def trigger(self, dag_id: str, logical_date: str | None = None, conf: dict[str, Any] | None = None) -> str:
        """Starts a run for a date ("2024-03-01T00:00:00Z"); its id."""
        run = self.send("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": logical_date, "conf": conf or {}})
        return str(run["dag_run_id"])

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        return list(self.get(f"/dags/{dag_id}/dagRuns", limit=100)["dag_runs"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Task instances; mapped ones each with their map_index."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        return list(self.get(path, limit=1000)["task_instances"])

    def task(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any] | None:
        found = [
            item for item in self.tasks(dag_id, run_id) if item["task_id"] == task_id and item["map_index"] == map_index
        ]
        return found[0] if found else None

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/logs/{try_number}"
        content = self.get(path, map_index=map_index, full_content=True)["content"]
        return "\n".join(log_line(line) for line in content)

    def xcoms(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/~/xcomEntries"
        entries = self.get(path, limit=1000)["xcom_entries"]
        return [self.xcom(dag_id, run_id, item["task_id"], item["key"], item["map_index"]) for item in entries]

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str, map_index: int = -1) -> dict[str, Any]:
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/xcomEntries/{key}"
        return dict(self.get(path, map_index=map_index, deserialize=True))

    def clear(self, dag_id: str, run_id: str, task_ids: list[Any] | None = None, *, only_failed: bool = False) -> None:
        """Clears tasks (or mapped ones, as [task_id, map_index]) and what comes after them; all without task_ids."""
        body: dict[str, Any] = {"dry_run": False, "dag_run_id": run_id, "only_failed": only_failed}
        body |= {"reset_dag_runs": True, "include_downstream": True}
        if task_ids is not None:
            body["task_ids"] = task_ids
        self.send("POST", f"/dags/{dag_id}/clearTaskInstances", body)

    def set_state(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int | None = None) -> None:
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}"
        place = path if map_index is None else f"{path}/{map_index}"
        self.send("PATCH", place, {"new_state": state})

    def create_connection(self, connection: dict[str, Any]) -> None:
        self.send("POST", "/connections", connection)

    def wait_for_run(self, dag_id: str, run_id: str, seconds: float) -> str:
        """The run's final state."""

        def state() -> str | None:
            path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
            found = str(self.get(path)["state"])
            return found if found in ("success", "failed") else None

        return wait_for(state, seconds, f"the end of {dag_id} {run_id}")


def log_line(line: Any) -> str:
    """A line of a structured log, with the messages of its exceptions."""
    if not isinstance(line, dict):
        return str(line)
    errors = [str(error.get("exc_value")) for error in line.get("error_detail") or []]
    return " ".join([str(line.get("event", "")), *errors])


def wait_for(look: Callable[[], T | None], seconds: float, what: str, every_seconds: float = 0.25) -> T:
    """The first value that is not None, False or empty. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while True:
        if value := look():
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(every_seconds)
