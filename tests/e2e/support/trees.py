"""Trees of files: made, looked at, compared. All names are bytes, as on the disk."""

from __future__ import annotations

import os
import random
import re
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TEMPORARY = re.compile(rb"^\.cv-.*\.part$")

# Names that break shells, URLs, JSON, globs, line-based lists and SFTP servers' listings.
ODD_NAMES = [
    b"plain.txt",
    b"with space.txt",
    b" leading and trailing ",
    b'double"quote.txt',
    b"single'quote.txt",
    b"back\\slash.txt",
    b"back\\x41slash.txt",
    b"new\nline.txt",
    b"carriage\rreturn.txt",
    b"tab\tname.txt",
    b"escape\x1b[31m.txt",
    b"latin1-\xe9\xe8.txt",
    b"not-utf8-\xff\xfe.txt",
    "Zürich – 東京 🚀.txt".encode(),
    "e\u0301 decomposed.txt".encode(),
    "é composed.txt".encode(),
    b"-dash.txt",
    b"--option=value",
    b"-rf",
    b"~",
    b"~user",
    b"#hash%percent?question&and+plus.txt",
    b"%2e%2e%2f.txt",
    b"star*and[bracket]{brace}.txt",
    b"$HOME `id` $(id); | < >.txt",
    b"colon:name.txt",
    b"...",
    b"..hidden",
    b".hidden",
    b"{date}.txt",
    b"a" * 200,
]


@dataclass(frozen=True)
class Node:
    """One name of a tree, as a comparison sees it."""

    kind: str  # "file", "directory", "link", "other"
    content: bytes = b""  # of a file; the target of a link
    mtime_seconds: int = 0  # of a file
    mode: int = 0  # permission bits of a file


def write_file(path: bytes | Path, content: bytes, *, mtime: float | None = None, mode: int | None = None) -> None:
    """Without `mtime` as if written a minute ago: a sync waits until the second of a file's mtime is over."""
    name = os.fsencode(path)
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "wb") as file:
        file.write(content)
    if mode is not None:
        os.chmod(name, mode)
    stamp = time.time() - 60 if mtime is None else mtime
    os.utime(name, (stamp, stamp))


def fill(root: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        write_file(root / name, content)


def many_small(root: Path, count: int, *, folders: int = 20, seed: int = 1) -> int:
    """`count` files of 0 to 4,000 bytes in `folders` folders; returns the sum of their sizes."""
    source = random.Random(seed)
    total = 0
    for number in range(count):
        content = source.randbytes(source.randint(0, 4000))
        write_file(root / f"folder_{number % folders:03}" / f"file_{number:06}.txt", content)
        total += len(content)
    return total


def large_file(path: Path, size_bytes: int, *, seed: int = 7) -> None:
    source = random.Random(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for left in range(size_bytes, 0, -(1 << 20)):
            file.write(source.randbytes(min(left, 1 << 20)))
    os.utime(path, (time.time() - 60, time.time() - 60))


def odd_tree(root: Path) -> int:
    """Files and folders with odd names; returns the count of files."""
    base = os.fsencode(root)
    for number, name in enumerate(ODD_NAMES):
        write_file(base + b"/" + name, b"flat %d\n" % number)
        write_file(base + b"/folders/" + name + b"/inside/" + name, b"nested %d\n" % number)
    write_file(base + b"/empty file", b"")
    return 2 * len(ODD_NAMES) + 1


def snapshot(root: Path) -> dict[bytes, Node]:
    """Every name below the root, temporaries included."""
    base = os.fsencode(root)
    found: dict[bytes, Node] = {}
    for folder, folders, files in os.walk(base):
        for name in folders + files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, base)] = _node(path)
    return found


def _node(path: bytes) -> Node:
    info = os.lstat(path)
    if stat.S_ISLNK(info.st_mode):
        return Node("link", os.readlink(path))
    if stat.S_ISDIR(info.st_mode):
        return Node("directory")
    if not stat.S_ISREG(info.st_mode):
        return Node("other")
    with open(path, "rb") as file:
        return Node("file", file.read(), int(info.st_mtime), stat.S_IMODE(info.st_mode))


def contents(root: Path) -> dict[bytes, bytes]:
    """The files below the root by relative name."""
    return {name: node.content for name, node in snapshot(root).items() if node.kind == "file"}


def temporaries(root: Path) -> list[bytes]:
    return sorted(name for name in snapshot(root) if TEMPORARY.match(os.path.basename(name)))


def assert_same(source: Path, target: Path, *, but_temporaries: bool = False) -> None:
    """Files are the same on both sides, with content and mtime, and the target holds no temporary."""
    expected = {name: node for name, node in snapshot(source).items() if node.kind == "file"}
    actual = {name: node for name, node in snapshot(target).items() if node.kind == "file"}
    if but_temporaries:
        actual = {name: node for name, node in actual.items() if not TEMPORARY.match(os.path.basename(name))}
    assert sorted(actual) == sorted(expected)
    for name, node in expected.items():
        assert actual[name].content == node.content, f"content of {name!r}"
        assert actual[name].mtime_seconds == node.mtime_seconds, f"mtime of {name!r}"


def assert_no_torn_file(source: Path, target: Path) -> None:
    """Whatever has a final name at the target is whole."""
    expected = contents(source)
    for name, content in contents(target).items():
        if not TEMPORARY.match(os.path.basename(name)):
            assert content == expected[name], f"{name!r} is torn: {len(content)} of {len(expected[name])} bytes"
