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
    """The command starts; with a range of dates, once for each."""

    type: ClassVar[str] = "started"
    command: str = ""
    program_version: str = ""
    source: str = ""
    target: str = ""


@dataclass(frozen=True)
class Listing(Event):
    """Progress of listing source and target."""

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
    filtered: int = 0
    """Files that --include, --exclude or the sizes do not select."""
    too_recent: int = 0
    """Files that --min-age does not select."""
    batches: int = 0


@dataclass(frozen=True)
class FilePlanned(Event):
    """In a dry run: a run would copy or make this."""

    type: ClassVar[str] = "file_planned"
    path: str = ""
    """Relative to the root; \\xNN for control characters and bytes that are not UTF-8, \\\\ for a backslash."""
    size_bytes: int = 0


@dataclass(frozen=True)
class FileStarted(Event):
    """A transfer starts."""

    type: ClassVar[str] = "file_started"
    path: str = ""
    """Relative to the root; \\xNN for control characters and bytes that are not UTF-8, \\\\ for a backslash."""
    size_bytes: int = 0


@dataclass(frozen=True)
class FileProgress(Event):
    """Progress of a large file, at most once a second for each."""

    type: ClassVar[str] = "file_progress"
    path: str = ""
    """Relative to the root; \\xNN for control characters and bytes that are not UTF-8, \\\\ for a backslash."""
    size_bytes: int = 0
    done_bytes: int = 0


@dataclass(frozen=True)
class FilePublished(Event):
    """The file has its final name at the target."""

    type: ClassVar[str] = "file_published"
    path: str = ""
    """Relative to the root; \\xNN for control characters and bytes that are not UTF-8, \\\\ for a backslash."""
    size_bytes: int = 0
    digest: str = ""
    """Of the published bytes: "xxh128:…", or with --verify hash the server-side checksum, "sha256:…" or "crc32c:…"; may
    be empty.
    """
    attempts: int = 0


@dataclass(frozen=True)
class FileSkipped(Event):
    """The file is skipped."""

    type: ClassVar[str] = "file_skipped"
    path: str = ""
    """Relative to the root; \\xNN for control characters and bytes that are not UTF-8, \\\\ for a backslash."""
    reason: str = ""


@dataclass(frozen=True)
class FileFailed(Event):
    """The file failed."""

    type: ClassVar[str] = "file_failed"
    path: str = ""
    """Relative to the root; \\xNN for control characters and bytes that are not UTF-8, \\\\ for a backslash."""
    code: str = ""
    """Stable word for programs: the kind, or more specific; docs/reference/machine.md lists them."""
    kind: str = ""
    status: str = ""
    """One of permanent, transient, exhausted."""
    operation: str = ""
    message: str = ""
    hint: str = ""
    """What to do about it, for people; may be empty."""


@dataclass(frozen=True)
class Retry(Event):
    """A file or a connection is retried."""

    type: ClassVar[str] = "retry"
    path: str = ""
    """Empty for a connection."""
    code: str = ""
    """Stable word for programs: the kind, or more specific; docs/reference/machine.md lists them."""
    kind: str = ""
    status: str = ""
    """One of permanent, transient, exhausted."""
    operation: str = ""
    message: str = ""
    hint: str = ""
    """What to do about it, for people; may be empty."""
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
    """The holder, while waiting."""
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Progress(Event):
    """Progress of the run, at most twice a second."""

    type: ClassVar[str] = "progress"
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0


@dataclass(frozen=True)
class Warning(Event):
    """Nothing is lost, but somebody should know."""

    type: ClassVar[str] = "warning"
    message: str = ""


_CLASSES: tuple[type[Event], ...] = (
    Started,
    Listing,
    Planned,
    FilePlanned,
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
