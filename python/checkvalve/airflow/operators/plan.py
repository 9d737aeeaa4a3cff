"""CheckvalvePlanOperator: compares source and target and cuts the files to copy into batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, conf

from ...errors import EXIT_FILES_FAILED
from ...options import JobOptions
from ..progress import files_text
from .selecting import SelectingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ...summary import Summary

PLAN_KEY = "checkvalve_plan"
"""The XCom with the plan's id, also when there is no batch; CheckvalveFinishOperator reads it."""

NO_SOURCE = "no source directory"
"""Its value if there was no directory to plan, and on_empty is skip."""

ENGINE_MAX_BATCHES = 1_000
DEFAULT_RATE_BYTES = 50_000_000
DEFAULT_RATE_FILES = 1_000


class CheckvalvePlanOperator(SelectingOperator):
    """Returns references to batches, for ``CheckvalveBatchOperator.partial(…).expand(batch=plan.output)``.

    Each is ``{"plan": id, "batch": n, "batches": N, "files": f, "bytes": b}``; file names stay in the state. There are
    never more than ``[core] max_map_length`` (batches are larger instead). Files that cannot be planned do not fail
    this task: CheckvalveFinishOperator reports them. ``options`` has the size of batches (``batch_files``,
    ``batch_bytes``, ``max_batches``).

    :param target_seconds: instead of ``batch_files`` and ``batch_bytes``: how long a batch should take at about
        ``rate_bytes`` bytes and ``rate_files`` files per second. A mapped task costs Airflow 0.2 to 0.35 s, so choose
        10 s or more
    :param max_files: reject a plan of more files; for one task per file
    """

    template_fields: Sequence[str] = SelectingOperator.template_fields

    def __init__(
        self,
        *,
        target_seconds: float | None = None,
        rate_bytes: int = DEFAULT_RATE_BYTES,
        rate_files: int = DEFAULT_RATE_FILES,
        max_files: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if target_seconds is not None and (self.options.batch_files or self.options.batch_bytes):
            raise ValueError(f"task '{self.task_id}': target_seconds excludes batch_files and batch_bytes")
        self.target_seconds = target_seconds
        self.rate_bytes = rate_bytes
        self.rate_files = rate_files
        self.max_files = max_files

    def job_options(self) -> JobOptions:
        options = super().job_options()
        max_map_length = conf.getint("core", "max_map_length", fallback=1024)
        max_batches = min(int(options.max_batches or ENGINE_MAX_BATCHES), max_map_length)
        if self.target_seconds is None:
            return replace(options, max_batches=max_batches)
        return replace(
            options,
            batch_files=max(1, math.ceil(self.target_seconds * self.rate_files)),
            batch_bytes=max(1, math.ceil(self.target_seconds * self.rate_bytes)),
            max_batches=max_batches,
        )

    def execute(self, context: Context) -> list[dict[str, Any]]:
        summary = self._plan(context)
        context["ti"].xcom_push(key=PLAN_KEY, value=summary.plan)
        self.handle_empty(summary)
        if self.max_files is not None and summary.files_planned > self.max_files:
            raise AirflowFailException(
                f"{summary.files_planned} files to copy exceed the limit of {self.max_files} for one task per file:"
                ' use strategy="batches", or raise file_limit (each task costs Airflow 0.2 to 0.35 s)'
            )
        return [
            {"plan": summary.plan, "batch": item.batch, "batches": len(summary.batch_list), "files": item.files,
             "bytes": item.bytes}
            for item in summary.batch_list
        ]  # fmt: skip

    def _plan(self, context: Context) -> Summary:
        from ... import api
        from ...errors import EngineError

        endpoints, state = self.endpoints(), self.sync_state()
        try:
            return self.hook.run(
                lambda on_tick: api.start(
                    "plan", endpoints, self.job_options(), files=self.files, configured=self.configured_job(),
                    state=state, program=self.hook.program, on_tick=on_tick,
                )
            )  # fmt: skip
        except EngineError as error:
            if error.exit_code == EXIT_FILES_FAILED and error.summary and error.summary.plan and not error.failure:
                self.log.warning(
                    "%s cannot be planned; the finish task reports them", files_text(error.summary.files_failed)
                )
                return error.summary
            if error.summary:
                self.leave_report(context, error.summary)
            missing = self.missing_source(error)
            if isinstance(missing, AirflowSkipException):
                context["ti"].xcom_push(key=PLAN_KEY, value=NO_SOURCE)
            raise missing or self.failure(error) from None
