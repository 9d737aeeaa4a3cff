"""CheckvalveSyncOperator: a whole directory, a list of files or a single file in one task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .base import emit_asset_events, report_of
from .selecting import SelectingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class CheckvalveSyncOperator(SelectingOperator):
    """Plans and copies. Returns the counts: files_copied, files_skipped, bytes_copied, seconds, plan.

    Files that are up to date are skipped, so retries and reruns copy only what is missing. Permanent errors (login
    refused, unknown host key, invalid parameters, files that may not be read) fail the task without a retry; transient
    ones are retried. Parameters: see SelectingOperator and CheckvalveOperator.
    """

    template_fields: Sequence[str] = SelectingOperator.template_fields

    def execute(self, context: Context) -> dict[str, Any]:
        from ... import api
        from ...errors import EngineError

        endpoints, state = self.endpoints(), self.sync_state()
        try:
            summary = self.hook.run(
                lambda on_tick: api.start(
                    "sync", endpoints, self.job_options(), files=self.files, configured=self.configured_job(),
                    state=state, program=self.hook.program, on_tick=on_tick,
                )
            )  # fmt: skip
        except EngineError as error:
            if error.summary:
                self.leave_report(context, error.summary)
            raise self.missing_source(error) or self.failure(error) from None
        self.leave_report(context, summary)
        self.handle_empty(summary)
        counts = report_of(summary)
        del counts["failures"]
        emit_asset_events(context, self.outlets, counts)
        return counts
