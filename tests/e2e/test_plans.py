"""Plans, batches and state: one process plans, others run; leases, status, and a state file that is broken."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess

import pytest

from e2e.support.pair import Pair
from e2e.support.program import PROGRAM
from e2e.support.trees import assert_same, contents, fill, large_file, many_small


@pytest.mark.quick
def test_plan_copies_nothing_and_lists_its_batches(pair: Pair) -> None:
    total = many_small(pair.source, 100)
    summary = pair.plan("--batch-files", "30").expect(0).json
    assert summary["command"] == "plan"
    batches = summary["batch_list"]
    assert [batch["batch"] for batch in batches] == list(range(1, len(batches) + 1))
    assert (sum(batch["files"] for batch in batches), sum(batch["bytes"] for batch in batches)) == (100, total)
    assert all(batch["files"] <= 30 for batch in batches)
    assert contents(pair.target) == {}


def test_batches_are_balanced_and_bounded(plain_pair: Pair) -> None:
    many_small(plain_pair.source, 400)
    for number in range(8):
        large_file(plain_pair.source / f"large_{number}", 4 << 20, seed=number)
    batches = plain_pair.plan("--batch-bytes", "9MiB").expect(0).json["batch_list"]
    assert all(batch["bytes"] <= 9 << 20 for batch in batches)
    costs = [batch["bytes"] + batch["files"] * 65536 for batch in batches]
    assert max(costs) < 2 * min(costs)
    few = plain_pair.plan("--batch-files", "1", "--max-batches", "3").expect(0).json["batch_list"]
    assert len(few) == 3


@pytest.mark.quick
def test_batches_run_by_other_processes_at_once(pair: Pair) -> None:
    many_small(pair.source, 300)
    summary = pair.plan("--batch-files", "60").expect(0).json
    runs = [
        subprocess.Popen(
            [str(PROGRAM), "run", summary["plan"], "--batch", str(batch["batch"]), *pair.program.options, "--json"],
            env=pair.program.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for batch in summary["batch_list"]
    ]
    copied = 0
    for run in runs:
        output, errors = run.communicate(timeout=100)
        assert run.returncode == 0, errors
        copied += json.loads(output)["files_copied"]
    assert copied == 300
    assert_same(pair.source, pair.target)
    again = pair.run_plan(summary["plan"]).expect(0).json
    assert (again["files_copied"], again["bytes_copied"]) == (0, 0)


def test_two_processes_run_the_same_plan(pair: Pair) -> None:
    many_small(pair.source, 2000)
    plan = pair.plan("--batch-files", "200").expect(0).json["plan"]
    runs = [pair.program.start("run", plan) for _ in range(2)]
    outcomes = [run.finish().expect(0) for run in runs]
    published = [event["path"] for outcome in outcomes for event in outcome.of_type("file_published")]
    assert len(published) == len(set(published)) == 2000
    assert_same(pair.source, pair.target)
    pair.assert_clean()


def test_workers_share_a_plan(plain_pair: Pair) -> None:
    """Each takes what is free: with equal limits four workers take about a quarter of the time of one."""
    for number in range(16):
        large_file(plain_pair.source / f"large_{number}", 2 << 20, seed=number)
    plan = plain_pair.plan("--batch-files", "1").expect(0).json["plan"]
    workers = [plain_pair.program.start("run", plan, "--bwlimit", "2MiB") for _ in range(4)]
    counts = [len(worker.finish().expect(0).of_type("file_published")) for worker in workers]
    assert sum(counts) == 16
    assert max(counts) <= 6, counts  # of some 4; those that start later get fewer
    assert_same(plain_pair.source, plain_pair.target)


def test_batch_that_does_not_exist(plain_pair: Pair) -> None:
    fill(plain_pair.source, {"a": b"a"})
    plan = plain_pair.plan().expect(0).json["plan"]
    plain_pair.run_plan(plan, "--batch", "99").expect(2)


def test_plan_that_does_not_exist(plain_pair: Pair) -> None:
    outcome = plain_pair.run_plan("aaaaaaaaaa").expect(2)
    assert "aaaaaaaaaa" in outcome.text


def test_status_tells_what_is_left(pair: Pair) -> None:
    fill(pair.source, {f"file_{number}": b"x" for number in range(20)})
    summary = pair.plan("--batch-files", "5").expect(0).json
    pair.run_plan(summary["plan"], "--batch", "2").expect(0)
    status = pair.status(summary["plan"]).expect(0).json
    assert status["plan"]["id"] == summary["plan"]
    assert (status["plan"]["files"], status["plan"]["batches"]) == (20, len(summary["batch_list"]))
    done = {batch["batch"]: batch["files_done"] for batch in status["batches"]}
    assert done[2] == summary["batch_list"][1]["files"]
    assert sum(done.values()) == done[2]
    assert len(status["runs"]) == 1
    plans = pair.status().expect(0).json["plans"]
    assert [plan["id"] for plan in plans] == [summary["plan"]]


def test_status_lists_failures(pair: Pair) -> None:
    fill(pair.source, {"a": b"a", "b": b"b"})
    plan = pair.plan().expect(0).json["plan"]
    (pair.source / "a").unlink()
    pair.run_plan(plan).expect(1)
    failures = pair.status(plan).expect(0).json["failures"]
    assert [(failure["path"], failure["kind"]) for failure in failures] == [("a", "not_found")]


def test_run_reports_what_planning_could_not_take_in(unprivileged_pair: Pair) -> None:
    pair = unprivileged_pair
    fill(pair.source, {"a": b"a", "locked/b": b"b"})
    for path in (pair.source, pair.target):
        path.chmod(0o777)
    if os.geteuid() == 0:
        shutil.chown(pair.source / "locked", "root")
    (pair.source / "locked").chmod(0o700 if os.geteuid() == 0 else 0)
    plan = pair.plan().expect(1).json["plan"]
    of_a_batch = pair.run_plan(plan, "--batch", "1").expect(0).json
    assert (of_a_batch["files_copied"], of_a_batch["failures"]) == (1, [])
    outcome = pair.run_plan(plan).expect(1)
    summary = outcome.json
    assert (summary["files_copied"], summary["files_failed"]) == (0, 1)
    assert [(failure["batch"], failure["path"]) for failure in summary["failures"]] == [(0, "locked")]
    assert [event["path"] for event in outcome.of_type("file_failed")] == ["locked"]
    assert "locked: permission denied" in outcome.text


def test_superseded_plans_are_reported(plain_pair: Pair) -> None:
    pair = plain_pair
    fill(pair.source, {"a": b"a", "b": b"b"})
    listed = pair.plan("--file", "a").expect(0).json["plan"]
    pair.plan("--file", "b").expect(0)
    old = pair.plan().expect(0).json["plan"]
    new = pair.plan().expect(0).json["plan"]
    plans = {plan["id"]: plan["superseded_by"] for plan in pair.status().expect(0).json["plans"]}
    assert (plans[listed], plans[old], plans[new]) == (None, new, None)
    assert f"superseded by {new}" in pair.program.run("status", old, "--state", str(pair.state)).expect(0).text
    [warning] = pair.run_plan(old).expect(0).of_type("warning")
    assert new in warning["message"]
    assert not pair.run_plan(new).expect(0).of_type("warning")


def test_leased_batch_makes_a_second_worker_wait(plain_pair: Pair) -> None:
    pair = plain_pair
    large_file(pair.source / "large.bin", 48 << 20)
    plan = pair.plan().expect(0).json["plan"]
    first = pair.program.start("run", plan, "--bwlimit", "24MiB")
    first.wait_for(lambda event: event["type"] == "batch" and event["state"] == "started")
    second = pair.program.start("run", plan)
    waiting = second.wait_for(lambda event: event["type"] == "batch" and event["state"] == "waiting")
    assert waiting["detail"]
    assert first.finish().expect(0).events[-1]["files_copied"] == 1
    assert second.finish().expect(0).events[-1]["files_copied"] == 0
    assert_same(pair.source, pair.target)


def test_paused_worker_loses_its_batch_and_can_harm_nothing(plain_pair: Pair) -> None:
    """Generations: the first worker wakes up after another took over; its checkpoints are refused."""
    pair = plain_pair
    large_file(pair.source / "large.bin", 48 << 20)
    plan = pair.plan("--lease-ttl", "1s").expect(0).json["plan"]
    first = pair.program.start("run", plan, "--bwlimit", "24MiB")
    first.wait_for(lambda event: event["type"] == "batch" and event["state"] == "started")
    first.signal(signal.SIGSTOP)
    pair.run_plan(plan).expect(0)
    first.signal(signal.SIGCONT)
    first.finish().expect(0)  # all files arrived
    assert_same(pair.source, pair.target)
    pair.assert_clean()
    assert pair.status(plan).expect(0).json["batches"][0]["files_done"] == 1


@pytest.mark.quick
def test_corrupt_state_is_set_aside(pair: Pair) -> None:
    fill(pair.source, {"a": b"a", "b": b"b"})
    pair.synced()
    for file in pair.state.parent.glob("state.db-*"):
        file.unlink()
    damaged = bytearray(pair.state.read_bytes())
    damaged[100:120] = b"\xee" * 20  # behind the header of the file
    pair.state.write_bytes(damaged)
    outcome = pair.sync().expect(0)
    assert outcome.json["bytes_copied"] == 0
    aside = list(pair.state.parent.glob("state.db.corrupt-*"))
    assert [file.read_bytes() for file in aside] == [bytes(damaged)]
    assert outcome.of_type("warning") or aside[0].name in outcome.text


def test_a_file_that_is_not_a_state_stays_as_it_is(plain_pair: Pair) -> None:
    fill(plain_pair.source, {"a": b"a"})
    plain_pair.state.write_bytes(b"name;amount\n" * 100)
    for outcome in (plain_pair.sync(), plain_pair.program.run("status", "--state", str(plain_pair.state))):
        assert str(plain_pair.state) in outcome.expect(5).text
        assert "is not a state" in outcome.text
        assert "--state" in outcome.text  # what to do
    assert plain_pair.state.read_bytes() == b"name;amount\n" * 100
    assert [file.name for file in plain_pair.state.parent.glob("state.db*")] == ["state.db"]


def test_state_that_can_not_be_opened(plain_pair: Pair) -> None:
    fill(plain_pair.source, {"a": b"a"})
    folder = plain_pair.state.parent / "folder"
    folder.mkdir()
    plain_pair.program.options[plain_pair.program.options.index("--state") + 1] = str(folder)
    outcome = plain_pair.sync().expect(5)
    assert str(folder) in outcome.text
    assert contents(plain_pair.target) == {}


def test_state_as_a_url(plain_pair: Pair) -> None:
    fill(plain_pair.source, {"a": b"a"})
    at = plain_pair.program.options.index("--state") + 1
    plain_pair.program.options[at] = f"sqlite://{plain_pair.state}"
    plain_pair.synced()
    assert plain_pair.state.exists()
