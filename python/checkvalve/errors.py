"""What an engine that did not succeed raises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .summary import Summary

EXIT_FILES_FAILED = 1
EXIT_USAGE = 2


@dataclass(frozen=True)
class Failure:
    """One file that did not make it, or what ended a command; fields as in docs/reference/machine.md."""

    kind: str
    status: str
    operation: str
    path: str
    message: str
    batch: int = 0

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Failure:
        return cls(
            kind=str(value.get("kind", "io")),
            status=str(value.get("status", "permanent")),
            operation=str(value.get("operation", "")),
            path=str(value.get("path", "")),
            message=str(value.get("message", "")),
            batch=int(value.get("batch", 0)),
        )

    @property
    def permanent(self) -> bool:
        """False if a later try may succeed; ``exhausted`` means that the engine's own tries are used up."""
        return self.status == "permanent"

    def __str__(self) -> str:
        where = " ".join(part for part in (self.operation, self.path) if part)
        return f"{where}: {self.message}" if where else self.message


class EngineError(Exception):
    """The engine ended without success. Catch :class:`PermanentError` or :class:`TemporaryError` to tell them apart.

    ``exit_code`` is the program's (negative: the signal that killed it), ``failure`` what ended the command, or None if
    single files failed, which ``summary.failures`` lists.
    """

    def __init__(
        self, message: str, *, exit_code: int, failure: Failure | None = None, summary: Summary | None = None
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.failure = failure
        self.summary = summary


class PermanentError(EngineError):
    """The same call would fail again: login, host key, configuration, permissions of a file."""


class TemporaryError(EngineError):
    """A later try may succeed: connection, timeout, a full disk's worth of tries, a killed program."""
