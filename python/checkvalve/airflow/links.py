"""The link "Copied files" of a task: the report page of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

REPORT_PREFIX = "/checkvalve"


def report_path(dag_id: str, run_id: str) -> str:
    return f"{REPORT_PREFIX}/report/{quote(dag_id, safe='')}/{quote(run_id, safe='')}"


class ReportLink(BaseOperatorLink):
    """Created while the task runs, so it leads to that run."""

    name = "Copied files"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        return report_path(ti_key.dag_id, ti_key.run_id)
