"""The parameters of operators that look at the source: sync and plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from .base import ON_EMPTY, CheckvalveOperator, check_choice, end_empty

if TYPE_CHECKING:
    from ...errors import EngineError
    from ...options import JobOptions
    from ...summary import Summary
    from ...transform import Transform


_LOOKS_AT_A_ROOT = ("open directory", "stat")
"""The engine's operations before it lists: another one that finds nothing means a key, a bucket or the state."""


class SelectingOperator(CheckvalveOperator):
    """Which files, and what is done with them. Sizes, durations and rates are as on the command line: "64MiB", "5m".

    :param files: one path, or a list of paths, relative to ``source_path``, instead of listing it (templated)
    :param include: globs of files to take; ``*`` stays inside a name, ``**/`` is any depth (templated)
    :param exclude: globs of files to leave, looked at first (templated)
    :param min_age: leave files that were modified more recently
    :param min_size: leave smaller files
    :param max_size: leave larger files
    :param transforms: a chain of transforms: texts as on the command line (``"gzip level=9"``), mappings as in a config
        (``{"name": "gzip", "level": 9}``), or what ``checkvalve.python_transform`` returns (templated)
    :param on_conflict: a name that the target has with other content: overwrite (default), skip, fail
    :param overwrite: ``non-atomic`` allows overwriting on servers that can't replace in one step
    :param verify: how each file is checked before it counts: size (default), hash, readback
    :param preserve: what a file keeps: ``mtime`` (default), ``mtime,mode``, ``none``
    :param links: symbolic links: skip (default), follow, copy
    :param empty_dirs: make folders that hold no selected file
    :param checksum: compare content instead of size and time
    :param durable: fsync where the target can
    :param memory: buffers for file content (default 64MiB)
    :param source_connections: connections to the source at most
    :param target_connections: connections to the target at most
    :param bwlimit: bytes a second at most, of this task: "10MiB/s"
    :param engine_retries: tries after the first of a file and a connection, within one try of the task
    :param stall_timeout: give up an operation that hears nothing for this long (default 1m)
    :param connect_timeout: give up a connection that is not ready after this long (default: what the connections say,
        or 20s)
    :param lease_ttl: how long a worker that fell silent keeps its batch (default 1m)
    :param extra_arguments: further arguments of the engine, as on its command line
    :param on_empty: no file at the source: success (default), skip, fail. A source folder that does not exist is
        skipped with skip, fails at once with fail, and else fails and is looked for again by the retries
    """

    template_fields: Sequence[str] = (*CheckvalveOperator.template_fields, "files", "include", "exclude", "transforms")
    job_fields: ClassVar[tuple[str, ...]] = (
        "files",
        "include",
        "exclude",
        "min_age",
        "min_size",
        "max_size",
        "transforms",
        "on_conflict",
        "overwrite",
        "verify",
        "preserve",
        "links",
        "empty_dirs",
        "checksum",
        "durable",
        "memory",
        "source_connections",
        "target_connections",
        "bwlimit",
        "stall_timeout",
        "connect_timeout",
        "lease_ttl",
    )

    def __init__(
        self,
        *,
        files: str | Sequence[str] | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        min_age: str | None = None,
        min_size: str | int | None = None,
        max_size: str | int | None = None,
        transforms: Sequence[Transform] = (),
        on_conflict: str | None = None,
        overwrite: str | None = None,
        verify: str | None = None,
        preserve: str | None = None,
        links: str | None = None,
        empty_dirs: bool = False,
        checksum: bool = False,
        durable: bool = True,
        memory: str | int | None = None,
        source_connections: int | None = None,
        target_connections: int | None = None,
        bwlimit: str | None = None,
        engine_retries: int | None = None,
        stall_timeout: str | None = None,
        connect_timeout: str | None = None,
        lease_ttl: str | None = None,
        extra_arguments: Sequence[str] = (),
        on_empty: str = "success",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice(self.task_id, "on_empty", on_empty, ON_EMPTY)
        self.files = files
        self.include = include
        self.exclude = exclude
        self.min_age = min_age
        self.min_size = min_size
        self.max_size = max_size
        self.transforms = transforms
        self.on_conflict = on_conflict
        self.overwrite = overwrite
        self.verify = verify
        self.preserve = preserve
        self.links = links
        self.empty_dirs = empty_dirs
        self.checksum = checksum
        self.durable = durable
        self.memory = memory
        self.source_connections = source_connections
        self.target_connections = target_connections
        self.bwlimit = bwlimit
        self.engine_retries = engine_retries
        self.stall_timeout = stall_timeout
        self.connect_timeout = connect_timeout
        self.lease_ttl = lease_ttl
        self.extra_arguments = extra_arguments
        self.on_empty = on_empty

    def job_options(self) -> JobOptions:
        from dataclasses import replace

        return replace(
            super().job_options(),
            retries=self.engine_retries,
            connect_timeout=self.connect_timeout_or(self.connect_timeout),
            extra=self.extra_arguments,
        )

    def missing_source(self, error: EngineError) -> Exception | None:
        """What the task raises, by ``on_empty``, if the engine failed because there is no source folder; else None."""
        failure = error.failure
        if failure is None or failure.kind != "not_found" or failure.operation not in _LOOKS_AT_A_ROOT:
            return None
        missing = f"the source folder {failure.path} does not exist"
        if self.on_empty == "skip":
            return AirflowSkipException(missing)
        if self.on_empty == "fail":
            return AirflowFailException(f"{missing}, and on_empty is 'fail'")
        return AirflowException(f"{missing}; retries look again (on_empty='skip' would skip, 'fail' fail at once)")

    def handle_empty(self, summary: Summary) -> None:
        """Acts on ``on_empty`` if the source holds no file of the selection."""
        if not (summary.files_planned or summary.files_skipped or summary.files_failed):
            end_empty(self.on_empty, self.source_path or str(self.job))
