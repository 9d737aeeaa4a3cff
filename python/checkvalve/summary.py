"""The objects that the program prints with --json. Unknown fields are ignored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .errors import Failure


@dataclass(frozen=True)
class BatchSize:
    """A batch of a plan: its number from 1, its files and their bytes."""

    batch: int
    files: int
    bytes: int


@dataclass(frozen=True)
class Summary:
    """The outcome of ``sync``, ``plan`` or ``run``. ``failures`` has up to 1,000, ``files_failed`` counts all.
    ``files_filtered`` and ``files_too_recent`` count files not selected: by patterns and sizes, and by min_age.
    """

    command: str
    plan: str
    files_planned: int
    files_copied: int
    files_skipped: int
    files_failed: int
    bytes_planned: int
    bytes_copied: int
    batches: int
    seconds: float
    peak_rss_bytes: int
    interrupted: bool
    files_filtered: int = 0
    files_too_recent: int = 0
    failures: tuple[Failure, ...] = ()
    batch_list: tuple[BatchSize, ...] = ()
    error: Failure | None = None
    json: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Summary:
        error = value.get("error")
        return cls(
            command=str(value.get("command", "")),
            plan=str(value.get("plan") or ""),
            files_planned=int(value.get("files_planned", 0)),
            files_copied=int(value.get("files_copied", 0)),
            files_skipped=int(value.get("files_skipped", 0)),
            files_failed=int(value.get("files_failed", 0)),
            bytes_planned=int(value.get("bytes_planned", 0)),
            bytes_copied=int(value.get("bytes_copied", 0)),
            batches=int(value.get("batches", 0)),
            seconds=float(value.get("seconds", 0.0)),
            peak_rss_bytes=int(value.get("peak_rss_bytes", 0)),
            interrupted=bool(value.get("interrupted", False)),
            files_filtered=int(value.get("files_filtered", 0)),
            files_too_recent=int(value.get("files_too_recent", 0)),
            failures=tuple(Failure.from_json(item) for item in value.get("failures") or ()),
            batch_list=tuple(
                BatchSize(int(item["batch"]), int(item["files"]), int(item["bytes"]))
                for item in value.get("batch_list") or ()
            ),
            error=Failure.from_json(error) if error else None,
            json=value,
        )


@dataclass(frozen=True)
class Difference:
    """A file that differs between source and target."""

    path: str
    reason: str
    detail: str


@dataclass(frozen=True)
class VerifySummary:
    """The outcome of ``verify``. ``files_extra``: files that only the target has, which is not a difference."""

    files_compared: int
    bytes_compared: int
    files_extra: int
    difference_count: int
    differences: tuple[Difference, ...]
    error: Failure | None = None

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> VerifySummary:
        error = value.get("error")
        return cls(
            files_compared=int(value.get("files_compared", 0)),
            bytes_compared=int(value.get("bytes_compared", 0)),
            files_extra=int(value.get("files_extra", 0)),
            difference_count=int(value.get("difference_count", 0)),
            differences=tuple(
                Difference(str(item.get("path", "")), str(item.get("reason", "")), str(item.get("detail", "")))
                for item in value.get("differences") or ()
            ),
            error=Failure.from_json(error) if error else None,
        )


@dataclass(frozen=True)
class BatchStatus:
    """A batch of a plan. ``state``: pending, leased, lapsed, done, failed."""

    batch: int
    state: str
    files: int
    bytes: int
    files_done: int
    bytes_done: int
    files_failed: int
    generation: int


@dataclass(frozen=True)
class PlanStatus:
    """A plan and its batches. ``failures`` has up to 1,000 entries."""

    plan: str
    state: str
    source: str
    target: str
    files: int
    bytes: int
    skipped: int
    batches: tuple[BatchStatus, ...]
    failures: tuple[Failure, ...]

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PlanStatus:
        plan = value.get("plan") or {}
        return cls(
            plan=str(plan.get("id", "")),
            state=str(plan.get("state", "")),
            source=str(plan.get("source", "")),
            target=str(plan.get("target", "")),
            files=int(plan.get("files", 0)),
            bytes=int(plan.get("bytes", 0)),
            skipped=int(plan.get("skipped", 0)),
            batches=tuple(
                BatchStatus(
                    batch=int(item.get("batch", 0)),
                    state=str(item.get("state", "")),
                    files=int(item.get("files", 0)),
                    bytes=int(item.get("bytes", 0)),
                    files_done=int(item.get("files_done", 0)),
                    bytes_done=int(item.get("bytes_done", 0)),
                    files_failed=int(item.get("files_failed", 0)),
                    generation=int(item.get("generation", 0)),
                )
                for item in value.get("batches") or ()
            ),
            failures=tuple(Failure.from_json(item) for item in value.get("failures") or ()),
        )

    @property
    def files_done(self) -> int:
        return sum(batch.files_done for batch in self.batches)

    @property
    def bytes_done(self) -> int:
        return sum(batch.bytes_done for batch in self.batches)

    @property
    def files_missing(self) -> int:
        """Planned files that are not at the target, and those that could not be planned."""
        unplannable = sum(1 for failure in self.failures if failure.batch == 0)
        return self.files - self.files_done + unplannable


@dataclass(frozen=True)
class Check:
    """A capability that ``doctor`` checked."""

    name: str
    value: str
    ok: bool


@dataclass(frozen=True)
class DoctorReport:
    """The outcome of ``doctor``."""

    url: str
    ok: bool
    checks: tuple[Check, ...]
    error: Failure | None

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> DoctorReport:
        error = value.get("error")
        return cls(
            url=str(value.get("url", "")),
            ok=bool(value.get("ok", False)),
            checks=tuple(
                Check(str(item.get("name", "")), str(item.get("value", "")), bool(item.get("ok", True)))
                for item in value.get("checks") or ()
            ),
            error=Failure.from_json(error) if error else None,
        )
