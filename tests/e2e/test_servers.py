"""The tests' own servers, and the product between servers that the reader names.

CHECKVALVE_TEST_SOURCE and CHECKVALVE_TEST_TARGET are the URLs of two empty folders that may be written to; without
them, two servers of the session are used. See tests/README.md.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from e2e.support.pair import Pair
from e2e.support.program import Program
from e2e.support.trees import assert_same, many_small, odd_tree
from servers.openssh import SshServer
from servers.process import alive, descendants


def test_round_trip_through_both_servers(plain_pair: Pair, place: Path) -> None:
    """Local to the source server, from there to the target server, and back: every byte and every name returns."""
    local, back = place / "local", place / "back"
    many_small(local, 200)
    odd_tree(local / "odd")
    source = os.environ.get("CHECKVALVE_TEST_SOURCE", plain_pair.source_url)
    target = os.environ.get("CHECKVALVE_TEST_TARGET", plain_pair.target_url)
    program = plain_pair.program
    if "CHECKVALVE_TEST_SOURCE" in os.environ:
        known_hosts = os.environ.get("CHECKVALVE_TEST_KNOWN_HOSTS", os.path.expanduser("~/.ssh/known_hosts"))
        program = Program(
            place / "home",
            ["--known-hosts", known_hosts, "--state", str(plain_pair.state)],
            {
                name: value
                for name, value in os.environ.items()
                if name.startswith(("CHECKVALVE_SOURCE_", "CHECKVALVE_TARGET_", "SSH_AUTH_SOCK"))
            },
        )
        if "CHECKVALVE_TEST_IDENTITY" in os.environ:
            program.options += ["--identity", os.environ["CHECKVALVE_TEST_IDENTITY"]]
    for ends in ((str(local), source), (source, target), (target, str(back))):
        program.work("sync", *ends).expect(0)
    assert_same(local, back)


def test_ssh_server_leaves_nothing_behind(place: Path) -> None:
    with SshServer(place / "server") as server:
        assert server.child
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            assert connection.recv(4) == b"SSH-"
            processes = descendants(server.child.pid)
            assert processes
            pid = server.child.pid
    assert not Path(f"/proc/{pid}").exists()
    assert not any(alive(process) for process in processes)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
