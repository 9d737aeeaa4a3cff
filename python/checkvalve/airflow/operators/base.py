"""What the operators share: their parameters, the engine's start, and what a task leaves behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, BaseOperator

from ...options import JobOptions
from ..links import ReportLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ...api import ConfiguredJob, Endpoint, State
    from ...errors import EngineError
    from ...summary import Summary
    from ..hooks.checkvalve import CheckvalveHook

REPORT_KEY = "checkvalve_report"
"""The XCom of a task's counts and failures; the report page and OpenLineage read it."""

_MOST_REPORTED_FAILURES = 100


class CheckvalveOperator(BaseOperator):
    """The base of the operators. Either connections and paths, or a job of a config.

    :param source_conn_id: the connection to read from; with ``config``, of its secrets (optional)
    :param source_path: the folder; relative to the login directory unless it begins with "/" (templated)
    :param target_conn_id: the connection to write to; with ``config``, of its secrets (optional)
    :param target_path: the folder, made as needed (templated)
    :param config: an engine config that the workers see, instead of the four above (templated)
    :param job: the name of its ``[job.NAME]`` (templated)
    :param date: the date that ``{date}`` in that job stands for (templated)
    :param state: where plans and checkpoints are: a path or URL that all workers share, or a connection's id;
        default: ``[checkvalve] state``, ``CHECKVALVE_STATE`` (templated)
    :param program: the engine program; default: the wheel's
    """

    template_fields: Sequence[str] = (
        "source_conn_id",
        "source_path",
        "target_conn_id",
        "target_path",
        "config",
        "job",
        "date",
        "state",
    )
    operator_extra_links = (ReportLink(),)
    ui_color = "#dcefe4"
    job_fields: ClassVar[tuple[str, ...]] = ()
    """The operator's attributes that are fields of JobOptions."""

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
        state: str | None = None,
        program: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_conn_id = source_conn_id
        self.source_path = source_path
        self.target_conn_id = target_conn_id
        self.target_path = target_path
        self.config = config
        self.job = job
        self.date = date
        self.state = state
        self.program = program
        self._hook: CheckvalveHook | None = None
        self._urls: dict[str, str] = {}
        self._report: dict[str, Any] | None = None

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

    def connect_timeout_or(self, given: str | None) -> str | None:
        """The operator's own, else what its connections say; once the endpoints are made."""
        seconds = self.hook.connect_timeout_seconds
        return given or (None if seconds is None else f"{math.ceil(seconds)}s")

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

    def ends(self) -> tuple[Endpoint | None, Endpoint | None]:
        """Both sides of a ``sync`` or ``plan``. Fails the task for good if a parameter is missing."""
        ends = (self.source(), self.target())
        if None in ends and not (self.config and self.job):
            raise AirflowFailException(
                f"task '{self.task_id}' needs source_conn_id, source_path, target_conn_id and target_path, or config"
                " and job"
            )
        return ends

    def job_options(self) -> JobOptions:
        return JobOptions(**{name: getattr(self, name) for name in self.job_fields})

    def leave_report(self, context: Context, summary: Summary) -> None:
        """Counts and failures as a small XCom, and as Airflow metrics; also of a task that then fails."""
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
        """By the connections; for what they don't say (a configured job, a batch without paths) by what was done."""
        from ..openlineage import lineage

        source, target = (self._report or {}).get("source"), (self._report or {}).get("target")
        if self.source_path and (end := self.source()):
            source = end.url
        if self.target_path and (end := self.target()):
            target = end.url
        return lineage(source, target, self._report) if source and target else None


def report_of(summary: Summary) -> dict[str, Any]:
    return {
        "plan": summary.plan,
        "files_copied": summary.files_copied,
        "files_skipped": summary.files_skipped,
        "files_failed": summary.files_failed,
        "bytes_copied": summary.bytes_copied,
        "seconds": summary.seconds,
        "peak_rss_bytes": summary.peak_rss_bytes,
        "failures": [
            {"path": failure.path, "kind": failure.kind, "message": failure.message}
            for failure in summary.failures[:_MOST_REPORTED_FAILURES]
        ],
    }


def emit_asset_events(context: Context, outlets: Sequence[Any], extra: dict[str, Any]) -> None:
    """Counts in the extra of each asset that the task has as an outlet."""
    for outlet in outlets:
        context["outlet_events"][outlet].extra.update(extra)


ON_EMPTY = ("success", "skip", "fail")


def check_choice(task_id: str, name: str, value: str, choices: Sequence[str]) -> None:
    """Raises ValueError, while the DAG file is read, for a word that is none of the choices."""
    if value not in choices:
        raise ValueError(f"{name} of task '{task_id}' is '{value}', not one of {', '.join(choices)}")


def end_empty(on_empty: str, where: str) -> None:
    """What a task does that found no file."""
    if on_empty == "skip":
        raise AirflowSkipException(f"no file to copy in {where}")
    if on_empty == "fail":
        raise AirflowFailException(f"no file to copy in {where}, and on_empty is 'fail'")
