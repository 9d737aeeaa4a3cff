"""checkvalve_task_group: one switch for how a directory is copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..options import JobOptions
from .operators.base import check_choice

if TYPE_CHECKING:
    from airflow.sdk import Asset, TaskGroup

STRATEGIES = ("batches", "single", "file")
DEFAULT_FILE_LIMIT = 200

RETRY_DEFAULTS: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=15),
}
"""Defaults of a group's tasks; default_args of the DAG or the group override them."""

_WHERE = ("source_conn_id", "source_path", "target_conn_id", "target_path", "config", "job", "date", "state", "program")
_BATCHING = ("target_seconds", "rate_bytes", "rate_files")
_BATCHING_OPTIONS = ("batch_files", "batch_bytes", "max_batches")


def checkvalve_task_group(
    group_id: str = "checkvalve",
    *,
    strategy: str = "batches",
    options: JobOptions | None = None,
    outlets: Sequence[Asset] = (),
    compare: str = "none",
    file_limit: int = DEFAULT_FILE_LIMIT,
    pool: str | None = None,
    pool_slots: int = 1,
    default_args: dict[str, Any] | None = None,
    **parameters: Any,
) -> TaskGroup:
    """Copies a directory within the current DAG. Raises ValueError or TypeError for parameters that do not fit.

    :param strategy: ``batches``: a plan, one mapped task per batch, and a finish task; ``single``: all in one task;
        ``file``: as batches, with one task per file
    :param options: how to select, compare, change and copy files (``checkvalve.JobOptions``; each field is templated)
    :param outlets: assets that the last task updates, with counts in the extra
    :param compare: compare source and target afterwards: none, size, checksum (not with ``single``, which has
        ``JobOptions.verify``)
    :param file_limit: with ``file``: more files than this are rejected
    :param pool: the pool of tasks that connect to the endpoints: its slots are the budget over all workers
    :param pool_slots: the slots that each of those tasks takes
    :param default_args: for the tasks; also ``retries`` and the like (see RETRY_DEFAULTS)
    :param parameters: of CheckvalvePlanOperator (or CheckvalveSyncOperator): connections, paths, files, batching
    """
    from airflow.sdk import TaskGroup

    check_choice(group_id, "strategy", strategy, STRATEGIES)
    options = options or JobOptions()
    if strategy != "batches":
        unused = [name for name in _BATCHING if name in parameters]
        if unused := unused + [name for name in _BATCHING_OPTIONS if getattr(options, name) is not None]:
            raise ValueError(f"task group '{group_id}': {', '.join(unused)} can be used with strategy='batches' only")
    tasks_args = {"pool_slots": pool_slots, **({"pool": pool} if pool else {})}
    with TaskGroup(group_id=group_id) as group:
        group.default_args = {**RETRY_DEFAULTS, **group.dag.default_args, **(default_args or {})}
        if strategy == "single":
            _single(list(outlets), compare, {**tasks_args, **parameters, "options": options})
        else:
            parameters["options"] = options
            if strategy == "file":
                parameters |= {"options": replace(options, batch_files=1), "max_files": file_limit}
            _batches(list(outlets), compare, tasks_args, parameters)
    return group


def _single(outlets: list[Asset], compare: str, parameters: dict[str, Any]) -> None:
    from .operators.sync import CheckvalveSyncOperator

    if compare != "none":
        raise ValueError("compare needs strategy='batches'; with 'single' use JobOptions(verify='readback')")
    CheckvalveSyncOperator(task_id="sync", outlets=outlets, **parameters)


def _batches(outlets: list[Asset], compare: str, tasks_args: dict[str, Any], parameters: dict[str, Any]) -> None:
    from .operators.batch import MAP_INDEX_TEMPLATE, CheckvalveBatchOperator
    from .operators.finish import CheckvalveFinishOperator
    from .operators.plan import CheckvalvePlanOperator

    def pick(*names: str) -> dict[str, Any]:
        return {name: parameters[name] for name in names if name in parameters}

    plan = CheckvalvePlanOperator(task_id="plan", **tasks_args, **parameters)
    copy = CheckvalveBatchOperator.partial(
        task_id="copy", map_index_template=MAP_INDEX_TEMPLATE, **tasks_args, **pick(*_WHERE, "options")
    ).expand(batch=plan.output)
    finish = CheckvalveFinishOperator(
        task_id="finish",
        plan_task_id=plan.task_id,
        compare=compare,
        outlets=outlets,
        **(tasks_args if compare != "none" else {}),
        **pick(*_WHERE, "files", "options", "on_empty"),
    )
    plan >> copy >> finish
    plan >> finish
