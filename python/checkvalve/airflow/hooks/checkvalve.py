"""CheckvalveHook: runs the program for a task, with Airflow connections as endpoints."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, BaseHook, conf

from ... import api
from ...engine import Operation
from ...errors import EngineError, Failure, PermanentError
from ...events import Started
from ...summary import Summary
from ..connections import ConnectionConfigError, builder_of, endpoint_of
from ..progress import ProgressLog

# The supervisor sends SIGKILL 5 s after SIGTERM; the program has ended before that.
_KILL_GRACE_SECONDS = 3.0


class CheckvalveHook(BaseHook):
    """Runs the program for a task: events go to the task's log, a failure becomes an exception.

    The program runs in the task's process group and ends with it, however the task dies; it also ends when the task's
    supervisor is gone, since Airflow then starts the task a second time.

    :param checkvalve_conn_id: a connection for ``test_connection`` and ``endpoint()``
    :param program: the program; default: ``[checkvalve] program``, ``CHECKVALVE_PROGRAM``, the wheel's
    """

    conn_name_attr = "checkvalve_conn_id"
    default_conn_name = "checkvalve_default"
    conn_type = "checkvalve"
    hook_name = "Checkvalve endpoint"

    def __init__(self, checkvalve_conn_id: str = default_conn_name, program: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.checkvalve_conn_id = checkvalve_conn_id
        self.program = program or conf.get("checkvalve", "program", fallback=None) or None
        self.connect_timeout_seconds: float | None = None
        """The longest timeout of the connections given to ``endpoint``; None if none has one."""
        self.source_url = ""
        """Source and target as the program displays them, without secrets; set once ``run`` has started it."""
        self.target_url = ""
        self._operation: Operation | None = None
        self._stopped = False

    def endpoint(self, path: str, conn_id: str | None = None) -> api.Endpoint:
        """The endpoint of a connection for a path. Fails the task without a retry if the connection is invalid."""
        try:
            builder = builder_of(self.get_connection(conn_id or self.checkvalve_conn_id), self.program)
            if seconds := builder.connect_timeout_seconds():
                self.connect_timeout_seconds = max(seconds, self.connect_timeout_seconds or 0)
            return builder.endpoint(path)
        except ConnectionConfigError as error:
            raise AirflowFailException(str(error)) from None

    def run(self, start: Callable[[Callable[[Operation], None]], Operation]) -> Summary:
        """Starts the program with ``start(on_tick)``, logs its events, returns its summary.

        Raises PermanentError or TransientError; ``fail`` makes them exceptions of a task.
        """
        supervisor = os.getppid()

        def on_tick(operation: Operation) -> None:
            if os.getppid() != supervisor:
                operation.stop(_KILL_GRACE_SECONDS)
                raise AirflowException("the task's supervisor is gone; checkvalve was stopped")

        progress = ProgressLog(self.log)
        with start(on_tick) as operation:
            self._operation = operation
            if self._stopped:
                operation.stop(_KILL_GRACE_SECONDS)
            try:
                for event in operation:
                    progress.write(event)
                    if isinstance(event, Started):
                        self.source_url, self.target_url = event.source, event.target
                return operation.result()
            finally:
                self._operation = None
                if operation.summary:
                    progress.summary(operation.summary)

    def kill(self) -> None:
        """For ``on_kill``: ends the program within 3 s. Safe in a signal handler while ``run`` is in progress."""
        self._stopped = True
        if (operation := self._operation) is not None:
            self.log.warning("Stopping checkvalve")
            operation.stop(_KILL_GRACE_SECONDS)

    def test_connection(self) -> tuple[bool, str]:
        """For the button "Test": `checkvalve doctor --read-only` on the connection's root."""
        try:
            connection = self.get_connection(self.checkvalve_conn_id)
            report = api.doctor(endpoint_of(connection, "", self.program), read_only=True, program=self.program)
        except (ConnectionConfigError, EngineError, FileNotFoundError) as error:
            return False, str(error)
        if report.error:
            return False, advice(report.error, {self.checkvalve_conn_id: report.url})
        return report.ok, "; ".join(f"{check.name}: {check.value}" for check in report.checks)


def fail(error: EngineError, urls: Mapping[str, str]) -> AirflowException:
    """The exception of a task: AirflowFailException (no retry) for permanent errors, else AirflowException.

    ``urls``: the URL of each connection that the task used.
    """
    message = advice(error.failure, urls) if error.failure else str(error)
    return AirflowFailException(message) if isinstance(error, PermanentError) else AirflowException(message)


def advice(failure: Failure, urls: Mapping[str, str]) -> str:
    """The failure, with a hint for Airflow that names the connection of the server."""
    server = failure.path.rpartition("@")[2]
    matching = [
        conn_id for conn_id, url in urls.items() if server and server == urlsplit(url).netloc.rpartition("@")[2]
    ]
    connections = " or ".join(f"'{conn_id}'" for conn_id in matching or urls)
    hints = {
        "auth": f"check login, password and key of connection {connections}",
        "host_key": f"set the extra 'host_key' of connection {connections} to the server's public key as `ssh-keyscan`"
        " prints it, after comparing its fingerprint with a trusted one",
    }
    return str(replace(failure, hint=hints.get(failure.kind, failure.hint)))
