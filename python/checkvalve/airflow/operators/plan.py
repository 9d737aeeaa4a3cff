"""CheckvalvePlanOperator: lists both sides and cuts what is to move into batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, conf

from ...errors import EXIT_FILES_FAILED
from ...options import Batching
from .selecting import SelectingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ...summary import Summary

PLAN_KEY = "checkvalve_plan"
"""The XCom with the plan's id, also when there is no batch; CheckvalveFinishOperator reads it."""

NO_SOURCE = "no source folder"
"""What stands there instead if there was no folder to plan, and on_empty is skip."""

ENGINE_MAX_BATCHES = 1_000
DEFAULT_RATE_BYTES = 50_000_000
DEFAULT_RATE_FILES = 1_000


class CheckvalvePlanOperator(SelectingOperator):
    """Returns references to batches, for ``CheckvalveBatchOperator.partial(…).expand(batch=plan.output)``.

    Each is ``{"plan": id, "batch": n, "batches": N, "files": f, "bytes": b}``; file names stay in the state. There are
    never more than ``[core] max_map_length`` (then batches grow). Files that can't be planned do not fail this task:
    CheckvalveFinishOperator names them.

    :param batch_files: files of a batch at most
    :param batch_bytes: bytes of a batch at most, unless one file is larger: 1_000_000_000 or "1GiB"
    :param max_batches: batches at most
    :param target_seconds: instead of the two bounds: how long a batch should take at about ``rate_bytes`` bytes and
        ``rate_files`` files a second. A mapped task costs Airflow 0.2 to 0.35 s, so 10 s or more
    :param max_files: refuse a plan of more files; for one task a file
    """

    template_fields: Sequence[str] = SelectingOperator.template_fields

    def __init__(
        self,
        *,
        batch_files: int | None = None,
        batch_bytes: int | str | None = None,
        max_batches: int | None = None,
        target_seconds: float | None = None,
        rate_bytes: int = DEFAULT_RATE_BYTES,
        rate_files: int = DEFAULT_RATE_FILES,
        max_files: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if target_seconds is not None and (batch_files is not None or batch_bytes is not None):
            raise ValueError(f"task '{self.task_id}': give target_seconds, or batch_files and batch_bytes, not both")
        self.batch_files = batch_files
        self.batch_bytes = batch_bytes
        self.max_batches = max_batches
        self.target_seconds = target_seconds
        self.rate_bytes = rate_bytes
        self.rate_files = rate_files
        self.max_files = max_files

    def batching(self) -> Batching:
        most = min(self.max_batches or ENGINE_MAX_BATCHES, conf.getint("core", "max_map_length", fallback=1024))
        if self.target_seconds is None:
            return Batching(files=self.batch_files, bytes=self.batch_bytes, max_batches=most)
        return Batching(
            files=max(1, math.ceil(self.target_seconds * self.rate_files)),
            bytes=max(1, math.ceil(self.target_seconds * self.rate_bytes)),
            max_batches=most,
        )

    def execute(self, context: Context) -> list[dict[str, Any]]:
        summary = self._plan(context)
        context["ti"].xcom_push(key=PLAN_KEY, value=summary.plan)
        self.handle_empty(summary)
        if self.max_files is not None and summary.files_planned > self.max_files:
            raise AirflowFailException(
                f"{summary.files_planned} files are to be copied, and one task a file is allowed for {self.max_files}:"
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

        ends, state = self.ends(), self.sync_state()
        try:
            return self.hook.run(
                lambda on_tick: api.start(
                    "plan", ends, self.job_options(), configured=self.configured_job(), batching=self.batching(),
                    state=state, program=self.hook.program, on_tick=on_tick,
                )
            )  # fmt: skip
        except EngineError as error:
            if error.exit_code == EXIT_FILES_FAILED and error.summary and error.summary.plan and not error.failure:
                self.log.warning("%d file(s) can't be planned; the finish task will name them",
                                 error.summary.files_failed)  # fmt: skip
                return error.summary
            if error.summary:
                self.leave_report(context, error.summary)
            missing = self.missing_source(error)
            if isinstance(missing, AirflowSkipException):
                context["ti"].xcom_push(key=PLAN_KEY, value=NO_SOURCE)
            raise missing or self.failure(error) from None
