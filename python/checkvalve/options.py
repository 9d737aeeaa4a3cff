"""The options of a job.

Made by tools/dev/python_sources.py (`./dev docs`): do not edit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .arguments import OptionObject, option
from .transform import Transform, transform_text


@dataclass(kw_only=True, repr=False)
class JobOptions(OptionObject):
    """Options of ``sync``, ``plan``, ``run`` and ``verify``; each takes those that mean something to it. Sizes,
    durations and rates are as on the command line: ``"64MiB"``, ``"5m"``, ``"10MiB/s"``. Exclude patterns come
    before include patterns.
    """

    exclude: Sequence[str] = option("--exclude", "sync plan verify", default=())
    """Skip files matching GLOB; the first matching pattern decides."""

    include: Sequence[str] = option("--include", "sync plan verify", default=())
    """Copy files matching GLOB; once there is an --include, skip files matching no pattern."""

    min_age: str | None = option("--min-age", "sync plan verify")
    """Skip files modified less than DURATION ago."""

    min_size: str | int | None = option("--min-size", "sync plan verify")
    """Skip files smaller than SIZE."""

    max_size: str | int | None = option("--max-size", "sync plan verify")
    """Skip files larger than SIZE."""

    min_files: int | None = option("--min-files", "sync plan")
    """Fail with exit code 4 if fewer than N files are selected. Default: 0."""

    links: str | None = option("--links", "sync plan verify")
    """What to do with symbolic links. One of skip, follow, copy. Default: skip."""

    empty_dirs: bool | None = option("--empty-dirs", "sync plan verify", negation="--no-empty-dirs")
    """Create directories that hold no selected file. Default: false."""

    checksum: bool | None = option("--checksum", "sync plan verify", negation="--no-checksum")
    """Compare content instead of size and modification time. Default: false."""

    on_conflict: str | None = option("--on-conflict", "sync plan")
    """What to do with a file that differs at the target; overwrite-non-atomic: replace it even where the target cannot
    do so in one step. One of overwrite, overwrite-non-atomic, skip, fail. Default: overwrite.
    """

    preserve: str | None = option("--preserve", "sync plan verify")
    """Attributes to preserve: mtime, mode, both (mtime,mode) or none. Default: mtime."""

    verify: str | None = option("--verify", "sync plan")
    """How to check each file before it counts as published: by its size, by the target's server-side checksum, or by
    reading it back. One of size, hash, readback. Default: size.
    """

    durable: bool | None = option("--durable", "sync plan", negation="--no-durable")
    """Flush files to stable storage (fsync) where the target supports it. Default: true."""

    transforms: Sequence[Transform] = option("--transform", "sync plan verify", default=(), text=transform_text)
    """Change the content of files: NAME key=value key='quoted value'; may be repeated to make a chain; see 'checkvalve
    transforms'.
    """

    memory: str | int | None = option("--memory", "sync plan run")
    """Memory for file content in flight. Default: 64MiB."""

    bwlimit: str | None = option("--bwlimit", "sync plan run verify")
    """Limit the transfer rate, for example to 10MiB/s. Default: off."""

    retries: int | None = option("--retries", "sync plan run verify sweep")
    """How often to retry a file or a connection. Default: 4."""

    stall_timeout: str | None = option("--stall-timeout", "sync plan run verify ls doctor sweep")
    """Abort an operation that makes no progress for DURATION. Default: 1m."""

    connect_timeout: str | None = option("--connect-timeout", "sync plan run verify ls doctor trust sweep")
    """Abort a connection attempt after DURATION. Default: 20s."""

    batch_files: int | None = option("--batch-files", "sync plan")
    """Maximum number of files in a batch. Default: 5000."""

    batch_bytes: str | int | None = option("--batch-bytes", "sync plan")
    """Maximum size of a batch, unless a single file is larger. Default: 4GiB."""

    max_batches: int | None = option("--max-batches", "sync plan")
    """Maximum number of batches; takes precedence over --batch-files and --batch-bytes. Default: 1000."""

    lease_ttl: str | None = option("--lease-ttl", "sync plan run")
    """How long the lease of a batch is valid unless renewed. Default: 1m."""

    keep_plans: str | None = option("--keep-plans", "sync plan")
    """Remove plans, and runs, from the state after DURATION. Default: 90d."""

    keep_history: str | None = option("--keep-history", "sync plan")
    """Remove records of published files from the state that no run needed for DURATION. Default: 400d."""

    source_connections: int | None = option("--source-connections", "sync plan run verify")
    """Maximum number of connections to the source."""

    target_connections: int | None = option("--target-connections", "sync plan run verify sweep")
    """Maximum number of connections to the target."""
