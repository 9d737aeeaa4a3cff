"""What the operators share: their parameters, how they start the program, and the report that a task leaves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, BaseOperator
from airflow.sdk import XComArg

from ...options import JobOptions
from ..links import ReportLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ...api import ConfiguredJob, Endpoint, Endpoints, State
    from ...errors import EngineError
    from ...summary import Summary
    from ..hooks.checkvalve import CheckvalveHook

REPORT_KEY = "checkvalve_report"
"""The XCom of a task's counts and failures; the report page and OpenLineage read it."""

_OPTION_NAMES = {field.name for field in fields(JobOptions)} - {"retries"} | {"engine_retries", "overwrite"}
"""Keywords that belong into JobOptions; ``retries`` is also a parameter of Airflow's own."""

_MAX_REPORTED_FAILURES = 100


class CheckvalveOperator(BaseOperator):
    """The base of the operators. Takes connections and paths, or a job of a config.

    :param source_conn_id: the connection to read from; with ``config``, the one whose secrets are used (optional)
    :param source_path: the directory; relative to the login directory unless it begins with "/" (templated)
    :param target_conn_id: the connection to write to; with ``config``, the one whose secrets are used (optional)
    :param target_path: the directory, created as needed (templated)
    :param config: a config file that the workers see, instead of the four above (templated)
    :param job: the name of its ``[job.NAME]`` (templated)
    :param date: the value of ``{date}`` in that job (templated)
    :param options: how to select, compare, change and copy files (``checkvalve.JobOptions``; each field is templated)
    :param state: where plans and history are: a path or URL that all workers share, or the id of a connection;
        default: ``[checkvalve] state``, ``CHECKVALVE_STATE`` (templated)
    :param program: the ``checkvalve`` program; default: the wheel's
    """

    template_fields: Sequence[str] = (
        "source_conn_id",
        "source_path",
        "target_conn_id",
        "target_path",
        "config",
        "job",
        "date",
        "options",
        "state",
    )
    operator_extra_links = (ReportLink(),)
    ui_color = "#dcefe4"

    def __init__(
        self,
        *,
        source_conn_id: str | None = None,
        source_path: str = "",
        target_conn_id: str | None = None,
        target_path: str = "",
        config: str | None = None,
        job: str | None = None,
        date: str | None = None,
        options: JobOptions | None = None,
        state: str | None = None,
        program: str | None = None,
        **kwargs: Any,
    ) -> None:
        if misplaced := sorted(_OPTION_NAMES & kwargs.keys()):
            raise TypeError(
                f"{', '.join(misplaced)} of task '{kwargs.get('task_id')}': give options=JobOptions(…) instead"
            )
        super().__init__(**kwargs)
        self.source_conn_id = source_conn_id
        self.source_path = source_path
        self.target_conn_id = target_conn_id
        self.target_path = target_path
        self.config = config
        self.job = job
        self.date = date
        # A copy, since Airflow renders the fields in place and tasks may share one object.
        self.options = replace(options) if options else JobOptions()
        self.state = state
        self.program = program
        self._hook: CheckvalveHook | None = None
        self._urls: dict[str, str] = {}
        self._report: dict[str, Any] | None = None
        for name in self.options.template_fields:  # Airflow finds outputs of other tasks in its own objects only
            XComArg.apply_upstream_relationship(self, getattr(self.options, name))

    def render_template_fields(self, *args: Any, **kwargs: Any) -> None:
        self.options = replace(self.options)  # the operator may be rendered again, for another run
        super().render_template_fields(*args, **kwargs)

    @property
    def hook(self) -> CheckvalveHook:
        if self._hook is None:
            from ..hooks.checkvalve import CheckvalveHook

            self._hook = CheckvalveHook(program=self.program)
        return self._hook

    def on_kill(self) -> None:
        if self._hook is not None:
            self._hook.kill()

    def source(self) -> Endpoint | None:
        return self._endpoint(self.source_conn_id, self.source_path)

    def target(self) -> Endpoint | None:
        return self._endpoint(self.target_conn_id, self.target_path)

    def _endpoint(self, conn_id: str | None, path: str) -> Endpoint | None:
        if not conn_id:
            return None
        endpoint = self.hook.endpoint(path, conn_id)
        self._urls[conn_id] = endpoint.url
        return endpoint

    def job_options(self) -> JobOptions:
        """The options, with the connect timeout of the connections by default. Call it after ``endpoints``."""
        seconds = self.hook.connect_timeout_seconds
        if self.options.connect_timeout or seconds is None:
            return self.options
        return replace(self.options, connect_timeout=f"{math.ceil(seconds)}s")

    def failure(self, error: EngineError) -> Exception:
        """The exception of the task for the engine's."""
        from ..hooks.checkvalve import fail

        return fail(error, self._urls)

    def sync_state(self) -> State:
        from ..state import state_of

        try:
            return state_of(self.state)
        except ValueError as error:
            raise AirflowFailException(str(error)) from None

    def configured_job(self) -> ConfiguredJob | None:
        from ...api import ConfiguredJob

        return ConfiguredJob(self.config, self.job, self.date) if self.config and self.job else None

    def endpoints(self) -> Endpoints:
        """Source and target. Fails the task without a retry if a parameter is missing."""
        endpoints = (self.source(), self.target())
        if None in endpoints and not (self.config and self.job):
            raise AirflowFailException(
                f"task '{self.task_id}' needs source_conn_id, source_path, target_conn_id and target_path, or config"
                " and job"
            )
        return endpoints

    def leave_report(self, context: Context, summary: Summary) -> None:
        """Pushes counts and failures as a small XCom, and as Airflow metrics; also for a task that then fails."""
        from ..metrics import report as report_metrics

        task_instance = context["ti"]
        self.push_report(
            context, {**report_of(summary), "source": self.hook.source_url, "target": self.hook.target_url}
        )
        report_metrics(summary, task_instance.dag_id, task_instance.task_id)

    def push_report(self, context: Context, report: dict[str, Any]) -> None:
        self._report = report
        context["ti"].xcom_push(key=REPORT_KEY, value=report)

    def get_openlineage_facets_on_start(self) -> Any:
        return self._lineage()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        return self._lineage()

    def _lineage(self) -> Any:
        """By the connections; else (a configured job, a batch without paths) by the report."""
        from ..openlineage import lineage

        source, target = (self._report or {}).get("source"), (self._report or {}).get("target")
        if self.source_path and (endpoint := self.source()):
            source = endpoint.url
        if self.target_path and (endpoint := self.target()):
            target = endpoint.url
        return lineage(source, target, self._report) if source and target else None


