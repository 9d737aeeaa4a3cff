"""The program without S3, PostgreSQL and transforms: `./dev minimal` builds it and runs this."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from e2e.support.pair import Pair
from e2e.support.program import PROGRAM
from e2e.support.trees import write_file

OMITTED_LIBRARIES = r"lib(curl|pugixml|pq|z|deflate|zstd|lzma|bz2)\.so"


def test_the_program_needs_only_the_libraries_of_what_it_contains() -> None:
    readelf = shutil.which("readelf") or shutil.which("llvm-readelf-19")
    assert readelf, "readelf is not installed (Debian: binutils)"
    needed = re.findall(
        r"NEEDED.*\[(.*)\]", subprocess.run([readelf, "-d", PROGRAM], capture_output=True, text=True, check=True).stdout
    )
    assert "libssh.so.4" in needed
    assert [name for name in needed if re.match(OMITTED_LIBRARIES, name)] == []


def test_it_syncs(plain_pair: Pair) -> None:
    write_file(plain_pair.source / "a.txt", b"alpha")
    write_file(plain_pair.source / "deep" / "b.bin", bytes(3_000_000))
    assert plain_pair.synced()["files_copied"] == 2
    plain_pair.assert_nothing_to_do()


def test_it_lists_what_it_contains(plain_pair: Pair) -> None:
    run = plain_pair.program.run
    assert [each["scheme"] for each in run("backends", "--json").expect(0).json["backends"]] == ["sftp", "file"]
    assert run("transforms", "--json").expect(0).json["transforms"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ls", "s3://bucket/x"], "unknown scheme 's3': this program was built without its backend"),
        (["ls", "gopher://host/x"], "unknown scheme 'gopher': expected one of sftp, file"),
        (["status", "--state", "postgresql://me@host/name"], "this program was built without PostgreSQL"),
        (
            ["sync", "/a", "/b", "--transform", "gzip"],
            "there are none; this program was built without the families compress, text, records, other",
        ),
        (["transforms", "gzip"], "unknown transform 'gzip': there are none; this program was built without"),
    ],
)
def test_it_refuses_what_it_does_not_contain(arguments: list[str], message: str, plain_pair: Pair) -> None:
    assert message in plain_pair.program.run(*arguments).expect(2).text


def test_it_refuses_endpoints_of_a_config_that_it_cannot_open(plain_pair: Pair) -> None:
    config = plain_pair.state.parent / "checkvalve.toml"
    config.write_text('[endpoint.store]\nscheme = "s3"\nhost = "bucket"\n')
    outcome = plain_pair.program.run("ls", "store:x", "--config", str(config), "--json").expect(2)
    assert "unknown scheme 's3': this program was built without its backend" in json.dumps(outcome.text)
