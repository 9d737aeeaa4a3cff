"""The stack of processes as a Site of the scenarios."""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
from pathlib import Path
from typing import Any

from airflow_stack.stack import Stack

from airflow_scenarios import Engine, Site
from servers.keys import make_key
from servers.process import ProcessId, _stat


class Processes(Site):
    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.client = stack.client
        self._roots = {"source": stack.source_root, "target": stack.target_root}
        self._servers = {"source": stack.source, "target": stack.target}

    def fill(self, folder: str, count: int, size_bytes: int) -> None:
        fill(self._roots["source"] / folder, count, size_bytes)

    def digests(self, side: str, folder: str) -> dict[str, str]:
        root = self._roots[side] / folder
        return {path: hashlib.sha256((root / path).read_bytes()).hexdigest() for path in published(root)}

    def published(self, folder: str) -> dict[str, int]:
        return published(self._roots["target"] / folder)

    def partials(self, folder: str) -> list[str]:
        return [str(path) for path in (self._roots["target"] / folder).rglob(".*") if path.is_file()]

    def engines(self) -> set[Engine]:
        """By its state's path in their arguments."""
        found: set[Engine] = set()
        for name in os.listdir("/proc"):
            if name.isdigit() and (stat := _stat(int(name))):
                try:
                    words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if str(self.stack.state).encode() in words and b"--events" in words:
                    found.add((int(name), stat[1]))
        return found

    def engine(self) -> ProcessId:
        """The engine that was started first."""
        pid, started = min(self.engines(), key=lambda engine: (engine[1], engine[0]))
        return int(pid), started

    def connection(self, conn_id: str, side: str, **extra: str) -> dict[str, Any]:
        return self.stack.connection(conn_id, self._servers[side], **extra)

    def new_key(self) -> str:
        with tempfile.TemporaryDirectory() as place:
            return make_key(Path(place) / "key").read_text()

    def take_target_down(self) -> None:
        self.stack.target.stop()

    def bring_target_up(self) -> None:
        self.stack.target.start()


def fill(folder: Path, count: int, size_bytes: int) -> None:
    """`count` files of random bytes, in two folders."""
    chooser = random.Random(folder.name)
    for number in range(count):
        path = folder / ("odd" if number % 2 else "even") / f"{number:05}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chooser.randbytes(size_bytes))


def tree(root: Path, pattern: str = "*") -> dict[str, str]:
    """Digests of all files by path."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob(pattern)
        if path.is_file()
    }


def published(root: Path) -> dict[str, int]:
    """Inodes of the files under their final names."""
    return {
        str(path.relative_to(root)): path.stat().st_ino
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def parent(pid: int) -> int:
    stat = _stat(pid)
    assert stat, f"process {pid} is gone"
    return stat[0]
