"""Runs that are killed, stopped, cut off or kept waiting: no torn file, no orphan, and the next run resumes."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from e2e.conftest import make_pair
from e2e.support.pair import Pair, Servers
from e2e.support.program import PROGRAM, Running
from e2e.support.trees import assert_no_torn_file, assert_same, contents, fill, large_file, many_small, temporaries
from servers.process import wait_until
from servers.proxy import DelayProxy

SLOW = ["--bwlimit", "20MiB"]  # so that a large file takes long enough to be interrupted
LARGE_BYTES = 80 << 20


def start_large(pair: Pair, *options: str) -> Running:
    """A run with a temporary of some megabytes at the target."""
    large_file(pair.source / "large.bin", LARGE_BYTES)
    run = pair.start_sync(*SLOW, *options)

    def part_is_written() -> bool:
        return any(part.stat().st_size > 4 << 20 for part in pair.target.glob(".cv-*.part"))

    assert wait_until(lambda: part_is_written() or run.popen.poll() is not None, 60)
    assert run.popen.poll() is None, run.finish().text
    return run


def kill(run: Running) -> None:
    run.signal(signal.SIGKILL)
    assert run.finish().code == -signal.SIGKILL


def rerun_after_a_kill(pair: Pair) -> None:
    """The next run brings what was missing, and does not wait for the dead run's lease of a minute to clean up.

    The server may still be at requests that the dead run had sent, so the last leftover may go with a further run.
    """
    pair.sync().expect(0)
    assert_same(pair.source, pair.target, but_temporaries=True)

    def clean_after_a_run() -> bool:
        pair.assert_nothing_to_do()
        return temporaries(pair.target) == []

    assert wait_until(clean_after_a_run, 30)
    assert_same(pair.source, pair.target)


def test_sigkill_among_many_small_files(pair: Pair) -> None:
    many_small(pair.source, 4000)
    run = pair.start_sync()
    run.wait_for_published(500)
    kill(run)
    assert_no_torn_file(pair.source, pair.target)
    assert len(contents(pair.target)) < 4000
    rerun_after_a_kill(pair)


@pytest.mark.quick
def test_sigkill_in_a_large_file(pair: Pair) -> None:
    kill(start_large(pair))
    assert not (pair.target / "large.bin").exists()
    assert temporaries(pair.target)
    rerun_after_a_kill(pair)


def test_sigkill_keeps_the_old_version(pair: Pair) -> None:
    fill(pair.source, {"large.bin": b"old"})
    pair.synced()
    kill(start_large(pair))
    assert (pair.target / "large.bin").read_bytes() == b"old"
    rerun_after_a_kill(pair)


def test_sigkill_then_run_of_the_same_plan(pair: Pair) -> None:
    many_small(pair.source, 2000)
    plan = pair.plan().expect(0).json["plan"]
    run = pair.program.start("run", plan)
    run.wait_for_published(200)
    kill(run)
    summary = pair.run_plan(plan).expect(0).json  # a process that is gone holds nothing
    assert summary["files_copied"] < 2000
    assert_same(pair.source, pair.target)
    pair.assert_clean()


def test_sigkill_before_what_was_published_is_read_back(place: Path, servers: Servers, user_key: Path) -> None:
    """The next run does not take it for done, although size and time are right."""
    with DelayProxy(servers.target.port, place / "t.log", delay_ms=20) as slow:  # reading back takes many round trips
        pair = make_pair(place, servers, user_key, target_port=slow.port)
        large_file(pair.source / "large.bin", 32 << 20)
        run = pair.start_sync("--verify", "readback")
        published = pair.target / "large.bin"
        assert wait_until(lambda: published.exists() or run.popen.poll() is not None, 60)
        run.signal(signal.SIGKILL)
        outcome = run.finish()
        assert outcome.code == -signal.SIGKILL
        assert not outcome.of_type("file_published")
        assert pair.sync().expect(0).json["files_copied"] == 1
        assert_same(pair.source, pair.target)


@pytest.mark.quick
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_stop_cleanly(pair: Pair, number: signal.Signals, code: int) -> None:
    many_small(pair.source, 500)
    run = start_large(pair)
    run.signal(number)
    outcome = run.finish()
    assert outcome.code == code, outcome.text
    assert outcome.events[-1]["type"] == "summary"
    assert outcome.events[-1]["interrupted"] is True
    assert len(temporaries(pair.target)) <= 1  # of the large file, which the next run resumes
    assert_no_torn_file(pair.source, pair.target)
    pair.synced()


def test_signal_while_planning(pair: Pair) -> None:
    many_small(pair.source, 3000, folders=300)
    run = pair.start_sync()
    run.wait_for(lambda event: event["type"] == "started")
    run.signal(signal.SIGTERM)
    assert run.finish().code in (143, 0)
    pair.assert_clean()
    pair.synced()


def test_signal_while_a_server_is_silent_in_mid_listing(place: Path, servers: Servers, user_key: Path) -> None:
    """A stop does not wait for the stall timeout."""
    with DelayProxy(servers.source.port, place / "proxy.log", delay_ms=50) as proxy:
        pair = make_pair(place, servers, user_key, source_port=proxy.port)
        fill(pair.source, {"/".join(["folder"] * depth) + "/a.txt": b"a" for depth in range(1, 60)})
        run = pair.start_sync("--stall-timeout", "1h")
        run.wait_for(lambda event: event["type"] == "listing")  # of the first of 60 levels, a round trip and more each
        proxy.hang()
        run.signal(signal.SIGTERM)
        outcome = run.finish()
        assert outcome.code == 143, outcome.text
        assert outcome.events[-1]["interrupted"] is True


@pytest.mark.parametrize("side", [0, 1], ids=["source", "target"])
@pytest.mark.parametrize("seed", range(4))
def test_connection_cut_at_a_random_byte(
    proxied_pair: Pair, proxies: tuple[DelayProxy, DelayProxy], side: int, seed: int
) -> None:
    pair = proxied_pair
    many_small(pair.source, 1000)
    large_file(pair.source / "large.bin", 16 << 20)
    total = sum(path.stat().st_size for path in pair.source.rglob("*") if path.is_file())
    proxies[side].cut_after(random.Random(seed).randrange(50_000, total))
    outcome = pair.sync("--retries", "6").expect(0)
    assert proxies[side].was_cut()
    assert outcome.of_type("retry")
    assert_same(pair.source, pair.target)
    pair.assert_clean()


def test_cut_again_and_again(proxied_pair: Pair, proxies: tuple[DelayProxy, DelayProxy]) -> None:
    pair = proxied_pair
    many_small(pair.source, 1500)
    run = pair.start_sync("--retries", "10")
    for published, proxy in ((200, proxies[0]), (300, proxies[1]), (400, proxies[0])):
        run.wait_for_published(published)
        proxy.cut()
    outcome = run.finish().expect(0)
    assert outcome.of_type("retry")
    assert_same(pair.source, pair.target)
    pair.assert_clean()


def test_server_restarted_in_mid_run(own_pair: Pair, own_servers: Servers) -> None:
    many_small(own_pair.source, 1500)
    run = own_pair.start_sync("--retries", "10")
    run.wait_for_published(200)
    own_servers.target.restart()
    run.wait_for_published(200)
    own_servers.source.restart()
    run.finish().expect(0)
    assert_same(own_pair.source, own_pair.target)
    own_pair.assert_clean()


@pytest.mark.parametrize("side", ["source", "target"])
def test_server_that_stops_answering(own_pair: Pair, own_servers: Servers, side: str) -> None:
    """The run ends with an error and does not hang; what was published is whole."""
    many_small(own_pair.source, 300)
    run = start_large_behind(own_pair)
    server = getattr(own_servers, side)
    server.pause()
    try:
        outcome = run.finish()
    finally:
        server.resume()
    assert outcome.code in (1, 3), outcome.text
    summary = outcome.events[-1]
    reasons = {failure["kind"] for failure in summary["failures"]}
    if summary["error"]:
        reasons.add(summary["error"]["kind"])
    assert reasons & {"timeout", "connection"}, summary
    assert_no_torn_file(own_pair.source, own_pair.target)
    own_pair.synced()


def start_large_behind(pair: Pair) -> Running:
    large_file(pair.source / "large.bin", LARGE_BYTES)
    run = pair.start_sync(*SLOW, "--stall-timeout", "2s", "--connect-timeout", "2s", "--retries", "1")
    run.wait_for_published(20)
    return run


def test_server_that_pauses_for_less_than_the_stall_timeout(
    proxied_pair: Pair, proxies: tuple[DelayProxy, DelayProxy]
) -> None:
    many_small(proxied_pair.source, 1000)
    run = proxied_pair.start_sync("--stall-timeout", "30s")
    run.wait_for_published(100)
    proxies[1].hang()
    time.sleep(1)  # the pause itself is what is tested
    proxies[1].flow()
    outcome = run.finish().expect(0)
    assert not outcome.of_type("retry")
    assert_same(proxied_pair.source, proxied_pair.target)


def test_server_that_greets_and_says_no_more(
    place: Path, proxied_pair: Pair, proxies: tuple[DelayProxy, DelayProxy]
) -> None:
    fill(proxied_pair.source, {"a.txt": b"a"})
    proxies[0].hang()
    outcome = proxied_pair.sync("--connect-timeout", "1s", "--stall-timeout", "1s", "--retries", "0").expect(3)
    assert outcome.json["error"]["kind"] in ("timeout", "connection")
    assert outcome.json["error"]["status"] != "permanent"


def test_high_latency(place: Path, servers: Servers, user_key: Path) -> None:
    """Requests are pipelined: 400 files at 40 ms take far fewer round trips than one each."""
    with (
        DelayProxy(servers.source.port, place / "s.log", delay_ms=20) as source,
        DelayProxy(servers.target.port, place / "t.log", delay_ms=20) as target,
    ):
        pair = make_pair(place, servers, user_key, source_port=source.port, target_port=target.port)
        many_small(pair.source, 400, folders=4)
        summary = pair.synced()
        # One file after the other needs at least six round trips a file on the two sides: 96 s.
        assert summary["seconds"] < 400 * 6 * 0.040 / 4  # type: ignore[operator]


def test_large_file_spreads_over_connections_where_the_way_is_long(
    place: Path, servers: Servers, user_key: Path
) -> None:
    """One SSH channel's window is 2 MiB a round trip: a large file takes several, and arrives whole all the same."""
    sides = (servers.source, servers.target)
    before = [server.log_text().count("Accepted publickey") for server in sides]
    with (
        DelayProxy(servers.source.port, place / "s.log", delay_ms=10) as source,
        DelayProxy(servers.target.port, place / "t.log", delay_ms=10) as target,
    ):
        pair = make_pair(place, servers, user_key, source_port=source.port, target_port=target.port)
        large_file(pair.source / "large.bin", 96 << 20)
        pair.synced("--source-connections", "3", "--target-connections", "3")
        assert_same(pair.source, pair.target)
    logins = [
        server.log_text().count("Accepted publickey") - count for server, count in zip(sides, before, strict=True)
    ]
    assert logins == ([6, 6] if servers.source is servers.target else [3, 3])


