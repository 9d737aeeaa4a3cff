"""--verify hash: the target's own checksum of what it holds, before a file gets its name."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.support.pair import Pair
from e2e.support.program import Program
from e2e.support.trees import contents, fill, large_file, many_small
from servers.proftpd import Proftpd
from servers.s3_rclone import RcloneS3, program
from servers.s3_versitygw import Versitygw

HASHED = ["--verify", "hash"]


@pytest.fixture
def proftpd(place: Path) -> Iterator[Proftpd]:
    with Proftpd(place / "proftpd") as server:
        yield server


@pytest.fixture
def source(place: Path) -> Path:
    folder = place / "source"
    many_small(folder, 50)
    large_file(folder / "large.bin", (9 << 20) + 1)
    fill(folder, {"empty": b"", "with space": b"x"})
    return folder


def client(place: Path, *options: str, env: dict[str, str] | None = None) -> Program:
    return Program(place / "home", ["--state", str(place / "state.db"), *options], env or {})


def test_sftp_server_with_check_file(place: Path, proftpd: Proftpd, source: Path) -> None:
    target = place / "target"
    target.mkdir()
    login = ["--identity", str(proftpd.user_key), "--known-hosts", str(proftpd.known_hosts)]
    outcome = client(place, *login).work("sync", str(source), proftpd.url(target), *HASHED).expect(0)
    assert contents(target) == contents(source)
    digests = {event["path"]: event["digest"] for event in outcome.of_type("file_published")}
    assert digests["with space"] == "sha256:" + hashlib.sha256(b"x").hexdigest()
    again = client(place, *login).work("sync", str(source), proftpd.url(target), *HASHED).expect(0)
    assert again.json["files_planned"] == 0
    report = client(place).run("doctor", proftpd.url(target), *login).expect(0).text
    assert "sha256, by check-file" in report


def test_what_a_transform_wrote(place: Path, proftpd: Proftpd, source: Path) -> None:
    target = place / "target"
    target.mkdir()
    login = ["--identity", str(proftpd.user_key), "--known-hosts", str(proftpd.known_hosts)]
    client(place, *login).work("sync", str(source), proftpd.url(target), *HASHED, "--transform", "gzip").expect(0)
    unpacked = {name.removesuffix(b".gz"): gzip.decompress(content) for name, content in contents(target).items()}
    assert unpacked == contents(source)


@pytest.mark.quick
def test_folder(place: Path, source: Path) -> None:
    client(place).work("sync", str(source), str(place / "target"), *HASHED).expect(0)
    assert contents(place / "target") == contents(source)


def test_s3(place: Path, source: Path) -> None:
    with Versitygw(place / "versitygw") as server:
        bucket = server.make_bucket("bucket")
        program_here = client(place, env=server.environment())
        small_parts = ["--target-option", "part_size=5MiB"]
        outcome = program_here.work("sync", str(source), "s3://bucket", *small_parts, *HASHED).expect(0)
        arrived = {name: content for name, content in contents(bucket).items() if not name.startswith(b".sgwtmp")}
        assert arrived == contents(source)
        assert all(event["digest"].startswith("crc32c:") for event in outcome.of_type("file_published"))


def assert_refused(client_here: Program, source: Path, target: str) -> None:
    outcome = client_here.work("sync", str(source), target, *HASHED).expect(2)
    error = outcome.json["error"]
    assert error["kind"] == "config"
    assert error["path"].startswith(target.split("/", 3)[0])
    assert "--verify readback" in error["message"]


def test_sftp_server_without_check_file(plain_pair: Pair) -> None:
    fill(plain_pair.source, {"a": b"a"})
    assert_refused(plain_pair.program, plain_pair.source, plain_pair.target_url)
    assert list(plain_pair.target.iterdir()) == []


def test_s3_without_checksums(place: Path, source: Path) -> None:
    with Versitygw(place / "versitygw") as server:
        bucket = server.make_bucket("bucket")
        program_here = client(place, "--target-option", "checksum=none", env=server.environment())
        assert_refused(program_here, source, "s3://bucket")
        assert not list(bucket.iterdir())


@pytest.mark.skipif(program() is None, reason="no rclone that has `serve s3` (1.65 or newer): RCLONE names one")
def test_s3_service_that_keeps_no_checksums(place: Path, source: Path) -> None:
    """Found out by a trial, whose object is gone again."""
    with RcloneS3(place / "rclone") as server:
        bucket = server.make_bucket("bucket")
        assert_refused(client(place, env=server.environment()), source, "s3://bucket")
        assert not list(bucket.iterdir())
