"""SFTP servers that act late, die between two requests, or talk before they are asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.conftest import make_pair
from e2e.support.pair import Pair, Servers
from e2e.support.program import Program
from e2e.support.trees import assert_same, contents, fill, large_file, write_file
from servers.keys import write_known_hosts
from servers.openssh import SshServer
from servers.process import wait_until
from servers.sftp_filter import subsystem

AMOUNTS = (1, 64, 200, 4_000, 100_000)
MIB = 1 << 20


@pytest.fixture(scope="module")
def talking_server(scratch: Path) -> Iterator[tuple[int, Path]]:
    """Port and known_hosts of servers/talking_server.py."""
    directory = scratch / "talking"
    directory.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-m", "servers.talking_server", "--directory", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
    )
    assert child.stdin
    assert child.stdout
    port = int(child.stdout.readline().split()[1])
    yield port, write_known_hosts(directory / "known_hosts", [(port, directory / "host_key")])
    child.stdin.close()
    child.wait()


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("moment", ["with", "before", "after"])
def test_server_that_talks_first(talking_server: tuple[int, Path], place: Path, moment: str, amount: int) -> None:
    """Whatever it sends, and whenever, is an error of the protocol."""
    port, known_hosts = talking_server
    url = f"sftp://{moment}-{amount}@127.0.0.1:{port}/"
    outcome = Program(place / "home").run("ls", url, "--known-hosts", str(known_hosts), "--connect-timeout", "10s")
    assert outcome.code in (1, 2, 3), outcome.text
    assert "does not speak SFTP" in outcome.text


def test_connection_that_ends_before_sftp_begins(talking_server: tuple[int, Path], place: Path) -> None:
    """The end may come between open() and start() of the transport: it is reported, not found by the timeout."""
    port, known_hosts = talking_server
    program = Program(place / "home")
    arguments = ("ls", f"sftp://end-0@127.0.0.1:{port}/", "--known-hosts", str(known_hosts), "--connect-timeout", "10s")
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: program.run(*arguments), range(8)))
    for outcome in outcomes:
        assert outcome.code in (2, 3), outcome.text
        assert "the server ended the SFTP subsystem" in outcome.text


@pytest.fixture
def gate(place: Path) -> Path:
    """Where filters count requests and wait."""
    folder = place / "gate"
    folder.mkdir()
    return folder


@contextmanager
def quirky_pair(place: Path, source: SshServer, key: Path, *quirks: str) -> Iterator[Pair]:
    """A pair whose target serves with these quirks."""
    directory = place / "quirky"
    directory.mkdir()
    with SshServer(directory, authorized=[key], subsystem=subsystem(directory, *quirks)) as server:
        yield make_pair(place, Servers(source, server), key)


def parts(folder: Path) -> list[int]:
    """Sizes of the temporaries."""
    sizes = []
    for part in folder.glob(".cv-*.part"):
        try:
            sizes.append(part.stat().st_size)
        except FileNotFoundError:
            continue
    return sizes


@pytest.mark.parametrize(("request_name", "conflict"), [("posix_rename", "overwrite"), ("hardlink", "fail")])
def test_late_request_of_a_lost_session_publishes_nothing_torn(
    place: Path, gate: Path, normal_server: SshServer, user_key: Path, request_name: str, conflict: str
) -> None:
    """The server carries out the first attempt's last request while the second attempt is writing."""
    with quirky_pair(place, normal_server, user_key, f"hold={request_name}:1:{gate}") as pair:
        size = 12 * MIB
        large_file(pair.source / "big.bin", size)
        published = pair.target / "big.bin"
        # With transforms the second attempt begins the file again instead of resuming it.
        same = ("--transform", "gzip", "--transform", "gunzip")
        run = pair.start_sync(*same, "--on-conflict", conflict, "--stall-timeout", "2s", "--bwlimit", "4MiB")

        def ended() -> bool:
            return run.popen.poll() is not None

        assert wait_until(lambda: (gate / f"{request_name}-1").exists() or ended(), 60)
        assert wait_until(lambda: any(MIB < part < size - MIB for part in parts(pair.target)) or ended(), 60)
        assert not ended(), run.finish().text
        (gate / "release").touch()
        sizes = set()

        def look() -> bool:
            if published.exists():
                sizes.add(published.stat().st_size)
            return ended()

        assert wait_until(look, 60)
        run.finish().expect(0)
        assert sizes <= {size}
        assert_same(pair.source, pair.target)


NON_ATOMIC = ("--on-conflict", "overwrite-non-atomic")


def two_versions(pair: Pair) -> None:
    """The target holds the old one of a.txt, the source the new one."""
    fill(pair.source, {"a.txt": b"old"})
    pair.sync().expect(0)
    fill(pair.source, {"a.txt": b"the new version"})


