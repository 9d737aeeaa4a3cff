"""./dev mutants [--sample N] [--seed S] [--only-guards] [--list]: takes guards out one at a time, and runs tests.

A copy of the repository in build-mutants/ is changed, built and tested: first the unit tests of the changed directory,
then its conformance tests, then the quick end-to-end tests and those of faults. A mutant that does not compile is not
counted. Caught: a test fails, or does not end.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mutants.find import find
from mutants.guards import GUARDS, Mutant
from torture.report import between_markers, made_at

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / "build-mutants"
CCACHE_SLOPPINESS = "pch_defines,time_macros,include_file_mtime,include_file_ctime"  # as tools/dev/common.sh
UNIT_SECONDS, E2E_SECONDS = 600, 900
UNIT_TESTS = {
    "sync": ["sync_test"],
    "state": ["state_test", "sync_test"],
    "backends": ["backends_test", "sync_test"],
    "protocol": ["protocol_test", "backends_test"],
    "decorators": ["decorators_test", "sync_test"],
}
CONFORMANCE = {"state": "state_conformance", "backends": "backend_conformance", "protocol": "backend_conformance"}
E2E_FILES = {
    "sync": ["test_interruptions.py", "test_plans.py", "test_sweep.py", "test_failures.py", "test_torture.py"],
    "state": ["test_plans.py", "test_identities.py", "test_torture.py"],
    "backends": ["test_odd_servers.py", "test_sftp_quirks.py", "test_failures.py", "test_torture.py"],
    "protocol": [
        "test_logins.py",
        "test_host_keys.py",
        "test_odd_servers.py",
        "test_sftp_quirks.py",
        "test_torture.py",
    ],
    "decorators": ["test_failures.py"],
}


@dataclass
class Verdict:
    mutant: Mutant
    line: int
    caught_by: str  # empty: missed
    compiles: bool = True

    def text(self) -> str:
        how = "does not compile" if not self.compiles else self.caught_by or "MISSED"
        return f"{self.mutant.file}:{self.line}: {self.mutant.what}: {how}"


class Tree:
    """The copy, built."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {**os.environ, "CCACHE_SLOPPINESS": CCACHE_SLOPPINESS}
        self.programs = root / "build" / "tests"

    def prepare(self) -> None:
        if self.root != ROOT:
            self._copy()
        configure = "cmake -S . -B build -G Ninja -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_CXX_COMPILER_LAUNCHER=ccache"
        subprocess.run(configure.split(), cwd=self.root, env=self.environment, stdout=subprocess.DEVNULL, check=True)

    def _copy(self) -> None:
        """What has not changed keeps its time, so that it is not built again."""
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        for name in filter(None, listed.decode().split("\0")):
            source, copy = ROOT / name, self.root / name
            if source.is_symlink() or not source.is_file():
                continue
            content = source.read_bytes()
            if not copy.exists() or copy.read_bytes() != content:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)
                copy.chmod(source.stat().st_mode)
        for name in (".venv", "build-tools"):
            if not (self.root / name).exists():
                (self.root / name).symlink_to(ROOT / name)

    def build(self, *targets: str) -> bool:
        argv = ["ninja", "-C", "build", "-j", "2", *targets]
        return (
            subprocess.run(argv, cwd=self.root, env=self.environment, capture_output=True, check=False).returncode == 0
        )

    def passes(self, argv: list[str], seconds: float) -> bool:
        """What takes longer than `seconds` fails, too; without a mutant that is an error (see `baseline`)."""
        try:
            done = subprocess.run(
                argv, cwd=self.root, env=self.environment, capture_output=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def baseline(self, programs: list[str]) -> list[str]:
        """The programs that fail without a mutant, or leave little of their time: their verdicts would mean nothing."""
        return [name for name in programs if not self.passes([str(self.programs / name)], UNIT_SECONDS / 2)]

    def verdict(self, mutant: Mutant) -> Verdict:
        path = self.root / mutant.file
        original = path.read_text()
        line = mutant.line(self.root)
        path.write_text(mutant.applied(original))
        try:
            return self._tried(mutant, line)
        finally:
            path.write_text(original)

    def _tried(self, mutant: Mutant, line: int) -> Verdict:
        folder = mutant.file.split("/")[1]
        units = UNIT_TESTS[folder]
        if not self.build(*units):
            return Verdict(mutant, line, "", compiles=False)
        for unit in units:
            if not self.passes([str(self.programs / unit)], UNIT_SECONDS):
                return Verdict(mutant, line, unit)
        if suite := CONFORMANCE.get(folder):
            self.build(suite)
            if not self.passes([str(self.programs / suite)], UNIT_SECONDS):
                return Verdict(mutant, line, suite)
        self.build("checkvalve", "delay_proxy")
        python = [
            str(self.root / ".venv" / "bin" / "python"),
            "-m",
            "pytest",
            "-c",
            "tests/pytest.ini",
            "--rootdir",
            ".",
        ]
        python += ["-x", "-q", "-n", "2", "--dist", "worksteal", "-p", "no:cacheprovider"]
        if not self.passes([*python, "tests/e2e", "-m", "quick"], E2E_SECONDS):
            return Verdict(mutant, line, "quick end-to-end tests")
        files = [f"tests/e2e/{name}" for name in E2E_FILES[folder]]
        if not self.passes([*python, *files], E2E_SECONDS):
            return Verdict(mutant, line, "end-to-end tests of faults")
        return Verdict(mutant, line, "")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev mutants")
    parser.add_argument("--sample", type=int, default=20, help="how many beside the guards that are always tried [20]")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no mutant after that time")
    parser.add_argument("--here", action="store_true", help="change this working tree, which must be a clone for it")
    parser.add_argument("--list", action="store_true", help="only print all places for mutants")
    parser.add_argument("--no-write", action="store_true", help="do not write the figures into docs/reliability.md")
    options = parser.parse_args()
    places = find(ROOT)
    if options.list:
        for mutant in places:
            print(f"{mutant.file}:{mutant.line(ROOT)}: {mutant.what}")
        return 0
    print(f"seed {options.seed}; {len(places)} places for mutants", flush=True)
    chosen = random.Random(options.seed).sample(places, min(options.sample, len(places)))
    began = time.monotonic()
    tree = Tree(ROOT if options.here else TREE)
    tree.prepare()
    targets = {unit for units in UNIT_TESTS.values() for unit in units} | set(CONFORMANCE.values())
    if not tree.build("checkvalve", "delay_proxy", *sorted(targets)):
        print("the copy in build-mutants/ does not build", file=sys.stderr)
        return 2
    if unfit := tree.baseline(sorted(targets)):
        print(f"these fail or take too long without any mutant: {', '.join(unfit)}", file=sys.stderr)
        return 2
    verdicts = []
    for mutant in [*GUARDS, *chosen]:
        if time.monotonic() - began > options.minutes * 60:
            break
        verdicts.append(tree.verdict(mutant))
        print(verdicts[-1].text(), flush=True)
    report = _report(verdicts, len(places), options.seed)
    print(report)
    if not options.no_write:
        between_markers(ROOT / "docs" / "reliability.md", "mutants", report)
    return 0


def _report(verdicts: list[Verdict], places: int, seed: int) -> str:
    counted = [verdict for verdict in verdicts if verdict.compiles]
    missed = [verdict for verdict in counted if not verdict.caught_by]
    by_unit = sum(verdict.caught_by.endswith(("_test", "_conformance")) for verdict in counted)
    sample = max(len(verdicts) - len(GUARDS), 0)
    caught = len(counted) - len(missed)
    lines = [
        f"`./dev mutants --sample {sample} --seed {seed}` {made_at()}: of {places} places, the guards of "
        f"`tools/mutants/guards.py` and a sample were changed, one at a time. {len(counted)} compiled, {caught} were "
        f"caught: {by_unit} by unit and conformance tests, {caught - by_unit} by end-to-end tests. Only tests of the "
        "changed directory and the quick end-to-end tests ran, not all of `./dev test`.",
        "",
        "| place | change | caught by |",
        "| --- | --- | --- |",
    ]
    for verdict in counted:
        what = verdict.mutant.what.replace("|", "\\|")
        lines.append(f"| `{verdict.mutant.file}:{verdict.line}` | {what} | {verdict.caught_by or '**missed**'} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
