"""checkvalve_task_group: one switch for how a folder is copied."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

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
"""What the tasks of a group get unless the DAG's or the group's default_args say otherwise."""

_PLACE = ("source_conn_id", "source_path", "target_conn_id", "target_path", "config", "job", "date", "state", "program")
_EACH_RUN = (
    "memory",
    "source_connections",
    "target_connections",
    "bwlimit",
    "engine_retries",
    "stall_timeout",
    "connect_timeout",
    "lease_ttl",
)
_BATCHING = ("batch_files", "batch_bytes", "max_batches", "target_seconds", "rate_bytes", "rate_files")


def checkvalve_task_group(
    group_id: str = "checkvalve",
    *,
    strategy: str = "batches",
    outlets: Sequence[Asset] = (),
    compare: str = "none",
    file_limit: int = DEFAULT_FILE_LIMIT,
    pool: str | None = None,
    pool_slots: int = 1,
    default_args: dict[str, Any] | None = None,
    **parameters: Any,
) -> TaskGroup:
    """Copies a folder within the current DAG. Raises ValueError or TypeError for parameters that don't fit.

    :param strategy: ``batches``: a plan, one mapped task a batch, and a finish task; ``single``: all in one task;
        ``file``: as batches, with one task a file
    :param outlets: assets that the last task updates, with counts in the extra
    :param compare: afterwards compare both sides: none, size, checksum (not with ``single``, which has ``verify``)
    :param file_limit: with ``file``: more files than this are refused
    :param pool: the pool of tasks that connect to the endpoints: its slots are the budget over all workers
    :param pool_slots: the slots that each of those tasks takes
    :param default_args: for the tasks; also ``retries`` and the like (see RETRY_DEFAULTS)
    :param parameters: of CheckvalvePlanOperator (or CheckvalveSyncOperator): connections, paths, selection, batching
    """
    from airflow.sdk import TaskGroup

    check_choice(group_id, "strategy", strategy, STRATEGIES)
    if strategy != "batches" and (unused := [name for name in _BATCHING if name in parameters]):
        raise ValueError(f"{', '.join(unused)} of task group '{group_id}' need strategy=\"batches\"")
    tasks_args = {"pool_slots": pool_slots, **({"pool": pool} if pool else {})}
    with TaskGroup(group_id=group_id) as group:
        group.default_args = {**RETRY_DEFAULTS, **group.dag.default_args, **(default_args or {})}
        if strategy == "single":
            _single(list(outlets), compare, {**tasks_args, **parameters})
        else:
            if strategy == "file":
                parameters |= {"batch_files": 1, "max_files": file_limit}
            _batches(list(outlets), compare, tasks_args, parameters)
    return group


def _single(outlets: list[Asset], compare: str, parameters: dict[str, Any]) -> None:
    from .operators.sync import CheckvalveSyncOperator

    if compare != "none":
        raise ValueError('compare needs strategy="batches"; with "single" use verify="readback"')
    CheckvalveSyncOperator(task_id="sync", outlets=outlets, **parameters)


def _batches(outlets: list[Asset], compare: str, tasks_args: dict[str, Any], parameters: dict[str, Any]) -> None:
    from .operators.batch import MAP_INDEX_TEMPLATE, CheckvalveBatchOperator
    from .operators.finish import CheckvalveFinishOperator
    from .operators.plan import CheckvalvePlanOperator
    from .operators.selecting import SelectingOperator

    def some(names: Sequence[str]) -> dict[str, Any]:
        return {name: parameters[name] for name in names if name in parameters}

    plan = CheckvalvePlanOperator(task_id="plan", **tasks_args, **parameters)
    copy = CheckvalveBatchOperator.partial(
        task_id="copy", map_index_template=MAP_INDEX_TEMPLATE, **tasks_args, **some(_PLACE), **some(_EACH_RUN)
    ).expand(batch=plan.output)
    finish = CheckvalveFinishOperator(
        task_id="finish",
        plan_task_id=plan.task_id,
        compare=compare,
        outlets=outlets,
        **(tasks_args if compare != "none" else {}),
        **some(_PLACE),
        **some((*SelectingOperator.job_fields, "engine_retries", "extra_arguments", "on_empty")),
    )
    plan >> copy >> finish
    plan >> finish
