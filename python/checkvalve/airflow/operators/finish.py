"""CheckvalveFinishOperator: sums a plan up, names what is missing, emits the asset event."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from .base import check_choice, emit_asset_events, end_empty
from .plan import NO_SOURCE, PLAN_KEY
from .selecting import SelectingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ...options import JobOptions
    from ...summary import PlanStatus

COMPARE = ("none", "size", "checksum")
_MOST_NAMED = 50


class CheckvalveFinishOperator(SelectingOperator):
    """Runs after the batches, however they ended (``trigger_rule="all_done"``), and fails if a file is missing.

    Returns files, bytes and skipped of the plan. The list of what is missing is in the failure, the log (up to 1,000)
    and the report page. ``compare`` needs the parameters that the plan has: which files, ``links``, ``preserve``,
    ``transforms`` and the limits of the transfer.

    :param plan_task_id: the task of the CheckvalvePlanOperator
    :param compare: afterwards compare both sides: none (default), size, checksum (reads both sides; not with
        ``transforms``)
    """

    job_fields: ClassVar[tuple[str, ...]] = tuple(
        name for name in SelectingOperator.job_fields if name not in ("checksum", "lease_ttl")
    )

    def __init__(self, *, plan_task_id: str, compare: str = "none", **kwargs: Any) -> None:
        kwargs.setdefault("trigger_rule", "all_done")
        super().__init__(**kwargs)
        check_choice(self.task_id, "compare", compare, COMPARE)
        if compare == "checksum" and self.transforms:
            raise ValueError(
                f"compare of task '{self.task_id}' can't be 'checksum', since transforms change what is published: with"
                " 'size' the state's record of what was made of which source tells"
            )
        self.plan_task_id = plan_task_id
        self.compare = compare

    def job_options(self) -> JobOptions:
        return replace(super().job_options(), checksum=self.compare == "checksum")

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
            {"path": item.path, "kind": item.kind, "message": item.message} for item in status.failures[:_MOST_NAMED]
        ]
        self.push_report(context, {**counts, "failures": failures, "source": status.source, "target": status.target})
        self.log.info("%(files_copied)d of %(files)d file(s) are at the target; %(files_skipped)d were before", counts)
        if status.files_missing:
            self._name_missing(status)
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
            raise AirflowSkipException(f"task '{self.plan_task_id}' found no source folder")
        if not plan:
            raise AirflowFailException(f"task '{self.plan_task_id}' made no plan: see its log")
        try:
            return api.status(plan, state=self.sync_state(), program=self.hook.program)
        except EngineError as error:
            raise self.failure(error) from None

    def _name_missing(self, status: PlanStatus) -> None:
        for failure in status.failures:
            self.log.error("Not copied: %s", failure)
        named = "; ".join(str(failure) for failure in status.failures[:_MOST_NAMED])
        untried = [batch.batch for batch in status.batches if batch.files_done + batch.files_failed < batch.files]
        if untried:
            batches = ", ".join(map(str, untried[:_MOST_NAMED]))
            named = f"{named}; " * bool(named) + f"unfinished batches: {batches} (clear them to go on)"
        # Without a retry: only the batches can mend it, and clearing those clears this task too.
        raise AirflowFailException(f"{status.files_missing} file(s) are missing at the target: {named}")

    def _compare(self) -> None:
        from ... import api
        from ...errors import EngineError

        ends, state = self.ends(), self.sync_state()
        try:
            report = api.compare(
                ends, self.job_options(), configured=self.configured_job(), state=state, program=self.hook.program
            )
        except EngineError as error:
            raise self.failure(error) from None
        self.log.info("Compared %d file(s): %d difference(s)", report.files_compared, report.difference_count)
        if report.difference_count:
            named = "; ".join(f"{item.path}: {item.reason} {item.detail}" for item in report.differences[:_MOST_NAMED])
            raise AirflowFailException(f"{report.difference_count} file(s) differ: {named}")
