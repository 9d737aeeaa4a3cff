"""The torture's oracle: each kind of damage is counted as that kind, and nothing else is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from torture.oracle import Ended, Findings, Ledger

NAME, OTHER = b"a.txt", b"folder/b.txt"
TEMPORARY = ".cv-7k3m9q2x5t-1-9f02ab17-42.part"


def summary(code: int, *failed: str) -> Ended:
    failures = [{"path": path} for path in failed]
    return Ended(code, json.dumps({"error": None, "failures": failures}).encode())


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Two files, the first in its second version, both as they should be at the target."""
    for folder in ("source", "target"):
        (tmp_path / "field" / folder).mkdir(parents=True)
    ledger = Ledger(tmp_path / "field" / "source", tmp_path / "field" / "target")
    (ledger.target / "kept").write_bytes(b"not ours")
    ledger.outside = ledger.target.parent
    ledger.put(NAME, b"first")
    ledger.put(NAME, b"second")
    ledger.put(OTHER, b"other")
    (ledger.target / "folder").mkdir()
    copy(ledger, NAME, b"second")
    copy(ledger, OTHER, b"other")
    ledger.outside = None
    ledger.watch()
    for name in (NAME, OTHER):
        del ledger.foreign[name]
    return ledger


def copy(ledger: Ledger, name: bytes, content: bytes) -> None:
    Path(os.fsdecode(os.path.join(os.fsencode(ledger.target), name))).write_bytes(content)


def judge(ledger: Ledger, ended: Ended, **options: bool) -> dict[str, int]:
    return dict(ledger.judge(ended, ledger.begin(), "here", **options).counts)


def test_nothing_is_counted_where_all_is_well(ledger: Ledger) -> None:
    assert judge(ledger, summary(0), swept=True) == {}


DAMAGE: list[tuple[str, Callable[[Ledger], object], Ended, dict[str, int]]] = [
    ("missing", lambda it: (it.target / "a.txt").unlink(), summary(0), {"lost": 1, "false success": 1}),
    ("missing and listed", lambda it: (it.target / "a.txt").unlink(), summary(1, "a.txt"), {}),
    (
        "missing, not listed",
        lambda it: (it.target / "a.txt").unlink(),
        summary(1, "x"),
        {"lost": 1, "false success": 1},
    ),
    ("old", lambda it: copy(it, NAME, b"first"), summary(0), {"stale": 1, "false success": 1}),
    ("half", lambda it: copy(it, NAME, b"sec"), summary(0), {"torn": 1, "false success": 1}),
    ("half, killed", lambda it: copy(it, NAME, b"sec"), Ended(-9, killed=True), {"torn": 1}),
    ("of no source", lambda it: copy(it, b"ghost", b"?"), summary(0), {"torn": 1}),
    ("temporary", lambda it: copy(it, TEMPORARY.encode(), b"par"), summary(0), {"orphan": 1}),
    (
        "probe of names",
        lambda it: copy(it, b".cv-7k3m9q2x5t-1-9f02ab17-0.\xff.part", b"par"),
        summary(0),
        {"orphan": 1},
    ),
    ("looks like a temporary", lambda it: copy(it, b".cv-notes.part", b"x"), summary(0), {"torn": 1}),
    ("source rewritten", lambda it: (it.source / "a.txt").write_bytes(b"altered"), summary(0), {"source write": 1}),
    ("source grown", lambda it: (it.source / "new").write_bytes(b""), summary(0), {"source write": 1}),
    ("foreign changed", lambda it: (it.target / "kept").write_bytes(b""), summary(0), {"not ours": 1}),
    ("foreign removed", lambda it: (it.target / "kept").unlink(), summary(0), {"not ours": 1}),
    ("no summary", lambda it: None, Ended(0), {"false success": 1}),
    ("hang", lambda it: None, Ended(None), {"hang": 1}),
    ("crash", lambda it: None, Ended(-11), {"crash": 1}),
    ("internal error", lambda it: None, Ended(70), {"crash": 1}),
]


@pytest.mark.parametrize(("damage", "ended", "counts"), [row[1:] for row in DAMAGE], ids=[row[0] for row in DAMAGE])
def test_damage_is_counted(
    ledger: Ledger, damage: Callable[[Ledger], object], ended: Ended, counts: dict[str, int]
) -> None:
    damage(ledger)
    assert judge(ledger, ended, swept=True) == counts


def test_what_a_reader_saw_may_not_go_back(ledger: Ledger) -> None:
    findings = Findings()
    versions = {number: content for content, number in ledger.versions[NAME].items()}
    for seen in (versions[1], versions[2], versions[1], None, None, b"?"):
        ledger.look(NAME, seen, findings, "here")
    assert dict(findings.counts) == {"stale": 1, "lost": 1, "torn": 1}


def test_writes_outside_of_the_root_are_counted(ledger: Ledger, tmp_path: Path) -> None:
    ledger.outside = tmp_path
    ledger.target = tmp_path / "field"
    ledger.watch()
    (tmp_path / "escaped").touch()
    assert ledger.judge(Ended(0), {}, "here", promise=False).counts["escaped"] == 1
