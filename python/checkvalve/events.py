"""The engine's events (docs/reference/machine.md), typed.

Names with bytes that are not UTF-8, control characters or backslashes come escaped: ``\\xNN`` and ``\\\\``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True)
class Event:
    """``t``: milliseconds since 1970 UTC."""

    type: ClassVar[str] = ""
    t: int = 0


@dataclass(frozen=True)
class Started(Event):
    type: ClassVar[str] = "started"
    command: str = ""
    program_version: str = ""
    source: str = ""
    target: str = ""


@dataclass(frozen=True)
class Listing(Event):
    type: ClassVar[str] = "listing"
    source_entries: int = 0
    target_entries: int = 0


@dataclass(frozen=True)
class Planned(Event):
    type: ClassVar[str] = "planned"
    plan: str = ""
    files: int = 0
    bytes: int = 0
    skipped: int = 0
    failed: int = 0
    batches: int = 0


@dataclass(frozen=True)
class FileStarted(Event):
    type: ClassVar[str] = "file_started"
    path: str = ""
    size_bytes: int = 0


@dataclass(frozen=True)
class FileProgress(Event):
    type: ClassVar[str] = "file_progress"
    path: str = ""
    size_bytes: int = 0
    done_bytes: int = 0


@dataclass(frozen=True)
class FilePublished(Event):
    type: ClassVar[str] = "file_published"
    path: str = ""
    size_bytes: int = 0
    digest: str = ""
    attempts: int = 1


@dataclass(frozen=True)
class FileSkipped(Event):
    type: ClassVar[str] = "file_skipped"
    path: str = ""
    reason: str = ""


@dataclass(frozen=True)
class FileFailed(Event):
    type: ClassVar[str] = "file_failed"
    path: str = ""
    kind: str = ""
    status: str = ""
    operation: str = ""
    message: str = ""


@dataclass(frozen=True)
class Retry(Event):
    """``path`` is empty for a connection; ``attempt`` is the one that comes, after ``delay_ms``."""

    type: ClassVar[str] = "retry"
    path: str = ""
    kind: str = ""
    message: str = ""
    attempt: int = 0
    delay_ms: int = 0


@dataclass(frozen=True)
class Batch(Event):
    """``state``: started, waiting, finished, interrupted; ``detail``: who holds it, while waiting."""

    type: ClassVar[str] = "batch"
    batch: int = 0
    state: str = ""
    detail: str = ""
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Progress(Event):
    type: ClassVar[str] = "progress"
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0


@dataclass(frozen=True)
class Warning(Event):
    type: ClassVar[str] = "warning"
    message: str = ""


_TYPES: dict[str, tuple[type[Event], frozenset[str]]] = {
    kind.type: (kind, frozenset(field.name for field in fields(kind)))
    for kind in (
        Started,
        Listing,
        Planned,
        FileStarted,
        FileProgress,
        FilePublished,
        FileSkipped,
        FileFailed,
        Retry,
        Batch,
        Progress,
        Warning,
    )
}


def event_from_json(value: dict[str, Any]) -> Event | None:
    """The event of one line; None for a type that this version does not know. Unknown fields are passed over."""
    known = _TYPES.get(str(value.get("type")))
    if known is None:
        return None
    kind, names = known
    return kind(**{name: item for name, item in value.items() if name in names})
