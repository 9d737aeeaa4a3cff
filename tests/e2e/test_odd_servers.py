"""SFTP servers that omit, refuse or do half of what a client may expect (servers/sftp_quirks.py), as source and as
target: what arrives, what is reported, and that a rerun copies nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.conftest import make_pair
from e2e.support.pair import Pair, Servers
from e2e.support.program import Outcome
from e2e.support.trees import assert_same, contents, fill, large_file, many_small, temporaries, write_file
from servers.openssh import SshServer
from servers.process import wait_until
from servers.proxy import DelayProxy
from servers.sftp_filter import subsystem

MIB = 1 << 20
TREE = {"a.txt": b"alpha", "data.csv": b"1,2\n", "d/e/f.bin": bytes(range(256)), "empty": b""}


@contextmanager
def odd_pair(
    place: Path, normal: SshServer, key: Path, *quirks: str, odd: str = "target", lines: list[str] | None = None
) -> Iterator[Pair]:
    """A pair of which one side's server has these quirks."""
    directory = place / "odd"
    directory.mkdir()
    with SshServer(directory, authorized=[key], subsystem=subsystem(directory, *quirks), lines=lines or []) as server:
        servers = Servers(normal, server) if odd == "target" else Servers(server, normal)
        yield make_pair(place, servers, key)


def warnings(outcome: Outcome) -> list[str]:
    return [str(event["message"]) for event in outcome.of_type("warning")]


@dataclass
class Case:
    name: str
    quirks: tuple[str, ...]
    warning: str = ""  # the only one, as part of its text
    options: tuple[str, ...] = ()
    times: bool = True  # the mtimes arrive

    def __str__(self) -> str:
        return self.name


TYPES = [
    Case("no attributes, longname", ("empty-attributes",)),
    Case("no attributes", ("empty-attributes=names",)),
    Case("no types in listings", ("no-types",)),
    Case("no types", ("no-types=all",)),
    Case("no permissions", ("no-permissions",)),
    Case("empty page at the end", ("empty-end",)),
    Case("no REALPATH", ("refuse=realpath:3",)),
    Case("REALPATH not known", ("refuse=realpath:8",)),
    Case("short reads", ("short-reads=1000",)),
    Case("root without STAT", ("refuse=stat:3", "refuse=lstat:3"), "does not show the sizes"),
]
TARGETS = [
    Case("times ignored", ("ignore=fsetstat",), "does not keep the times", times=False),
    Case("times refused", ("refuse=fsetstat:3", "refuse=setstat:3"), "does not let us set times", times=False),
    Case("only SETSTAT", ("refuse=fsetstat:8",)),
    Case("modes refused", ("no-chmod",), "does not let us set modes", ("--preserve", "mtime,mode")),
    Case("no FSTAT", ("refuse=fstat:8",)),
    Case("no sizes", ("no-sizes",), "does not show the sizes"),
    Case("no exclusive OPEN", ("no-exclusive",)),
    Case("no fsync", ("refuse=fsync:8",)),
    Case("no hard links", ("refuse=hardlink:4",), options=("--on-conflict", "fail")),
    Case("not listable", ("refuse=opendir:3", "refuse=mkdir:3"), "could not be listed"),
    Case("in place", ("refuse=rename:3", "refuse=posix_rename:3"), options=("--target-option", "inplace=yes")),
]


@pytest.mark.parametrize("case", TYPES, ids=str)
@pytest.mark.parametrize("odd", ["source", "target"])
def test_listing(place: Path, normal_server: SshServer, user_key: Path, case: Case, odd: str) -> None:
    with odd_pair(place, normal_server, user_key, *case.quirks, odd=odd) as pair:
        if case.name == "root without STAT" and odd == "source":
            pytest.skip("a source is looked at before and after it is read")
        fill(pair.source, TREE)
        outcome = pair.sync().expect(0)
        assert_same(pair.source, pair.target)
        assert outcome.json["files_copied"] == len(TREE)
        assert [case.warning in text for text in warnings(outcome)] == [True] * bool(case.warning)
        pair.assert_nothing_to_do()


