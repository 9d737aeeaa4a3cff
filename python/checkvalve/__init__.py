"""checkvalve: one-way file sync for scheduled jobs.

``sync``, ``plan``, ``run`` and ``verify`` start the engine program and return an :class:`Operation`, which iterates
over the engine's events; ``Operation.result()`` waits for the end and returns the summary or raises an
:class:`EngineError`. ``checkvalve.airflow`` holds the Apache Airflow provider.

Nothing is imported before it is used, so that a DAG file that names the provider stays cheap to parse.
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
    from .errors import TemporaryError as TemporaryError
    from .options import Batching as Batching
    from .options import JobOptions as JobOptions
    from .transform import python_transform as python_transform

_HOME = {
    "Batching": "options",
    "Endpoint": "api",
    "EngineError": "errors",
    "JobOptions": "options",
    "Operation": "engine",
    "PermanentError": "errors",
    "TemporaryError": "errors",
    "doctor": "api",
    "plan": "api",
    "python_transform": "transform",
    "run": "api",
    "status": "api",
    "sync": "api",
    "verify": "api",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    import importlib

    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("checkvalve")
    if name not in _HOME:
        raise AttributeError(f"module 'checkvalve' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*_HOME, "__version__"])
