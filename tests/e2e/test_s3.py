"""S3 as source and as target, in every pair with SFTP, on versitygw: a real server that checks signatures, checksums
and conditions. Its buckets are folders, so that what arrived is compared without any S3 client."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from e2e.support.buckets import can_be_a_key, objects
from e2e.support.pair import Servers
from e2e.support.program import Outcome, Program
from e2e.support.trees import ODD_NAMES, TEMPORARY, contents, fill, large_file, many_small, odd_tree, write_file
from servers.keys import write_known_hosts
from servers.process import wait_until
from servers.s3_moto import Moto
from servers.s3_versitygw import Versitygw


@dataclass
class Bench:
    """One test's folders, buckets and state."""

    place: Path
    gateway: Versitygw
    servers: Servers
    program: Program
    sftp_options: list[str]
    source_options: list[str] = field(default_factory=list)

    def bucket(self) -> tuple[Path, str]:
        """A new bucket: the folder in which its objects appear, and its URL."""
        name = "bucket-" + secrets.token_hex(6)
        return self.gateway.make_bucket(name), f"s3://{name}"

    def folder(self, name: str, server: str = "source") -> tuple[Path, str]:
        folder = self.place / name
        folder.mkdir()
        return folder, getattr(self.servers, server).url(folder)

    def sync(self, source: str, target: str, *options: str) -> Outcome:
        return self.program.work("sync", source, target, *self.login(source, target), *self.source_options, *options)

    def login(self, *urls: str) -> list[str]:
        """S3 takes no SSH keys, so they are given only where there is an SFTP side."""
        return self.sftp_options if any(url.startswith("sftp:") for url in urls) else []

    def assert_nothing_to_do(self, source: str, target: str) -> None:
        summary = self.sync(source, target).expect(0).json
        assert (summary["files_planned"], summary["files_copied"], summary["bytes_copied"]) == (0, 0, 0)


def open_uploads(bucket: Path) -> list[Path]:
    """versitygw keeps the parts of each upload in a folder of its own."""
    return [part for part in (bucket / ".sgwtmp").rglob("*") if part.is_file()]


@pytest.fixture
def bench(place: Path, gateway: Versitygw, servers: Servers, user_key: Path) -> Bench:
    known_hosts = write_known_hosts(
        place / "known_hosts", [(server.port, server.host_key) for server in (servers.source, servers.target)]
    )
    program = Program(place / "home", ["--state", str(place / "state.db")], dict(gateway.environment()))
    return Bench(place, gateway, servers, program, ["--known-hosts", str(known_hosts), "--identity", str(user_key)])


def test_names_of_other_case_and_form_are_other_keys(bench: Bench) -> None:
    source, source_url = bench.folder("source")
    bucket, url = bench.bucket()
    fill(source, {name: name.encode() for name in ("A", "a", "Data/x", "data/x", "caf\u00e9", "cafe\u0301")})
    bench.sync(source_url, url).expect(0)
    assert objects(bucket) == contents(source)
    bench.assert_nothing_to_do(source_url, url)


@pytest.mark.quick
def test_sftp_to_s3(bench: Bench) -> None:
    source, source_url = bench.folder("source")
    bucket, url = bench.bucket()
    total = many_small(source, 3000)
    summary = bench.sync(source_url, f"{url}/below/a prefix").expect(0).json
    assert (summary["files_copied"], summary["bytes_copied"]) == (3000, total)
    assert objects(bucket / "below" / "a prefix") == contents(source)
    bench.assert_nothing_to_do(source_url, f"{url}/below/a prefix")
    first = next(source.rglob("file_000007.txt"))
    first.write_bytes(b"changed")
    assert bench.sync(source_url, f"{url}/below/a prefix").expect(0).json["files_copied"] == 1


