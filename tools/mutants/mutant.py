"""A change of a source file that the tests must notice."""

from __future__ import annotations

from dataclasses import dataclass

NUMBER = "MUTANT_NUMBER"
CHOSEN = f"::checkvalve::mutants::chosen({NUMBER})"
"""The question in the changed source: is this mutant chosen? Without it the source does what it did."""


@dataclass(frozen=True)
class Mutant:
    """`old`, which is at the offset `at` of a file of src/, is replaced by `new`, which holds CHOSEN or NUMBER."""

    file: str
    line: int
    at: int
    old: str
    new: str
    what: str

    @property
    def folder(self) -> str:
        return self.file.split("/")[1]

    @property
    def place(self) -> tuple[str, int]:
        return self.file, self.line

    def text(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"