def test_sigterm_while_nobody_reads_the_events(plain_pair: Pair) -> None:
    """A pipe holds 64 KiB: a run whose reader sleeps must still stop."""
    many_small(plain_pair.source, 3000)
    read_end, write_end = os.pipe()
    options = [*plain_pair.program.options, "--events", f"fd:{write_end}"]
    run = subprocess.Popen(
        [str(PROGRAM), "sync", plain_pair.source_url, plain_pair.target_url, *options],
        env=plain_pair.program.environment(),
        pass_fds=(write_end,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write_end)
    try:
        assert wait_until(lambda: pending_bytes(read_end) > 60_000 or run.poll() is not None, 30)
        run.send_signal(signal.SIGTERM)
        assert run.wait(20) in (0, 143)
    finally:
        run.kill()
        run.wait()
        os.close(read_end)
    plain_pair.assert_clean()


def pending_bytes(pipe: int) -> int:
    """What a reader of the pipe would get now."""
    answer = fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4)
    return int.from_bytes(answer, sys.byteorder)


def test_reader_of_the_events_goes_away(plain_pair: Pair) -> None:
    many_small(plain_pair.source, 200)
    ends = (plain_pair.source_url, plain_pair.target_url)
    outcome = plain_pair.program.start("sync", *ends, read_events=False).finish()
    assert outcome.code >= 0, outcome.text
    assert_no_torn_file(plain_pair.source, plain_pair.target)
    plain_pair.synced()


