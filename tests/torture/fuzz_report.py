"""The figures of ./dev fuzz, from libFuzzer's logs, into docs/reliability.md: fuzz_report SECONDS LOGS"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from torture.report import between_markers, made_at

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    seconds, logs = sys.argv[1], Path(sys.argv[2])
    lines = [
        f"`./dev fuzz --seconds {seconds}` {made_at()}, with libFuzzer, ASan and UBSan. Regression inputs are in "
        "`tests/fuzz/corpus` and run with the unit tests.",
        "",
        "| target | inputs tried | places of the code that they reached | faults |",
        "| --- | --- | --- | --- |",
    ]
    for log in sorted(logs.iterdir()):
        text = log.read_text(errors="replace")
        tried = re.search(r"stat::number_of_executed_units: *(\d+)", text)
        reached = re.findall(r" cov: (\d+)", text)
        faults = len(re.findall(r"^SUMMARY: ", text, re.MULTILINE))
        count = f"{int(tried[1]):,}" if tried else ""
        lines.append(f"| {log.name} | {count} | {reached[-1] if reached else ''} | {faults} |")
    between_markers(ROOT / "docs" / "reliability.md", "fuzz", "\n".join(lines))


if __name__ == "__main__":
    main()
