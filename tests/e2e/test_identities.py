"""The state's keys are the identities of endpoints: two services behind one URL never share a history."""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.support.program import Program
from e2e.support.trees import contents, write_file
from servers.s3_moto import Moto
from servers.sftp_filter import SFTP_SERVERS

NAMES = ("a", "deep/b")


def write_day(source: Path, day: int) -> None:
    """All days have files of equal sizes, also compressed."""
    for name in NAMES:
        write_file(source / name, f"{name} of day {day}".encode(), mtime=1_700_000_000 + day * 86_400)


def command(folder: Path) -> list[str]:
    folder.mkdir(exist_ok=True)
    server = next(path for path in SFTP_SERVERS if Path(path).exists())
    return ["--target-option", "command=" + json.dumps(["sh", "-c", f"cd {shlex.quote(str(folder))} && {server}"])]


def age(state: Path) -> None:
    """Makes a state of schema 3 of it, in which all pairs of one display name are one."""
    with sqlite3.connect(state) as database:
        (source, target), *others = database.execute("SELECT DISTINCT source, target FROM cv_plans").fetchall()
        assert not others
        database.execute("DELETE FROM cv_pairs WHERE id NOT IN (SELECT max(id) FROM cv_pairs)")
        database.execute("UPDATE cv_pairs SET pair = ?", (source + b"\n" + target,))
        database.execute("DROP INDEX cv_pairs_by_identity")
        for column in (
            "cv_pairs DROP COLUMN source",
            "cv_pairs DROP COLUMN target",
            "cv_published DROP COLUMN target_etag",
            "cv_published DROP COLUMN used_ms",
            "cv_failures DROP COLUMN code",
            "cv_failures DROP COLUMN hint",
            "cv_failures DROP COLUMN endpoint",
        ):
            database.execute(f"ALTER TABLE {column}")
        database.execute("DROP TABLE cv_lists_by_name")
        database.execute("DROP TABLE cv_retention")
        database.execute("DROP TABLE cv_partial_uploads")
        database.execute("UPDATE cv_lists SET target = ?", (target,))
        database.execute("UPDATE cv_schema SET version = 3")
    database.close()


@pytest.fixture
def program(place: Path) -> Program:
    environment = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-east-1"}
    return Program(place / "home", ["--state", str(place / "state.db")], environment)


@pytest.fixture
def source(place: Path) -> Path:
    write_day(place / "source", 1)
    return place / "source"


def objects(server: Moto) -> dict[bytes, bytes]:
    return {key.encode(): content for key, content in server.objects("bucket").items()}


@pytest.mark.parametrize("by_environment", [False, True])
def test_two_services_with_one_bucket_name(program: Program, place: Path, source: Path, by_environment: bool) -> None:
    def sync_to(server: Moto) -> int:
        options = [] if by_environment else ["--target-option", f"endpoint_url={server.endpoint_url}"]
        if by_environment:
            program.env["AWS_ENDPOINT_URL_S3"] = server.endpoint_url
        return int(program.work("sync", str(source), "s3://bucket", *options).expect(0).json["files_copied"])

    with Moto(place / "one") as one, Moto(place / "two") as two:
        for day in (1, 2):
            write_day(source, day)
            for server in (one, two):
                if day == 1:
                    server.make_bucket("bucket")
                assert sync_to(server) == len(NAMES)
                assert objects(server) == contents(source)
                assert sync_to(server) == 0


def test_an_object_that_was_replaced_at_the_target_is_copied_again(program: Program, place: Path, source: Path) -> None:
    with Moto(place / "one") as server:
        server.make_bucket("bucket")
        options = ["--target-option", f"endpoint_url={server.endpoint_url}"]
        program.work("sync", str(source), "s3://bucket", *options).expect(0)
        server.put("bucket", "a", b"x" * len((source / "a").read_bytes()))
        assert program.work("sync", str(source), "s3://bucket", *options).expect(0).json["files_copied"] == 1
        assert objects(server) == contents(source)


def test_two_commands_under_one_name(program: Program, place: Path, source: Path) -> None:
    for day in (1, 2):
        write_day(source, day)
        for folder in (place / "one", place / "two"):
            options = [*command(folder), "--transform", "gzip"]
            summary = program.work("sync", str(source), "sftp://x", *options).expect(0).json
            assert summary["files_copied"] == len(NAMES)
            assert program.work("sync", str(source), "sftp://x", *options).expect(0).json["files_copied"] == 0


def test_an_old_state_is_used(program: Program, place: Path, source: Path) -> None:
    sync: Callable[[], int] = lambda: int(  # noqa: E731
        program.work(
            "sync",
            str(source),
            "sftp://x",
            *command(place / "one"),
            "--transform",
            "gzip",
            "--transform",
            "checksum list=SUMS",
            "--on-conflict",
            "overwrite",
        )
        .expect(0)
        .json["files_copied"]
    )
    assert sync() == len(NAMES)
    age(place / "state.db")
    assert sync() == 0
    write_day(source, 2)
    assert sync() == len(NAMES)
    assert sync() == 0


def test_an_old_state_of_two_services_proves_nothing(program: Program, place: Path, source: Path) -> None:
    def sync(folder: str) -> int:
        options = [*command(place / folder), "--transform", "gzip"]
        return int(program.work("sync", str(source), "sftp://x", *options).expect(0).json["files_copied"])

    assert sync("one") == len(NAMES)
    write_day(source, 2)
    assert sync("two") == len(NAMES)
    age(place / "state.db")  # what is recorded is what the second one has
    for folder in ("one", "two"):
        assert sync(folder) == len(NAMES)
        assert sync(folder) == 0
    assert contents(place / "one") == contents(place / "two")
