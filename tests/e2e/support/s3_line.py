"""A folder and a bucket with a faulty proxy between, for tests of what goes wrong on the way."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.support.program import Outcome, Program
from e2e.support.trees import contents
from servers.s3_faults import FaultyProxy
from servers.s3_moto import Moto
from servers.s3_versitygw import Versitygw


@dataclass
class Line:
    """A folder, a bucket behind the proxy, and the program between them."""

    proxy: FaultyProxy
    program: Program
    folder: Path
    bucket: Path  # the folder with its objects; of versitygw
    url: str

    def sync(self, source: str, target: str, *options: str) -> Outcome:
        return self.program.work("sync", source, target, *options)

    def up(self, *options: str) -> Outcome:
        return self.sync(str(self.folder), self.url, *options)

    def down(self, *options: str) -> Outcome:
        return self.sync(self.url, str(self.folder), *options)

    def assert_same(self) -> None:
        there = {name: text for name, text in contents(self.bucket).items() if not name.startswith(b".sgwtmp")}
        assert contents(self.folder) == there


def _line(place: Path, proxy: FaultyProxy, environment: dict[str, str], bucket: Path, name: str) -> Line:
    folder = place / "folder"
    folder.mkdir()
    env = {**environment, "AWS_ENDPOINT_URL_S3": proxy.endpoint_url}
    program = Program(place / "home", ["--state", str(place / "state.db")], env)
    return Line(proxy, program, folder, bucket, f"s3://{name}")


@contextmanager
def line_to_versitygw(place: Path, gateway: Versitygw) -> Iterator[Line]:
    bucket = gateway.make_bucket("bucket-" + secrets.token_hex(6))
    with FaultyProxy(gateway.port) as proxy:
        yield _line(place, proxy, gateway.environment(), bucket, bucket.name)


@contextmanager
def line_to_moto(place: Path) -> Iterator[tuple[Line, Moto]]:
    """moto checks neither signatures nor checksums."""
    with Moto(place / "moto") as server, FaultyProxy(server.port) as proxy:
        server.make_bucket("bucket")
        yield _line(place, proxy, server.environment(), Path(), "bucket"), server
