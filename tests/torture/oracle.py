"""The oracle: what may stand at a target, given what has stood at the source. Every scenario is judged by it.

A Ledger writes the source's files, and so knows every version each of them has had. From it follow the counts that
must be zero, whatever was killed, cut or damaged:

    lost           a final name that a run reported as copied, or that was published before, is missing
    stale          a final name holds an older version than the run began with, or than it held before
    torn           a final name holds what the source never held
    false success  a run said that a file is at the target, by its exit code and summary, and it is not
    source write   the source differs from what the ledger wrote
    not ours       a file at the target that no run has made is changed or gone
    escaped        something was written outside of the target's root
    orphan         a temporary is left after sweep
    hang           a command did not end in its time
    leak           a secret shows where it should not
    crash          a command ended by a signal that nobody sent, or with an internal error
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

COUNTS = (
    "lost",
    "stale",
    "torn",
    "false success",
    "source write",
    "not ours",
    "escaped",
    "orphan",
    "hang",
    "leak",
    "crash",
)
# src/backends/temporary.h
TEMPORARY = re.compile(rb"^\.cv-[a-z0-9]{10}-[0-9]+-[0-9a-f]{8}-[0-9]+(-[0-9]+)?(\.[^/]+)?\.part$", re.DOTALL)
SET_ASIDE = re.compile(rb"^\.cv-old-")
INTERNAL_ERROR = 70
FIRST_MTIME = 1_700_000_000
FAILURES_LISTED = 1000  # of docs/reference/machine.md: more are only counted

Digest = bytes
Tree = dict[bytes, Digest]


def digest(content: bytes) -> Digest:
    return hashlib.blake2b(content, digest_size=16).digest()


def read_tree(root: Path, *, skip: bytes = b"") -> Tree:
    """All files by relative name, temporaries included; names that begin with `skip` are not looked at."""
    base = os.fsencode(root)
    found: Tree = {}
    for folder, _, names in os.walk(base):
        for name in names:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, base)
            if skip and relative.startswith(skip):
                continue
            if (content := read_file(path)) is not None:
                found[relative] = digest(content)
    return found


def read_file(path: bytes) -> bytes | None:
    """None once it is gone; a link's target counts as its content."""
    try:
        if os.path.islink(path):
            return b"link to " + os.readlink(path)
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def is_temporary(name: bytes) -> bool:
    return TEMPORARY.match(os.path.basename(name)) is not None


def is_reserved(name: bytes) -> bool:
    """What may stand at a target for a moment, beside final names."""
    return is_temporary(name) or SET_ASIDE.match(os.path.basename(name)) is not None


@dataclass
class Findings:
    """Counts, and a line of text for each thing that was counted."""

    counts: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)

    def add(self, kind: str, text: str) -> None:
        assert kind in COUNTS, kind
        self.counts[kind] += 1
        self.lines.append(f"{kind}: {text}")

    def take(self, other: Findings) -> None:
        self.counts += other.counts
        self.lines += other.lines


@dataclass(frozen=True)
class Ended:
    """A command that has ended. `code`: the exit code, or minus the signal; None if it had to be ended as hanging."""

    code: int | None
    stdout: bytes = b""
    stderr: bytes = b""
    killed: bool = False  # on purpose, by the scenario

    def summary(self) -> dict[str, object] | None:
        try:
            return dict(json.loads(self.stdout.splitlines()[-1]))
        except (IndexError, ValueError):
            return None

    def text(self) -> str:
        return (self.stdout + self.stderr).decode(errors="replace")


@dataclass
class Version:
    number: int
    content: Digest


