#!/usr/bin/env python3
"""Checks that the code on pages is the code that the tests build.

A code block behind a line "<!-- from PATH -->" must be in that file line for line. Reports each block
that is not; exit code 1 if there is one.
"""

import re
import sys
from pathlib import Path

BLOCK = re.compile(r"^<!-- from (\S+) -->\n```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def offences(root: Path):
    for page in sorted((root / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            file = root / match[1]
            if not file.is_file() or match[2] not in file.read_text(encoding="utf-8"):
                line = text.count("\n", 0, match.start()) + 1
                yield f"{page.relative_to(root)}:{line}: the block is not in {match[1]}"


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = list(offences(root))
    for offence in found:
        print(offence, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
