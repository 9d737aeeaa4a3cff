"""Events of the program as lines of a task's log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .. import events

if TYPE_CHECKING:
    from ..summary import Summary

_MAX_FAILURES = 1_000


def size_text(size_bytes: float) -> str:
    """Decimal units, as elsewhere in Airflow: 1.2 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size_bytes < 1000 or unit == "TB":
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    raise AssertionError


def files_text(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


class ProgressLog:
    """Logs progress every ``interval_seconds`` or ``step`` of the work at most, and one line per failure."""

    def __init__(self, log: Any, interval_seconds: float = 10.0, step: float = 0.1) -> None:
        self._log = log
        self._interval_seconds = interval_seconds
        self._step = step
        self._last_time = time.monotonic()
        self._last_share = 0.0
        self._failures = 0

    def write(self, event: events.Event) -> None:
        if isinstance(event, events.Progress):
            self._progress(event)
        elif isinstance(event, events.FileFailed):
            self._failure(event)
        elif isinstance(event, events.Retry):
            what = event.path or "the connection"
            self._log.warning("Retrying %s in %.1f s (attempt %d): %s", what, event.delay_ms / 1000, event.attempt,
                              event.message)  # fmt: skip
        elif isinstance(event, events.Warning):
            self._log.warning("%s", event.message)
        elif isinstance(event, events.Batch):
            self._batch(event)
        elif isinstance(event, events.Started):
            self._log.info("checkvalve %s: %s to %s", event.program_version, event.source, event.target)
        elif isinstance(event, events.Planned):
            self._log.info(
                "Plan %s: %s to copy (%s), batches: %d; skipped: %d",
                event.plan,
                files_text(event.files),
                size_text(event.bytes),
                event.batches,
                event.skipped,
            )

    def summary(self, summary: Summary) -> None:
        if summary.command == "plan":
            return
        rate = summary.bytes_copied / summary.seconds if summary.seconds > 0 else 0.0
        self._log.info(
            "Copied %s (%s) in %.1f s (%s/s); skipped: %d; failed: %d; peak memory: %s",
            files_text(summary.files_copied),
            size_text(summary.bytes_copied),
            summary.seconds,
            size_text(rate),
            summary.files_skipped,
            summary.files_failed,
            size_text(summary.peak_rss_bytes),
        )

    def _progress(self, event: events.Progress) -> None:
        share = event.bytes_done / event.bytes_total if event.bytes_total else 0.0
        now = time.monotonic()
        if now - self._last_time < self._interval_seconds and share - self._last_share < self._step:
            return
        self._last_time, self._last_share = now, share
        self._log.info(
            "%3.0f %%: %d of %d files, %s of %s",
            share * 100,
            event.files_done,
            event.files_total,
            size_text(event.bytes_done),
            size_text(event.bytes_total),
        )

    def _failure(self, event: events.FileFailed) -> None:
        self._failures += 1
        if self._failures <= _MAX_FAILURES:
            self._log.error("Not copied: %s: %s (%s, %s)", event.path, event.message, event.kind, event.status)
        elif self._failures == _MAX_FAILURES + 1:
            self._log.error("More files failed; `checkvalve status` lists all")

    def _batch(self, event: events.Batch) -> None:
        if event.state == "waiting":
            self._log.info("Batch %d is held by %s; waiting", event.batch, event.detail)
        elif event.state == "interrupted":
            self._log.warning("Batch %d was interrupted", event.batch)
