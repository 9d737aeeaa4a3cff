"""Failures that the program reports, and the exceptions for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .summary import Summary

EXIT_FILES_FAILED = 1
EXIT_USAGE = 2


@dataclass(frozen=True)
class Failure:
    """A file that failed, or the error that ended a command; fields as in docs/reference/machine.md.

    ``code`` is a stable word for programs; ``message`` and ``hint`` are for people and may change.
    """

    kind: str
    status: str
    operation: str
    path: str
    message: str
    code: str = ""
    hint: str = ""
    batch: int = 0

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Failure:
        return cls(
            kind=str(value.get("kind", "io")),
            status=str(value.get("status", "permanent")),
            operation=str(value.get("operation", "")),
            path=str(value.get("path", "")),
            message=str(value.get("message", "")),
            code=str(value.get("code", "")),
            hint=str(value.get("hint", "")),
            batch=int(value.get("batch", 0)),
        )

    @property
    def permanent(self) -> bool:
        """False if a later attempt may succeed; ``exhausted``: the program's own retries are used up."""
        return self.status == "permanent"

    def __str__(self) -> str:
        path = f" '{self.path}'" if self.operation and self.path else self.path
        where = f"cannot {self.operation}{path}" if self.operation else path
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}; hint: {self.hint}" if self.hint else text


class EngineError(Exception):
    """The program did not succeed. Either a :class:`PermanentError` or a :class:`TransientError`.

    ``exit_code`` is the program's (negative: the signal that killed it); ``failure`` is what ended the command, or None
    if single files failed, which ``summary.failures`` lists.
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


class TransientError(EngineError):
    """A later attempt may succeed: lost connection, timeout, killed program."""