def test_a_list_of_checksums_in_a_bucket(bench: Bench) -> None:
    source, source_url = bench.folder("source")
    bucket, url = bench.bucket()
    many_small(source, 100)
    options = ["--transform", "gzip", "--transform", "checksum list=SHA256SUMS"]
    for count in (100, 101):
        bench.sync(source_url, f"{url}/daily", *options).expect(0)
        folder = bucket / "daily"
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
        assert (folder / "SHA256SUMS").read_bytes().count(b"\n") == count
        before = (folder / "SHA256SUMS").stat()
        assert bench.sync(source_url, f"{url}/daily", *options).expect(0).json["bytes_copied"] == 0
        assert (folder / "SHA256SUMS").stat().st_mtime_ns == before.st_mtime_ns
        write_file(source / "one more", b"more")
    assert open_uploads(bucket) == []


@pytest.mark.quick
@pytest.mark.parametrize("read_only", [False, True])
def test_s3_to_sftp(bench: Bench, read_only_gateway: Versitygw, read_only: bool) -> None:
    bucket, url = bench.bucket()
    many_small(bucket, 3000)
    target, target_url = bench.folder("target", "target")
    if read_only:
        bench.source_options = ["--source-option", f"endpoint_url={read_only_gateway.endpoint_url}"]
    bench.sync(url, target_url).expect(0)
    assert contents(target) == objects(bucket)
    bench.assert_nothing_to_do(url, target_url)


@pytest.mark.quick
def test_s3_to_s3(bench: Bench, read_only_gateway: Versitygw) -> None:
    bucket, url = bench.bucket()
    many_small(bucket, 1000)
    large_file(bucket / "large.bin", (40 << 20) + 12345)
    copy, copy_url = bench.bucket()
    bench.source_options = ["--source-option", f"endpoint_url={read_only_gateway.endpoint_url}"]
    bench.sync(url, copy_url).expect(0)
    assert objects(copy) == objects(bucket)
    bench.assert_nothing_to_do(url, copy_url)


def test_large_object_there_and_back(bench: Bench) -> None:
    source, source_url = bench.folder("source")
    large_file(source / "large.bin", 256 << 20)
    bucket, url = bench.bucket()
    summary = bench.sync(source_url, url).expect(0).json
    assert summary["peak_rss_bytes"] < 96 << 20
    bench.assert_nothing_to_do(source_url, url)
    back, back_url = bench.folder("back", "target")
    summary = bench.sync(url, back_url).expect(0).json
    assert summary["peak_rss_bytes"] < 96 << 20
    assert (back / "large.bin").read_bytes() == (source / "large.bin").read_bytes()
    assert [name for name in objects(bucket) if TEMPORARY.match(name)] == []


def test_odd_names(bench: Bench) -> None:
    """What can't be a key is refused while planning, each by name; all others arrive."""
    source, source_url = bench.folder("source")
    odd_tree(source)
    bucket, url = bench.bucket()
    outcome = bench.sync(source_url, url)
    expected = {name: content for name, content in contents(source).items() if can_be_a_key(name)}
    assert objects(bucket) == expected
    refused = sum(not can_be_a_key(name) for name in ODD_NAMES) * 2
    assert outcome.expect(1).json["files_failed"] == refused
    assert {failure["kind"] for failure in outcome.json["failures"]} == {"invalid_name"}
    back, back_url = bench.folder("back", "target")
    bench.sync(url, back_url).expect(0)
    assert contents(back) == expected


def test_a_killed_run_is_resumed_and_leaves_nothing(bench: Bench) -> None:
    """Another worker takes the batch over, and removes what a killed one left, the upload of the large file too."""
    source, source_url = bench.folder("source")
    many_small(source, 500)
    large_file(source / "large.bin", 64 << 20)
    bucket, url = bench.bucket()
    plan = bench.program.work("plan", source_url, url, *bench.sftp_options, "--lease-ttl", "2s").expect(0).json["plan"]
    running = bench.program.start("run", plan, *bench.sftp_options)
    running.wait_for_published(100)
    running.signal(signal.SIGKILL)
    running.finish()
    expected = contents(source)
    for name, content in objects(bucket).items():
        assert TEMPORARY.match(os.path.basename(name)) or content == expected[name]
    bench.program.work("run", plan, *bench.sftp_options).expect(0)
    assert objects(bucket) == expected
    assert open_uploads(bucket) == []


