"""Files that can't be moved fail alone, with their reason; everything else arrives."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.conftest import make_pair
from e2e.support.pair import FIXED_MTIME, Pair, Servers
from e2e.support.trees import contents, fill, large_file, snapshot, temporaries, write_file
from servers.openssh import SshServer

TREE = {f"folder_{number % 3}/file_{number}.txt": b"%d" % number for number in range(30)}


def failures(summary: dict[str, object]) -> dict[str, str]:
    return {failure["path"]: failure["kind"] for failure in summary["failures"]}  # type: ignore[attr-defined]


def fill_for_the_servers_user(pair: Pair) -> None:
    fill(pair.source, TREE)
    if os.geteuid() == 0:
        for path in [pair.source, *pair.source.rglob("*")]:
            shutil.chown(path, "games")


@pytest.mark.quick
def test_unreadable_file(unprivileged_pair: Pair) -> None:
    pair = unprivileged_pair
    fill_for_the_servers_user(pair)
    (pair.source / "folder_1/file_1.txt").chmod(0)
    outcome = pair.sync().expect(1)
    assert failures(outcome.json) == {"folder_1/file_1.txt": "permission"}
    assert [event["path"] for event in outcome.of_type("file_failed")] == ["folder_1/file_1.txt"]
    assert len(contents(pair.target)) == len(TREE) - 1
    pair.assert_clean()
    (pair.source / "folder_1/file_1.txt").chmod(0o644)
    assert pair.synced()["files_copied"] == 1


def test_unreadable_folder(unprivileged_pair: Pair) -> None:
    pair = unprivileged_pair
    fill_for_the_servers_user(pair)
    (pair.source / "folder_1").chmod(0)
    summary = pair.sync().expect(1).json
    (pair.source / "folder_1").chmod(0o755)
    assert failures(summary) == {"folder_1": "permission"}
    assert len(contents(pair.target)) == 20


def test_unwritable_target_folder(unprivileged_pair: Pair) -> None:
    pair = unprivileged_pair
    fill_for_the_servers_user(pair)
    closed = pair.target / "folder_2"
    closed.mkdir()
    closed.chmod(0o555)
    summary = pair.sync().expect(1).json
    assert set(failures(summary).values()) == {"permission"}
    assert all(path.startswith("folder_2/") for path in failures(summary))
    assert (len(summary["failures"]), len(contents(pair.target))) == (10, 20)


def test_file_vanishes_between_plan_and_run(pair: Pair) -> None:
    fill(pair.source, TREE)
    plan = pair.plan().expect(0).json["plan"]
    (pair.source / "folder_0/file_0.txt").unlink()
    summary = pair.run_plan(plan).expect(1).json
    assert failures(summary) == {"folder_0/file_0.txt": "not_found"}
    assert len(contents(pair.target)) == len(TREE) - 1
    pair.assert_clean()


def test_file_that_keeps_changing_is_never_published_half_old(pair: Pair) -> None:
    """Each version of the file holds one letter only, and is longer than the one before: a mix would show."""
    path = pair.source / "growing.bin"
    size = 24 << 20
    write_file(pair.source / "calm.txt", b"calm")
    path.write_bytes(b"a" * size)
    stop = threading.Event()

    def rewrite() -> None:
        round_number = 0
        while not stop.is_set():
            round_number += 1
            with path.open("r+b") as file:
                file.write(bytes([97 + round_number % 26]) * (size + round_number))

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        outcome = pair.sync("--retries", "1")
    finally:
        stop.set()
        writer.join()
    after = contents(pair.target)
    assert after[b"calm.txt"] == b"calm"
    if outcome.code == 1:
        assert failures(outcome.json) == {"growing.bin": "changed"}
    assert outcome.code in (0, 1)
    if b"growing.bin" in after:
        assert len(set(after[b"growing.bin"])) == 1
    pair.assert_clean()
    pair.synced()


@pytest.mark.quick
def test_name_at_the_target_is_a_folder(pair: Pair) -> None:
    fill(pair.source, {"a": b"file here", "b": b"fine"})
    (pair.target / "a").mkdir()
    outcome = pair.sync().expect(1)
    assert set(failures(outcome.json)) == {"a"}
    assert contents(pair.target) == {b"b": b"fine"}


def test_folder_at_the_source_is_a_file_at_the_target(pair: Pair) -> None:
    fill(pair.source, {"a/inside": b"x", "b": b"fine"})
    write_file(pair.target / "a", b"a file")
    outcome = pair.sync().expect(1)
    assert set(failures(outcome.json)) == {"a/inside"}
    assert contents(pair.target) == {b"a": b"a file", b"b": b"fine"}


@pytest.mark.quick
@pytest.mark.parametrize(("policy", "code", "kept"), [("overwrite", 0, False), ("skip", 0, True), ("fail", 1, True)])
def test_conflicts(pair: Pair, policy: str, code: int, kept: bool) -> None:
    write_file(pair.source / "file.txt", b"from the source", mtime=FIXED_MTIME)
    write_file(pair.source / "new.txt", b"new", mtime=FIXED_MTIME)
    write_file(pair.target / "file.txt", b"other content", mtime=FIXED_MTIME)
    outcome = pair.sync("--on-conflict", policy).expect(code)
    after = contents(pair.target)
    assert after[b"new.txt"] == b"new"
    assert after[b"file.txt"] == (b"other content" if kept else b"from the source")
    if policy == "fail":
        assert failures(outcome.json) == {"file.txt": "exists"}
    pair.assert_clean()


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 8 MiB; mounting it takes root."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    folder = place / "small disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "checkvalve-test", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"this machine does not let root mount: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk_at_the_target(place: Path, small_disk: Path, servers: Servers, user_key: Path) -> None:
    pair = make_pair(place, servers, user_key)
    pair.target = small_disk / "target"
    pair.target_url = servers.target.url(pair.target)
    # One after the other: beside the large one a small file may meet the full disk, too.
    fill(pair.source, {"small.txt": b"small"})
    pair.synced()
    large_file(pair.source / "large.bin", 16 << 20)
    outcome = pair.sync().expect(1)
    assert failures(outcome.json) == {"large.bin": "no_space"}
    assert "inodes" not in outcome.text
    assert contents(pair.target) == {b"small.txt": b"small"}
    assert not outcome.of_type("retry")
    fill(pair.source, {"later.txt": b"there is room again"})
    pair.sync("--exclude", "large.bin").expect(0)
    assert contents(pair.target) == {b"small.txt": b"small", b"later.txt": b"there is room again"}


def test_leftovers_of_a_failed_run_are_gone(unprivileged_pair: Pair) -> None:
    pair = unprivileged_pair
    fill_for_the_servers_user(pair)
    for path in pair.source.rglob("*.txt"):
        path.chmod(0)
    pair.sync().expect(1)
    assert (contents(pair.target), temporaries(pair.target)) == ({}, [])


def test_server_without_atomic_replace(place: Path, servers: Servers, user_key: Path, normal_server: SshServer) -> None:
    """New names arrive; an existing one is overwritten only when the user allows a gap."""
    from servers.asyncssh_server import AsyncsshServer

    pair = make_pair(place, servers, user_key)
    with AsyncsshServer(place / "asyncssh", "pw", options=("--no-posix-rename",)) as server:
        known_hosts = normal_server.known_hosts.read_text() + server.known_hosts.read_text()
        (place / "known_hosts").write_text(known_hosts)
        pair.target_url = server.url(pair.target)
        pair.program.env["CHECKVALVE_TARGET_PASSWORD"] = "pw"
        fill(pair.source, {"a.txt": b"first", "b.txt": b"stays"})
        pair.synced()
        write_file(pair.source / "a.txt", b"second version")
        write_file(pair.source / "c.txt", b"new")
        outcome = pair.sync().expect(1)
        assert failures(outcome.json) == {"a.txt": "unsupported"}
        assert contents(pair.target) == {b"a.txt": b"first", b"b.txt": b"stays", b"c.txt": b"new"}
        pair.synced("--on-conflict", "overwrite-non-atomic")
    assert snapshot(pair.target).keys() == {b"a.txt", b"b.txt", b"c.txt"}


@pytest.mark.parametrize("refused", ["2", "3"])
def test_a_refused_overwrite_keeps_the_old_file(
    place: Path, servers: Servers, user_key: Path, normal_server: SshServer, refused: str
) -> None:
    """Without atomic replace the old file makes way for a moment; whichever step is refused, it is there in the end."""
    from servers.asyncssh_server import AsyncsshServer

    pair = make_pair(place, servers, user_key)
    fill(pair.target, {"a.txt": b"first"})
    fill(pair.source, {"a.txt": b"second version"})
    with AsyncsshServer(place / "asyncssh", "pw", options=("--no-posix-rename", "--refuse-rename", refused)) as server:
        (place / "known_hosts").write_text(normal_server.known_hosts.read_text() + server.known_hosts.read_text())
        pair.target_url = server.url(pair.target)
        pair.program.env["CHECKVALVE_TARGET_PASSWORD"] = "pw"
        outcome = pair.sync("--on-conflict", "overwrite-non-atomic", "--retries", "0").expect(1)
        assert failures(outcome.json).keys() == {"a.txt"}
        assert contents(pair.target) == {b"a.txt": b"first"}
        assert temporaries(pair.target) == []
        pair.synced("--on-conflict", "overwrite-non-atomic")
        assert temporaries(pair.target) == []


def test_server_that_forbids_setstat(place: Path, servers: Servers, user_key: Path, normal_server: SshServer) -> None:
    """The target can't keep mtimes: what was recorded decides on the rerun."""
    from servers.asyncssh_server import AsyncsshServer

    pair = make_pair(place, servers, user_key)
    with AsyncsshServer(place / "asyncssh", "pw", options=("--no-setstat",)) as server:
        (place / "known_hosts").write_text(normal_server.known_hosts.read_text() + server.known_hosts.read_text())
        pair.target_url = server.url(pair.target)
        pair.program.env["CHECKVALVE_TARGET_PASSWORD"] = "pw"
        for name in ("a.txt", "b/c.txt"):
            write_file(pair.source / name, name.encode(), mtime=FIXED_MTIME)
        pair.sync().expect(0)
        assert contents(pair.target) == {b"a.txt": b"a.txt", b"b/c.txt": b"b/c.txt"}
        pair.assert_nothing_to_do()


def test_server_that_forbids_removing(place: Path, servers: Servers, user_key: Path) -> None:
    """What is published there counts, although a link's other name can't be removed; one is enough to learn that."""
    forbids = ["ForceCommand internal-sftp -P remove"]
    with SshServer(place / "server", authorized=[user_key], lines=forbids) as server:
        pair = make_pair(place, Servers(servers.source, server), user_key)
        fill(pair.source, {f"{number}.txt": b"content" for number in range(500)})
        assert pair.sync("--on-conflict", "skip").expect(0).json["files_copied"] == 500
        assert contents(pair.source).items() <= contents(pair.target).items()
        assert 0 < len(temporaries(pair.target)) < 500
