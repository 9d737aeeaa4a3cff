"""The core: trees arrive whole and once, and a rerun moves nothing. Runs against a normal and a read-only source."""

from __future__ import annotations

import os
import time

import pytest

from e2e.support.pair import FIXED_MTIME, Pair
from e2e.support.trees import assert_same, contents, fill, large_file, many_small, odd_tree, snapshot, write_file

TREE = {"a.txt": b"alpha", "b/c/d/e.txt": b"deep", "b/empty.txt": b"", "f.bin": bytes(range(256)) * 5000}


@pytest.mark.quick
def test_tree_arrives_and_a_rerun_moves_nothing(pair: Pair) -> None:
    fill(pair.source, TREE)
    before = snapshot(pair.source)
    summary = pair.synced()
    assert summary["files_copied"] == summary["files_planned"] == len(TREE)
    assert summary["bytes_copied"] == sum(map(len, TREE.values()))
    pair.assert_nothing_to_do()
    assert snapshot(pair.source) == before
    pair.assert_clean()


def test_many_small_files(pair: Pair) -> None:
    total = many_small(pair.source, 3000)
    summary = pair.synced()
    assert (summary["files_copied"], summary["bytes_copied"]) == (3000, total)
    pair.assert_nothing_to_do()


def test_large_file(pair: Pair) -> None:
    large_file(pair.source / "large.bin", (96 << 20) + 12345)
    pair.synced()
    pair.assert_nothing_to_do()
    pair.assert_clean()


@pytest.mark.parametrize("size", [1, 32767, 32768, 32769, 261_120, 261_121, 1 << 20, (4 << 20) + 1])
def test_sizes_around_packet_limits(plain_pair: Pair, size: int) -> None:
    large_file(plain_pair.source / "file", size)
    plain_pair.synced()


@pytest.mark.quick
def test_odd_names(pair: Pair) -> None:
    count = odd_tree(pair.source)
    outcome = pair.sync().expect(0)
    assert outcome.json["files_copied"] == count
    assert_same(pair.source, pair.target)
    pair.assert_nothing_to_do()


def test_odd_names_are_escaped_in_events(plain_pair: Pair) -> None:
    for name in (b"latin1-\xe9.txt", b"new\nline", b"back\\slash", "Zürich".encode()):
        write_file(os.fsencode(plain_pair.source) + b"/" + name, b"x")
    published = {event["path"] for event in plain_pair.sync().expect(0).of_type("file_published")}
    assert published == {"latin1-\\xe9.txt", "new\\x0aline", "back\\\\slash", "Zürich"}


@pytest.mark.quick
def test_changed_file_is_carried(pair: Pair) -> None:
    fill(pair.source, TREE)
    pair.synced()
    write_file(pair.source / "a.txt", b"ALPHA", mtime=FIXED_MTIME)  # same size: only the time differs
    write_file(pair.source / "b/c/d/e.txt", b"deeper than before")
    assert pair.synced()["files_copied"] == 2


@pytest.mark.quick
def test_deleted_file_stays_at_the_target(pair: Pair) -> None:
    fill(pair.source, TREE)
    pair.synced()
    (pair.source / "a.txt").unlink()
    pair.assert_nothing_to_do()
    assert contents(pair.target)[b"a.txt"] == b"alpha"


def test_new_file_in_a_finished_folder(pair: Pair) -> None:
    fill(pair.source, TREE)
    pair.synced()
    write_file(pair.source / "b/late.txt", b"late")
    summary = pair.synced()
    assert (summary["files_copied"], summary["bytes_copied"]) == (1, 4)


def test_files_that_are_only_at_the_target_are_left_alone(pair: Pair) -> None:
    fill(pair.source, TREE)
    fill(pair.target, {"own.txt": b"mine", "b/own.txt": b"mine, too", ".cv-not-ours.part": b"looks alike"})
    pair.sync().expect(0)
    after = contents(pair.target)
    assert (after[b"own.txt"], after[b"b/own.txt"], after[b".cv-not-ours.part"]) == (
        b"mine",
        b"mine, too",
        b"looks alike",
    )


