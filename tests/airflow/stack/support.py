"""What the scenarios look at: trees, engine processes, partial files."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

from airflow_stack.stack import Stack

from servers.process import ProcessId, _stat


def fill(folder: Path, count: int, size_bytes: int) -> None:
    """`count` files of random bytes, in two folders."""
    chooser = random.Random(str(folder.name))
    for number in range(count):
        path = folder / ("even" if number % 2 == 0 else "odd") / f"{number:05}.txt"
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
    """Inodes of the files under their final names: a file that is published again gets another one."""
    return {
        str(path.relative_to(root)): path.stat().st_ino
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def partials(root: Path) -> list[str]:
    return [str(path) for path in root.rglob(".*") if path.is_file()]


def engines(stack: Stack) -> list[ProcessId]:
    """The engine processes of this stack that run now, by its state's path in their arguments."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := _stat(int(name))):
            try:
                words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(stack.state).encode() in words and b"--events" in words:
                found.append((int(name), stat[1]))
    return found


def parent(pid: int) -> int:
    stat = _stat(pid)
    assert stat, f"process {pid} is gone"
    return stat[0]
