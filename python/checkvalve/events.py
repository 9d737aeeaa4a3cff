"""The engine's events (docs/reference/machine.md).

Made by tools/dev/python_sources.py (`./dev docs`): do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True)
class Event:
    """``t``: milliseconds since 1970-01-01 UTC."""

    type: ClassVar[str] = ""
    t: int = 0


@dataclass(frozen=True)
class Started(Event):
    """The command begins; with a date range, once a date."""

    type: ClassVar[str] = "started"
    command: str = ""
    program_version: str = ""
    source: str = ""
    target: str = ""


@dataclass(frozen=True)
class Listing(Event):
    """How far the listing of both sides is."""

    type: ClassVar[str] = "listing"
    source_entries: int = 0
    target_entries: int = 0


@dataclass(frozen=True)
class Planned(Event):
    """The plan is complete."""

    type: ClassVar[str] = "planned"
    plan: str = ""
    """Empty for a dry run."""
    files: int = 0
    bytes: int = 0
    skipped: int = 0
    failed: int = 0
    batches: int = 0


@dataclass(frozen=True)
class FileStarted(Event):
    """A file's transfer begins."""

    type: ClassVar[str] = "file_started"
    path: str = ""
    """Relative to the root; \\xNN for bytes that are no UTF-8 and control characters, \\\\ for a backslash."""
    size_bytes: int = 0


@dataclass(frozen=True)
class FileProgress(Event):
    """For large files, at most one a second and file."""

    type: ClassVar[str] = "file_progress"
    path: str = ""
    """Relative to the root; \\xNN for bytes that are no UTF-8 and control characters, \\\\ for a backslash."""
    size_bytes: int = 0
    done_bytes: int = 0


@dataclass(frozen=True)
class FilePublished(Event):
    """The file is at the target under its name."""

    type: ClassVar[str] = "file_published"
    path: str = ""
    """Relative to the root; \\xNN for bytes that are no UTF-8 and control characters, \\\\ for a backslash."""
    size_bytes: int = 0
    digest: str = ""
    """Of the published bytes: "xxh128:…", or with --verify hash what the target tells, "sha256:…" or "crc32c:…"; empty
    where there is none.
    """
    attempts: int = 0


@dataclass(frozen=True)
class FileSkipped(Event):
    """The file is left as it is at the target."""

    type: ClassVar[str] = "file_skipped"
    path: str = ""
    """Relative to the root; \\xNN for bytes that are no UTF-8 and control characters, \\\\ for a backslash."""
    reason: str = ""


@dataclass(frozen=True)
class FileFailed(Event):
    """The file did not make it."""

    type: ClassVar[str] = "file_failed"
    path: str = ""
    """Relative to the root; \\xNN for bytes that are no UTF-8 and control characters, \\\\ for a backslash."""
    kind: str = ""
    status: str = ""
    """One of permanent, transient, exhausted."""
    operation: str = ""
    message: str = ""


@dataclass(frozen=True)
class Retry(Event):
    """A file or a connection is tried again."""

    type: ClassVar[str] = "retry"
    path: str = ""
    """Empty for a connection."""
    kind: str = ""
    message: str = ""
    attempt: int = 0
    delay_ms: int = 0


@dataclass(frozen=True)
class Batch(Event):
    """A batch changes its state."""

    type: ClassVar[str] = "batch"
    batch: int = 0
    state: str = ""
    """One of started, waiting, finished, interrupted."""
    detail: str = ""
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Progress(Event):
    """At most two a second."""

    type: ClassVar[str] = "progress"
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0


@dataclass(frozen=True)
class Warning(Event):
    """Nothing is lost, but the user should know."""

    type: ClassVar[str] = "warning"
    message: str = ""


_CLASSES: tuple[type[Event], ...] = (
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
_TYPES = {each.type: (each, frozenset(field.name for field in fields(each))) for each in _CLASSES}


def event_from_json(value: dict[str, Any]) -> Event | None:
    """The event of one line; None for an unknown type. Unknown fields are ignored."""
    known = _TYPES.get(str(value.get("type")))
    if known is None:
        return None
    event_class, names = known
    return event_class(**{name: item for name, item in value.items() if name in names})
