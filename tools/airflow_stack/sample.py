"""Sample data for the stack: three dated folders of text files."""

from __future__ import annotations

import random
from pathlib import Path

DATES = ("2024-03-01", "2024-03-02", "2024-03-03")


def fill_source(home: Path, files: int = 120) -> None:
    """Fills HOME/source/DATE/ with nested small .txt files, one of 8 MiB, an empty one, and one that is no .txt."""
    for date in DATES:
        chooser = random.Random(date)
        folder = home / "source" / date
        for number in range(files):
            path = folder / chooser.choice(("", "north", "south/late", "naïve names")) / f"order {number:04}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(chooser.randbytes(chooser.randrange(20_000)))
        (folder / "all.txt").write_bytes(chooser.randbytes(8 << 20))
        (folder / "empty.txt").touch()
        (folder / "notes.pdf").write_bytes(b"not selected")


def show_tree(root: Path, most: int = 6) -> None:
    """Prints the folders below `root`, with the first files of each."""
    for folder in sorted(path for path in root.rglob("*") if path.is_dir()):
        files = sorted(path for path in folder.iterdir() if path.is_file())
        print(f"  {folder.relative_to(root)}/  {len(files)} files" if files else f"  {folder.relative_to(root)}/")
        for file in files[:most]:
            print(f"      {file.name}  {file.stat().st_size}")