def report_of(summary: Summary) -> dict[str, Any]:
    return {
        "plan": summary.plan,
        "files_copied": summary.files_copied,
        "files_skipped": summary.files_skipped,
        "files_failed": summary.files_failed,
        "files_filtered": summary.files_filtered,
        "files_too_recent": summary.files_too_recent,
        "bytes_copied": summary.bytes_copied,
        "seconds": summary.seconds,
        "peak_rss_bytes": summary.peak_rss_bytes,
        "failures": [
            {"path": failure.path, "kind": failure.kind, "message": failure.message}
            for failure in summary.failures[:_MAX_REPORTED_FAILURES]
        ],
    }


def emit_asset_events(context: Context, outlets: Sequence[Any], extra: dict[str, Any]) -> None:
    """Puts the counts into the extra of each asset that is an outlet of the task."""
    for outlet in outlets:
        context["outlet_events"][outlet].extra.update(extra)


ON_EMPTY = ("success", "skip", "fail")


def check_choice(task_id: str, name: str, value: str, choices: Sequence[str]) -> None:
    """Raises ValueError, while the DAG file is parsed, for a value that is not one of the choices."""
    if value not in choices:
        raise ValueError(f"invalid {name} '{value}' of task '{task_id}': expected one of {', '.join(choices)}")


def end_empty(on_empty: str, where: str) -> None:
    """Ends a task that found no file as ``on_empty`` says."""
    if on_empty == "skip":
        raise AirflowSkipException(f"no file to copy in {where}")
    if on_empty == "fail":
        raise AirflowFailException(f"no file to copy in {where} (on_empty='fail')")
