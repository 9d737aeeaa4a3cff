"""No secret shows: not in process lists, not in children, not in what is written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from e2e.support.pair import Pair
from e2e.support.trees import assert_same, large_file
from servers.asyncssh_server import AsyncsshServer
from servers.process import descendants, wait_until

SECRET = "correct-horse-battery-staple-7391"


@pytest.mark.quick
@pytest.mark.parametrize("way", ["descriptor", "file"])
def test_password_shows_nowhere(plain_pair: Pair, place: Path, way: str) -> None:
    pair = plain_pair
    large_file(pair.source / "large.bin", 24 << 20)
    with AsyncsshServer(place / "asyncssh", SECRET) as server:
        (place / "known_hosts").write_text(server.known_hosts.read_text())
        options = [
            "--known-hosts",
            str(place / "known_hosts"),
            "--state",
            str(pair.state),
            "--json",
            "--bwlimit",
            "12MiB",
        ]
        pass_fds: tuple[int, ...] = ()
        if way == "descriptor":
            read_end, write_end = os.pipe()
            os.write(write_end, json.dumps({side: {"password": SECRET} for side in ("source", "target")}).encode())
            os.close(write_end)
            options += ["--secrets-fd", str(read_end)]
            pass_fds = (read_end,)
            ends = [server.url(pair.source), server.url(pair.target)]
        else:
            (place / "password").write_text(SECRET + "\n")
            (place / "password").chmod(0o600)
            config = place / "checkvalve.toml"
            config.write_text(
                "".join(
                    f'[endpoint.{side}]\nurl = "{server.url(folder)}"\npassword_file = "{place / "password"}"\n'
                    for side, folder in (("a", pair.source), ("b", pair.target))
                )
            )
            options += ["--config", str(config)]
            ends = ["a:", "b:"]
        pair.program.options = options
        run = pair.program.start("sync", *ends, pass_fds=pass_fds)
        assert wait_until(lambda: any(pair.target.glob(".cv-*.part")) or run.popen.poll() is not None, 60)
        assert run.popen.poll() is None, run.finish().text
        for process in [run.pid, *(pid for pid, _ in descendants(run.pid))]:
            for shown in ("cmdline", "environ"):
                assert SECRET.encode() not in Path(f"/proc/{process}/{shown}").read_bytes()
        outcome = run.finish().expect(0)
        for descriptor in pass_fds:
            os.close(descriptor)
    assert_same(pair.source, pair.target)
    assert SECRET not in outcome.text + json.dumps(outcome.events)
    assert not pair.state_holds(SECRET.encode())


def test_wrong_password_is_not_told(plain_pair: Pair, place: Path) -> None:
    with AsyncsshServer(place / "asyncssh", "another") as server:
        (place / "known_hosts").write_text(server.known_hosts.read_text())
        plain_pair.program.options = ["--known-hosts", str(place / "known_hosts"), "--state", str(plain_pair.state)]
        plain_pair.program.env = {"CHECKVALVE_SOURCE_PASSWORD": SECRET, "CHECKVALVE_TARGET_PASSWORD": SECRET}
        outcome = plain_pair.program.work("sync", server.url(plain_pair.source), server.url(plain_pair.target)).expect(
            3
        )
    assert SECRET not in outcome.text + json.dumps(outcome.events)
    assert not plain_pair.state_holds(SECRET.encode())