@pytest.mark.parametrize("case", TARGETS, ids=str)
def test_writing(place: Path, normal_server: SshServer, user_key: Path, case: Case) -> None:
    with odd_pair(place, normal_server, user_key, *case.quirks) as pair:
        fill(pair.source, TREE)
        if case.name == "not listable":
            (pair.target / "d" / "e").mkdir(parents=True)
        outcome = pair.sync(*case.options).expect(0)
        assert contents(pair.target) == contents(pair.source)
        if case.times:
            assert (pair.target / "a.txt").stat().st_mtime == int((pair.source / "a.txt").stat().st_mtime)
        assert [case.warning in text for text in warnings(outcome)] == [True] * bool(case.warning), warnings(outcome)
        pair.assert_clean()
        if case.name != "not listable":
            pair.assert_nothing_to_do(*case.options)


@dataclass
class NameCase:
    name: str
    quirk: str
    source: tuple[str, ...]
    refused: tuple[str, ...]
    target: tuple[str, ...] = ()  # somebody else's files
    text: str = ""  # of the error

    def __str__(self) -> str:
        return self.name


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"
NAMES = [
    NameCase("case", "fold", ("A.csv", "a.csv", "b"), ("a.csv",), text="'A.csv'"),
    NameCase("case below", "fold", ("new/x/A", "new/x/a"), ("new/x/a",)),
    NameCase("case, not ASCII", "fold", ("\u00c9", "\u00e9"), ("\u00e9",)),
    NameCase("somebody else's", "fold", ("A.csv", "b"), ("A.csv",), ("a.csv",), "the target has 'a.csv'"),
    NameCase("directories", "fold", ("Data/x", "Data/y", "data/x", "data/z"), ("data/x", "data/z")),
    NameCase("somebody else's directory", "fold", ("data/x", "data/Y"), ("data/Y",), ("Data/y",)),
    NameCase("form", "form", (COMPOSED, DECOMPOSED, "A", "a"), (COMPOSED,)),
    NameCase("not UTF-8", "utf8", ("a\udcff", "d\udcfe/b", "c"), ("a\udcff", "d\udcfe/b"), text="under another name"),
    NameCase("kept apart", "log=/dev/null", ("A", "a", "a\udcff", COMPOSED, DECOMPOSED), ()),
]


@pytest.mark.parametrize("case", NAMES, ids=str)
def test_names(place: Path, normal_server: SshServer, user_key: Path, case: NameCase) -> None:
    quirk = case.quirk if "=" in case.quirk else f"names={case.quirk}"
    with odd_pair(place, normal_server, user_key, quirk) as pair:
        fill(pair.source, {name: f"from {name}".encode(errors="surrogateescape") for name in case.source})
        fill(pair.target, dict.fromkeys(case.target, b"somebody else's"))
        arrives = set(case.source) - set(case.refused)
        for run in range(2):
            outcome = pair.sync().expect(1 if case.refused else 0)
            assert outcome.json["files_copied"] == (0 if run else len(arrives))
            failures = {failure["path"]: failure["code"] for failure in outcome.json["failures"]}
            assert failures == {shown(name): "name_collision" for name in case.refused}
            assert case.text in outcome.text
            assert warnings(outcome) == []
        there = {os.fsdecode(name): content for name, content in contents(pair.target).items()}
        assert {name: there.pop(name) for name in case.target} == dict.fromkeys(case.target, b"somebody else's")
        assert sorted(there.values()) == sorted(contents(pair.source)[os.fsencode(name)] for name in arrives)
        pair.assert_clean()


def shown(name: str) -> str:
    """As events and summaries have it."""
    return "".join(f"\\x{ord(each) - 0xDC00:02x}" if 0xDC80 <= ord(each) <= 0xDCFF else each for each in name)