def test_sweep_ends_forgotten_uploads(bench: Bench) -> None:
    source, source_url = bench.folder("source")
    large_file(source / "large.bin", 64 << 20)
    bucket, url = bench.bucket()
    running = bench.program.start("sync", source_url, url, *bench.sftp_options)
    # The record of an upload is there before its first part.
    assert wait_until(lambda: any(TEMPORARY.match(name) for name in objects(bucket)), 60)
    running.signal(signal.SIGKILL)
    running.finish()
    write_file(bucket / ".cv-not-one-of-ours.part", b"a user's file")
    other_state = ["--state", str(bench.place / "other state.db")]
    found = bench.program.run("sweep", url, *other_state, "--older-than", "0s", "--json").expect(0).json
    assert (len(found["found"]), found["removed"]) == (1, 1)
    assert open_uploads(bucket) == []
    assert objects(bucket) == {b".cv-not-one-of-ours.part": b"a user's file"}


def test_a_wrong_secret_is_reported(bench: Bench) -> None:
    source, source_url = bench.folder("source")
    fill(source, {"a": b"x"})
    _, url = bench.bucket()
    bench.program.env["AWS_SECRET_ACCESS_KEY"] = "wrong"
    outcome = bench.sync(source_url, url).expect(3)
    assert outcome.json["error"]["kind"] == "auth"
    assert "wrong" not in outcome.text


def test_a_missing_bucket_is_reported(bench: Bench) -> None:
    source, source_url = bench.folder("source")
    fill(source, {"a": b"x"})
    outcome = bench.sync(source_url, "s3://no-such-bucket-here")
    assert outcome.code in (2, 3)
    assert "bucket" in outcome.text


def test_trace_holds_no_secrets(bench: Bench) -> None:
    source, source_url = bench.folder("source")
    write_file(source / "a.txt", b"content")
    _, url = bench.bucket()
    trace = bench.place / "trace"
    bench.sync(source_url, url, "--target-option", f"http_trace={trace}").expect(0)
    text = trace.read_text()
    assert "> PUT " in text
    assert "< HTTP/1.1 200" in text
    assert bench.gateway.secret_key not in text
    assert "Signature=" not in text
    assert "Credential=" not in text


def test_keys_that_no_tree_holds(bench: Bench, place: Path) -> None:
    """moto keeps keys as they come: S3 to S3 they arrive byte for byte, and a file tree refuses each by name."""
    keys = {
        "plain": b"1",
        "a//b": b"2",
        "/lead": b"3",
        "x/../y": b"4",
        "x/./y": b"5",
        "full/": b"6",
        "plus+space %2F?#": b"7",
    }
    with Moto(place / "moto") as server:
        one, two = server.make_bucket("one"), server.make_bucket("two")
        for key, content in keys.items():
            server.put(one, key, content)
        bench.program.env.update(server.environment())
        verbatim = ["--target-option", "verbatim_keys=yes"]
        bench.sync("s3://one", "s3://two", *verbatim).expect(0)
        assert server.objects(two) == keys
        assert bench.sync("s3://one", "s3://two", *verbatim).expect(0).json["bytes_copied"] == 0
        target, target_url = bench.folder("target", "target")
        outcome = bench.sync("s3://one", target_url).expect(1)
        assert contents(target) == {b"plain": b"1", b"plus+space %2F?#": b"7"}
        refused = {failure["path"] for failure in outcome.json["failures"]}
        assert refused == set(keys) - {"plain", "plus+space %2F?#"}
