"""checkvalve sweep: which orphans it finds and removes."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from e2e.support.pair import Pair
from e2e.support.program import Program
from e2e.support.trees import snapshot, write_file
from servers.proxy import DelayProxy


@pytest.fixture
def program(place: Path) -> Program:
    return Program(place / "home")


def test_sweep_of_a_missing_root(program: Program, place: Path) -> None:
    assert "mistyped" in program.run("sweep", str(place / "mistyped")).expect(3).text


@pytest.mark.quick
def test_sweep_removes_only_our_own_old_orphans(plain_pair: Pair) -> None:
    pair = plain_pair
    old = int(time.time()) - 7 * 86_400
    ours = "deep/.cv-7k3m9q2x5t-1-9f02ab17-42.part"
    write_file(pair.target / ours, b"left", mtime=old)
    write_file(pair.target / ".cv-7k3m9q2x5t-1-9f02ab17-43.part", b"young")
    write_file(pair.target / ".cv-looks-alike.part", b"not ours", mtime=old)
    write_file(pair.target / "user.part", b"not ours", mtime=old)
    arguments = [pair.target_url, *pair.program.options, "--older-than", "1d", "--json"]
    before = snapshot(pair.target)
    dry = pair.program.run("sweep", *arguments, "--dry-run").expect(0).json
    assert ([entry["path"] for entry in dry["found"]], dry["removed"]) == ([ours], 0)
    assert snapshot(pair.target) == before
    assert pair.program.run("sweep", *arguments).expect(0).json["removed"] == 1
    assert set(before) - set(snapshot(pair.target)) == {ours.encode()}


def test_sweep_continues_past_unreadable_directories(unprivileged_pair: Pair) -> None:
    pair = unprivileged_pair
    old = int(time.time()) - 7 * 86_400
    for directory in ("a", "locked", "z"):
        write_file(pair.target / directory / ".cv-7k3m9q2x5t-1-9f02ab17-42.part", b"left", mtime=old)
    for path in [pair.target, *pair.target.rglob("*")]:
        path.chmod(0o777)
    (pair.target / "locked").chmod(0)
    if os.geteuid() == 0:
        shutil.chown(pair.target / "locked", "root")
    outcome = pair.program.run("sweep", pair.target_url, *pair.program.options, "--json").expect(1)
    report = outcome.json
    assert sorted(entry["path"].split("/")[0] for entry in report["found"]) == ["a", "z"]
    assert report["removed"] == 2
    [failure] = report["failures"]
    assert (failure["kind"], failure["path"].split("/")[-1]) == ("permission", "locked")
    assert "permission denied" in outcome.stderr.decode()


def test_sweep_retries(proxied_pair: Pair, proxies: tuple[DelayProxy, DelayProxy]) -> None:
    """A connection that is lost costs a retry, as in a sync."""
    old = int(time.time()) - 7 * 86_400
    for number in range(50):
        write_file(proxied_pair.target / f"{number}" / ".cv-7k3m9q2x5t-1-9f02ab17-42.part", b"left", mtime=old)
    proxies[1].cut_after(20_000)
    report = proxied_pair.program.run("sweep", proxied_pair.target_url, *proxied_pair.program.options, "--json").expect(
        0
    )
    assert report.json["removed"] == 50
