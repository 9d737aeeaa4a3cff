"""checkvalve: one-way file sync for scheduled jobs.

``sync``, ``plan`` and ``run`` start the ``checkvalve`` program and return an :class:`Operation`, an iterator over its
events; ``Operation.result()`` waits for its end and returns the summary or raises an :class:`EngineError`.
``checkvalve.airflow`` is the Apache Airflow provider.

Modules are imported on first use: DAG files that import the provider are cheap to parse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import Endpoint as Endpoint
    from .api import doctor as doctor
    from .api import plan as plan
    from .api import run as run
    from .api import status as status
    from .api import sync as sync
    from .api import verify as verify
    from .engine import Operation as Operation
    from .errors import EngineError as EngineError
    from .errors import PermanentError as PermanentError
    from .errors import TransientError as TransientError
    from .options import JobOptions as JobOptions
    from .transform import python_transform as python_transform

_MODULES = {
    "Endpoint": "api",
    "EngineError": "errors",
    "JobOptions": "options",
    "Operation": "engine",
    "PermanentError": "errors",
    "TransientError": "errors",
    "doctor": "api",
    "plan": "api",
    "python_transform": "transform",
    "run": "api",
    "status": "api",
    "sync": "api",
    "verify": "api",
}

__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    import importlib

    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("checkvalve")
    if name not in _MODULES:
        raise AttributeError(f"module 'checkvalve' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*_MODULES, "__version__"])
