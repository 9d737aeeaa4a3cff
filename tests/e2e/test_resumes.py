"""Large files that another run or worker resumes: what is proven to be at the target is not sent again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.conftest import make_pair
from e2e.support.pair import Pair, Servers
from e2e.support.program import Running
from e2e.support.trees import assert_same, large_file, temporaries
from servers.process import wait_until
from servers.proxy import DelayProxy
from servers.wire_faults import WireProxy

LARGE_BYTES = 300 << 20
HALF = ["--bwlimit", "80MiB"]  # so that a run can be interrupted half-way


@pytest.fixture
def line(servers: Servers) -> Iterator[WireProxy]:
    """In front of the target; counts what is sent."""
    with WireProxy(servers.target.port) as proxy:
        yield proxy


@pytest.fixture
def counted_pair(place: Path, servers: Servers, user_key: Path, line: WireProxy) -> Pair:
    pair = make_pair(place, servers, user_key, target_port=line.port)
    large_file(pair.source / "large.bin", LARGE_BYTES)
    return pair


def wait_for_half(pair: Pair, run: Running) -> None:
    def half_is_written() -> bool:
        return any(part.stat().st_size >= LARGE_BYTES // 2 for part in pair.target.glob(".cv-*.part"))

    assert wait_until(lambda: half_is_written() or run.popen.poll() is not None, 60)
    assert run.popen.poll() is None, run.finish().text


def killed_half_way(pair: Pair, *options: str) -> None:
    run = pair.start_sync(*HALF, *options)
    wait_for_half(pair, run)
    run.signal(signal.SIGKILL)
    assert run.finish().code == -signal.SIGKILL


@pytest.mark.parametrize(
    "options", [[], ["--checksum"], ["--verify", "readback"]], ids=["size", "checksum", "readback"]
)
def test_the_next_run_resumes_after_a_kill(counted_pair: Pair, line: WireProxy, options: list[str]) -> None:
    killed_half_way(counted_pair, *options)
    before = line.passed[True]
    counted_pair.synced(*options)
    assert line.passed[True] - before <= 0.6 * LARGE_BYTES
    counted_pair.assert_clean()


def test_the_next_run_resumes_after_a_signal(counted_pair: Pair, line: WireProxy) -> None:
    run = counted_pair.start_sync(*HALF)
    wait_for_half(counted_pair, run)
    run.signal(signal.SIGTERM)
    assert run.finish().code == 143
    before = line.passed[True]
    counted_pair.synced()
    assert line.passed[True] - before <= 0.52 * LARGE_BYTES
    counted_pair.assert_clean()


def test_another_worker_resumes_after_a_lost_lease(counted_pair: Pair, line: WireProxy) -> None:
    plan = counted_pair.plan(*HALF).expect(0).json["plan"]
    first = counted_pair.program.start("run", plan)
    wait_for_half(counted_pair, first)
    first.signal(signal.SIGKILL)
    first.finish()
    before = line.passed[True]
    counted_pair.run_plan(plan).expect(0)
    assert line.passed[True] - before <= 0.6 * LARGE_BYTES
    assert_same(counted_pair.source, counted_pair.target)
    counted_pair.assert_clean()


def test_a_suspended_worker_does_not_write_into_the_published_file(counted_pair: Pair) -> None:
    """Its partial upload is not taken over, as it may have requests under way when it continues."""
    plan = counted_pair.plan(*HALF, "--lease-ttl", "2s").expect(0).json["plan"]
    first = counted_pair.program.start("run", plan)
    wait_for_half(counted_pair, first)
    first.signal(signal.SIGSTOP)
    try:
        counted_pair.run_plan(plan).expect(0)
    finally:
        first.signal(signal.SIGCONT)
    first.finish()
    assert_same(counted_pair.source, counted_pair.target)
    counted_pair.assert_clean()


def test_a_source_with_other_content_of_equal_size_and_time_begins_again(counted_pair: Pair, line: WireProxy) -> None:
    killed_half_way(counted_pair)
    file = counted_pair.source / "large.bin"
    times = file.stat()
    with file.open("r+b") as content:
        content.seek(50 << 20)
        content.write(b"another content")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    before = line.passed[True]
    counted_pair.synced()
    assert line.passed[True] - before >= LARGE_BYTES
    counted_pair.assert_clean()


def test_a_partial_upload_that_was_cut_short_begins_again(counted_pair: Pair, line: WireProxy) -> None:
    killed_half_way(counted_pair)
    (part,) = temporaries(counted_pair.target)
    os.truncate(counted_pair.target / os.fsdecode(part), 1000)
    before = line.passed[True]
    counted_pair.synced()
    assert line.passed[True] - before >= LARGE_BYTES
    counted_pair.assert_clean()


def test_an_attempt_does_not_continue_what_is_shorter_than_was_acknowledged(
    proxied_pair: Pair, proxies: tuple[DelayProxy, DelayProxy]
) -> None:
    large_file(proxied_pair.source / "large.bin", 48 << 20)
    proxies[1].cut_after(32 << 20)
    run = proxied_pair.start_sync("--retries", "20")
    assert wait_until(proxies[1].was_cut, 60)
    proxies[1].refuse()
    (part,) = proxied_pair.target.glob(".cv-*.part")
    sizes: list[int] = []

    def server_has_ended() -> bool:
        sizes.append(part.stat().st_size)
        return len(sizes) > 10 and len(set(sizes[-10:])) == 1

    assert wait_until(server_has_ended, 60)
    os.truncate(part, 1 << 20)
    proxies[1].accept()
    assert run.finish().expect(0).of_type("retry")
    assert_same(proxied_pair.source, proxied_pair.target)
