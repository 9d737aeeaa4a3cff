"""The tests, what each of them reaches, and their verdict on one mutant.

A test that does not reach a mutant can't notice it, so it is not run against it. Each test's time without a mutant is
measured along the way: what takes many times as long with one hangs. A failure counts if it comes again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutants.mutant import Mutant
from mutants.recorder import MAX_MUTANTS
from mutants.schemata import BUILD, ROOT

PROGRAMS = ("state_test", "decorators_test", "protocol_test", "sync_test", "backends_test", "cli_test", "fuzz_test")
CONFORMANCE = ("state_conformance", "backend_conformance")
WITHOUT = ("test_memory.py", "test_transforms_memory.py", "test_hardening.py")
"""End-to-end tests of what the program weighs and how it is built."""
STEPS_SECONDS = (5.0, 30.0, 90.0)
"""Of one suite. What takes longer has cases in common with what ran before it."""
MAX_TEST_SECONDS = 30.0
"""The limit of an end-to-end test in tests/pytest.ini is four times as long."""
MEMORY = 24 << 30
CONCURRENT = 2
SLOWER, AT_LEAST_SECONDS = 10, 30
FAILED_GTEST = re.compile(r"^\[  FAILED  \] (\S+?)(?:,| \(|$)", re.MULTILINE)
BEGUN_GTEST = re.compile(r"^\[ RUN      \] (\S+)", re.MULTILINE)
FAILED_PYTEST = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Test:
    name: str
    seconds: float
    reached: frozenset[int]


@dataclass
class Done:
    code: int | None  # none: it did not end in time
    output: str


def run(argv: list[str], environment: dict[str, str], seconds: float) -> Done:
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["prlimit", f"--as={MEMORY}", "--core=0", *argv],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code: int | None = None
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()  # pytest then stops the servers that it started
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        output.seek(0)
        return Done(code, output.read().decode(errors="replace"))


class Suite:
    """A set of tests that is run by one command."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tests: list[Test] = []

    def steps(self, number: int) -> Iterator[list[Test]]:
        """The tests that reach the mutant, in rising portions: the quickest of each group, then the next of each."""
        reaching = [test for test in self.tests if number in test.reached and test.seconds <= MAX_TEST_SECONDS]
        reaching.sort(key=lambda test: test.seconds)
        before: Counter[str] = Counter()
        ranked = []
        for test in reaching:
            ranked.append((before[self.group(test)], test.seconds, test))
            before[self.group(test)] += 1
        ranked.sort(key=lambda entry: entry[:2])
        for limit in STEPS_SECONDS:
            step: list[Test] = []
            while ranked and sum(test.seconds for test in step) < limit:
                step.append(ranked.pop(0)[2])
            yield step

    def group(self, test: Test) -> str:
        """What has much in common: the cases of a parametrized test, or the tests of a file."""
        raise NotImplementedError

    def verdict(self, number: int) -> str:
        """The test that notices the mutant, or nothing."""
        for tests in self.steps(number):
            while tests:
                done = self.tried(number, tests)
                if done.code is None:
                    return f"{self.name}: does not end"
                if done.code == 0:
                    break
                failed = self.failed(done.output, tests)
                again = self.tried(number, [failed] if failed else tests)
                if again.code != 0:
                    return f"{self.name}: {failed.name if failed else 'ends early'}"
                if failed is None:
                    break
                tests = [test for test in tests if test != failed]
        return ""

    def tried(self, number: int, tests: list[Test]) -> Done:
        raise NotImplementedError

    def failed(self, output: str, tests: list[Test]) -> Test | None:
        raise NotImplementedError


