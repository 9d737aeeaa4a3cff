"""Copies whose bytes never pass through the program: inside an S3 service, and by the kernel between local directories.
And uploads that resume where a killed run was cut off. A proxy counts what passes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.support.program import Outcome, Program
from e2e.support.trees import contents, large_file, many_small, write_file
from servers.process import wait_until
from servers.s3_faults import Answer, FaultyProxy
from servers.s3_versitygw import Versitygw

MIB = 1 << 20


@dataclass
class Line:
    proxy: FaultyProxy
    program: Program
    place: Path
    gateway: Versitygw

    def bucket(self, name: str) -> tuple[Path, str]:
        full = f"{name}-{os.urandom(6).hex()}"
        return self.gateway.make_bucket(full), f"s3://{full}"

    def filled_bucket(self, files: int, large_bytes: int = 0) -> tuple[Path, str]:
        """Its objects came by the API: versitygw has no ETags for files that were put into its folder."""
        folder = self.place / f"tree-{os.urandom(4).hex()}"
        many_small(folder, files)
        if large_bytes:
            large_file(folder / "large.bin", large_bytes)
        bucket, url = self.bucket("source")
        direct = ["--target-option", f"endpoint_url={self.gateway.endpoint_url}"]
        self.sync(str(folder), url, *direct).expect(0)
        return bucket, url

    def sync(self, source: str, target: str, *options: str) -> Outcome:
        return self.program.work("sync", source, target, *options)


@pytest.fixture
def line(place: Path, gateway: Versitygw) -> Iterator[Line]:
    with FaultyProxy(gateway.port) as proxy:
        env = {**gateway.environment(), "AWS_ENDPOINT_URL_S3": proxy.endpoint_url}
        yield Line(proxy, Program(place / "home", ["--state", str(place / "state.db")], env), place, gateway)


def objects(bucket: Path) -> dict[bytes, bytes]:
    return {name: content for name, content in contents(bucket).items() if not name.startswith(b".sgwtmp")}


def open_parts(bucket: Path) -> int:
    return sum(part.is_file() for part in (bucket / ".sgwtmp").rglob("*"))


def test_a_service_copies_on_its_own(line: Line) -> None:
    source, source_url = line.filled_bucket(300, 40 * MIB + 12345)
    target, target_url = line.bucket("target")
    in_parts = ["--target-option", "copy_part_size=8MiB", "--target-option", "copy_cutoff=8MiB"]
    summary = line.sync(source_url, f"{target_url}/below", *in_parts).expect(0).json
    assert (summary["files_copied"], summary["bytes_copied"]) == (301, sum(map(len, objects(source).values())))
    assert objects(target / "below") == objects(source)
    assert line.proxy.count("^GET .*/(file_|large)") == 0
    assert line.proxy.count("^PUT .*large.bin.partNumber=") == 6
    assert line.proxy.body_bytes_in < 10_000  # the record of the upload, and the list of its parts
    assert line.proxy.body_bytes_out < 1 * MIB  # listings
    assert open_parts(target) == 0
    again = line.sync(source_url, f"{target_url}/below", *in_parts).expect(0).json
    assert (again["files_planned"], again["bytes_copied"]) == (0, 0)


def test_one_request_copies_a_large_object(line: Line) -> None:
    source, source_url = line.filled_bucket(1, 200 * MIB)
    target, target_url = line.bucket("target")
    line.sync(source_url, target_url).expect(0)
    assert objects(target) == objects(source)
    assert line.proxy.count("^PUT .*/large.bin") == 1
    assert line.proxy.count("uploads|partNumber|uploadId") == 0


@pytest.mark.parametrize("cutoff", ["6GiB", "some", "-1"])
def test_a_cutoff_that_no_service_takes(line: Line, cutoff: str) -> None:
    outcome = line.sync("s3://source", "s3://target", "--target-option", f"copy_cutoff={cutoff}").expect(2)
    assert f"'copy_cutoff' is '{cutoff}', but must be auto, or a size up to 5GiB" in outcome.text


def test_a_large_object_that_one_request_cannot_copy_goes_in_parts(line: Line) -> None:
    """As behind a gateway that waits a minute for an answer: another try of the same would fail, too."""
    source, source_url = line.filled_bucket(1, 40 * MIB)
    target, target_url = line.bucket("target")
    late = line.proxy.fail("^PUT .*/large.bin$", Answer(504, "GatewayTimeout"), last=1_000_000)
    late.when = lambda request: "x-amz-copy-source" in request.headers
    line.sync(source_url, target_url, "--target-option", "copy_part_size=8MiB").expect(0)
    assert objects(target) == objects(source)
    assert late.hit == 1
    assert line.proxy.count("^PUT .*large.bin.partNumber=") == 5
    assert open_parts(target) == 0


def test_a_large_copy_may_take_longer_than_a_stall(line: Line) -> None:
    """Its answer is held back until a small copy, whose answer is held back as well, was given up and tried again."""
    source, source_url = line.filled_bucket(1, 320 * MIB)
    target, target_url = line.bucket("target")
    large, small = line.proxy.fail("^PUT .*/large.bin", "hold"), line.proxy.fail("^PUT .*/file_", "hold")
    for fault in (large, small):
        fault.when = lambda request: "x-amz-copy-source" in request.headers
    running = line.program.start("sync", source_url, target_url, "--stall-timeout", "1s")
    assert wait_until(lambda: large.hit == 1 and small.seen >= 2, 60)
    large.release.set()
    running.finish().expect(0)
    assert objects(target) == objects(source)
    assert large.seen == 1


@pytest.mark.parametrize(
    "option", [["--bwlimit", "100MiB"], ["--checksum"], ["--transform", "gzip"], ["--verify", "readback"]]
)
def test_bytes_that_are_needed_here_come_through(line: Line, option: list[str]) -> None:
    _, source_url = line.filled_bucket(1)
    target, target_url = line.bucket("target")
    line.sync(source_url, target_url, *option).expect(0)
    assert line.proxy.count("^GET .*/file_") >= 1
    assert len(objects(target)) == 1


@pytest.mark.parametrize(
    "answer", [Answer(501, "NotImplemented"), Answer(403, "AccessDenied"), Answer(400, "InvalidRequest")]
)
def test_a_service_that_refuses_to_copy_gets_the_bytes(line: Line, answer: Answer) -> None:
    source, source_url = line.filled_bucket(100)
    target, target_url = line.bucket("target")
    refusal = line.proxy.fail("^PUT ", answer, last=1_000_000)
    refusal.when = lambda request: "x-amz-copy-source" in request.headers
    line.sync(source_url, target_url).expect(0)
    assert objects(target) == objects(source)
    assert 1 <= refusal.hit <= 64  # those under way at the first refusal; no others ask


def test_a_copy_keeps_what_is_there_if_asked_to(line: Line) -> None:
    """versitygw ignores If-None-Match on copies, which is detected: the content is uploaded with the condition."""
    source, source_url = line.filled_bucket(5)
    target, target_url = line.bucket("target")
    first = next(iter(sorted(objects(source))))
    write_file(target / os.fsdecode(first), b"theirs")
    line.sync(source_url, target_url, "--on-conflict", "skip").expect(0)
    expected = {**objects(source), first: b"theirs"}
    assert objects(target) == expected


def test_other_services_get_the_bytes(line: Line) -> None:
    """Two addresses are two services, as far as anybody knows."""
    source, source_url = line.filled_bucket(10)
    target, target_url = line.bucket("target")
    line.sync(source_url, target_url, "--source-option", f"endpoint_url={line.gateway.endpoint_url}").expect(0)
    assert objects(target) == objects(source)
    assert line.proxy.count("^PUT .*file_") == 10


def test_local_copies_keep_holes(line: Line) -> None:
    source, target = line.place / "source", line.place / "target"
    many_small(source, 50)
    with (source / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(100 * MIB)
        file.write(b"middle")
        file.truncate(300 * MIB)
    line.sync(str(source), str(target)).expect(0)
    assert contents(target) == contents(source)
    assert (target / "sparse").stat().st_blocks * 512 < 2 * MIB
    assert (target / "sparse").stat().st_mtime_ns == (source / "sparse").stat().st_mtime_ns
    assert line.sync(str(source), str(target)).expect(0).json["files_planned"] == 0


@pytest.mark.parametrize("again", ["sync", "run"])
def test_a_killed_upload_is_resumed(line: Line, again: str) -> None:
    """By a new plan, and by another worker of the same one: only what the service had not got moves again."""
    size, before_kill = 256 * MIB, 100 * MIB
    source = line.place / "source"
    large_file(source / "large.bin", size)
    bucket, url = line.bucket("target")
    plan = line.program.work("plan", str(source), url, "--lease-ttl", "2s").expect(0).json["plan"]
    running = line.program.start("run", plan)
    assert wait_until(lambda: line.proxy.body_bytes_in > before_kill, 60)
    running.signal(signal.SIGKILL)
    running.finish()
    assert open_parts(bucket) > 0
    moved = line.proxy.body_bytes_in
    if again == "run":
        line.program.work("run", plan).expect(0)
    else:
        line.sync(str(source), url).expect(0)
    rest = line.proxy.body_bytes_in - moved
    # Parts are on their way side by side: what came behind one that was not whole is sent again, too.
    assert rest < size - before_kill + 64 * MIB
    assert (bucket / "large.bin").read_bytes() == (source / "large.bin").read_bytes()
    assert list(objects(bucket)) == [b"large.bin"]
    assert open_parts(bucket) == 0


def test_a_killed_upload_of_another_version_is_not_resumed(line: Line) -> None:
    size = 64 * MIB
    source = line.place / "source"
    large_file(source / "large.bin", size)
    bucket, url = line.bucket("target")
    running = line.program.start("sync", str(source), url)
    assert wait_until(lambda: line.proxy.body_bytes_in > size // 2, 60)
    running.signal(signal.SIGKILL)
    running.finish()
    content = bytearray((source / "large.bin").read_bytes())
    content[0] ^= 1
    (source / "large.bin").write_bytes(content)
    moved = line.proxy.body_bytes_in
    line.sync(str(source), url).expect(0)
    assert line.proxy.body_bytes_in - moved > size
    assert (bucket / "large.bin").read_bytes() == content
    assert open_parts(bucket) == 0


def test_a_part_that_fails_does_not_cost_the_others(line: Line) -> None:
    size = 128 * MIB
    source = line.place / "source"
    large_file(source / "large.bin", size)
    bucket, url = line.bucket("target")
    fault = line.proxy.fail("^PUT .*partNumber=12&", "reset")
    line.sync(str(source), url).expect(0)
    assert fault.hit == 1
    assert line.proxy.body_bytes_in < size + 48 * MIB
    assert (bucket / "large.bin").read_bytes() == (source / "large.bin").read_bytes()
    assert open_parts(bucket) == 0
