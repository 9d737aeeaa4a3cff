"""The report page of a DAG run: what each task copied, and what failed. Protected by Airflow's login."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from .operators.base import REPORT_KEY
from .progress import size_text

_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem; color: #1a202c; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .3rem .8rem; text-align: left; }
th { border-bottom: 2px solid #cbd5e0; } td { border-bottom: 1px solid #e2e8f0; } td.n { text-align: right; }
.bad { color: #c53030; } code { white-space: pre-wrap; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { body { color: #e2e8f0; background: #171923; } }
"""

Row = tuple[str, int, dict[str, Any]]
"""Task id, map index (-1: not mapped), the report of the task."""


def make_app() -> Any:
    """The FastAPI app; each path requires read access to the DAG's XComs from Airflow's auth manager."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI
    from fastapi.responses import HTMLResponse

    app = FastAPI(title="checkvalve", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get(
        "/report/{dag_id}/{run_id}",
        dependencies=[Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.XCOM))],
    )
    def report(dag_id: str, run_id: str) -> HTMLResponse:
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"}
        return HTMLResponse(page(dag_id, run_id, read_reports(dag_id, run_id)), headers=headers)

    return app


def read_reports(dag_id: str, run_id: str) -> list[Row]:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = (
        select(XComModel.task_id, XComModel.map_index, XComModel.value)
        .where(XComModel.dag_id == dag_id, XComModel.run_id == run_id, XComModel.key == REPORT_KEY)
        .order_by(XComModel.task_id, XComModel.map_index)
    )
    with create_session() as session:
        return [
            (task_id, map_index, json.loads(value) if isinstance(value, str) else value)
            for task_id, map_index, value in session.execute(query)
        ]


def page(dag_id: str, run_id: str, rows: list[Row]) -> str:
    """The page as HTML. Names of files and ids are escaped."""
    body = [f"<h1>Copied files</h1><p>{escape(dag_id)} · {escape(run_id)}</p>"]
    if not rows:
        body.append("<p>No task of this run has copied files yet.</p>")
    else:
        body.append(
            "<table><tr><th>Task</th><th>Plan</th><th>Copied</th><th>Bytes</th><th>Skipped</th><th>Failed</th>"
            "<th>Seconds</th></tr>"
        )
        body += [_row(row) for row in rows]
        body.append("</table>")
    for task_id, map_index, report in rows:
        if failures := report.get("failures"):
            body.append(f"<h2 class=bad>{escape(_task(task_id, map_index))}</h2><table>")
            body += [
                f"<tr><td><code>{escape(str(item['path']))}</code></td><td>{escape(str(item['kind']))}</td>"
                f"<td>{escape(str(item['message']))}</td></tr>"
                for item in failures
            ]
            body.append("</table>")
    return f"<!doctype html><meta charset=utf-8><title>Copied files</title><style>{_STYLE}</style>{''.join(body)}"


def _task(task_id: str, map_index: int) -> str:
    return task_id if map_index < 0 else f"{task_id} [{map_index}]"


def _row(row: Row) -> str:
    task_id, map_index, report = row
    seconds = f"{report['seconds']:.1f}" if "seconds" in report else ""
    bad = " bad" if report["files_failed"] else ""
    return (
        f"<tr><td>{escape(_task(task_id, map_index))}</td><td><code>{escape(str(report['plan']))}</code></td>"
        f"<td class=n>{report['files_copied']}</td><td class=n>{size_text(report['bytes_copied'])}</td>"
        f"<td class=n>{report['files_skipped']}</td><td class='n{bad}'>{report['files_failed']}</td>"
        f"<td class=n>{seconds}</td></tr>"
    )