class Program(Suite):
    """A program of GoogleTest."""

    @property
    def path(self) -> Path:
        return BUILD / "tests" / self.name

    def key(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def record(self) -> list[Test]:
        with tempfile.NamedTemporaryFile(prefix="mutants ") as reached:
            reached.write(bytes(MAX_MUTANTS))
            reached.flush()
            lines = Path(f"{reached.name}.tests")
            run([str(self.path)], {"MUTANTS_REACHED": reached.name, "MUTANTS_TESTS": str(lines)}, 3600)
            words = [line.split() for line in lines.read_text().splitlines()]
            lines.unlink()
        return [Test(name, float(seconds), frozenset(map(int, numbers))) for name, seconds, *numbers in words]

    def group(self, test: Test) -> str:
        return "/".join(part for part in test.name.split("/") if "." in part)

    def tried(self, number: int, tests: list[Test]) -> Done:
        names = ":".join(test.name for test in tests)
        limit = AT_LEAST_SECONDS + SLOWER * sum(test.seconds for test in tests)
        return run([str(self.path), f"--gtest_filter={names}", "--gtest_fail_fast"], {"MUTANT": str(number)}, limit)

    def failed(self, output: str, tests: list[Test]) -> Test | None:
        names = FAILED_GTEST.findall(output) or BEGUN_GTEST.findall(output)[-1:]
        return next((test for name in names for test in tests if test.name == name), None)


class EndToEnd(Suite):
    """The end-to-end tests."""

    ENVIRONMENT = {
        "CHECKVALVE_BUILD": str(BUILD),
        "CHECKVALVE_PROGRAM": str(BUILD / "checkvalve"),
        "PYTHONPATH": f"{ROOT}/tools:{ROOT}/tests",
    }
    PYTEST = [sys.executable, "-m", "pytest", "-c", "tests/pytest.ini", "--rootdir", ".", "-p", "no:cacheprovider"]

    def files(self) -> list[str]:
        found = sorted((ROOT / "tests" / "e2e").glob("test_*.py"))
        return [path.relative_to(ROOT).as_posix() for path in found if path.name not in WITHOUT]

    def record(self, files: list[str]) -> list[Test]:
        with tempfile.TemporaryDirectory(prefix="mutants ") as folder:
            Path(folder).chmod(0o755)
            argv = [*self.PYTEST, "-p", "mutants.recorder", "-n", str(CONCURRENT), "--dist", "worksteal", *files]
            run(argv, {**self.ENVIRONMENT, "MUTANTS_RECORD": folder}, 6 * 3600)
            lines = [line for path in Path(folder).glob("*.jsonl") for line in path.read_text().splitlines()]
        tests = [json.loads(line) for line in lines]
        return [Test(test["test"], test["seconds"], frozenset(test["reached"])) for test in tests if test["passed"]]

    def group(self, test: Test) -> str:
        return test.name.split("::")[0]

    def tried(self, number: int, tests: list[Test]) -> Done:
        limit = 4 * AT_LEAST_SECONDS + SLOWER * sum(test.seconds for test in tests)
        argv = [*self.PYTEST, "-x", *(test.name for test in tests)]
        return run(argv, {**self.ENVIRONMENT, "MUTANT": str(number)}, limit)

    def failed(self, output: str, tests: list[Test]) -> Test | None:
        names = FAILED_PYTEST.findall(output)
        return next((test for name in names for test in tests if name.startswith(test.name)), None)


class Suites:
    """All of them. What was recorded is kept, for programs and files that have not changed since."""

    KEPT = BUILD / "reached.json"

    def __init__(self, numbered: dict[int, Mutant]) -> None:
        self.programs = [Program(name) for name in PROGRAMS]
        self.conformance = [Program(name) for name in CONFORMANCE]
        self.end_to_end = EndToEnd("end-to-end tests")
        self._mutants = hashlib.sha256(repr(numbered).encode()).hexdigest()
        self._kept: dict[str, list[tuple[str, float, list[int]]]] = {}
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            self._kept = json.loads(self.KEPT.read_text())

    def record(self) -> None:
        programs = [*self.programs, *self.conformance]
        keys = [f"{program.name} {program.key()}" for program in programs]
        with ThreadPoolExecutor(CONCURRENT) as pool:
            for program, tests in zip(programs, pool.map(self._recorded, programs, keys), strict=True):
                program.tests = tests
        self._keep(keys)

    def record_end_to_end(self) -> None:
        keys = {file: self._file_key(file) for file in self.end_to_end.files()}
        if missing := [file for file, key in keys.items() if key not in self._kept]:
            tests = self.end_to_end.record(missing)
            for file in missing:
                self._put(keys[file], [test for test in tests if test.name.startswith(f"{file}::")])
        self.end_to_end.tests = [test for key in keys.values() for test in self._get(key)]
        self._keep(list(keys.values()))

    def verdict(self, number: int, folder: str) -> str:
        """The directory's own tests first, then the others of its kind."""
        own = sorted(self.programs, key=lambda program: program.name != f"{folder}_test")
        suites = [*own, *self.conformance, self.end_to_end]
        return next((verdict for suite in suites if (verdict := suite.verdict(number))), "")

    def _file_key(self, file: str) -> str:
        """An end-to-end test depends on which mutants there are, not on the other tests."""
        return f"{file} {hashlib.sha256((ROOT / file).read_bytes()).hexdigest()} {self._mutants}"

    def _recorded(self, program: Program, key: str) -> list[Test]:
        if key not in self._kept:
            self._put(key, program.record())
        return self._get(key)

    def _get(self, key: str) -> list[Test]:
        return [Test(name, seconds, frozenset(reached)) for name, seconds, reached in self._kept[key]]

    def _put(self, key: str, tests: list[Test]) -> None:
        self._kept[key] = [(test.name, test.seconds, sorted(test.reached)) for test in tests]

    def _keep(self, keys: list[str]) -> None:
        """Without what is out of date."""
        names = {key.split()[0] for key in keys}
        self._kept = {key: kept for key, kept in self._kept.items() if key in keys or key.split()[0] not in names}
        self.KEPT.write_text(json.dumps(self._kept))
