"""What an S3 service may do wrong, done on purpose by a proxy in front of versitygw: each is retried until it
succeeds, or reported clearly, and never leaves a torn object."""

from __future__ import annotations

import email.utils
import time
from calendar import timegm
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.support.pair import Pair
from e2e.support.s3_line import Line, line_to_moto
from e2e.support.trees import contents, large_file, many_small, write_file
from servers.s3_faults import Answer, Request
from servers.s3_versitygw import Versitygw

MIB = 1 << 20


BUSY = [
    Answer(503, "SlowDown"),
    Answer(500, "InternalError"),
    Answer(429, "TooManyRequests"),
    Answer(409, "OperationAborted"),
    Answer(400, "RequestTimeout"),
    "reset",
    "lose",
]


@pytest.mark.parametrize("action", BUSY, ids=lambda action: action if isinstance(action, str) else action.code)
@pytest.mark.parametrize(
    "pattern", ["^PUT .*/file_", "^PUT .*partNumber=2", "^POST .*uploadId=", "^POST .*uploads", "list-type=2"]
)
def test_a_transient_error_is_retried(line: Line, action: Answer | str, pattern: str) -> None:
    """Writes, parts, the completion of uploads and listings."""
    many_small(line.folder, 20)
    large_file(line.folder / "large.bin", 20 * MIB)
    fault = line.proxy.fail(pattern, action, first=1, last=2)
    line.up().expect(0)
    assert fault.hit >= 1
    line.assert_same()


@pytest.mark.parametrize(
    "action", [*BUSY, "short", "stall"], ids=lambda action: action if isinstance(action, str) else action.code
)
@pytest.mark.parametrize("pattern", ["^GET .*/file_", "^GET .*large.bin"])
def test_a_transient_error_while_reading_is_retried(line: Line, action: Answer | str, pattern: str) -> None:
    many_small(line.bucket, 20)
    large_file(line.bucket / "large.bin", 20 * MIB)
    fault = line.proxy.fail(pattern, action)
    line.down("--stall-timeout", "2s").expect(0)
    assert fault.hit == 1
    line.assert_same()


def test_a_service_that_stays_busy_is_reported(line: Line) -> None:
    write_file(line.folder / "a", b"content")
    line.proxy.fail("^PUT .*/a$", Answer(503, "SlowDown"), last=1_000)
    outcome = line.up("--retries", "1")
    assert outcome.code in (1, 3)
    assert "SlowDown" in outcome.text
    assert contents(line.bucket) == {}


def test_success_that_holds_an_error_is_a_failure(line: Line) -> None:
    """CompleteMultipartUpload says 200 before it knows; an error in its body is tried again if it is of that kind."""
    large_file(line.folder / "large.bin", 20 * MIB)
    passing = line.proxy.fail("^POST .*uploadId=", Answer(200, "InternalError"))
    line.up().expect(0)
    assert passing.hit == 1
    line.assert_same()
    (line.folder / "other.bin").write_bytes(b"x" * (20 * MIB))
    line.proxy.fail("^POST .*other.*uploadId=", Answer(200, "AccessDenied"), last=100)
    outcome = line.up("--retries", "1").expect(1)
    assert "AccessDenied" in outcome.text
    assert not (line.bucket / "other.bin").exists()


def test_a_copy_whose_success_holds_an_error_is_a_failure(line: Line, gateway: Versitygw) -> None:
    other = gateway.make_bucket(line.bucket.name + "-copy")
    many_small(line.bucket, 5)
    fault = line.proxy.fail("^PUT .*/file_", Answer(200, "InternalError"), last=3)
    line.sync(line.url, f"s3://{other.name}").expect(0)
    assert fault.hit == 3
    assert contents(other) == contents(line.bucket)


@pytest.mark.quick
@pytest.mark.parametrize("pattern", ["^GET .*small", "^GET .*large"])
def test_content_that_changes_on_its_way_is_not_published(line: Line, pattern: str) -> None:
    write_file(line.folder / "small", b"a small file" * 1000)
    large_file(line.folder / "large", 20 * MIB)
    line.up().expect(0)
    back = line.folder.parent / "back"
    fault = line.proxy.fail(pattern, "corrupt")
    outcome = line.sync(line.url, str(back)).expect(0)
    assert fault.hit == 1
    assert [event for event in outcome.of_type("retry") if event["kind"] == "integrity"]
    assert contents(back) == contents(line.folder)


@pytest.mark.quick
def test_reads_that_cross_ranges(line: Line, plain_pair: Pair) -> None:
    """The chunks of SFTP do not divide the ranges asked for: none keeps a connection, and the whole is checked."""
    large_file(line.folder / "large", 40 * MIB + 17)
    line.up().expect(0)
    fault = line.proxy.fail("^GET .*large", "corrupt", first=3, last=3)
    line.program.options += plain_pair.program.options[: plain_pair.program.options.index("--state")]
    outcome = line.sync(line.url, plain_pair.target_url, "--source-option", "connections=2").expect(0)
    assert fault.hit == 1
    assert [event for event in outcome.of_type("retry") if event["kind"] == "integrity"]
    assert contents(plain_pair.target) == contents(line.folder)


@pytest.mark.parametrize("pattern", ["^PUT .*small", "^PUT .*large"])
def test_a_refused_checksum_is_retried(line: Line, pattern: str) -> None:
    write_file(line.folder / "small", b"a small file")
    large_file(line.folder / "large", 20 * MIB)
    fault = line.proxy.fail(pattern, Answer(400, "BadDigest"))
    line.up().expect(0)
    assert fault.hit == 1
    line.assert_same()


