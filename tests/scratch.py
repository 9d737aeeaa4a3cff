"""Chooses where tests, benchmarks and stacks keep their files: the first place with enough free bytes.

The RAM disk comes first, for speed. It is passed over where it is too small: a container has 64 MiB of /dev/shm by
default. CHECKVALVE_SCRATCH names the only place to consider.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "CHECKVALVE_SCRATCH"
MIB = 1 << 20
GIB = 1 << 30
MAX_PATH_BYTES = 48
"""Of a place. Sockets below it need up to 56 bytes more, and the kernel takes 107 (unix(7))."""


class ScratchError(Exception):
    """No place will do; the text has each of them, and why not."""


@dataclass(frozen=True)
class Place:
    path: Path
    free_bytes: int = 0
    obstacle: str = ""
    """Why it can't be used at all; empty if it can."""

    def shortcoming(self, needed_bytes: int) -> str:
        if not self.obstacle and self.free_bytes < needed_bytes:
            return f"{self.free_bytes // MIB} MiB free"
        return self.obstacle


def candidates(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """In the order of preference."""
    if chosen := environment.get(VARIABLE):
        return [Path(chosen)]
    names = ["/dev/shm", environment.get("TMPDIR", ""), "/tmp", "/var/tmp"]
    return [Path(name) for name in dict.fromkeys(filter(None, names))]


def choose(places: Sequence[Place], needed_bytes: int) -> Place:
    """The first place without a shortcoming. Throws ScratchError if there is none."""
    for place in places:
        if not place.shortcoming(needed_bytes):
            return place
    looked_at = "".join(f"\n  {place.path}: {place.shortcoming(needed_bytes)}" for place in places)
    raise ScratchError(
        f"no scratch space with {needed_bytes // MIB} MiB free; looked at:{looked_at}\n"
        f"hint: free some space, or set {VARIABLE} to a directory on a larger disk"
    )


def inspect(path: Path) -> Place:
    """What `path` offers on this machine."""
    if not path.is_absolute():
        return Place(path, obstacle="not an absolute path")
    if not path.is_dir():
        return Place(path, obstacle="not a directory")
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        return Place(path, obstacle=f"path longer than {MAX_PATH_BYTES} bytes, too long for sockets below it")
    if not os.access(path, os.W_OK | os.X_OK):
        return Place(path, obstacle="not writable")
    # Started by root, some servers run as another user.
    if os.geteuid() == 0 and not all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents)):
        return Place(path, obstacle="closed to other users, as whom some servers run")
    status = os.statvfs(path)
    free_bytes = status.f_bavail * status.f_frsize
    return Place(path, min(free_bytes, _available_memory() // 2) if in_memory(path) else free_bytes)


def in_memory(path: Path) -> bool:
    """Whether files below `path` take memory instead of disk."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    # proc_pid_mountinfo(5): the third field is the device; the file system's type follows a lone dash.
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[2] == number:
            return fields[fields.index("-") + 1] in ("tmpfs", "ramfs")
    return False


def _available_memory() -> int:
    """Bytes of memory that this machine, or the container's limit, has left."""
    amounts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(amounts["MemAvailable"].split()[0]) << 10
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except OSError:
        return available
    return available if limit == "max" else min(available, int(limit) - used)


@contextmanager
def scratch_directory(prefix: str, needed_bytes: int) -> Iterator[Path]:
    """A new directory that other users may enter, removed at the end. `needed_bytes` is the most that it will hold.

    Under pytest-xdist each worker has one: all of them must fit.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    places = [inspect(path) for path in candidates()]
    place = choose(places, workers * needed_bytes)
    for passed_over in places[: places.index(place)]:
        why = passed_over.shortcoming(workers * needed_bytes)
        print(f"scratch space: {place.path}, because {passed_over.path} does not do: {why}", file=sys.stderr)
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=place.path))
    try:
        directory.chmod(0o755)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
