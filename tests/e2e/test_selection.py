"""Which files are taken: globs, lists, single files, sizes and ages, links and empty directories."""

from __future__ import annotations

import os
import time

import pytest

from e2e.support.pair import FIXED_MTIME, Pair
from e2e.support.trees import contents, fill, snapshot, write_file

pytestmark = pytest.mark.quick

TREE = {
    name: name.encode()
    for name in ("a.txt", "b.csv", "sub/a.txt", "sub/b.csv", "sub/deep/a.txt", "tmp/a.txt", "tmp/keep/a.txt")
}


def names(pair: Pair) -> set[str]:
    return {name.decode() for name in contents(pair.target)}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--include", "*.txt"], {"a.txt", "sub/a.txt", "sub/deep/a.txt", "tmp/a.txt", "tmp/keep/a.txt"}),
        (["--exclude", "*.csv"], {"a.txt", "sub/a.txt", "sub/deep/a.txt", "tmp/a.txt", "tmp/keep/a.txt"}),
        (
            ["--include", "tmp/keep/**", "--exclude", "tmp/**", "--include", "*.txt"],
            {"a.txt", "sub/a.txt", "sub/deep/a.txt", "tmp/keep/a.txt"},
        ),
        (["--include", "sub/*"], {"sub/a.txt", "sub/b.csv"}),
        (["--include", "**/deep/*.txt"], {"sub/deep/a.txt"}),
        (["--include", "/*.txt"], {"a.txt"}),
        (["--include", "*.{csv,tsv}"], {"b.csv", "sub/b.csv"}),
        (["--exclude", "tmp/**", "--exclude", "*.csv"], {"a.txt", "sub/a.txt", "sub/deep/a.txt"}),
        (["--exclude", "tmp/", "--exclude", "*.csv"], {"a.txt", "sub/a.txt", "sub/deep/a.txt"}),
        (["--include", "/sub/"], {"sub/a.txt", "sub/b.csv", "sub/deep/a.txt"}),
        (["--exclude", "deep", "--file", "sub/deep/a.txt", "--file", "a.txt"], {"a.txt"}),
        (["--date", "2024-03-01", "--include", "sub/{date:a.txt}"], {"sub/a.txt"}),
    ],
)
def test_globs(plain_pair: Pair, options: list[str], expected: set[str]) -> None:
    fill(plain_pair.source, TREE)
    plain_pair.sync(*options).expect(0)
    assert names(plain_pair) == expected


def test_what_is_not_selected_is_counted(pair: Pair) -> None:
    fill(pair.source, TREE)
    for name in TREE:
        os.utime(pair.source / name, (FIXED_MTIME, FIXED_MTIME))
    os.utime(pair.source / "b.csv")
    done = pair.sync("--exclude", "a.*", "--include", "*.csv", "--include", "*.pdf", "--min-age", "1h").expect(0)
    assert (done.json["files_copied"], done.json["files_filtered"], done.json["files_too_recent"]) == (1, 5, 1)
    planned = next(event for event in done.events if event["type"] == "planned")
    assert (planned["filtered"], planned["too_recent"]) == (5, 1)
    warnings = [event["message"] for event in done.events if event["type"] == "warning"]
    assert warnings == ["--include '*.pdf' selected no file"]


@pytest.mark.parametrize(("count", "code"), [(1, 0), (2, 0), (3, 4)])
def test_min_files(pair: Pair, count: int, code: int) -> None:
    fill(pair.source, dict.fromkeys(("a.csv", "b.csv", "c.txt"), b"x"))
    done = pair.sync("--include", "*.csv", "--min-files", str(count)).expect(code)
    assert names(pair) == ({"a.csv", "b.csv"} if code == 0 else set())
    if code:
        assert done.json["error"]["code"] == "too_few_files"
        assert "2 selected, expected at least 3" in done.json["error"]["message"]


def test_file(pair: Pair) -> None:
    fill(pair.source, TREE)
    pair.sync("--file", "sub/deep/a.txt", "--file", "b.csv").expect(0)
    assert names(pair) == {"sub/deep/a.txt", "b.csv"}


