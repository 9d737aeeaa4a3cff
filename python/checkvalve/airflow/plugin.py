"""The Airflow plugin (entry point ``airflow.plugins``): the task link and the report page of a run."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

from .links import REPORT_PREFIX, ReportLink


class _LazyApp:
    """The report app, created by the first request: schedulers and workers load plugins too and need no web server."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            from .report import make_app

            self._app = make_app()
        await self._app(scope, receive, send)


class CheckvalvePlugin(AirflowPlugin):
    name = "checkvalve"
    operator_extra_links = [ReportLink()]
    fastapi_apps = [{"app": _LazyApp(), "url_prefix": REPORT_PREFIX, "name": "Checkvalve reports"}]
    external_views = [
        {
            "name": "Copied files",
            "href": REPORT_PREFIX + "/report/{DAG_ID}/{RUN_ID}",
            "destination": "dag_run",
            "url_route": "checkvalve_report",
            "category": "checkvalve",
        }
    ]