class Ledger:
    """The source's files with all their versions, and a target to judge.

    `source` and `target` are directories as the servers behind the URLs see them; `outside` is the directory around the
    target. Files at the target that are no versions of a source file are watched: they must stay.
    """

    def __init__(self, source: Path, target: Path, outside: Path | None = None) -> None:
        self.source, self.target, self.outside = source, target, outside
        self.versions: dict[bytes, dict[Digest, int]] = {}  # number of each version, from 1
        self.numbers: dict[bytes, int] = {}
        self.now: dict[bytes, Version] = {}
        self.stamps: dict[bytes, tuple[int, int, int]] = {}  # inode, size, mtime of what was written
        self.seen: dict[bytes, int] = {}  # the newest version that a final name has held
        self.foreign: Tree = {}
        self.outside_before: Tree = {}
        self.skip = b""  # the server's own names at the target
        self.store: Callable[[bytes, bytes], object] | None = (
            None  # writes the source's files, where no plain write does
        )
        self.clock = FIRST_MTIME
        self.looking = threading.RLock()  # what a reader saw and what it concludes belong together

    # The source

    def put(self, name: bytes, content: bytes) -> None:
        """Writes a version in one step, with an mtime that no version had before."""
        path = os.path.join(os.fsencode(self.source), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        version = self._register(name, content)
        self.clock += 1
        if self.store:
            self.store(name, content)
            self._written(name, version)
            return
        # Outside of the source: the program may list it at any time.
        waiting = os.fsencode(self.source) + b".new"
        with open(waiting, "wb") as file:
            file.write(content)
        os.utime(waiting, (self.clock, self.clock))
        os.replace(waiting, path)
        self._written(name, version)

    def put_slowly(self, name: bytes, pieces: Iterable[bytes]) -> None:
        """Writes a version in place, piece after piece, as careless producers do.

        What stands there between two pieces is a version, too: nobody can know that more will come.
        """
        path = os.path.join(os.fsencode(self.source), name)
        content = b""
        version = self._register(name, content)
        with open(path, "wb") as file:
            for piece in pieces:
                content += piece
                version = self._register(name, content)
                file.write(piece)
                file.flush()
        self._written(name, version)

    def _register(self, name: bytes, content: bytes) -> Version:
        """Before the content can be seen. Content that comes back counts as the newest version."""
        known = self.versions.setdefault(name, {})
        self.numbers[name] = self.numbers.get(name, 0) + 1
        known[digest(content)] = self.numbers[name]
        return Version(self.numbers[name], digest(content))

    def _written(self, name: bytes, version: Version) -> None:
        self.now[name] = version
        status = os.stat(os.path.join(os.fsencode(self.source), name))
        self.stamps[name] = (status.st_ino, status.st_size, status.st_mtime_ns)

    def remove(self, name: bytes) -> None:
        os.unlink(os.path.join(os.fsencode(self.source), name))
        del self.now[name]
        del self.stamps[name]

    def begin(self) -> dict[bytes, Version]:
        """What a run that starts now must bring, at least."""
        return dict(self.now)

    # The target

    def watch(self) -> None:
        """What stands at the target, and outside of it, is not the program's to touch."""
        self.foreign = read_tree(self.target, skip=self.skip)
        self.outside_before = self._around()

    def _around(self) -> Tree:
        return read_tree(self.outside, skip=os.fsencode(self.target.name) + b"/") if self.outside else {}

    def look(self, name: bytes, content: Digest | None, findings: Findings, where: str) -> None:
        """A final name as a reader sees it at some moment."""
        number = self.versions.get(name, {}).get(content) if content else None
        if content is None:
            if name in self.seen:
                findings.add("lost", f"{where}: {name!r} was at the target and is gone")
                del self.seen[name]
            return
        if number is None:
            findings.add("torn", f"{where}: {name!r} holds what the source never held")
            return
        if number < self.seen.get(name, 0):
            findings.add("stale", f"{where}: {name!r} went from version {self.seen[name]} back to {number}")
        self.seen[name] = number

    def judge(
        self,
        ended: Ended,
        wanted: Mapping[bytes, Version],
        where: str,
        *,
        promise: bool = True,
        swept: bool = False,
    ) -> Findings:
        """After a command: `wanted` is what begin() returned when it started.

        A file that the source lost meanwhile may be missing. `promise`: the command is one whose exit code and summary
        say what is at the target. `swept`: nothing of ours may be left.
        """
        findings = Findings()
        if ended.code is None:
            findings.add("hang", f"{where}: the command did not end")
        elif (ended.code < 0 and not ended.killed) or ended.code == INTERNAL_ERROR:
            findings.add("crash", f"{where}: exit code {ended.code}: {ended.text()[-500:]}")
        with self.looking:
            tree = read_tree(self.target, skip=self.skip)
            self._judge_names(tree, findings, where)
        if promise and ended.code in (0, 1) and not ended.killed:
            self._judge_promise(ended, wanted, tree, findings, where)
        self._judge_source(findings, where)
        self._judge_outside(tree, findings, where)
        if swept:
            for name in filter(is_temporary, tree):
                findings.add("orphan", f"{where}: {name!r} is left")
        return findings

    def _judge_names(self, tree: Tree, findings: Findings, where: str) -> None:
        for name, content in tree.items():
            if name in self.foreign or is_reserved(name):
                continue
            if name not in self.versions:
                findings.add("torn", f"{where}: {name!r} is at the target and was never at the source")
            else:
                self.look(name, content, findings, where)
        for name in [name for name in self.seen if name not in tree]:
            self.look(name, None, findings, where)

    def _judge_promise(
        self, ended: Ended, wanted: Mapping[bytes, Version], tree: Tree, findings: Findings, where: str
    ) -> None:
        """Exit code 0: all is there. 1: all but the listed failures."""
        summary = ended.summary()
        if summary is None:
            findings.add("false success", f"{where}: exit code {ended.code} without a summary: {ended.text()[-300:]}")
            return
        failed, all_listed = self._failures(summary)
        if ended.code == 0 and (failed or summary["error"]):
            findings.add("false success", f"{where}: exit code 0 with failures")
        if not all_listed or (ended.code == 1 and summary["error"]):
            return
        for name, version in wanted.items():
            if name in failed or any(name.startswith(folder + b"/") for folder in failed) or name not in self.now:
                continue
            content = tree.get(name)
            number = self.versions[name].get(content, 0) if content else 0
            if number >= version.number:
                continue
            findings.add("false success", f"{where}: {name!r} is not at the target as it was when the run began")
            if content is None:
                findings.add("lost", f"{where}: {name!r} is missing after exit code {ended.code}")
            elif number:
                findings.add("stale", f"{where}: {name!r} is at version {number}, not {version.number}")

    @staticmethod
    def _failures(summary: Mapping[str, object]) -> tuple[set[bytes], bool]:
        listed = summary["failures"]
        assert isinstance(listed, list)
        return {unescape(failure["path"]) for failure in listed}, len(listed) < FAILURES_LISTED

    def _judge_source(self, findings: Findings, where: str) -> None:
        base = os.fsencode(self.source)
        found = set()
        for folder, _, names in os.walk(base):
            found |= {os.path.relpath(os.path.join(folder, name), base) for name in names}
        for name in found ^ set(self.now):
            findings.add("source write", f"{where}: {name!r} came or went at the source")
        for name in found & set(self.now):
            status = os.lstat(os.path.join(base, name))
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            if stamp != self.stamps[name] or not stat.S_ISREG(status.st_mode):
                findings.add("source write", f"{where}: {name!r} was changed at the source")

    def _judge_outside(self, tree: Tree, findings: Findings, where: str) -> None:
        for name, content in self.foreign.items():
            if tree.get(name) != content:
                findings.add("not ours", f"{where}: {name!r} was not the program's to touch")
        for name, _ in set(self._around().items()) ^ set(self.outside_before.items()):
            findings.add("escaped", f"{where}: {name!r} outside of the target's root")


def unescape(path: str) -> bytes:
    r"""A path of the JSON output: \xNN and \\ stand for bytes."""
    return re.sub(
        rb"\\(x[0-9a-fA-F]{2}|\\)",
        lambda match: b"\\" if match[1] == b"\\" else bytes([int(match[1][1:], 16)]),
        path.encode(),
    )
