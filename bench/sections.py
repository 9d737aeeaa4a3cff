"""What s3.py and transforms.py keep in bench/out/, and their sections of docs/benchmarks.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import Measurement
from report import machine

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "bench" / "out"
PAGE = ROOT / "docs" / "benchmarks.md"


def keep(name: str, results: Mapping[str, Sequence[Measurement]], *, more: bool, **about: Any) -> None:
    """Writes a case's runs; with `more` they join those that are there: a long case can be measured in pieces."""
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.json"
    tools: dict[str, Any] = json.loads(path.read_text())["tools"] if more and path.exists() else {}
    for tool, runs in as_tools(results).items():
        before = tools.setdefault(tool, {})
        for what, numbers in runs.items():
            before[what] = [*before.get(what, []), *numbers]
    path.write_text(json.dumps({"machine": machine(), "tools": tools, **about}, indent=2) + "\n")


def as_tools(results: Mapping[str, Sequence[Measurement]]) -> dict[str, Any]:
    """As it is kept: lists of numbers."""
    return {
        tool: {
            "seconds": [round(run.seconds, 4) for run in runs],
            "cpu_seconds": [round(run.cpu_seconds, 3) for run in runs],
            "peak_bytes": [run.peak_bytes for run in runs],
        }
        for tool, runs in results.items()
    }


def kept(name: str) -> dict[str, Any] | None:
    path = OUT / f"{name}.json"
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found


def verdict(reached: bool, goal: str, measured: str) -> str:
    return f"- {'reached' if reached else '**not reached**'}: {goal}; measured: {measured}"


def write_section(title: str, lines: Sequence[str]) -> None:
    """Puts the section in place of the one with this title, or at the page's end."""
    head, *sections = PAGE.read_text().split("\n## ")
    section = "\n".join([title, "", *lines]).rstrip() + "\n"
    titles = [one.partition("\n")[0] for one in sections]
    if title in titles:
        sections[titles.index(title)] = section
    else:
        sections.append(section)
    PAGE.write_text("\n## ".join(part.rstrip("\n") + "\n" for part in (head, *sections)))
