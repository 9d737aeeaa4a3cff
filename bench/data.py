"""The trees that are copied, on a RAM disk, made once a session from a fixed seed."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

Counted = tuple[int, int]  # files, bytes

_POOL_BYTES = 1 << 22


def one_file(root: Path, size_bytes: int) -> None:
    """A file that does not compress."""
    pool = random.Random(1).randbytes(_POOL_BYTES)
    root.mkdir(parents=True)
    with (root / "large.bin").open("wb") as file:
        left = size_bytes
        while left > 0:
            file.write(pool[: min(left, len(pool))])
            left -= len(pool)


def small_files(root: Path, count: int, mean_bytes: int, *, a_folder: int = 100) -> None:
    """`count` files, sizes spread evenly from 0 to twice the mean."""
    source = random.Random(2)
    pool = source.randbytes(_POOL_BYTES)
    for number in range(count):
        folder = root / f"folder_{number // a_folder:05}"
        if number % a_folder == 0:
            folder.mkdir(parents=True)
        size = source.randint(0, 2 * mean_bytes)
        start = source.randrange(len(pool) - size)
        (folder / f"file_{number:07}.txt").write_bytes(pool[start : start + size])


def flat_files(root: Path, count: int, size_bytes: int) -> None:
    """`count` files of one size in one folder."""
    pool = random.Random(3).randbytes(_POOL_BYTES)
    root.mkdir(parents=True)
    for number in range(count):
        start = number % (len(pool) - size_bytes)
        (root / f"file_{number:07}.txt").write_bytes(pool[start : start + size_bytes])


def count(root: Path) -> Counted:
    """Files below the root and the sum of their sizes."""
    files = [path.stat().st_size for path in root.rglob("*") if path.is_file()]
    return len(files), sum(files)


def empty_folder(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
