"""docs/state.md describes exactly the tables and columns that a new state has."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from pathlib import Path

from e2e.support.program import PROGRAM

PAGE = Path(__file__).parents[2] / "docs" / "state.md"


def documented() -> dict[str, list[str]]:
    tables: dict[str, list[str]] = {}
    for section in re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]:
        name, _, text = section.partition("\n")
        text = re.split(r"^## ", text, flags=re.M)[0]
        tables[name] = re.findall(r"^\| (\w+) \| (?!meaning)", text, flags=re.M)
    return tables


def test_the_page_names_each_table_and_column(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    subprocess.run([PROGRAM, "status", "--state", state], check=True, capture_output=True)
    with sqlite3.connect(state) as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        tables = {name: [row[1] for row in database.execute(f"PRAGMA table_info({name})")] for name in names}
    # Columns of later migrations stand last in the database, and where they belong on the page.
    assert {name: sorted(columns) for name, columns in documented().items()} == {
        name: sorted(columns) for name, columns in tables.items()
    }
