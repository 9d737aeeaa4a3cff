"""A state that fails for a while, and workers whose clocks are wrong, on PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.support.pair import Pair
from e2e.support.program import Event
from e2e.support.trees import assert_same, fill, large_file, many_small, temporaries, write_file
from servers.postgres import PostgresServer
from servers.process import wait_until

FAR_AHEAD_SECONDS = 100 * 86_400

SHIFTED_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static time_t shift(void) { return atoll(getenv("CLOCK_AHEAD_SECONDS")); }
int clock_gettime(clockid_t clock, struct timespec *out) {
  int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
  int code = real(clock, out);
  if (clock == CLOCK_REALTIME) out->tv_sec += shift();
  return code;
}
int gettimeofday(struct timeval *restrict out, void *restrict zone) {
  int (*real)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
  int code = real(out, zone);
  out->tv_sec += shift();
  return code;
}
time_t time(time_t *out) {
  time_t (*real)(time_t *) = dlsym(RTLD_NEXT, "time");
  time_t now = real(NULL) + shift();
  if (out) *out = now;
  return now;
}
"""


@pytest.fixture
def database(place: Path) -> Iterator[PostgresServer]:
    place.chmod(0o711)
    place.parent.chmod(0o711)  # the server's user passes through
    with PostgresServer(place / "postgres") as server:
        yield server


@pytest.fixture
def shared_pair(plain_pair: Pair, database: PostgresServer) -> Pair:
    at = plain_pair.program.options.index("--state") + 1
    plain_pair.program.options[at] = database.url()
    plain_pair.program.env["CHECKVALVE_STATE_PASSWORD"] = database.password
    return plain_pair


@pytest.fixture
def clock_ahead(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine whose clock is wrong. LD_PRELOAD takes no path with a space, as `place` has."""
    compiler = shutil.which("cc") or shutil.which("clang-19")
    if not compiler:
        pytest.skip("no C compiler")
    library = tmp_path / "shifted_clock.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=SHIFTED_CLOCK.encode(), check=True
    )
    shifted = {"LD_PRELOAD": str(library), "CLOCK_AHEAD_SECONDS": str(FAR_AHEAD_SECONDS)}
    shown = subprocess.run(["date", "+%s"], env={**os.environ, **shifted}, capture_output=True, check=True)
    assert int(shown.stdout) - time.time() > FAR_AHEAD_SECONDS - 60
    return shifted


def is_state_retry(event: Event) -> bool:
    return bool(event["type"] == "retry" and event["kind"] == "state")


def run_through(pair: Pair, end: Callable[[], None], begin: Callable[[], object]) -> str:
    """A run while the state is away, from `end` to `begin`, for longer than its lease; returns the plan."""
    total = many_small(pair.source, 1500)
    plan = str(pair.plan().expect(0).json["plan"])
    run = pair.program.start("run", plan, "--lease-ttl", "1s", "--bwlimit", str(total // 8))
    run.wait_for_published(200)
    end()
    for _ in range(2):
        run.wait_for(is_state_retry)
    begin()
    summary = run.finish().expect(0).events[-1]
    assert (summary["files_copied"], summary["files_failed"]) == (1500, 0)
    assert_same(pair.source, pair.target)
    pair.assert_clean()
    pair.assert_nothing_to_do()
    return plan


def test_database_that_is_away_for_longer_than_the_lease(shared_pair: Pair, database: PostgresServer) -> None:
    plan = run_through(shared_pair, database.stop, database.start)
    status = shared_pair.program.run("status", plan, "--state", database.url(), "--json").expect(0).json
    assert sum(batch["files_done"] for batch in status["batches"]) == 1500


def test_database_that_fails_over(shared_pair: Pair, database: PostgresServer, place: Path) -> None:
    """The primary crashes in mid-run, and some time later its standby takes over under the same URL."""
    options = shared_pair.program.options
    with database.standby(place / "standby") as standby:
        options[options.index("--state") + 1] = database.url_with(standby)
        run_through(shared_pair, database.kill, standby.promote)


def test_a_wrong_clock_harms_no_other_worker(shared_pair: Pair, place: Path, clock_ahead: dict[str, str]) -> None:
    """Leases, ages of plans and of orphans go by the clock of the database."""
    pair = shared_pair
    large_file(pair.source / "large.bin", 32 << 20)
    waiting = pair.plan("--exclude", "nothing").expect(0).json["plan"]
    worker = pair.start_sync("--bwlimit", "8MiB")
    assert wait_until(lambda: bool(temporaries(pair.target)) or worker.popen.poll() is not None, 60)
    young = pair.target / ".cv-7k3m9q2x5t-1-9f02ab17-42.part"
    write_file(young, b"of a worker with another state")

    other = place / "other source"
    fill(other, {"a": b"a"})
    pair.program.env |= clock_ahead
    pair.program.work("sync", str(other), pair.target_url).expect(0)
    arguments = [pair.target_url, *pair.program.options, "--older-than", "1d", "--json"]
    assert pair.program.run("sweep", *arguments).expect(0).json["removed"] == 0
    for name in clock_ahead:
        del pair.program.env[name]

    assert worker.finish().expect(0).events[-1]["files_copied"] == 1
    assert young.exists()
    assert pair.run_plan(waiting).expect(0).json["files_failed"] == 0  # was not pruned
    assert (pair.target / "large.bin").read_bytes() == (pair.source / "large.bin").read_bytes()