def test_an_object_that_changes_while_it_is_read_is_read_again(line: Line) -> None:
    """The ranges are pinned to the version that was listed."""
    large_file(line.bucket / "large.bin", 24 * MIB)
    fault = line.proxy.fail("^GET .*large.bin", Answer(412, "PreconditionFailed"), first=2, last=2)
    outcome = line.down().expect(0)
    assert fault.hit == 1
    assert [event for event in outcome.of_type("retry") if event["kind"] == "changed"]
    line.assert_same()


def test_a_name_taken_meanwhile_is_a_conflict(line: Line) -> None:
    write_file(line.folder / "a", b"mine")
    line.proxy.fail("^PUT .*/a$", Answer(412, "PreconditionFailed"))
    outcome = line.up("--on-conflict", "fail").expect(1)
    assert outcome.json["failures"][0]["kind"] == "exists"


@pytest.mark.parametrize("action", ["lose", Answer(409, "ConditionalRequestConflict")], ids=["lost", "409"])
def test_only_if_absent_is_not_fooled_by_its_own_first_try(line: Line, action: Answer | str) -> None:
    """The first try did it, its answer was lost, and the second one is refused because the name exists."""
    write_file(line.folder / "small", b"mine")
    large_file(line.folder / "large", 20 * MIB)
    small = line.proxy.fail("^PUT .*/small$", action)
    large = line.proxy.fail("^POST .*/large.*uploadId=", action)
    line.up("--on-conflict", "fail").expect(0)
    assert small.hit == large.hit == 1
    line.assert_same()


@pytest.fixture
def moto_line(place: Path) -> Iterator[Line]:
    """For what is about signatures, which moto does not check."""
    with line_to_moto(place) as (line, _):
        yield line


def test_a_service_without_conditional_writes_is_detected(moto_line: Line) -> None:
    """The proxy drops the condition: a test with a temporary object shows that, and the key is looked up first."""
    write_file(moto_line.folder / "a", b"mine")
    moto_line.proxy.drop_header = "if-none-match"
    outcome = moto_line.up("--on-conflict", "fail").expect(0)
    assert [event for event in outcome.of_type("warning") if "If-None-Match" in event["message"]]
    of_a = [request.method for request in moto_line.proxy.requests if request.path.endswith("/a")]
    assert of_a == ["HEAD", "PUT", "HEAD"]  # the second one since moto confirms no checksum
    assert moto_line.proxy.count("^DELETE .*/[.]cv-") == 1


def signed_at(request: Request) -> float:
    return timegm(time.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))


def test_a_clock_that_differs_is_corrected(moto_line: Line) -> None:
    """A service whose clock is two hours ahead: requests are signed by its clock from then on."""
    many_small(moto_line.folder, 10)
    ahead = 7200
    skewed = Answer(403, "RequestTimeTooSkewed")
    skewed.headers["Date"] = email.utils.formatdate(time.time() + ahead, usegmt=True)
    fault = moto_line.proxy.fail("", skewed, last=1_000)
    fault.when = lambda request: abs(signed_at(request) - time.time() - ahead) > 900
    moto_line.up().expect(0)
    assert 1 <= fault.hit <= 3
    assert moto_line.proxy.count("^PUT .*/file_") == 10


def test_expired_credentials_are_renewed(moto_line: Line, place: Path) -> None:
    """By the command that gave the first ones; the first token is refused from the middle of the run on."""
    many_small(moto_line.folder, 50)
    script = place / "credentials.py"
    script.write_text(
        "import json, pathlib\n"
        f"count = pathlib.Path({str(place / 'count')!r})\n"
        "number = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(number))\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': 'id', 'SecretAccessKey': 'secret',"
        " 'SessionToken': f'token-{number}', 'Expiration': '2099-01-01T00:00:00Z'}))\n"
    )
    (place / "config").write_text(f"[default]\ncredential_process = python3 '{script}'\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del moto_line.program.env[name]
    moto_line.program.env["AWS_CONFIG_FILE"] = str(place / "config")
    fault = moto_line.proxy.fail("^PUT ", Answer(400, "ExpiredToken"), first=10, last=1_000)
    fault.when = lambda request: request.headers.get("x-amz-security-token") == "token-1"
    moto_line.up().expect(0)
    assert fault.hit >= 1
    assert int((place / "count").read_text()) == 2


def test_keys_that_cannot_be_renewed_are_reported(moto_line: Line) -> None:
    write_file(moto_line.folder / "a", b"content")
    moto_line.program.env["AWS_SESSION_TOKEN"] = "an old one"
    moto_line.proxy.fail("", Answer(400, "ExpiredToken"), last=1_000)
    outcome = moto_line.up().expect(3)
    assert outcome.json["error"]["kind"] == "auth"
    assert "an old one" not in outcome.text


def test_more_files_are_read_than_requests_are_in_flight(line: Line) -> None:
    """A target's answers cost a round trip each; meanwhile further files come from their source."""
    many_small(line.folder, 100)
    slow = line.proxy.fail("^PUT .*/file_", "hold", last=1_000_000)
    running = line.program.start("sync", str(line.folder), line.url, "--target-option", "connections=3")
    for _ in range(12):
        running.wait_for(lambda event: event["type"] == "file_started")
    assert slow.seen <= 3
    slow.release.set()
    running.finish().expect(0)
    line.assert_same()
