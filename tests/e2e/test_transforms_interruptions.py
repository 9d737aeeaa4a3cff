"""Runs with transforms that are killed or cut off: no torn file, all that belongs to a file, no leftover."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import random
import signal
from pathlib import Path

import pytest

from e2e.support.pair import Pair
from e2e.support.trees import temporaries
from servers.process import wait_until
from servers.proxy import DelayProxy

REJECTS = ["--transform", "csv cast=id:integer rejects=yes", "--transform", "gzip level=1", "--transform", "checksum"]
SPLIT = ["--transform", "split line_bytes=20KiB header=yes", "--transform", "gzip level=1", "--transform", "checksum"]
SQL = ["--transform", "sql query='SELECT id, note FROM input ORDER BY note' cache=64KiB", "--transform", "checksum"]


def write_tables(folder: Path, count: int, rows: int) -> dict[str, str]:
    """CSV files by name; one row of each does not fit a number."""
    source = random.Random(3)
    files = {}
    for number in range(count):
        lines = [f"{row},{source.randbytes(24).hex()}\n" for row in range(rows)]
        lines.insert(rows // 2, f"bad {number},\n")
        files[f"day {number % 5}/table {number}.csv"] = "id,note\n" + "".join(lines)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return files


def published(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".cv-")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def assert_checksums(there: dict[str, bytes]) -> None:
    """Each file's checksum is there before it, and right."""
    for name, content in there.items():
        if name.endswith((".sha256", ".rejects")):
            continue
        line = f"{hashlib.sha256(content).hexdigest()}  {Path(name).name}\n"
        assert there[f"{name}.sha256"] == line.encode(), name


def assert_rejects(files: dict[str, str], there: dict[str, bytes], *, all_of_them: bool) -> None:
    assert_checksums(there)
    names = [name for name in there if name.endswith(".gz")]
    if all_of_them:
        assert {name.removesuffix(".gz") for name in names} == set(files)
        assert len(there) == 3 * len(files)
    for name in names:
        lines = files[name.removesuffix(".gz")].splitlines(keepends=True)
        assert gzip.decompress(there[name]).decode() == "".join(line for line in lines if not line.startswith("bad"))
        assert there[f"{name.removesuffix('.gz')}.gz.rejects"].decode() == lines[0] + lines[len(lines) // 2]


def assert_parts(files: dict[str, str], there: dict[str, bytes], *, all_of_them: bool) -> None:
    """The first part is there only with all others."""
    assert_checksums({name: content for name, content in there.items() if not name.endswith(".0001.csv.gz")})
    firsts = [name for name in there if name.endswith(".0001.csv.gz")]
    for first in firsts:
        stem = first.removesuffix(".0001.csv.gz")
        parts = sorted(name for name in there if name.startswith(f"{stem}.") and name.endswith(".gz"))
        texts = [gzip.decompress(there[part]).decode().removeprefix("id,note\n") for part in parts]
        assert "id,note\n" + "".join(texts) == files[f"{stem}.csv"]
        assert len(parts) > 2
    assert_checksums({name: there[name] for first in firsts for name in (first, f"{first}.sha256")})
    if all_of_them:
        assert {first.replace(".0001.csv.gz", ".csv") for first in firsts} == set(files)


CHAINS = pytest.mark.parametrize(
    ("chain", "check"), [(REJECTS, assert_rejects), (SPLIT, assert_parts)], ids=["rejects", "split"]
)


@CHAINS
@pytest.mark.parametrize("after", [5, 60])
def test_sigkill_then_run_again(plain_pair: Pair, chain: list[str], check, after: int) -> None:  # type: ignore[no-untyped-def]
    pair = plain_pair
    files = write_tables(pair.source, 150, 1_500)
    run = pair.start_sync(*chain)
    run.wait_for_published(after)
    run.signal(signal.SIGKILL)
    assert run.finish().code == -signal.SIGKILL
    check(files, published(pair.target), all_of_them=False)
    pair.sync(*chain).expect(0)
    check(files, published(pair.target), all_of_them=True)

    def clean_after_a_run() -> bool:  # the server may still be at what the dead run had asked for
        assert pair.sync(*chain).expect(0).json["files_copied"] == 0
        return temporaries(pair.target) == []

    assert wait_until(clean_after_a_run, 30)
    check(files, published(pair.target), all_of_them=True)


@CHAINS
@pytest.mark.parametrize("side", [0, 1], ids=["source", "target"])
@pytest.mark.parametrize("seed", range(2))
def test_connection_cut_at_a_random_byte(  # type: ignore[no-untyped-def]
    proxied_pair: Pair, proxies: tuple[DelayProxy, DelayProxy], chain: list[str], check, side: int, seed: int
) -> None:
    pair = proxied_pair
    files = write_tables(pair.source, 60, 3_000)
    total = sum(len(text) for text in files.values())
    proxies[side].cut_after(random.Random(seed).randrange(50_000, total // 3))
    outcome = pair.sync("--retries", "6", *chain).expect(0)
    assert proxies[side].was_cut()
    assert outcome.of_type("retry")
    check(files, published(pair.target), all_of_them=True)
    pair.assert_clean()


def test_a_split_file_that_is_refused_leaves_nothing(pair: Pair) -> None:
    """All parts wait until the last byte was understood."""
    rows = "".join(f"{row},{'x' * 40}\n" for row in range(5_000))
    (pair.source / "a.csv").write_text(f"id,note\n{rows}END\n")
    options = ["--transform", "split lines=300", "--transform", "lines must_not_match='^END'"]
    failure = pair.sync(*options).expect(1).json["failures"][0]
    assert failure["kind"] == "transform"
    assert published(pair.target) == {}
    pair.assert_clean()


def open_files(pid: int) -> list[str]:
    names = []
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):  # closed by now
            names.append(os.readlink(descriptor))
    return names


def test_sigkill_leaves_no_temporary_database(plain_pair: Pair, place: Path) -> None:
    pair = plain_pair
    spill = place / "spill"
    spill.mkdir()
    pair.program.env["SQLITE_TMPDIR"] = str(spill)
    files = write_tables(pair.source, 40, 20_000)
    run = pair.start_sync(*SQL)
    # A table that has outgrown its cache is in a file there, which has no name any more.
    assert wait_until(
        lambda: any(str(spill) in name for name in open_files(run.pid)) or run.popen.poll() is not None, 30
    )
    assert run.popen.poll() is None
    run.signal(signal.SIGKILL)
    run.finish()
    assert list(spill.iterdir()) == []
    pair.sync(*SQL).expect(0)
    there = published(pair.target)
    assert_checksums(there)
    assert len(there) == 2 * len(files)
    assert list(spill.iterdir()) == []


def test_sigkill_ends_the_programs_of_exec(plain_pair: Pair, place: Path) -> None:
    """Even one that never looks at its standard input."""
    pair = plain_pair
    (pair.source / "a.txt").write_text("a")
    pid_file = place / "pid"
    script = place / "sleeper.sh"
    script.write_text('echo $$ > "$1.new"; mv "$1.new" "$1"; exec sleep 1000\n')
    run = pair.start_sync("--transform", f"""exec command='["sh", "{script}", "{pid_file}"]'""")
    assert wait_until(lambda: pid_file.exists() or run.popen.poll() is not None, 30)
    child = int(pid_file.read_text())
    run.signal(signal.SIGKILL)
    run.finish()

    def ended() -> bool:
        try:
            return Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True

    assert wait_until(ended, 30)
