"""Transforms between two real servers: what users' own tools make of the result, reruns, refusals, kills."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from e2e.support.pair import Pair


def write_files(folder: Path, count: int) -> dict[str, bytes]:
    files = {
        f"day/{n % 7}/file {n}.csv": f"id,card\n{n},4111-1111-1111-{n:04}\n".encode() * (n + 1) for n in range(count)
    }
    files["empty.csv"] = b""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return files


def published(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_nothing_moves(pair: Pair, *options: str) -> None:
    summary = pair.sync(*options).expect(0).json
    assert (summary["files_planned"], summary["bytes_copied"]) == (0, 0)


@pytest.mark.quick
def test_gzip_is_read_by_gzip_and_a_rerun_moves_nothing(pair: Pair) -> None:
    files = write_files(pair.source, 60)
    summary = pair.sync("--transform", "gzip").expect(0).json
    assert summary["files_copied"] == len(files)
    there = published(pair.target)
    assert {name.removesuffix(".gz"): gzip.decompress(content) for name, content in there.items()} == files
    subprocess.run(["gzip", "--test", *(str(pair.target / name) for name in there)], check=True)
    assert_nothing_moves(pair, "--transform", "gzip")


def test_gunzip_reads_what_gzip_wrote(plain_pair: Pair) -> None:
    (plain_pair.source / "a.csv").write_bytes(b"x\n" * 1_000_000)
    subprocess.run(["gzip", "-9", str(plain_pair.source / "a.csv")], check=True)
    plain_pair.sync("--transform", "gunzip").expect(0)
    assert published(plain_pair.target) == {"a.csv": b"x\n" * 1_000_000}


@pytest.mark.skipif(not shutil.which("zstd"), reason="needs zstd")
def test_zstd_is_read_by_zstd(plain_pair: Pair) -> None:
    content = os.urandom(100_000) * 40
    (plain_pair.source / "a.bin").write_bytes(content)
    plain_pair.sync("--transform", "zstd level=5 threads=2").expect(0)
    out = subprocess.run(["zstd", "-dc", str(plain_pair.target / "a.bin.zst")], check=True, stdout=subprocess.PIPE)
    assert out.stdout == content


@pytest.mark.quick
def test_a_chain_redacts_then_compresses_then_checksums(pair: Pair) -> None:
    files = write_files(pair.source, 20)
    chain = [
        "--transform",
        r"redact pattern='\d{4}-\d{4}-\d{4}' with=card",
        "--transform",
        "gzip",
        "--transform",
        "checksum",
    ]
    pair.sync(*chain).expect(0)
    there = published(pair.target)
    assert len(there) == 2 * len(files)
    for name, content in there.items():
        if name.endswith(".sha256"):
            digest, of = content.decode().rstrip("\n").split("  ", 1)
            assert digest == hashlib.sha256(there[name.removesuffix(".sha256")]).hexdigest()
            assert of == Path(name).name.removesuffix(".sha256")
        else:
            assert b"4111-1111-1111" not in gzip.decompress(content)
    assert_nothing_moves(pair, *chain)


def test_a_changed_chain_makes_files_again(plain_pair: Pair) -> None:
    files = write_files(plain_pair.source, 10)
    plain_pair.sync("--transform", "redact pattern=[0-9] keep_length=yes").expect(0)
    summary = plain_pair.sync("--transform", "redact pattern=[0-9] keep_length=yes with=#").expect(0).json
    assert summary["files_copied"] == len(files)
    assert b"####" in published(plain_pair.target)["day/0/file 0.csv"]
    assert plain_pair.sync().expect(0).json["files_copied"] == len(files)
    assert published(plain_pair.target) == files


def test_csv_is_read_by_pythons_csv(plain_pair: Pair) -> None:
    rows = [["id", "name", "note"], *([str(n), f'O"Neil, {n}', "two\nlines"] for n in range(2_000))]
    with (plain_pair.source / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    plain_pair.sync("--transform", 'csv filter=\'id % 2 = 0\' select=\'["name","id","note"]\' mask=name').expect(0)
    with (plain_pair.target / "a.csv").open(newline="") as file:
        found = list(csv.reader(file))
    assert found[0] == ["name", "id", "note"]
    assert found[1:3] == [['x"xxxx, 0', "0", "two\nlines"], ['x"xxxx, 0', "2", "two\nlines"]]
    assert len(found) == 1_001


@pytest.mark.parametrize(
    ("packer", "suffix", "transform"),
    [
        (["gzip", "-9"], ".gz", "gunzip"),
        (["pigz", "-b", "128"], ".gz", "gunzip"),
        (["zstd", "-q", "-19"], ".zst", "unzstd"),
        (["bzip2", "-9"], ".bz2", "bunzip2"),
        (["xz", "-6"], ".xz", "unxz"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_what_peers_have_packed_is_read(plain_pair: Pair, packer: list[str], suffix: str, transform: str) -> None:
    if not shutil.which(packer[0]):
        pytest.skip(f"needs {packer[0]}")
    content = b"".join(b"%d,%s\n" % (n, os.urandom(8).hex().encode()) for n in range(30_000))
    packed = subprocess.run([*packer, "-c"], input=content, stdout=subprocess.PIPE, check=True).stdout
    (plain_pair.source / f"a.csv{suffix}").write_bytes(packed + packed)  # both are read, one after the other
    plain_pair.sync("--transform", transform).expect(0)
    assert published(plain_pair.target) == {"a.csv": content * 2}


def test_gzip_of_many_members_is_read_by_peers(plain_pair: Pair) -> None:
    content = os.urandom(100_000) * 40
    (plain_pair.source / "a.bin").write_bytes(content)
    plain_pair.sync("--transform", "gzip").expect(0)
    path = plain_pair.target / "a.bin.gz"
    assert gzip.decompress(path.read_bytes()) == content
    readers = [["gzip", "-dc"], ["zcat"], *([["pigz", "-dc"]] if shutil.which("pigz") else [])]
    for reader in readers:
        assert subprocess.run([*reader, str(path)], stdout=subprocess.PIPE, check=True).stdout == content


@pytest.mark.skipif(not shutil.which("sqlite3"), reason="needs sqlite3")
def test_csv_is_read_by_sqlite(plain_pair: Pair) -> None:
    lines = [json.dumps({"id": n, "name": f'a "quoted", {n}\nof two lines'}) for n in range(500)]
    (plain_pair.source / "a.jsonl").write_text("\n".join(lines))
    plain_pair.sync("--transform", "jsonl to=csv").expect(0)
    query = """SELECT count(*), sum(id), min(name) = 'a "quoted", 0' || char(10) || 'of two lines' FROM t"""
    argv = ["sqlite3", ":memory:", f".import --csv '{plain_pair.target / 'a.csv'}' t", query]
    out = subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout
    assert out.decode().strip() == f"500|{sum(range(500))}|1"


def test_sql_joins_a_lookup_file_and_notices_its_change(plain_pair: Pair, place: Path) -> None:
    (plain_pair.source / "a.csv").write_text("code,amount\nde,2\nfr,3\nde,5\n")
    lookup = place / "countries.csv"
    lookup.write_text("code,name\nde,Germany\nfr,France\n")
    query = "SELECT name, sum(amount) AS total FROM input JOIN countries USING (code) GROUP BY name ORDER BY name"
    chain = ["--transform", f"""sql lookup='["countries={lookup}"]' query='{query}'"""]
    plain_pair.sync(*chain).expect(0)
    assert published(plain_pair.target) == {"a.csv": b"name,total\nFrance,3\nGermany,7\n"}
    assert_nothing_moves(plain_pair, *chain)
    lookup.write_text("code,name\nde,Deutschland\nfr,France\n")
    plain_pair.sync(*chain).expect(0)
    assert published(plain_pair.target) == {"a.csv": b"name,total\nDeutschland,7\nFrance,3\n"}
    lookup.unlink()
    assert "on this machine" in plain_pair.sync(*chain).expect(2).text


def test_a_program_checks_what_passes(plain_pair: Pair) -> None:
    """The guide's hook for a virus scanner, with grep for one."""
    files = {"good.txt": b"good\n" * 100_000, "bad.txt": b"good\n" * 50_000 + b"EVIL\n" + b"good\n" * 50_000}
    for name, content in files.items():
        (plain_pair.source / name).write_bytes(content)
    scan = "{ tee /dev/fd/3 | { ! grep EVIL >&2; }; } 3>&1"
    outcome = plain_pair.sync("--transform", f"""exec command='["sh", "-c", "{scan}"]'""").expect(1)
    assert published(plain_pair.target) == {"good.txt": files["good.txt"]}
    failure = outcome.json["failures"][0]
    assert failure["path"] == "bad.txt"
    assert "EVIL" in failure["message"]
    plain_pair.assert_clean()


