"""Where the engine program is."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def find_program(program: str | None = None) -> str:
    """The engine program: the one given, else of ``CHECKVALVE_PROGRAM``, else the wheel's, else ``checkvalve`` of PATH.

    Raises FileNotFoundError, which says what to do, if there is none.
    """
    if named := program or os.environ.get("CHECKVALVE_PROGRAM"):
        if found := shutil.which(named):
            return found
        raise FileNotFoundError(f"the checkvalve program {named!r} does not exist or is not executable")
    ours = Path(__file__).parent / "bin" / "checkvalve"
    if ours.exists():
        return str(ours)
    if found := shutil.which("checkvalve"):
        return found
    raise FileNotFoundError(
        "the checkvalve program is not installed: install the wheel, or name the program in CHECKVALVE_PROGRAM"
    )


def main() -> None:
    """The wheel's ``checkvalve`` command: becomes the engine program."""
    ours = Path(__file__).parent / "bin" / "checkvalve"
    program = str(ours) if ours.exists() else find_program()
    os.execv(program, [program, *sys.argv[1:]])
