"""What a part, a range or a refused request costs; what is resumed; and what is checked before it counts as copied."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.support.s3_line import Line, line_to_moto
from e2e.support.trees import contents, large_file, many_small, write_file
from servers.s3_faults import Answer
from servers.s3_moto import Moto

MIB = 1 << 20
BUSY = Answer(503, "ServiceUnavailable")


@pytest.fixture
def moto(place: Path) -> Iterator[tuple[Line, Moto]]:
    with line_to_moto(place) as line_and_server:
        yield line_and_server


def test_a_part_that_fails_is_sent_again_alone(line: Line) -> None:
    large_file(line.folder / "large.bin", 64 * MIB)
    fault = line.proxy.fail("^PUT .*partNumber", BUSY, first=3, last=1_000, every=3)
    outcome = line.up("--retries", "0").expect(0)
    assert fault.hit >= 2
    assert line.proxy.count("^PUT .*partNumber") == 8 + fault.hit
    assert not outcome.of_type("retry")
    line.assert_same()


@pytest.mark.parametrize("action", ["short", "reset", BUSY], ids=["short", "reset", "busy"])
def test_a_range_that_breaks_off_is_resumed_there(line: Line, action: Answer | str) -> None:
    # Uploaded through the service: a file put into its folder has no ETag, without which nothing is resumed.
    large_file(line.folder / "large.bin", 64 * MIB)
    line.up().expect(0)
    (line.folder / "large.bin").unlink()
    before = line.proxy.body_bytes_out
    fault = line.proxy.fail("^GET .*large.bin", action, first=2, last=1_000, every=2)
    line.down("--retries", "0").expect(0)
    assert fault.hit >= 3
    assert line.proxy.body_bytes_out - before < 80 * MIB
    line.assert_same()


def test_a_range_of_an_unknown_version_is_not_resumed(line: Line) -> None:
    """The rest might be of another version. A file put into the service's folder has no ETag."""
    large_file(line.bucket / "large.bin", 20 * MIB)
    line.proxy.fail("^GET .*large.bin", "short", first=2, last=1_000)
    outcome = line.down("--retries", "0").expect(1)
    assert [failure["path"] for failure in outcome.json["failures"]] == ["large.bin"]
    assert contents(line.folder) == {}


def test_requests_are_paced_by_what_a_service_admits(line: Line) -> None:
    many_small(line.folder, 400)
    line.proxy.admits_per_s = 40
    line.up("--retries", "0").expect(0)
    line.assert_same()
    assert line.proxy.count("^PUT ") < 1.4 * 400  # of which some 64 are refused before the pace is known


def test_retry_after_holds_back_all_requests(line: Line) -> None:
    many_small(line.folder, 100)
    refusal = Answer(503, "SlowDown", {"Retry-After": "1"})
    line.proxy.fail("^PUT .*/file_", refusal, first=1, last=3)
    outcome = line.up("--retries", "0").expect(0)
    assert outcome.json["seconds"] >= 1
    line.assert_same()


@pytest.mark.parametrize("way", ["up", "down"])
def test_connections_limit_the_requests_at_once(line: Line, way: str) -> None:
    large_file((line.folder if way == "up" else line.bucket) / "large.bin", 48 * MIB)
    many_small(line.folder if way == "up" else line.bucket, 20)
    side = "target" if way == "up" else "source"
    getattr(line, way)(f"--{side}-option", "connections=2").expect(0)
    line.assert_same()
    assert line.proxy.most_under_way <= 2


def killed_in_mid_upload(line: Line, *options: str) -> None:
    """Leaves an upload that holds its first two parts."""
    held = line.proxy.fail("^PUT .*partNumber=[3-9]", "hold", last=1_000)
    run = line.program.start("sync", str(line.folder), line.url, *options)
    line.proxy.wait_for_answers("^PUT .*partNumber=[12]&", 2)
    run.signal(signal.SIGKILL)
    run.finish()
    held.last = 0
    held.release.set()


RESUMING = pytest.mark.parametrize("options", [(), ("--checksum",), ("--verify", "readback")], ids=" ".join)


@RESUMING
def test_a_resumed_upload_holds_the_current_source(line: Line, options: tuple[str, ...]) -> None:
    """The source was rewritten with the same size and time: only the content differs."""
    source = line.folder / "large.bin"
    source.write_bytes(b"A" * (40 * MIB))
    times = (source.stat().st_atime_ns, source.stat().st_mtime_ns)
    killed_in_mid_upload(line, *options)
    source.write_bytes(b"B" * (40 * MIB))
    os.utime(source, ns=times)
    line.up(*options).expect(0)
    line.assert_same()


