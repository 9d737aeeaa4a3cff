"""Every pair of a local folder, an SFTP server and S3: odd names, a gigabyte, ten thousand small files, and a rerun
that moves nothing. The servers of the source refuse every change."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.support.buckets import OWN_FOLDER, can_be_a_key
from e2e.support.program import Program
from e2e.support.trees import ODD_NAMES, large_file, many_small, write_file
from scratch import GIB
from servers.keys import write_known_hosts
from servers.openssh import SshServer
from servers.s3_versitygw import Versitygw

KINDS = ["local", "sftp", "s3"]
SMALL = 10_000

# The tree, its copy, and once more what an S3 server joins from parts.
pytestmark = pytest.mark.scratch_bytes(int(3.5 * GIB))


@pytest.fixture(scope="module")
def tree(scratch: Path) -> Iterator[Path]:
    folder = scratch / "tree of the pairs"
    many_small(folder, SMALL)
    large_file(folder / "large.bin", GIB + 12_345)
    for name in filter(can_be_a_key, ODD_NAMES):
        write_file(os.fsencode(folder) + b"/odd/" + name + b"/" + name, name)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("target_kind", KINDS)
@pytest.mark.parametrize("source_kind", KINDS)
def test_pair(
    source_kind: str,
    target_kind: str,
    tree: Path,
    place: Path,
    gateway: Versitygw,
    read_only_gateway: Versitygw,
    read_only_server: SshServer,
    target_server: SshServer,
    user_key: Path,
) -> None:
    options = ["--state", str(place / "state.db")]
    if "sftp" in (source_kind, target_kind):
        keys = [(server.port, server.host_key) for server in (read_only_server, target_server)]
        options += ["--identity", str(user_key)]
        options += ["--known-hosts", str(write_known_hosts(place / "known_hosts", keys))]
    if source_kind == "s3":
        bucket = gateway.make_bucket(name := "pair-" + secrets.token_hex(6))
        shutil.copytree(tree, bucket, copy_function=os.link, dirs_exist_ok=True)
        options += ["--source-option", f"endpoint_url={read_only_gateway.endpoint_url}"]
        source = f"s3://{name}"
    else:
        source = read_only_server.url(tree) if source_kind == "sftp" else str(tree)
    if target_kind == "s3":
        arrived = gateway.make_bucket(name := "pair-" + secrets.token_hex(6))
        target = f"s3://{name}"
    else:
        (arrived := place / "target").mkdir()
        target = target_server.url(arrived) if target_kind == "sftp" else str(arrived)

    program = Program(place / "home", options, dict(gateway.environment()))
    summary = program.work("sync", source, target).expect(0).json
    assert summary["files_copied"] == SMALL + 1 + sum(map(can_be_a_key, ODD_NAMES))
    assert summary["peak_rss_bytes"] < 96 << 20
    subprocess.run(["diff", "-r", "-x", OWN_FOLDER, tree, arrived], check=True)
    summary = program.work("sync", source, target).expect(0).json
    assert (summary["files_planned"], summary["bytes_copied"]) == (0, 0)
    if target_kind == "s3":
        shutil.rmtree(arrived)
    if source_kind == "s3":
        shutil.rmtree(bucket)
