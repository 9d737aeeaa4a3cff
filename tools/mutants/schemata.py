"""One build that holds all mutants: changed copies of the sources, compiled in place of those of src/."""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from mutants.mutant import NUMBER, Mutant

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build-mutants"
CHANGED = BUILD / "changed"
CCACHE_SLOPPINESS = "pch_defines,time_macros,include_file_mtime,include_file_ctime"  # as tools/dev/common.sh
PLACE = re.compile(rf"{re.escape(str(CHANGED))}/(\S+?):(\d+):\d+: (\w+)")


class Sample:
    """A share of the places of each folder, in proportion to how many it has; no two on one line."""

    def __init__(self, places: list[Mutant], size: int, seed: int, taken: Iterable[Mutant]) -> None:
        self._taken = {mutant.place for mutant in taken}
        self._waiting: dict[str, list[Mutant]] = defaultdict(list)
        for mutant in random.Random(seed).sample(places, len(places)):
            self._waiting[mutant.folder].append(mutant)
        exact = {folder: size * len(waiting) / len(places) for folder, waiting in self._waiting.items()}
        self.shares = {folder: int(share) for folder, share in exact.items()}
        by_rest = sorted(exact, key=lambda folder: self.shares[folder] - exact[folder])
        for folder in by_rest[: min(size, len(places)) - sum(self.shares.values())]:
            self.shares[folder] += 1

    def first(self) -> list[Mutant]:
        return [mutant for folder, share in self.shares.items() for mutant in self.more(folder, share)]

    def more(self, folder: str, count: int) -> list[Mutant]:
        found: list[Mutant] = []
        waiting = self._waiting[folder]
        while waiting and len(found) < count:
            mutant = waiting.pop(0)
            if mutant.place not in self._taken:
                self._taken.add(mutant.place)
                found.append(mutant)
        return found


class Schemata:
    """Numbered mutants, of which those that do not compile are taken out, and replaced from the sample."""

    def __init__(self, guards: list[Mutant], sample: Sample, folders: Iterable[str]) -> None:
        self.mutants = dict(enumerate([*guards, *sample.first()]))
        self.not_compiled: list[Mutant] = []
        self._sample = sample
        self._folders = tuple(folders)
        self._environment = {**os.environ, "CCACHE_SLOPPINESS": CCACHE_SLOPPINESS}

    def build(self, targets: list[str]) -> None:
        self._write()
        options = {
            "CMAKE_CXX_COMPILER": "clang++-19",
            "CMAKE_CXX_COMPILER_LAUNCHER": "ccache",
            "CMAKE_BUILD_TYPE": "None",
            "CMAKE_CXX_FLAGS": "-O1 -DNDEBUG",
            "CHECKVALVE_MUTANTS": str(CHANGED),
        }
        defined = [f"-D{name}={value}" for name, value in options.items()]
        self._run(["cmake", "-S", ".", "-B", str(BUILD), "-G", "Ninja", *defined]).check_returncode()
        while (done := self._run(["ninja", "-C", str(BUILD), "-j", "2", "-k", "0", *targets])).returncode != 0:
            refused = self._refused(done.stdout)
            if not refused:
                raise RuntimeError(f"the build with mutants fails, for no mutant's sake:\n{done.stdout[-4000:]}")
            next_number = max(self.mutants) + 1
            for number in refused:
                mutant = self.mutants.pop(number)
                self.not_compiled.append(mutant)
                for other in self._sample.more(mutant.folder, 1):
                    self.mutants[next_number] = other
                    next_number += 1
            self._write()

    def _run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)

    def _write(self) -> None:
        """What has not changed keeps its time, so that it is not built again."""
        by_file: dict[str, list[tuple[int, Mutant]]] = defaultdict(list)
        for number, mutant in self.mutants.items():
            by_file[mutant.file].append((number, mutant))
        wanted = set()
        for source in (path for folder in self._folders for path in (ROOT / "src" / folder).rglob("*.cc")):
            name = source.relative_to(ROOT).as_posix()
            text = source.read_text()
            for number, mutant in sorted(by_file[name], key=lambda pair: -pair[1].at):
                before, after = text[: mutant.at], text[mutant.at + len(mutant.old) :]
                text = before + mutant.new.replace(NUMBER, str(number)) + after
            text = f'#include "{ROOT}/tools/mutants/mutant.h"\n#line 1\n{text}'
            copy = CHANGED / source.relative_to(ROOT / "src")
            wanted.add(copy)
            if not copy.exists() or copy.read_text() != text:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(text)
        for stale in set(CHANGED.rglob("*.cc")) - wanted:
            stale.unlink()

    def _refused(self, output: str) -> list[int]:
        """The mutants at the lines that the compiler names: in errors, else in notes on what it instantiated."""
        named: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        for file, line, kind in PLACE.findall(output):
            named[f"src/{file}"][kind].add(int(line))
        refused = []
        for file, by_kind in named.items():
            here = {mutant.line: number for number, mutant in self.mutants.items() if mutant.file == file}
            if not here or not (by_kind["error"] or by_kind["note"]):
                continue
            lines = (by_kind["error"] & here.keys()) or (by_kind["note"] & here.keys())
            if by_kind["error"] or lines:
                refused += [here[line] for line in (lines or here.keys())]
        return refused
