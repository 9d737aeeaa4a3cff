"""The ways that Airflow's users have to copy a directory from one SFTP server to another: a DAG each.

Directories come with the run's conf: `source`, `target`, and `spool`, a directory that the workers share, through which
the stock operator has to go, since it connects to one server at a time. Each task records when its execute() began
and ended.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any

from airflow.providers.sftp.hooks.sftp import SFTPHook, SFTPHookAsync
from airflow.providers.sftp.operators.sftp import SFTPOperator
from airflow.sdk import DAG, task
from checkvalve.airflow import CheckvalveSyncOperator, checkvalve_task_group

SOURCE, TARGET = "checkvalve_source", "checkvalve_target"
CONCURRENCY = 8
SOURCE_FOLDER = "{{ dag_run.conf['source'] }}"
SPOOL_FOLDER = "{{ dag_run.conf['spool'] }}"
TARGET_FOLDER = "{{ dag_run.conf['target'] }}"
ENDS = {
    "source_conn_id": SOURCE,
    "source_path": SOURCE_FOLDER,
    "target_conn_id": TARGET,
    "target_path": TARGET_FOLDER,
}

_began = 0.0


def begin(context: Any) -> None:
    global _began
    _began = time.time()


def end(context: Any, result: Any = None) -> None:
    ended = time.time()
    status = Path("/proc/self/status").read_text()
    peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    context["ti"].xcom_push(key="bench", value={"began": _began, "ended": ended, "peak_bytes": peak_kib * 1024})


def way(dag_id: str) -> DAG:
    return DAG(
        dag_id,
        schedule=None,
        start_date=datetime(2024, 3, 1, tzinfo=timezone.utc),
        is_paused_upon_creation=False,
        default_args={"retries": 0, "pre_execute": begin, "post_execute": end},
    )


with way("operator_list"):

    @task(multiple_outputs=True)
    def list_files(dag_run: Any = None) -> dict[str, list[str]]:
        """The same names below the three directories."""
        names = SFTPHook(SOURCE).list_directory(dag_run.conf["source"]) or []
        return {place: [f"{dag_run.conf[place]}/{name}" for name in names] for place in ("source", "spool", "target")}

    paths = list_files()
    get = SFTPOperator(
        task_id="get",
        ssh_conn_id=SOURCE,
        operation="get",
        remote_filepath=paths["source"],
        local_filepath=paths["spool"],
        create_intermediate_dirs=True,
    )
    put = SFTPOperator(
        task_id="put",
        ssh_conn_id=TARGET,
        operation="put",
        local_filepath=paths["spool"],
        remote_filepath=paths["target"],
        create_intermediate_dirs=True,
    )
    get >> put

with way("operator_folder"):
    get = SFTPOperator(
        task_id="get",
        ssh_conn_id=SOURCE,
        operation="get",
        remote_filepath=SOURCE_FOLDER,
        local_filepath=SPOOL_FOLDER,
        concurrency=CONCURRENCY,
    )
    put = SFTPOperator(
        task_id="put",
        ssh_conn_id=TARGET,
        operation="put",
        local_filepath=SPOOL_FOLDER,
        remote_filepath=TARGET_FOLDER,
        concurrency=CONCURRENCY,
    )
    get >> put

with way("async_hook"):

    @task
    async def copy(dag_run: Any = None) -> None:
        conf = dag_run.conf
        source, target = SFTPHookAsync(SOURCE), SFTPHookAsync(TARGET)
        names = [name for name in await source.list_directory(conf["source"]) or [] if name not in (".", "..")]
        Path(conf["spool"]).mkdir()

        def below(place: str) -> list[str]:
            return [str(PurePosixPath(conf[place]) / name) for name in names]

        await source.transfer("get", below("spool"), below("source"), concurrency=CONCURRENCY)
        await target.transfer("put", below("spool"), below("target"), concurrency=CONCURRENCY)

    copy()

with way("checkvalve"):
    CheckvalveSyncOperator(task_id="sync", **ENDS)

with way("checkvalve_batches"):
    checkvalve_task_group("copy", default_args={"retries": 0}, **ENDS)