def test_split_parts_are_the_file_again(pair: Pair) -> None:
    rows = [f"{n},{os.urandom(6).hex()}\n" for n in range(20_000)]
    (pair.source / "day").mkdir()
    (pair.source / "day" / "a.csv").write_text("id,note\n" + "".join(rows))
    chain = ["--transform", "split lines=500 header=yes", "--transform", "checksum"]
    assert pair.sync(*chain).expect(0).json["files_copied"] == 1
    there = published(pair.target)
    parts = sorted(name for name in there if name.endswith(".csv"))
    assert parts == [f"day/a.{number:04}.csv" for number in range(1, 41)]
    assert "".join(there[part].decode().removeprefix("id,note\n") for part in parts) == "".join(rows)
    sums = [f"a.{number:04}.csv.sha256" for number in range(1, 41)]
    subprocess.run(["sha256sum", "--check", "--quiet", *sums], cwd=pair.target / "day", check=True)
    assert_nothing_moves(pair, *chain)
    pair.assert_clean()


def test_a_part_of_a_longer_version_is_reported(plain_pair: Pair) -> None:
    """It stays, as all does that was published."""
    chain = ["--transform", "split lines=10"]
    file = plain_pair.source / "a.csv"
    file.write_text("old\n" * 50)
    assert plain_pair.sync(*chain).expect(0).of_type("warning") == []
    file.write_text("new\n" * 30)
    (warning,) = plain_pair.sync(*chain).expect(0).of_type("warning")
    assert "'a.csv' has 3 parts" in warning["message"]
    assert "a.0004.csv" in warning["message"]
    texts = {"a.0003.csv": b"new\n" * 10, "a.0004.csv": b"old\n" * 10, "a.0005.csv": b"old\n" * 10}
    assert texts.items() <= published(plain_pair.target).items()
    file.write_text("newer\n" * 70)
    assert plain_pair.sync(*chain).expect(0).of_type("warning") == []