@RESUMING
def test_a_resumed_upload_sends_no_part_again(line: Line, options: tuple[str, ...]) -> None:
    large_file(line.folder / "large.bin", 40 * MIB)
    killed_in_mid_upload(line, *options)
    before = line.proxy.count("^PUT .*partNumber=[12]&")
    line.up(*options).expect(0)
    assert line.proxy.count("^POST .*uploads") == 1
    assert line.proxy.count("^PUT .*partNumber=[12]&") == before
    line.assert_same()


def test_other_options_begin_a_new_upload(line: Line) -> None:
    large_file(line.folder / "large.bin", 40 * MIB)
    killed_in_mid_upload(line)
    line.up("--target-option", "storage_class=STANDARD_IA").expect(0)
    begun = [request for request in line.proxy.requests if request.method == "POST" and request.query == "uploads="]
    assert len(begun) == 2
    assert begun[1].headers["x-amz-storage-class"] == "STANDARD_IA"
    line.assert_same()


@pytest.mark.parametrize("options", [["anonymous=yes"], ["checksum=none"], []], ids=["anonymous", "none", "default"])
@pytest.mark.parametrize("dropped", ["", "x-amz-content-sha256"], ids=["", "unknown"])
def test_parts_arrive_as_they_were_sent(moto: tuple[Line, Moto], options: list[str], dropped: str) -> None:
    """By a service that knows no trailers, signed or not."""
    line, server = moto
    server.open_to_all("bucket")
    large_file(line.folder / "large.bin", 20 * MIB)
    line.proxy.drop_header = dropped
    line.up(*(word for option in options for word in ("--target-option", option))).expect(0)
    assert server.objects("bucket")["large.bin"] == (line.folder / "large.bin").read_bytes()


@pytest.mark.parametrize("option", ["checksum=crc32c", "checksum=none"])
@pytest.mark.parametrize(("name", "pattern"), [("small", "^PUT .*/small"), ("large", "^PUT .*partNumber=3")])
def test_an_object_of_another_size_is_not_a_success(
    moto: tuple[Line, Moto], option: str, name: str, pattern: str
) -> None:
    line, _ = moto
    write_file(line.folder / "small", b"a small file" * 1000)
    large_file(line.folder / "large", 20 * MIB)
    line.proxy.fail(pattern, "cut", last=1_000)
    outcome = line.up("--target-option", option, "--retries", "0").expect(1)
    assert [failure["path"] for failure in outcome.json["failures"]] == [name]
    assert outcome.json["failures"][0]["kind"] == "integrity", outcome.text


def test_an_upload_whose_record_is_refused_is_aborted(moto: tuple[Line, Moto]) -> None:
    line, server = moto
    large_file(line.folder / "large.bin", 20 * MIB)
    refused = line.proxy.fail("^PUT .*/[.]cv-", Answer(403, "AccessDenied"), last=1_000)
    line.up("--retries", "0").expect(1)
    assert refused.hit == 1
    assert "Uploads" not in server.client().list_multipart_uploads(Bucket="bucket")


def test_an_upload_that_was_aborted_by_others_begins_again(line: Line) -> None:
    large_file(line.folder / "large.bin", 40 * MIB)
    line.proxy.fail("^PUT .*partNumber=3", Answer(404, "NoSuchUpload"))
    line.up().expect(0)
    line.assert_same()


def test_every_object_written_has_a_checksum(line: Line) -> None:
    """Buckets with Object Lock refuse others, records and trial objects too."""
    write_file(line.folder / "small", b"small")
    large_file(line.folder / "large.bin", 20 * MIB)
    line.up("--on-conflict", "fail").expect(0)
    writes = [request for request in line.proxy.requests if request.method == "PUT"]
    unchecked = [
        str(request)
        for request in writes
        if not any(name.startswith("x-amz-checksum") for name in request.headers)
        and "x-amz-copy-source" not in request.headers
    ]
    assert unchecked == []


@pytest.mark.parametrize("path", ["missing", "folder/object"])
def test_a_source_without_objects_is_an_error(line: Line, path: str) -> None:
    write_file(line.bucket / "folder" / "object", b"content")
    line.sync(f"{line.url}/{path}", str(line.folder)).expect(3)
    assert contents(line.folder) == {}
