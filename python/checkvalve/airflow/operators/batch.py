"""CheckvalveBatchOperator: one batch of a plan, as a mapped task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from ...options import JobOptions
from ..progress import size_text
from .base import CheckvalveOperator, report_of

if TYPE_CHECKING:
    from airflow.sdk import Context

MAP_INDEX_TEMPLATE = "{{ task.batch_label }}"


class CheckvalveBatchOperator(CheckvalveOperator):
    """Copies one batch; give it ``CheckvalveBatchOperator.partial(…).expand(batch=plan.output)``.

    The batch is leased in the state: started twice, one waits for the other and then finds it done. A retry goes on
    with the files that are missing. With ``map_index_template=MAP_INDEX_TEMPLATE`` in ``.partial()`` the mapped tasks
    are named "batch 3/12 · 814 files · 1.2 GB". The endpoints are those of the plan; the connections bring the secrets.

    :param batch: a reference that CheckvalvePlanOperator returned (templated)
    :param memory: buffers for file content (default 64MiB)
    :param source_connections: connections to the source at most, of this task
    :param target_connections: connections to the target at most, of this task
    :param bwlimit: bytes a second at most, of this task
    :param engine_retries: tries after the first of a file and a connection, within one try of the task
    :param stall_timeout: give up an operation that hears nothing for this long
    :param connect_timeout: give up a connection that is not ready after this long (default: what the connections say)
    :param lease_ttl: how long a worker that fell silent keeps its batch
    """

    template_fields: Sequence[str] = (*CheckvalveOperator.template_fields, "batch")

    def __init__(
        self,
        *,
        batch: dict[str, Any],
        memory: str | int | None = None,
        source_connections: int | None = None,
        target_connections: int | None = None,
        bwlimit: str | None = None,
        engine_retries: int | None = None,
        stall_timeout: str | None = None,
        connect_timeout: str | None = None,
        lease_ttl: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.batch = batch
        self.memory = memory
        self.source_connections = source_connections
        self.target_connections = target_connections
        self.bwlimit = bwlimit
        self.engine_retries = engine_retries
        self.stall_timeout = stall_timeout
        self.connect_timeout = connect_timeout
        self.lease_ttl = lease_ttl

    @property
    def batch_label(self) -> str:
        batch = self.batch
        files = "1 file" if batch["files"] == 1 else f"{batch['files']} files"
        return f"batch {batch['batch']}/{batch['batches']} · {files} · {size_text(batch['bytes'])}"

    def job_options(self) -> JobOptions:
        return JobOptions(
            memory=self.memory,
            source_connections=self.source_connections,
            target_connections=self.target_connections,
            bwlimit=self.bwlimit,
            retries=self.engine_retries,
            stall_timeout=self.stall_timeout,
            connect_timeout=self.connect_timeout_or(self.connect_timeout),
            lease_ttl=self.lease_ttl,
        )

    def execute(self, context: Context) -> dict[str, Any]:
        from ... import api
        from ...errors import EngineError

        if not isinstance(self.batch, dict) or not {"plan", "batch", "batches", "files", "bytes"} <= self.batch.keys():
            raise AirflowFailException(f"batch is {self.batch!r}, not a reference that CheckvalvePlanOperator returned")
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
