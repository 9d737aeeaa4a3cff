"""The Apache Airflow provider: operators, a task group and DAGs from a config. Imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dags import dags_from_config as dags_from_config
    from .hooks.checkvalve import CheckvalveHook as CheckvalveHook
    from .operators.batch import CheckvalveBatchOperator as CheckvalveBatchOperator
    from .operators.finish import CheckvalveFinishOperator as CheckvalveFinishOperator
    from .operators.plan import CheckvalvePlanOperator as CheckvalvePlanOperator
    from .operators.sync import CheckvalveSyncOperator as CheckvalveSyncOperator
    from .task_group import checkvalve_task_group as checkvalve_task_group

_MODULES = {
    "CheckvalveBatchOperator": "operators.batch",
    "CheckvalveFinishOperator": "operators.finish",
    "CheckvalveHook": "hooks.checkvalve",
    "CheckvalvePlanOperator": "operators.plan",
    "CheckvalveSyncOperator": "operators.sync",
    "checkvalve_task_group": "task_group",
    "dags_from_config": "dags",
}

__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'checkvalve.airflow' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
