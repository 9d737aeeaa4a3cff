"""The figures of ./dev coverage, printed and written into docs/reliability.md: coverage_report JSON WHAT_RAN"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

from torture.report import between_markers, made_at

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    export = json.loads(Path(sys.argv[1]).read_text())
    covered: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for file in export["data"][0]["files"]:
        parts = Path(file["filename"]).parts
        folder = parts[len(parts) - 1 - parts[::-1].index("src") + 1]
        for name in (folder, "all"):
            for at, kind in enumerate(("lines", "branches")):
                covered[name][2 * at] += file["summary"][kind]["covered"]
                covered[name][2 * at + 1] += file["summary"][kind]["count"]
    lines = [
        f"`./dev coverage` {made_at()}: by {sys.argv[2]}.",
        "",
        "| `src/` | lines | branches |",
        "| --- | --- | --- |",
    ]
    for name, (lines_hit, lines_all, branches_hit, branches_all) in sorted(covered.items(), key=lambda item: item[0]):
        shares = [
            f"{100 * hit / max(count, 1):.1f}% of {count:,}"
            for hit, count in ((lines_hit, lines_all), (branches_hit, branches_all))
        ]
        lines.append(f"| {name} | {shares[0]} | {shares[1]} |")
    report = "\n".join(lines)
    print(report)
    between_markers(ROOT / "docs" / "reliability.md", "coverage", report)


if __name__ == "__main__":
    main()