CUT_EVERY = 24 << 20


@pytest.mark.parametrize("side", [0, 1], ids=["source", "target"])
def test_a_file_that_is_cut_again_and_again_resumes(
    proxied_pair: Pair, proxies: tuple[DelayProxy, DelayProxy], side: int
) -> None:
    """Each cut costs what was under way, not what had arrived: the file could never arrive as a whole, and an attempt
    that got further does not use up the retries."""
    large_file(proxied_pair.source / "large.bin", 6 * CUT_EVERY)
    proxies[side].cut_after(CUT_EVERY)
    run = proxied_pair.start_sync("--retries", "2")
    cuts = 0
    while run.popen.poll() is None:
        if wait_until(lambda: proxies[side].was_cut() or run.popen.poll() is not None, 60) and run.popen.poll() is None:
            cuts += 1
            proxies[side].cut_after(CUT_EVERY)
    run.finish().expect(0)
    assert 6 <= cuts <= 7, cuts  # with each 24 MiB that passed: less than 1.15 times the file
    assert_same(proxied_pair.source, proxied_pair.target)


def test_a_file_that_changes_between_cuts_is_not_a_mixture(
    proxied_pair: Pair, proxies: tuple[DelayProxy, DelayProxy], place: Path
) -> None:
    file = proxied_pair.source / "large.bin"
    large_file(file, 2 * CUT_EVERY)
    large_file(place / "later.bin", 2 * CUT_EVERY, seed=8)
    os.utime(place / "later.bin", (time.time() - 30, time.time() - 30))
    proxies[1].cut_after(CUT_EVERY)
    run = proxied_pair.start_sync("--retries", "20")
    assert wait_until(proxies[1].was_cut, 60)
    proxies[1].refuse()  # until the source has another version
    (place / "later.bin").replace(file)
    proxies[1].accept()
    assert run.finish().expect(0).of_type("retry")
    assert_same(proxied_pair.source, proxied_pair.target)