def test_session_that_ends_between_the_renames(
    place: Path, gate: Path, normal_server: SshServer, user_key: Path
) -> None:
    """The old file is put back over the next session."""
    with quirky_pair(place, normal_server, user_key, "without=posix-rename", f"end-at=rename:3:{gate}") as pair:
        two_versions(pair)
        pair.sync(*NON_ATOMIC, "--retries", "0").expect(1)
        assert (gate / "rename-3").exists()
        assert contents(pair.target) == {b"a.txt": b"old"}
        pair.sync(*NON_ATOMIC).expect(0)
        assert_same(pair.source, pair.target)


def test_large_file_whose_session_ends_between_the_renames(
    place: Path, gate: Path, normal_server: SshServer, user_key: Path
) -> None:
    """The upload is resumed with nothing left to send, and the old file is set aside once more."""
    with quirky_pair(place, normal_server, user_key, "without=posix-rename", f"end-at=rename:3:{gate}") as pair:
        fill(pair.source, {"a.bin": b"old"})
        pair.sync().expect(0)
        large_file(pair.source / "a.bin", 3 << 20)
        outcome = pair.sync(*NON_ATOMIC).expect(0)
        assert (gate / "rename-3").exists()
        assert outcome.of_type("retry")
        assert_same(pair.source, pair.target)
        assert list(contents(pair.target)) == [b"a.bin"]


def test_partial_upload_whose_rename_is_not_answered_is_resumed(
    place: Path, gate: Path, normal_server: SshServer, user_key: Path
) -> None:
    """The next attempt finds it under the name that the lost session gave it."""
    log = place / "requests"
    quirks = (f"log={log}", f"end-at=write:150:{gate}", f"end-after=rename:1:{gate}")
    with quirky_pair(place, normal_server, user_key, *quirks) as pair:
        large_file(pair.source / "a.bin", 48 << 20)  # 192 writes
        outcome = pair.synced()
        assert outcome["files_copied"] == 1
        requests = log.read_text().split()
        assert requests.count("rename") >= 2
        assert requests.count("write") < 260
        pair.assert_clean()


def killed_between_the_renames(pair: Pair, gate: Path) -> None:
    two_versions(pair)
    run = pair.start_sync(*NON_ATOMIC)
    assert wait_until((gate / "rename-3").exists, 60)
    run.signal(signal.SIGKILL)
    run.finish()
    assert not (pair.target / "a.txt").exists()
    assert b"old" in contents(pair.target).values()


@pytest.mark.parametrize("rotated", [False, True])
def test_killed_between_the_renames(
    place: Path, gate: Path, normal_server: SshServer, user_key: Path, rotated: bool
) -> None:
    """The next run puts the old file back, also when the source does not have the file any more; sweep leaves it."""
    with quirky_pair(place, normal_server, user_key, "without=posix-rename", f"hold=rename:3:{gate}") as pair:
        killed_between_the_renames(pair, gate)
        if rotated:
            (pair.source / "a.txt").unlink()
        pair.program.run("sweep", pair.target_url, "--older-than", "0s", *pair.program.options).expect(0)
        assert b"old" in contents(pair.target).values()
        outcome = pair.sync(*NON_ATOMIC).expect(0)
        assert "is back under its name" in outcome.text
        assert contents(pair.target) == {b"a.txt": b"old" if rotated else b"the new version"}
        pair.assert_nothing_to_do()


def test_file_set_aside_stays_beside_an_unknown_one(
    place: Path, gate: Path, normal_server: SshServer, user_key: Path
) -> None:
    with quirky_pair(place, normal_server, user_key, "without=posix-rename", f"hold=rename:3:{gate}") as pair:
        killed_between_the_renames(pair, gate)
        (pair.source / "a.txt").unlink()
        write_file(pair.target / "a.txt", b"another producer's version")
        assert "it is kept" in pair.sync().expect(0).text
        assert sorted(contents(pair.target).values()) == [b"another producer's version", b"old"]


def test_file_set_aside_goes_once_its_replacement_is_there(
    place: Path, gate: Path, normal_server: SshServer, user_key: Path
) -> None:
    with quirky_pair(place, normal_server, user_key, "without=posix-rename", f"hold=remove:1:{gate}") as pair:
        fill(pair.source, {"a.txt": b"old"})
        write_file(pair.target / "a.txt", b"older still", mtime=1_700_000_000)
        run = pair.start_sync(*NON_ATOMIC)
        assert wait_until((gate / "remove-1").exists, 60)
        run.signal(signal.SIGKILL)
        run.finish()
        assert sorted(contents(pair.target).values()) == [b"old", b"older still"]
        pair.assert_nothing_to_do()
        assert contents(pair.target) == {b"a.txt": b"old"}
