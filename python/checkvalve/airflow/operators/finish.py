"""CheckvalveFinishOperator: sums a plan up, reports missing files, emits the asset event."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from ..progress import files_text
from .base import check_choice, emit_asset_events, end_empty
from .plan import NO_SOURCE, PLAN_KEY
from .selecting import SelectingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ...options import JobOptions
    from ...summary import PlanStatus

COMPARE = ("none", "size", "checksum")
_MAX_NAMED = 50


class CheckvalveFinishOperator(SelectingOperator):
    """Runs after the batches, however they ended (``trigger_rule="all_done"``), and fails if a file is missing.

    Returns files, bytes and skipped of the plan. The missing files are in the failure, the log (up to 1,000) and the
    report page. ``compare`` needs the parameters of the plan: connections and paths, ``files`` and ``options``.

    :param plan_task_id: the task of the CheckvalvePlanOperator
    :param compare: compare source and target afterwards: none (default), size, checksum (reads both; not with
        transforms)
    """

    def __init__(self, *, plan_task_id: str, compare: str = "none", **kwargs: Any) -> None:
        kwargs.setdefault("trigger_rule", "all_done")
        super().__init__(**kwargs)
        check_choice(self.task_id, "compare", compare, COMPARE)
        if compare == "checksum" and self.options.transforms:
            raise ValueError(
                f"task '{self.task_id}': compare='checksum' is not possible with transforms, which change the content;"
                " compare='size' uses the history"
            )
        self.plan_task_id = plan_task_id
        self.compare = compare

    def job_options(self) -> JobOptions:
        return replace(super().job_options(), checksum=True if self.compare == "checksum" else None)

    def execute(self, context: Context) -> dict[str, Any]:
        status = self._status(context)
        counts = {
            "plan": status.plan,
            "files": status.files,
            "bytes": status.bytes,
            "files_copied": status.files_done,
            "bytes_copied": status.bytes_done,
            "files_skipped": status.skipped,
            "files_failed": status.files_missing,
            "batches": len(status.batches),
        }
        failures = [
            {"path": item.path, "kind": item.kind, "message": item.message} for item in status.failures[:_MAX_NAMED]
        ]
        self.push_report(context, {**counts, "failures": failures, "source": status.source, "target": status.target})
        self.log.info(
            "Files at the target: %(files_copied)d of %(files)d; up to date before: %(files_skipped)d", counts
        )
        if status.files_missing:
            self._fail_for_missing(status)
        if not status.files and not status.skipped:
            end_empty(self.on_empty, status.source)
        if self.compare != "none":
            self._compare()
        emit_asset_events(context, self.outlets, counts)
        return counts

    def _status(self, context: Context) -> PlanStatus:
        from ... import api
        from ...errors import EngineError

        plan = context["ti"].xcom_pull(task_ids=self.plan_task_id, key=PLAN_KEY)
        if plan == NO_SOURCE:
            raise AirflowSkipException(f"task '{self.plan_task_id}' found no source directory")
        if not plan:
            raise AirflowFailException(f"task '{self.plan_task_id}' stored no plan: see its log")
        try:
            return api.status(plan, state=self.sync_state(), program=self.hook.program)
        except EngineError as error:
            raise self.failure(error) from None

    def _fail_for_missing(self, status: PlanStatus) -> None:
        for failure in status.failures:
            self.log.error("Not copied: %s", failure)
        named = "; ".join(str(failure) for failure in status.failures[:_MAX_NAMED])
        untried = [batch.batch for batch in status.batches if batch.files_done + batch.files_failed < batch.files]
        if untried:
            batches = ", ".join(map(str, untried[:_MAX_NAMED]))
            named = f"{named}; " * bool(named) + f"incomplete batches: {batches} (clear them to resume)"
        # Without a retry: only the batches can copy them, and clearing those clears this task too.
        raise AirflowFailException(f"{files_text(status.files_missing)} missing at the target: {named}")

    def _compare(self) -> None:
        from ... import api
        from ...errors import EngineError

        endpoints, state = self.endpoints(), self.sync_state()
        try:
            report = api.compare(
                endpoints,
                self.job_options(),
                files=self.files,
                configured=self.configured_job(),
                state=state,
                program=self.hook.program,
            )
        except EngineError as error:
            raise self.failure(error) from None
        self.log.info("Compared %s: %d different", files_text(report.files_compared), report.difference_count)
        if report.difference_count:
            named = "; ".join(f"{item.path}: {item.reason} {item.detail}" for item in report.differences[:_MAX_NAMED])
            raise AirflowFailException(f"{files_text(report.difference_count)} different at the target: {named}")
