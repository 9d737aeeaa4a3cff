"""Airflow metrics: the counters checkvalve.{bytes_copied,files_copied,files_skipped,files_failed} and the timing
checkvalve.seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..summary import Summary


def report(summary: Summary, dag_id: str, task_id: str) -> None:
    from airflow.providers.common.compat.sdk import Stats

    tags = {"dag_id": dag_id, "task_id": task_id}
    for name in ("bytes_copied", "files_copied", "files_skipped", "files_failed"):
        Stats.incr(f"checkvalve.{name}", getattr(summary, name), tags=tags)
    # Airflow's timings are in milliseconds.
    Stats.timing("checkvalve.seconds", summary.seconds * 1000, tags=tags)