def test_a_schema_sets_bad_rows_aside(plain_pair: Pair) -> None:
    (plain_pair.source / "a.csv").write_text("id,country,amount\n1,de,2\n2,DE,3\n3,fr,-1\n4,it,4\n")
    schema = (
        """csv expect='["id","country","amount"]' cast='["id:integer","amount:number"]' """
        "match='country=[a-z]{2}' check='amount >= 0' rejects=yes"
    )
    plain_pair.sync("--transform", schema).expect(0)
    assert published(plain_pair.target) == {
        "a.csv": b"id,country,amount\n1,de,2\n4,it,4\n",
        "a.csv.rejects": b"id,country,amount\n2,DE,3\n3,fr,-1\n",
    }


def test_transforms_lists_what_the_option_takes(plain_pair: Pair) -> None:
    listed = json.loads(plain_pair.program.run("transforms", "--json").expect(0).stdout)
    by_name = {transform["name"]: transform for transform in listed["transforms"]}
    assert {"gzip", "split", "sql", "exec"} <= set(by_name)
    assert by_name["gzip"]["renames"] == "adds .gz"
    assert by_name["sql"]["class"] == "spilling"
    level = next(option for option in by_name["gzip"]["options"] if option["name"] == "level")
    assert (level["type"], level["default"]) == ("N", "6")
    text = plain_pair.program.run("transforms", "zstd").expect(0).stdout.decode()
    assert "level=N" in text
    assert "gzip" not in text
    assert "unknown transform 'gzap'" in plain_pair.program.run("transforms", "gzap").expect(2).text