def test_files_from_a_file_and_from_standard_input(pair: Pair) -> None:
    fill(pair.source, TREE)
    listed = pair.state.parent / "list"
    listed.write_text("sub/a.txt\ntmp/keep/a.txt\n")
    pair.sync("--files-from", str(listed)).expect(0)
    assert names(pair) == {"sub/a.txt", "tmp/keep/a.txt"}
    pair.sync("--files-from", "-", stdin=b"a.txt\n").expect(0)
    assert names(pair) == {"sub/a.txt", "tmp/keep/a.txt", "a.txt"}


def test_listed_file_that_is_missing_fails_alone(pair: Pair) -> None:
    fill(pair.source, TREE)
    summary = pair.sync("--file", "a.txt", "--file", "gone.txt").expect(1).json
    assert [(failure["path"], failure["kind"]) for failure in summary["failures"]] == [("gone.txt", "not_found")]
    assert names(pair) == {"a.txt"}


def test_list_that_leaves_the_root_is_refused(plain_pair: Pair) -> None:
    fill(plain_pair.source, TREE)
    outcome = plain_pair.sync("--file", "../outside.txt")
    assert outcome.code in (1, 2)
    assert names(plain_pair) == set()


def test_sizes(pair: Pair) -> None:
    fill(pair.source, {"0": b"", "10": b"x" * 10, "2000": b"x" * 2000, "5000": b"x" * 5000})
    pair.sync("--min-size", "10", "--max-size", "2KiB").expect(0)
    assert names(pair) == {"10", "2000"}


def test_min_age(pair: Pair) -> None:
    write_file(pair.source / "old", b"x", mtime=int(time.time()) - 7200)
    write_file(pair.source / "new", b"x")
    pair.sync("--min-age", "1h").expect(0)
    assert names(pair) == {"old"}


def make_links(pair: Pair) -> None:
    write_file(pair.source / "real/file.txt", b"content", mtime=FIXED_MTIME)
    os.symlink("real/file.txt", pair.source / "link-to-file")
    os.symlink("real", pair.source / "link-to-folder")
    os.symlink("nowhere", pair.source / "broken")
    os.symlink("..", pair.source / "real/loop")


def test_links_skip(pair: Pair) -> None:
    make_links(pair)
    pair.sync("--links", "skip").expect(0)
    assert set(snapshot(pair.target)) == {b"real", b"real/file.txt"}


def test_links_copy(pair: Pair) -> None:
    make_links(pair)
    pair.sync("--links", "copy").expect(0)
    after = snapshot(pair.target)
    links = {name: node.content for name, node in after.items() if node.kind == "link"}
    assert links == {
        b"link-to-file": b"real/file.txt",
        b"link-to-folder": b"real",
        b"broken": b"nowhere",
        b"real/loop": b"..",
    }
    pair.assert_nothing_to_do("--links", "copy")


def test_links_follow_detects_loops(pair: Pair) -> None:
    make_links(pair)
    outcome = pair.sync("--links", "follow")
    assert outcome.code in (0, 1)  # the broken link and the loop are failures or warnings, never endless
    after = contents(pair.target)
    assert after[b"link-to-file"] == after[b"link-to-folder/file.txt"] == after[b"real/file.txt"] == b"content"
    assert len(after) < 10


def test_empty_directories(pair: Pair) -> None:
    (pair.source / "empty/nested").mkdir(parents=True)
    write_file(pair.source / "full/file", b"x")
    pair.sync().expect(0)
    assert set(snapshot(pair.target)) == {b"full", b"full/file"}
    pair.sync("--empty-dirs").expect(0)
    assert set(snapshot(pair.target)) == {b"empty", b"empty/nested", b"full", b"full/file"}


def test_special_files_are_not_copied(pair: Pair) -> None:
    write_file(pair.source / "file", b"x")
    os.mkfifo(pair.source / "fifo")
    outcome = pair.sync()
    assert outcome.code in (0, 1)
    assert names(pair) == {"file"}