def test_ordinary_names_cost_no_request(place: Path, normal_server: SshServer, user_key: Path) -> None:
    log = place / "requests"
    with odd_pair(place, normal_server, user_key, "names=fold", f"log={log}") as pair:
        fill(pair.source, {**TREE, "README": b"1", COMPOSED: b"2"})
        pair.sync().expect(0)
        log.unlink()
        pair.assert_nothing_to_do()
        assert not {"open", "lstat", "remove"} & set(log.read_text().split())


def test_changed_files_where_times_are_not_kept(place: Path, normal_server: SshServer, user_key: Path) -> None:
    with odd_pair(place, normal_server, user_key, "ignore=fsetstat") as pair:
        fill(pair.source, TREE)
        pair.sync().expect(0)
        write_file(pair.source / "a.txt", b"omega", mtime=1_600_000_000)
        assert pair.sync().expect(0).json["files_copied"] == 1
        assert contents(pair.target) == contents(pair.source)
        pair.assert_nothing_to_do()


@pytest.mark.parametrize(
    ("quirks", "message", "hint"),
    [
        (("read-only",), "read-only file system", "mount it writable"),
        (("refuse=rename:3", "refuse=posix_rename:3", "refuse=hardlink:3"), "permission denied", "inplace=yes"),
        (("refuse=realpath:3",), "", ""),
    ],
)
def test_refused(
    place: Path, normal_server: SshServer, user_key: Path, quirks: tuple[str, ...], message: str, hint: str
) -> None:
    with odd_pair(place, normal_server, user_key, *quirks) as pair:
        fill(pair.source, {"a.txt": b"alpha"})
        if not message:  # a root that needs the login directory
            pair.target_url = pair.target_url.split("/", 3)[0] + "//" + pair.target_url.split("/", 3)[2] + "/~/x"
            outcome = pair.sync().expect(3)
            assert "absolute path" in outcome.text
            return
        outcome = pair.sync().expect(1)
        assert message in outcome.text.lower()
        assert hint in outcome.text
        pair.assert_clean()


@pytest.mark.parametrize("odd", ["source", "target"])
@pytest.mark.parametrize("limit", [8, 20])
def test_limit_on_open_files(place: Path, normal_server: SshServer, user_key: Path, odd: str, limit: int) -> None:
    """One that the server does not name: what it refuses is tried again with fewer files at once."""
    with odd_pair(place, normal_server, user_key, "without=limits", f"open-files={limit}", odd=odd) as pair:
        many_small(pair.source, 200, folders=4)
        pair.sync().expect(0)
        assert_same(pair.source, pair.target)


def test_server_that_takes_files_as_they_are_closed(place: Path, normal_server: SshServer, user_key: Path) -> None:
    taken = place / "taken"
    taken.mkdir()
    with odd_pair(place, normal_server, user_key, f"pickup={taken}") as pair:
        fill(pair.source, {"a.txt": b"alpha", "b.txt": b"beta"})
        outcome = pair.sync().expect(1)
        assert "inplace=yes" in outcome.text
        for part in taken.iterdir():
            part.unlink()
        pair.sync("--target-option", "inplace=yes").expect(0)
        assert contents(taken) == contents(pair.source)


