"""One list of checksums for a target: what coreutils make of it, and who writes it when several could, or none did."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from pathlib import Path

from e2e.support.pair import Pair
from e2e.support.program import PROGRAM
from e2e.support.trees import ODD_NAMES, fill, many_small, temporaries, write_file
from servers.proxy import DelayProxy

LIST = "SHA256SUMS"
OPTIONS = ["--transform", f"checksum list={LIST}"]


def listed(folder: Path, name: str = LIST) -> int:
    """How many files the list has; sha256sum must find each as it says."""
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", name], cwd=folder, check=True, timeout=60)
    return (folder / name).read_bytes().count(b"\n")


def files_there(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*")) - 1


def same_file(before: os.stat_result, path: Path) -> bool:
    now = path.stat()
    return (before.st_ino, before.st_mtime_ns) == (now.st_ino, now.st_mtime_ns)


def test_sha256sum_checks_the_whole_target(pair: Pair) -> None:
    many_small(pair.source, 300)
    for name in [*ODD_NAMES, b"-", b"*star first", b"ends with return\r", b"ends with newline\n", b"\\x"]:
        write_file(os.fsencode(pair.source) + b"/" + name, b"of " + name)
        write_file(os.fsencode(pair.source) + b"/folder " + name + b"/" + name, b"in " + name)
    pair.sync(*OPTIONS).expect(0)
    assert listed(pair.target) == files_there(pair.target) == 300 + 2 * (len(ODD_NAMES) + 5)
    before = (pair.target / LIST).stat()
    summary = pair.sync(*OPTIONS).expect(0).json
    assert (summary["files_planned"], summary["bytes_copied"]) == (0, 0)
    assert same_file(before, pair.target / LIST)
    pair.assert_clean()


def test_it_follows_what_is_published(plain_pair: Pair) -> None:
    pair = plain_pair
    fill(pair.source, {"a": b"a", "b/c": b"c", "gone": b"gone"})
    chain = ["--transform", "gzip", *OPTIONS]
    pair.sync(*chain).expect(0)
    assert listed(pair.target) == 3
    write_file(pair.source / "d", b"later")
    write_file(pair.source / "a", b"changed", mtime=1_700_000_000)
    (pair.source / "gone").unlink()
    pair.sync(*chain).expect(0)
    assert listed(pair.target) == 4
    text = (pair.target / LIST).read_text()
    assert [line.split("  ", 1)[1] for line in text.splitlines()] == ["a.gz", "b/c.gz", "d.gz", "gone.gz"]
    report = pair.program.work("verify", pair.source_url, pair.target_url, *chain).expect(0).json
    assert (report["difference_count"], report["files_extra"]) == (0, 1)  # gone.gz
    (pair.target / LIST).unlink()
    report = pair.program.work("verify", pair.source_url, pair.target_url, *chain).expect(1).json
    assert [item["path"] for item in report["differences"]] == [LIST]
    pair.sync(*chain).expect(0)
    assert (pair.target / LIST).read_text() == text


def test_other_algorithms_and_side_files_too(plain_pair: Pair) -> None:
    fill(plain_pair.source, {"a": b"a", "b/c": b"c"})
    plain_pair.sync("--transform", "checksum list=MD5SUMS algorithm=md5 suffix=.md5").expect(0)
    for name in ("MD5SUMS", "a.md5"):
        subprocess.run(["md5sum", "--check", "--strict", name], cwd=plain_pair.target, check=True)
    subprocess.run(["md5sum", "--check", "--strict", "c.md5"], cwd=plain_pair.target / "b", check=True)
    assert (plain_pair.target / "MD5SUMS").read_bytes().count(b"\n") == 2


def test_one_failing_file_keeps_no_other_from_the_list(plain_pair: Pair) -> None:
    pair = plain_pair
    many_small(pair.source, 50)
    (pair.target / "folder").mkdir()
    (pair.target / "folder" / "taken").mkdir()
    write_file(pair.source / "folder" / "taken", b"a directory has its name")
    summary = pair.sync(*OPTIONS).expect(1).json
    assert [failure["path"] for failure in summary["failures"]] == ["folder/taken"]
    assert listed(pair.target) == files_there(pair.target) == 50


def test_a_list_that_cant_be_written_is_named(plain_pair: Pair) -> None:
    fill(plain_pair.source, {"a": b"a"})
    (plain_pair.target / LIST).mkdir()
    outcome = plain_pair.sync(*OPTIONS).expect(1)
    assert [failure["path"] for failure in outcome.json["failures"]] == [LIST]
    assert LIST in outcome.stderr.decode()
    assert (plain_pair.target / "a").read_bytes() == b"a"
    plain_pair.assert_clean()
    plan = outcome.json["plan"]
    assert [failure["path"] for failure in plain_pair.status(plan).expect(0).json["failures"]] == [LIST]
    (plain_pair.target / LIST).rmdir()
    plain_pair.run_plan(plan).expect(0)
    assert plain_pair.status(plan).expect(0).json["failures"] == []
    assert listed(plain_pair.target) == 1


def test_a_file_of_its_name_is_refused(plain_pair: Pair) -> None:
    fill(plain_pair.source, {"a": b"a", LIST: b"the sender's own"})
    failure = plain_pair.sync(*OPTIONS).expect(1).json["failures"][0]
    assert (failure["path"], failure["kind"]) == (LIST, "exists")
    assert "exclude" in failure["message"]
    assert listed(plain_pair.target) == 1
    plain_pair.sync(*OPTIONS, "--exclude", f"/{LIST}").expect(0)


def test_not_with_split(plain_pair: Pair) -> None:
    outcome = plain_pair.sync("--transform", "split lines=1", *OPTIONS).expect(2)
    assert "split" in outcome.text


def run_all_at_once(pair: Pair, files_a_batch: int) -> int:
    """A process for each batch of a new plan, all at once; the files copied."""
    plan = pair.plan("--batch-files", str(files_a_batch), *OPTIONS).expect(0).json
    assert len(plan["batch_list"]) > 5
    runs = [
        subprocess.Popen(
            [str(PROGRAM), "run", plan["plan"], "--batch", str(batch["batch"]), *pair.program.options, "--json"],
            env=pair.program.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for batch in plan["batch_list"]
    ]
    copied = 0
    for run in runs:
        output, errors = run.communicate(timeout=100)
        assert run.returncode == 0, errors
        copied += json.loads(output)["files_copied"]
    return copied


def test_batches_of_processes_that_end_together(plain_pair: Pair) -> None:
    pair = plain_pair
    for round_number in range(1, 4):
        many_small(pair.source / f"round {round_number}", 60)
        assert run_all_at_once(pair, 10) == 60
        assert listed(pair.target) == files_there(pair.target) == 60 * round_number
    pair.assert_clean()


def test_killed_after_the_last_file_and_before_the_list(plain_pair: Pair) -> None:
    """The list is kept from the worker until it is dead."""
    pair = plain_pair
    many_small(pair.source, 40)
    pair.sync(*OPTIONS).expect(0)
    with sqlite3.connect(pair.state) as state:
        state.execute(
            "UPDATE cv_lists SET holder = CAST('elsewhere:1' AS BLOB), temporary = 't', lease_until_ms = 1e15"
        )
    many_small(pair.source / "more", 40)
    run = pair.start_sync(*OPTIONS)
    run.wait_for(lambda event: event["type"] == "batch" and event["state"] == "finished")
    run.signal(signal.SIGKILL)
    assert run.finish().code == -signal.SIGKILL
    assert listed(pair.target) == 40
    with sqlite3.connect(pair.state) as state:
        state.execute("UPDATE cv_lists SET lease_until_ms = 0")
    assert pair.sync(*OPTIONS).expect(0).json["files_copied"] == 0
    assert listed(pair.target) == files_there(pair.target) == 80


def test_killed_while_it_writes_the_list(proxied_pair: Pair, proxies: tuple[DelayProxy, DelayProxy]) -> None:
    pair = proxied_pair
    many_small(pair.source, 40)
    pair.sync(*OPTIONS).expect(0)
    many_small(pair.source / "more", 40)
    run = pair.start_sync(*OPTIONS)
    run.wait_for(lambda event: event["type"] == "batch" and event["state"] == "finished")
    proxies[1].hang()
    run.signal(signal.SIGKILL)
    run.finish()
    proxies[1].cut()
    proxies[1].flow()
    assert listed(pair.target) in (40, 80)  # whole, either way
    pair.sync(*OPTIONS).expect(0)  # at once: whoever had the list is known to be gone
    assert listed(pair.target) == 80
    assert temporaries(pair.target) == []
