"""Finds the ``checkvalve`` program."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def find_program(program: str | None = None) -> str:
    """The given program, else that of ``CHECKVALVE_PROGRAM``, else the wheel's, else ``checkvalve`` of PATH.

    Raises FileNotFoundError if there is none.
    """
    if named := program or os.environ.get("CHECKVALVE_PROGRAM"):
        if found := shutil.which(named):
            return found
        raise FileNotFoundError(f"program {named!r} does not exist or is not executable")
    bundled = Path(__file__).parent / "bin" / "checkvalve"
    if bundled.exists():
        return str(bundled)
    if found := shutil.which("checkvalve"):
        return found
    raise FileNotFoundError(
        "program 'checkvalve' is not installed; hint: install the wheel, or set CHECKVALVE_PROGRAM to the program"
    )


def main() -> None:
    """The wheel's ``checkvalve`` command: executes the program."""
    bundled = Path(__file__).parent / "bin" / "checkvalve"
    program = str(bundled) if bundled.exists() else find_program()
    os.execv(program, [program, *sys.argv[1:]])
