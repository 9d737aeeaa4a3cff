"""A plugin of pytest: which mutants each end-to-end test reaches, as a line of JSON a test in $MUTANTS_RECORD."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

MAX_MUTANTS = 4096  # as mutant.h
_outcomes: dict[str, list[Any]] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    folder = os.environ.get("MUTANTS_RECORD")
    if folder is None:
        return (yield)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    reached = Path(folder) / f"{worker}.reached"
    if not reached.exists():
        reached.write_bytes(bytes(MAX_MUTANTS))
        reached.chmod(0o666)
    with reached.open("r+b") as file:
        file.write(bytes(MAX_MUTANTS))  # in place: a program of an earlier test may still have it mapped
    os.environ["MUTANTS_REACHED"] = str(reached)
    result = yield
    seconds, passed = _outcomes.pop(item.nodeid, (0.0, False))
    numbers = [number for number, byte in enumerate(reached.read_bytes()) if byte]
    with (Path(folder) / f"{worker}.jsonl").open("a") as lines:
        lines.write(json.dumps({"test": item.nodeid, "seconds": seconds, "passed": passed, "reached": numbers}) + "\n")
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    seconds, passed = _outcomes.get(report.nodeid, (0.0, True))
    passed = passed and report.outcome == "passed"
    _outcomes[report.nodeid] = [seconds + report.duration, passed]