def test_a_file_that_a_transform_refuses_fails_alone(pair: Pair) -> None:
    (pair.source / "good.gz").write_bytes(gzip.compress(b"good"))
    (pair.source / "bad.gz").write_bytes(b"no gzip at all")
    (pair.source / "cut.gz").write_bytes(gzip.compress(os.urandom(500_000))[:-100])
    outcome = pair.sync("--transform", "gunzip").expect(1)
    assert published(pair.target) == {"good": b"good"}
    failures = {failure["path"]: failure for failure in outcome.json["failures"]}
    assert set(failures) == {"bad.gz", "cut.gz"}
    assert all(failure["kind"] == "transform" for failure in failures.values())
    assert "byte" in failures["bad.gz"]["message"]
    pair.assert_clean()


def test_a_bomb_is_refused(plain_pair: Pair) -> None:
    (plain_pair.source / "bomb.gz").write_bytes(gzip.compress(bytes(200 << 20)))
    outcome = plain_pair.sync("--transform", "gunzip").expect(1)
    assert "max_ratio" in outcome.json["failures"][0]["message"]
    assert published(plain_pair.target) == {}
    plain_pair.sync("--transform", "gunzip max_ratio=0").expect(0)
    assert (plain_pair.target / "bomb").stat().st_size == 200 << 20


def test_two_sources_never_become_one_name(plain_pair: Pair) -> None:
    (plain_pair.source / "a").write_bytes(b"plain")
    (plain_pair.source / "a.gz").write_bytes(gzip.compress(b"zipped"))
    outcome = plain_pair.sync("--transform", "gunzip").expect(1)
    assert {failure["path"] for failure in outcome.json["failures"]} == {"a", "a.gz"}
    assert published(plain_pair.target) == {}


def test_wrong_calls_are_usage_errors(plain_pair: Pair) -> None:
    for call in ("gzap", "gzip level=99", "gzip level", "redact", "sql query='DROP TABLE input'"):
        assert plain_pair.sync("--transform", call).expect(2).text


def test_a_job_of_the_config_has_transforms(plain_pair: Pair, place: Path) -> None:
    files = write_files(plain_pair.source, 5)
    config = place / "checkvalve.toml"
    config.write_text(
        f'[job.daily]\nsource = "{plain_pair.source_url}"\ntarget = "{plain_pair.target_url}"\n'
        '[[job.daily.transform]]\nname = "csv"\nselect = ["id"]\nmax_record = "64KiB"\n'
        '[[job.daily.transform]]\nname = "gzip"\nlevel = 9\n'
    )
    plain_pair.program.work("sync", "--job", "daily", "--config", str(config)).expect(0)
    there = published(plain_pair.target)
    assert len(there) == len(files)
    assert gzip.decompress(there["day/1/file 1.csv.gz"]) == b"id\n1\nid\n1\n"


def test_killed_in_the_middle_and_run_again(plain_pair: Pair) -> None:
    files = write_files(plain_pair.source, 400)
    large = os.urandom(1 << 20) * 64
    (plain_pair.source / "large.bin").write_bytes(large)
    files["large.bin"] = large
    running = plain_pair.start_sync("--transform", "gzip level=1", "--transform", "checksum", "--lease-ttl", "2s")
    running.wait_for(lambda event: event["type"] == "file_published")
    os.kill(running.pid, 9)
    running.finish()
    for name, content in published(plain_pair.target).items():
        if name.endswith(".gz"):
            assert gzip.decompress(content) == files[name.removesuffix(".gz")]
    plain_pair.sync("--transform", "gzip level=1", "--transform", "checksum").expect(0)
    there = published(plain_pair.target)
    assert {n.removesuffix(".gz"): gzip.decompress(c) for n, c in there.items() if n.endswith(".gz")} == files
    # The killed run's lease may still have been alive when the second one planned: then its temporaries stay.
    assert len([name for name in there if not name.endswith(".part")]) == 2 * len(files)
