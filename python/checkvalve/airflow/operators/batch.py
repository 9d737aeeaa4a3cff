"""CheckvalveBatchOperator: one batch of a plan, as a mapped task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from ..progress import files_text, size_text
from .base import CheckvalveOperator, report_of

if TYPE_CHECKING:
    from airflow.sdk import Context

MAP_INDEX_TEMPLATE = "{{ task.batch_label }}"


class CheckvalveBatchOperator(CheckvalveOperator):
    """Copies one batch; give it ``CheckvalveBatchOperator.partial(…).expand(batch=plan.output)``.

    The batch is leased in the state: started twice, one waits for the other and then finds it done. A retry copies the
    files that are missing. With ``map_index_template=MAP_INDEX_TEMPLATE`` in ``.partial()`` the mapped tasks are named
    "batch 3/12 · 814 files · 1.2 GB". The endpoints are those of the plan; the connections bring the secrets. Of
    ``options``, those that `checkvalve run` takes apply: memory, connections, bandwidth, retries, timeouts, lease.

    :param batch: a reference that CheckvalvePlanOperator returned (templated)
    """

    template_fields: Sequence[str] = (*CheckvalveOperator.template_fields, "batch")

    def __init__(self, *, batch: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch = batch

    @property
    def batch_label(self) -> str:
        batch = self.batch
        return f"batch {batch['batch']}/{batch['batches']} · {files_text(batch['files'])} · {size_text(batch['bytes'])}"

    def execute(self, context: Context) -> dict[str, Any]:
        from ... import api
        from ...errors import EngineError

        if not isinstance(self.batch, dict) or not {"plan", "batch", "batches", "files", "bytes"} <= self.batch.keys():
            raise AirflowFailException(
                f"invalid batch {self.batch!r}: expected a reference that CheckvalvePlanOperator returned"
            )
        self.log.info("Copying %s of plan %s", self.batch_label, self.batch["plan"])
        state, source, target = self.sync_state(), self.source(), self.target()
        try:
            summary = self.hook.run(
                lambda on_tick: api.run(
                    self.batch["plan"],
                    [self.batch["batch"]],
                    source=source,
                    target=target,
                    config=self.config,
                    options=self.job_options(),
                    state=state,
                    program=self.hook.program,
                    on_tick=on_tick,
                )
            )
        except EngineError as error:
            if error.summary:
                self.leave_report(context, error.summary)
            raise self.failure(error) from None
        self.leave_report(context, summary)
        counts = report_of(summary)
        del counts["failures"]
        return counts
