"""Each transform stays within the memory limit of the whole program, however large its file.

256 MiB go through each, or as many as CHECKVALVE_TEST_BIG_MIB says (1024 for the figures of the documentation).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.support.pair import Pair

LIMIT_BYTES = 96 << 20
MIB = int(os.environ.get("CHECKVALVE_TEST_BIG_MIB", "256"))
CARD = "[0-9]{4}-[0-9]{4}-[0-9]{4}"

CHAINS = {
    "gzip": ["gzip level=1"],
    "zstd": ["zstd"],
    "lines": ["lines drop='^7' add_trailer='TRAILER|{count}'"],
    "redact": [f"redact pattern='{CARD}'"],
    "charset": ["charset to=UTF-16LE newline=crlf"],
    "csv": ["csv mask=name cast=id:integer rejects=yes"],
    "jsonl": ["csv to=jsonl"],
    "sql": ["sql query='SELECT country, sum(id) AS total FROM input GROUP BY country'"],
    "sort": ["sql query='SELECT * FROM input ORDER BY name' select='[\"id\",\"name\"]'"],
    "split": ["split line_bytes=1MiB header=yes"],
    "split-gzip": ["split lines=20000", "gzip level=1", "checksum"],
    "exec": ["exec command=cat"],
    "all": ["charset newline=lf", f"redact pattern='{CARD}'", "csv drop=note", "zstd", "checksum"],
}
PACKED = {
    "gunzip": (["gzip", "-1"], ".gz", "gunzip max_ratio=0"),
    # The largest windows that are read without max_window and max_memory.
    "unzstd": (["zstd", "-q", "-1", "--zstd=wlog=23"], ".zst", "unzstd max_ratio=0"),
    "bunzip2": (["bzip2", "-1"], ".bz2", "bunzip2 max_ratio=0"),
    "unxz": (["xz", "--lzma2=preset=0,dict=8MiB"], ".xz", "unxz max_ratio=0"),
}


@pytest.fixture(scope="module")
def table(scratch: Path) -> Iterator[Path]:
    """CSV of MIB mebibytes, of a block that is repeated."""
    rows = "".join(
        f"{n},name {n * 7919 % 100_003},4111-1111-{n % 10_000:04},{('de', 'fr', 'it')[n % 3]},some words {n}\n"
        for n in range(22_000)
    )
    path = scratch / "table.csv"
    with path.open("w") as file:
        file.write("id,name,card,country,note\n")
        while file.tell() < MIB << 20:
            file.write(rows)
    yield path
    path.unlink()


def peak_bytes(pair: Pair, chain: list[str]) -> int:
    options = [word for call in chain for word in ("--transform", call)]
    outcome = pair.sync(*options).expect(0)
    assert outcome.json["files_copied"] > 0
    return int(outcome.events[-1]["peak_rss_bytes"])


@pytest.mark.parametrize("name", CHAINS)
def test_one_file(plain_pair: Pair, table: Path, name: str) -> None:
    os.link(table, plain_pair.source / "table.csv")
    assert peak_bytes(plain_pair, CHAINS[name]) < LIMIT_BYTES


@pytest.mark.parametrize("name", PACKED)
def test_one_packed_file(plain_pair: Pair, table: Path, name: str) -> None:
    command, suffix, chain = PACKED[name]
    with table.open("rb") as plain, (plain_pair.source / f"table.csv{suffix}").open("wb") as packed:
        subprocess.run([*command, "-c"], stdin=plain, stdout=packed, check=True)
    assert peak_bytes(plain_pair, [chain]) < LIMIT_BYTES
    assert (plain_pair.target / "table.csv").stat().st_size == table.stat().st_size


@pytest.mark.parametrize("name", ["gzip", "zstd", "csv", "sort", "all"])
def test_sixteen_files_at_once(plain_pair: Pair, table: Path, name: str) -> None:
    with table.open("rb") as file:
        head = file.readline()
        for number in range(16):
            block = file.read((MIB << 20) // 16)
            (plain_pair.source / f"{number}.csv").write_bytes(head + block[: block.rfind(b"\n") + 1])
            file.seek(len(head))
    assert peak_bytes(plain_pair, CHAINS[name]) < LIMIT_BYTES
