"""Listings of many keys: those of the first level's prefixes come side by side where that pays off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.support.program import Program
from e2e.support.trees import contents, many_small, write_file
from servers.s3_faults import Answer, FaultyProxy
from servers.s3_versitygw import Versitygw


@dataclass
class Line:
    proxy: FaultyProxy
    program: Program
    bucket: Path
    target: Path

    def list_requests(self, prefix: str) -> int:
        return self.proxy.count(f"list-type=2.*prefix={prefix}$") + self.proxy.count(f"list-type=2.*prefix={prefix}&")

    def sync(self) -> None:
        self.program.work("sync", "s3://bucket/top", str(self.target)).expect(0)
        assert contents(self.target) == contents(self.bucket / "top")


@pytest.fixture
def line(place: Path) -> Iterator[Line]:
    with Versitygw(place / "versitygw") as server, FaultyProxy(server.port) as proxy:
        bucket = server.make_bucket("bucket")
        env = {**server.environment(), "AWS_ENDPOINT_URL_S3": proxy.endpoint_url}
        program = Program(place / "home", ["--state", str(place / "state.db")], env)
        yield Line(proxy, program, bucket, place / "target")


def test_prefixes_are_listed_side_by_side(line: Line) -> None:
    many_small(line.bucket / "top", 3000, folders=20)
    many_small(line.bucket / "top" / "folder_007", 2500, folders=1)  # more than two pages of one prefix
    write_file(line.bucket / "top" / "at the top", b"content")
    line.sync()
    for number in range(20):
        assert line.list_requests(f"top%2Ffolder_{number:03}%2F") >= (3 if number == 7 else 1)


@pytest.mark.parametrize("folders", [1, 300])
def test_one_stream_where_that_is_less_work(line: Line, folders: int) -> None:
    """One prefix has nothing beside it, and of hundreds each would cost a request for a few keys."""
    many_small(line.bucket / "top", 1500, folders=folders)
    line.sync()
    assert line.list_requests("top%2Ffolder_000%2F") == 0


def test_a_page_is_a_request(line: Line) -> None:
    many_small(line.bucket / "top", 500)
    line.sync()
    assert line.list_requests("top%2F") == 2  # the one that connects, and the listing


def test_a_listing_that_goes_in_circles_is_an_error(line: Line) -> None:
    """Else it would have no end, and its spool would fill the disk."""
    page = (
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>"
        "<Contents><Key>top/a.txt</Key><Size>1</Size></Contents></ListBucketResult>"
    )
    line.proxy.fail("list-type=2", Answer(200, "", body=page), last=10**9)
    result = line.program.work("sync", "s3://bucket/top", str(line.target), timeout=20)
    result.expect(3)
    assert "goes in circles" in result.text
    assert line.proxy.count("list-type=2") < 50
