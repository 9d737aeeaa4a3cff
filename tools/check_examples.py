#!/usr/bin/env python3
"""Checks that pages of docs/ agree with the code.

A code block behind a line "<!-- from PATH -->" must be in that file line for line. The walk in docs/architecture.md
must name each type once, and only types of src/. Reports what does not; exit code 1 if there is such a place.
"""

import re
import sys
from pathlib import Path

WALK = re.compile(r"^## One file, from entry to checkpoint\n(.*?)^## ", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^<!-- from (\S+) -->\n```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def offences(root: Path):
    for page in sorted((root / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            file = root / match[1]
            if not file.is_file() or match[2] not in file.read_text(encoding="utf-8"):
                line = text.count("\n", 0, match.start()) + 1
                yield f"{page.relative_to(root)}:{line}: the block is not in {match[1]}"


def walk_offences(root: Path):
    page = root / "docs/architecture.md"
    walk = WALK.search(page.read_text(encoding="utf-8"))
    if not walk:
        yield f"{page.relative_to(root)}: the walk of one file is missing"
        return
    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted((root / "src").rglob("*.h")))
    source += "\n".join(path.read_text(encoding="utf-8") for path in sorted((root / "src").rglob("*.cc")))
    types = set(re.findall(r"\b(?:class|struct|enum|enum class|using) ([A-Z]\w+)", source))
    named = re.findall(r"`([A-Z]\w+)`", walk[1])
    for name in sorted(set(named)):
        if name not in types:
            yield f"{page.relative_to(root)}: the walk names `{name}`, which is not a type of src/"
        if named.count(name) > 1:
            yield f"{page.relative_to(root)}: the walk names `{name}` {named.count(name)} times"


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = [*offences(root), *walk_offences(root)]
    for offence in found:
        print(offence, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