def test_in_place(place: Path, normal_server: SshServer, user_key: Path) -> None:
    """What is there is replaced only with consent to a gap; a file that fails leaves nothing."""
    in_place = ("--target-option", "inplace=yes")
    with odd_pair(place, normal_server, user_key, "refuse=posix_rename:3", "refuse=rename:3") as pair:
        fill(pair.source, {"a.txt": b"old"})
        pair.sync(*in_place).expect(0)
        fill(pair.source, {"a.txt": b"the new version"})
        assert "overwrite-non-atomic" in pair.sync(*in_place).expect(1).text
        assert contents(pair.target) == {b"a.txt": b"old"}
        pair.sync(*in_place, "--on-conflict", "overwrite-non-atomic").expect(0)
        assert contents(pair.target) == {b"a.txt": b"the new version"}
        write_file(place / "outside", b"outside")
        (pair.target / "a.txt").unlink()
        (pair.target / "a.txt").symlink_to(place / "outside")
        pair.sync(*in_place, "--on-conflict", "overwrite-non-atomic").expect(1)
        assert (place / "outside").read_bytes() == b"outside"
    with odd_pair_again(place, normal_server, user_key, "refuse=close:4") as pair:
        fill(pair.source, {"b.txt": b"beta"})
        pair.sync(*in_place, "--retries", "0").expect(1)
        assert b"b.txt" not in contents(pair.target)


@contextmanager
def odd_pair_again(place: Path, normal: SshServer, key: Path, *quirks: str) -> Iterator[Pair]:
    again = place / "again"
    again.mkdir()
    with odd_pair(again, normal, key, *quirks) as pair:
        yield pair


def spread_pair(place: Path, pair: Pair, server_port: int, key_line: str) -> DelayProxy:
    proxy = DelayProxy(server_port, place / "proxy.log", delay_ms=8)
    known_hosts = place / "known_hosts"
    known_hosts.write_text(known_hosts.read_text() + key_line.format(port=proxy.port))
    pair.target_url = pair.target_url.replace(f":{server_port}/", f":{proxy.port}/")
    return proxy


def test_server_that_wants_one_writer(place: Path, normal_server: SshServer, user_key: Path) -> None:
    """A large file over a long way is written by several connections, and again by one if the server refuses that."""
    log = place / "requests"
    directory = place / "odd"
    with odd_pair(place, normal_server, user_key, f"log={log}", "one-writer") as pair:
        large_file(pair.source / "big.bin", 24 * MIB)
        large_file(pair.source / "big2.bin", 24 * MIB)
        port = int(pair.target_url.split(":")[2].split("/")[0])
        key = (directory / "host_key.pub").read_text().split()[:2]
        with spread_pair(place, pair, port, "[127.0.0.1]:{port} " + " ".join(key) + "\n"):
            outcome = pair.sync().expect(0)
            assert_same(pair.source, pair.target)
            retries = outcome.of_type("retry")
            assert any("several connections" in str(event) for event in retries)
            log.write_text("")
            pair.sync("--target-option", "parallel_writes=no", "--checksum").expect(0)


@pytest.mark.parametrize("request_name", ["fsync", "close", "posix_rename"])
def test_slow_work_on_a_large_file(place: Path, normal_server: SshServer, user_key: Path, request_name: str) -> None:
    """The server, which takes one request after the other, is silent for longer than the stall timeout: 64 MiB have
    four seconds more."""
    with odd_pair(place, normal_server, user_key, f"delay={request_name}:3") as pair:
        large_file(pair.source / "big.bin", 64 * MIB)
        outcome = pair.sync("--stall-timeout", "2s", "--retries", "0").expect(0)
        assert not outcome.of_type("retry")
        assert_same(pair.source, pair.target)


@pytest.mark.parametrize(
    ("names", "code"),
    [
        pytest.param("20000:20", 0, id="pages of 900 KiB"),
        pytest.param("300000:20", 3, id="pages of 13 MiB"),
    ],
)
def test_hostile_listing_takes_little_memory(
    place: Path, normal_server: SshServer, user_key: Path, names: str, code: int
) -> None:
    with odd_pair(place, normal_server, user_key, f"many-names={names}", odd="source") as pair:
        for number in range(12):
            (pair.source / f"{number}").mkdir()
        outcome = pair.sync("--exclude", "0*").expect(code)
        assert outcome.json["peak_rss_bytes"] < 256 * MIB


