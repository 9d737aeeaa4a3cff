"""A file gets its final name only once it is flushed and closed without an error."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.conftest import make_pair
from e2e.support.pair import Pair, Servers
from e2e.support.program import PROGRAM, clean_environment
from e2e.support.trees import contents, fill, large_file
from servers.openssh import SshServer
from servers.sftp_filter import subsystem


@contextmanager
def pair_with(place: Path, source: SshServer, key: Path, quirk: str) -> Iterator[Pair]:
    directory = place / "quirky"
    directory.mkdir()
    with SshServer(directory, authorized=[key], subsystem=subsystem(directory, quirk)) as server:
        yield make_pair(place, Servers(source, server), key)


def test_sftp_files_are_flushed_before_they_are_published(
    place: Path, normal_server: SshServer, user_key: Path
) -> None:
    log = place / "requests"
    with pair_with(place, normal_server, user_key, f"log={log}") as pair:
        for small in (True, False):
            log.write_text("")
            if small:
                fill(pair.source, {"small.txt": b"small"})
            else:
                large_file(pair.source / "large.bin", 3 << 20)
            pair.sync().expect(0)
            requests = log.read_text().split()
            assert requests.index("write") < requests.index("fsync") < requests.index("posix_rename")
        fill(pair.source, {"other.txt": b"other"})
        log.write_text("")
        pair.sync("--no-durable").expect(0)
        assert "fsync" not in log.read_text().split()


@pytest.mark.parametrize("size", [5, 3 << 20])
def test_file_that_can_not_be_closed_is_not_published(
    place: Path, normal_server: SshServer, user_key: Path, size: int
) -> None:
    with pair_with(place, normal_server, user_key, "close-fails") as pair:
        large_file(pair.source / "a.bin", size)
        pair.sync("--retries", "0").expect(1)
        assert b"a.bin" not in contents(pair.target)


def test_local_files_are_flushed_before_they_are_published(place: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    source, target = place / "source", place / "target"
    target.mkdir()
    fill(source, {"a.txt": b"a"})
    log = place / "calls"
    argv = [strace, "-f", "-qq", "-y", "-o", str(log), "-e", "trace=fsync,fdatasync,linkat,renameat,renameat2,rename"]
    argv += [str(PROGRAM), "sync", str(source), str(target), "--state", str(place / "state.db")]
    subprocess.run(argv, check=True, capture_output=True, env=clean_environment(place))
    calls = [line for line in log.read_text().splitlines() if str(target) in line]
    synced = [at for at, line in enumerate(calls) if re.search(r"f(data)?sync\(", line)]
    named = [at for at, line in enumerate(calls) if re.search(r"(linkat|rename\w*)\(", line)]
    assert synced, calls
    assert named, calls
    assert synced[0] < named[0], calls
