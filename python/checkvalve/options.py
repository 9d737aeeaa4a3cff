"""What a job can be told, as the program's options. Sizes, durations and rates are as on the command line: "64MiB"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .transform import Transform, transform_text


@dataclass(frozen=True)
class Batching:
    """How a plan is cut. ``max_batches`` wins over the other two: then batches grow. None: the engine's default."""

    files: int | None = None
    bytes: int | str | None = None
    max_batches: int | None = None

    def arguments(self) -> list[str]:
        return _flags(("--batch-files", self.files), ("--batch-bytes", self.bytes), ("--max-batches", self.max_batches))


@dataclass(frozen=True)
class JobOptions:
    """The options of ``sync`` and ``plan``. None: the engine's default.

    ``exclude`` is looked at before ``include``: what matches an exclude glob is left, of the rest what matches an
    include glob (or all, if there is none) is taken. ``files`` is one path, or a list of paths, relative to the source
    root; it replaces the listing of directories. ``transforms`` are a chain: each is a text as on the command line, a
    mapping with ``name`` and options, or what ``python_transform`` returns. ``retries`` are the engine's own, within
    one start of it. ``extra`` holds further arguments, as on the command line.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    files: str | Sequence[str] | None = None
    min_age: str | None = None
    min_size: str | int | None = None
    max_size: str | int | None = None
    transforms: Sequence[Transform] = ()
    on_conflict: str | None = None
    overwrite: str | None = None
    verify: str | None = None
    preserve: str | None = None
    links: str | None = None
    empty_dirs: bool = False
    checksum: bool = False
    memory: str | int | None = None
    source_connections: int | None = None
    target_connections: int | None = None
    bwlimit: str | None = None
    retries: int | None = None
    stall_timeout: str | None = None
    connect_timeout: str | None = None
    lease_ttl: str | None = None
    durable: bool = True
    extra: Sequence[str] = ()

    def arguments(self) -> list[str]:
        """All but a list of files, which goes through a descriptor (see ``file_list``)."""
        arguments = [word for glob in _globs(self.exclude) for word in ("--exclude", glob)]
        arguments += [word for glob in _globs(self.include) for word in ("--include", glob)]
        if isinstance(self.files, str):
            arguments += ["--file", self.files]
        arguments += [word for transform in self.transforms for word in ("--transform", transform_text(transform))]
        arguments += _flags(
            ("--min-age", self.min_age),
            ("--min-size", self.min_size),
            ("--max-size", self.max_size),
            ("--on-conflict", self.on_conflict),
            ("--overwrite", self.overwrite),
            ("--verify", self.verify),
            ("--preserve", self.preserve),
            ("--links", self.links),
        )
        arguments += self.run_arguments()
        if not self.durable:
            arguments.append("--no-durable")
        if self.empty_dirs:
            arguments.append("--empty-dirs")
        if self.checksum:
            arguments.append("--checksum")
        return [*arguments, *self.extra]

    def run_arguments(self) -> list[str]:
        """What does not change what a plan says, and so may differ from one `run` of it to the next."""
        return _flags(
            ("--memory", self.memory),
            ("--source-connections", self.source_connections),
            ("--target-connections", self.target_connections),
            ("--bwlimit", self.bwlimit),
            ("--retries", self.retries),
            ("--stall-timeout", self.stall_timeout),
            ("--connect-timeout", self.connect_timeout),
            ("--lease-ttl", self.lease_ttl),
        )

    @property
    def file_list(self) -> Sequence[str] | None:
        """The list of files, if a list was given."""
        return None if self.files is None or isinstance(self.files, str) else self.files


def _globs(value: Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


def _flags(*pairs: tuple[str, object]) -> list[str]:
    return [word for name, value in pairs if value is not None for word in (name, str(value))]