def test_tree_without_end(place: Path, normal_server: SshServer, user_key: Path) -> None:
    with odd_pair(place, normal_server, user_key, "endless", odd="source") as pair:
        fill(pair.source, {"a.txt": b"alpha"})
        (pair.source / "d").mkdir()
        outcome = pair.sync("--exclude", "d/**/a.txt").expect(1)
        assert "the tree may be endless" in outcome.text


def test_reads_whose_rest_is_refused_publish_nothing(place: Path, servers: Servers, user_key: Path) -> None:
    """No part of a file passes for the whole."""
    with odd_pair(place, servers.target, user_key, "short-reads=8192:refuse", odd="source") as pair:
        fill(pair.source, {"small": b"x" * 8000, "larger": b"y" * 20_000})
        large_file(pair.source / "large.bin", 3 * MIB)
        outcome = pair.sync("--retries", "1").expect(1)
        assert outcome.json["files_copied"] == 1
        assert contents(pair.target) == {b"small": b"x" * 8000}
        assert "became shorter" not in outcome.text


@pytest.mark.parametrize("planted", ["d", "d/e"])
def test_planted_link_leads_nowhere_outside(place: Path, servers: Servers, user_key: Path, planted: str) -> None:
    pair = make_pair(place, servers, user_key)
    outside = place / "outside"
    outside.mkdir()
    (pair.target / planted).parent.mkdir(exist_ok=True)
    (pair.target / planted).symlink_to(outside)
    fill(pair.source, {"a.txt": b"alpha", "d/e/f/passwd": b"root", "d/passwd": b"root"})
    outcome = pair.sync().expect(1)
    assert "leads out of the root" in outcome.text
    assert contents(outside) == {}
    assert (pair.target / "a.txt").read_bytes() == b"alpha"
    (pair.target / planted).unlink()
    (pair.target / "inside").mkdir()
    (pair.target / planted).symlink_to(pair.target / "inside")
    pair.sync("--target-option", "follow_outside=no").expect(0)
    (pair.target / planted).unlink()
    (pair.target / planted).symlink_to(outside)
    pair.sync("--target-option", "follow_outside=yes").expect(0)
    assert contents(outside) != {}


def test_what_a_killed_worker_left_is_not_removed_through_a_planted_link(
    place: Path, servers: Servers, user_key: Path
) -> None:
    pair = make_pair(place, servers, user_key)
    large_file(pair.source / "d" / "large.bin", 8 * MIB)
    plan = pair.plan().expect(0).json["plan"]
    worker = pair.program.start("run", plan, "--bwlimit", "2MiB")
    assert wait_until(lambda: bool(temporaries(pair.target)), 60)
    worker.signal(signal.SIGKILL)
    worker.finish()
    left = contents(pair.target / "d")
    (pair.target / "d").rename(place / "outside")
    (pair.target / "d").symlink_to(place / "outside")
    pair.run_plan(plan).expect(1)
    assert contents(place / "outside") == left


def test_link_that_this_run_copies(place: Path, servers: Servers, user_key: Path) -> None:
    """A link in one run, a directory of that name in the next: nothing is written through the link."""
    pair = make_pair(place, servers, user_key)
    outside = place / "outside"
    outside.mkdir()
    (pair.source / "a").symlink_to(outside)
    pair.sync("--links", "copy").expect(0)
    assert (pair.target / "a").is_symlink()
    (pair.source / "a").unlink()
    fill(pair.source, {"a/passwd": b"root"})
    pair.sync("--links", "copy").expect(1)
    assert contents(outside) == {}


def test_target_root_that_is_a_dangling_link(plain_pair: Pair, place: Path) -> None:
    fill(plain_pair.source, TREE)
    (place / "dangling").symlink_to(place / "nowhere")
    plain_pair.target_url = plain_pair.target_url.rsplit("/", 1)[0] + "/dangling"
    outcome = plain_pair.sync()
    assert outcome.code != 0
    assert "a symbolic link that leads nowhere" in outcome.text
