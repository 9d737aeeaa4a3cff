"""What operators that look at the source share: sync, plan and finish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from .base import ON_EMPTY, CheckvalveOperator, check_choice, end_empty

if TYPE_CHECKING:
    from ...errors import EngineError
    from ...summary import Summary


class SelectingOperator(CheckvalveOperator):
    """The base of operators that look at the source.

    :param files: one path, or a list of paths, relative to ``source_path``, instead of listing it (templated)
    :param on_empty: what to do if there is no file to copy: success (default), skip, fail. If the source directory does
        not exist, skip and fail do the same at once; with success the task fails and its retries look again
    """

    template_fields: Sequence[str] = (*CheckvalveOperator.template_fields, "files")

    def __init__(self, *, files: str | Sequence[str] | None = None, on_empty: str = "success", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice(self.task_id, "on_empty", on_empty, ON_EMPTY)
        self.files = files
        self.on_empty = on_empty

    def missing_source(self, error: EngineError) -> Exception | None:
        """What the task raises, by ``on_empty``, if the source directory does not exist; else None."""
        failure = error.failure
        if failure is None or failure.code != "source_root_missing":
            return None
        missing = f"source directory {failure.path} does not exist"
        if self.on_empty == "skip":
            return AirflowSkipException(missing)
        if self.on_empty == "fail":
            return AirflowFailException(f"{missing} (on_empty='fail')")
        return AirflowException(f"{missing}; retries look again, on_empty='skip' skips the task instead")

    def handle_empty(self, summary: Summary) -> None:
        """Acts on ``on_empty`` if no file of the source is selected."""
        if not (summary.files_planned or summary.files_skipped or summary.files_failed):
            end_empty(self.on_empty, self.source_path or str(self.job))
