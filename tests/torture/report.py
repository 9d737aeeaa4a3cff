"""The figures of a run, as text and between the markers of docs/reliability.md."""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torture.known import KNOWN
from torture.matrix import ROWS, table
from torture.oracle import COUNTS, Findings

LINES_SHOWN = 8


@dataclass
class Result:
    """Of one scenario."""

    name: str
    figures: Mapping[str, object]
    findings: Findings
    seconds: float
    cut_short: bool = False

    def __post_init__(self) -> None:
        self.new, self.known = Findings(), Findings()
        for line in self.findings.lines:
            kind, _, text = line.partition(": ")
            (self.known if any(re.search(pattern, line) for pattern in KNOWN) else self.new).add(kind, text)

    def text(self) -> str:
        late = " (cut short: the time was over)" if self.cut_short else ""
        lines = [f"{self.name}: {self.seconds:.0f} s{late}"]
        lines += [f"  {name}: {value}" for name, value in self.figures.items()]
        lines += [f"  FOUND {line}" for line in self.new.lines[:LINES_SHOWN]]
        if len(self.new.lines) > LINES_SHOWN:
            lines.append(f"  … and {len(self.new.lines) - LINES_SHOWN} more")
        if self.known.lines:
            lines.append(f"  known: {dict(self.known.counts)}, e.g. {self.known.lines[0]}")
        return "\n".join(lines)


def counts_text(counts: Counter[str]) -> str:
    return "\n".join(f"{counts[kind]:6} {kind}" for kind in COUNTS)


def between_markers(page: Path, name: str, text: str) -> None:
    """Replaces what stands between <!-- NAME begin --> and <!-- NAME end -->."""
    begin, end = f"<!-- {name} begin -->", f"<!-- {name} end -->"
    content = page.read_text()
    before, rest = content.split(begin)
    after = rest.split(end)[1]
    page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}")


def made_at() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return f"at commit {done.stdout.strip() or 'unknown'} on {time.strftime('%Y-%m-%d')}"


def _known(results: list[Result]) -> Counter[str]:
    """How often each reason was met."""
    lines = [line for result in results for line in result.known.lines]
    return Counter(next(KNOWN[pattern] for pattern in KNOWN if re.search(pattern, line)) for line in lines)


def write(page: Path, results: list[Result], seed: int, seconds: float) -> None:
    counts = sum((result.new.counts for result in results), Counter[str]())
    known = sum((result.known.counts for result in results), Counter[str]())
    lines = [f"Measured {made_at()} with seed {seed}, in {seconds / 60:.0f} minutes.", ""]
    lines += ["| must be zero | count | known failures |", "| --- | --- | --- |"]
    lines += [f"| {kind} | {counts[kind]} | {known[kind]} |" for kind in COUNTS]
    lines += ["", "| scenario | figures | time |", "| --- | --- | --- |"]
    for result in results:
        figures = ", ".join(f"{name}: {value}" for name, value in result.figures.items())
        late = "; cut short" if result.cut_short else ""
        lines.append(f"| {result.name} | {figures}{late} | {result.seconds:.0f} s |")
    reasons = _known(results)
    if reasons:
        lines += ["", "Known failures, which are counted apart:", ""]
        lines += [f"- {reason} (findings: {count})" for reason, count in sorted(reasons.items())]
    between_markers(page, "torture", "\n".join(lines))
    if ROWS:
        between_markers(page, "servers", table(ROWS))