def test_lost_state_costs_no_bytes(pair: Pair) -> None:
    fill(pair.source, TREE)
    pair.synced()
    for file in pair.state.parent.glob("state.db*"):
        file.unlink()
    pair.assert_nothing_to_do()


def test_target_folder_is_made(pair: Pair) -> None:
    fill(pair.source, TREE)
    pair.target.rmdir()
    pair.synced()


def test_empty_source_is_a_success(pair: Pair) -> None:
    summary = pair.synced()
    assert summary["files_planned"] == 0


@pytest.mark.quick
def test_mtime_and_mode(pair: Pair) -> None:
    write_file(pair.source / "old.txt", b"x", mtime=FIXED_MTIME, mode=0o640)
    write_file(pair.source / "program.sh", b"#!/bin/sh\n", mtime=FIXED_MTIME, mode=0o755)
    pair.synced("--preserve", "mtime,mode")
    modes = {name: node.mode for name, node in snapshot(pair.target).items()}
    assert modes == {b"old.txt": 0o640, b"program.sh": 0o755}


def test_without_preserve_a_rerun_still_moves_nothing(pair: Pair) -> None:
    """The target's mtime says nothing then: what was recorded decides."""
    write_file(pair.source / "old.txt", b"x", mtime=FIXED_MTIME)
    pair.sync("--preserve", "none").expect(0)
    assert abs(snapshot(pair.target)[b"old.txt"].mtime_seconds - time.time()) < 3600
    pair.assert_nothing_to_do("--preserve", "none")


@pytest.mark.parametrize("verify", ["size", "readback"])
def test_verify_modes(pair: Pair, verify: str) -> None:
    fill(pair.source, TREE)
    pair.synced("--verify", verify)
    pair.assert_nothing_to_do("--verify", verify)


@pytest.mark.quick
def test_checksum_finds_what_size_and_time_hide(pair: Pair) -> None:
    write_file(pair.source / "a.txt", b"right", mtime=FIXED_MTIME)
    pair.synced()
    write_file(pair.target / "a.txt", b"wrong", mtime=FIXED_MTIME)
    assert pair.sync("--checksum").expect(0).json["files_copied"] == 1
    assert_same(pair.source, pair.target)


@pytest.mark.quick
def test_dry_run_changes_nothing(pair: Pair) -> None:
    fill(pair.source, TREE)
    before = snapshot(pair.target)
    summary = pair.sync("--dry-run").expect(0).json
    assert (summary["files_planned"], summary["files_copied"]) == (len(TREE), 0)
    assert snapshot(pair.target) == before
    assert pair.synced()["files_copied"] == len(TREE)


@pytest.mark.parametrize("connections", ["1", "4"])
def test_connections(pair: Pair, connections: str) -> None:
    many_small(pair.source, 300)
    large_file(pair.source / "large.bin", 24 << 20)
    pair.synced("--source-connections", connections, "--target-connections", connections)


def test_tiny_memory_budget(pair: Pair) -> None:
    many_small(pair.source, 300)
    large_file(pair.source / "large.bin", 24 << 20)
    pair.synced("--memory", "2MiB")


@pytest.mark.quick
def test_local_to_sftp_and_back(pair: Pair) -> None:
    fill(pair.source, TREE)
    back = pair.target.parent / "back"
    pair.program.work("sync", str(pair.source), pair.target_url).expect(0)
    assert_same(pair.source, pair.target)
    pair.program.work("sync", pair.target_url, f"file://{back}".replace(" ", "%20")).expect(0)
    assert_same(pair.source, back)


def test_path_relative_to_the_login_directory(plain_pair: Pair) -> None:
    fill(plain_pair.source, TREE)
    home = os.path.expanduser("~")
    relative = os.path.relpath(plain_pair.source, home).replace(" ", "%20")
    base = plain_pair.source_url.split("/", 3)
    plain_pair.program.work("sync", f"{base[0]}//{base[2]}/~/{relative}", plain_pair.target_url).expect(0)
    assert_same(plain_pair.source, plain_pair.target)
