"""Two servers and a test's own folders on them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from servers.keys import write_known_hosts
from servers.openssh import SshServer

from .program import Outcome, Program, Running
from .trees import assert_same, temporaries

FIXED_MTIME = 1_709_287_200  # 2024-03-01 10:00 UTC


@dataclass
class Servers:
    """A source and a target server that run for the whole session."""

    source: SshServer
    target: SshServer

    def options(self, place: Path) -> list[str]:
        known_hosts = write_known_hosts(
            place / "known_hosts", [(self.source.port, self.source.host_key), (self.target.port, self.target.host_key)]
        )
        return ["--known-hosts", str(known_hosts), "--identity", str(self.source.user_key)]


@dataclass
class Pair:
    """One test's source folder, target folder and state."""

    source: Path
    target: Path
    source_url: str
    target_url: str
    state: Path
    program: Program

    def sync(self, *options: str, **extra: object) -> Outcome:
        return self.program.work("sync", self.source_url, self.target_url, *options, **extra)  # type: ignore[arg-type]

    def plan(self, *options: str) -> Outcome:
        return self.program.work("plan", self.source_url, self.target_url, *options)

    def run_plan(self, plan: str, *options: str) -> Outcome:
        return self.program.work("run", plan, *options)

    def start_sync(self, *options: str) -> Running:
        return self.program.start("sync", self.source_url, self.target_url, *options)

    def status(self, *arguments: str) -> Outcome:
        return self.program.run("status", *arguments, "--state", str(self.state), "--json")

    def synced(self, *options: str) -> dict[str, object]:
        """A sync that must succeed, with equal trees after it; returns its summary."""
        summary = self.sync(*options).expect(0).json
        assert_same(self.source, self.target)
        return summary

    def assert_nothing_to_do(self, *options: str) -> None:
        summary = self.sync(*options).expect(0).json
        assert (summary["files_planned"], summary["files_copied"], summary["bytes_copied"]) == (0, 0, 0)

    def assert_clean(self) -> None:
        assert temporaries(self.target) == []

    def state_holds(self, text: bytes) -> bool:
        """Whether the text stands anywhere in the state's files."""
        if self.state.exists():
            with sqlite3.connect(self.state) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return any(text in file.read_bytes() for file in self.state.parent.glob(f"{self.state.name}*"))
