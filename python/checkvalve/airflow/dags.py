"""dags_from_config: each job of an engine config becomes a DAG.

    from checkvalve.airflow import dags_from_config

    globals().update(dags_from_config("jobs/*.toml"))

The schedule and other settings of Airflow are in an ``[airflow.NAME]`` table beside ``[job.NAME]``; keys of
``[airflow]`` itself are defaults for all jobs of the file. A job without such a table becomes a DAG without a schedule.
"""

from __future__ import annotations

import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from airflow.sdk import DAG

_DAG_KEYS = ("schedule", "start_date", "end_date", "catchup", "max_active_runs", "tags", "description")
_TASK_KEYS = ("owner", "retries", "retry_delay", "max_retry_delay", "execution_timeout", "queue", "priority_weight")
_GROUP_KEYS = (
    "strategy",
    "pool",
    "pool_slots",
    "compare",
    "file_limit",
    "on_empty",
    "state",
    "source_conn_id",
    "target_conn_id",
    "target_seconds",
)
_OPTION_KEYS = ("batch_files", "batch_bytes", "max_batches")
_OWN_KEYS = ("date", "assets", "dag_id")
_KEYS = (*_DAG_KEYS, *_TASK_KEYS, *_GROUP_KEYS, *_OPTION_KEYS, *_OWN_KEYS)
_DURATIONS = ("retry_delay", "max_retry_delay", "execution_timeout")


class JobConfigError(ValueError):
    """An invalid config; the message names file, table and key."""


def dags_from_config(pattern: str, *, base: str | Path | None = None) -> dict[str, DAG]:
    """The DAGs of all files that match, by id. Relative patterns are below ``base``, by default the caller's directory.

    Raises JobConfigError for a file that cannot be read or an unknown key, which Airflow shows as an import error.
    """
    if not Path(pattern).is_absolute():
        directory = Path(base) if base else Path(sys._getframe(1).f_globals["__file__"]).parent
        pattern = str(directory / pattern)
    anchor = Path(pattern).anchor
    dags: dict[str, DAG] = {}
    for file in sorted(Path(anchor).glob(str(Path(pattern).relative_to(anchor)))):
        for dag in _dags_of(file):
            if dag.dag_id in dags:
                raise JobConfigError(f"{file}: duplicate DAG '{dag.dag_id}'; set dag_id for one of them")
            dags[dag.dag_id] = dag
    return dags


def _dags_of(file: Path) -> list[DAG]:
    try:
        config = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise JobConfigError(f"{file}: {error}") from None
    tables = config.get("airflow", {})
    defaults = {key: value for key, value in tables.items() if not isinstance(value, dict)}
    jobs = config.get("job", {})
    for name, table in tables.items():
        if isinstance(table, dict) and name not in jobs:
            raise JobConfigError(f"{file}: [airflow.{name}] has no [job.{name}]")
    return [_dag(file, name, {**defaults, **tables.get(name, {})}) for name in jobs]


def _dag(file: Path, name: str, settings: dict[str, Any]) -> DAG:
    from airflow.sdk import DAG, Asset

    from ..options import JobOptions
    from .task_group import checkvalve_task_group

    for key in settings:
        if key not in _KEYS:
            raise JobConfigError(f"{file}: unknown key '{key}' in [airflow.{name}]; known keys: {', '.join(_KEYS)}")
    for key in _DURATIONS:
        if key in settings:
            settings[key] = _duration(file, name, key, settings[key])
    for key in ("start_date", "end_date"):
        if key in settings:
            settings[key] = _time(settings[key])

    def pick(keys: tuple[str, ...]) -> dict[str, Any]:
        return {key: settings[key] for key in keys if key in settings}

    with DAG(
        settings.get("dag_id", name),
        default_args=pick(_TASK_KEYS),
        **{"schedule": None, "catchup": False, **pick(_DAG_KEYS)},
    ) as dag:
        checkvalve_task_group(
            config=str(file),
            job=name,
            date=settings.get("date", "{{ ds }}"),
            outlets=[Asset(uri) for uri in settings.get("assets", [])],
            options=JobOptions(**pick(_OPTION_KEYS)),
            **pick(_GROUP_KEYS),
        )
    return dag


def _time(value: Any) -> Any:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return value if value.tzinfo else value.replace(tzinfo=timezone.utc)


def _duration(file: Path, name: str, key: str, value: Any) -> timedelta:
    """Seconds, or a string with a unit: "30s", "5m", "2h"."""
    units = {"s": 1, "m": 60, "h": 3600}
    if isinstance(value, int | float):
        return timedelta(seconds=value)
    if isinstance(value, str) and value[-1:] in units and value[:-1].isdigit():
        return timedelta(seconds=int(value[:-1]) * units[value[-1]])
    raise JobConfigError(f'{file}: [airflow.{name}] {key}: expected seconds or a string like "30s", "5m", "2h"')
