"""Finds places for mutants in C++ sources, line by line.

Only statements and expressions that run are changed, so that all mutants fit into one program and are chosen when it
starts (mutant.h). What the compiler computes is not changed: constexpr, static_assert, templates' arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mutants.mutant import CHOSEN, NUMBER, Mutant

FOLDERS = ("sync", "state", "backends", "protocol", "decorators")
COMPARISONS = {
    "==": ("Equal", "!="),
    "!=": ("Unequal", "=="),
    "<": ("Less", "<="),
    ">": ("Greater", ">="),
    "<=": ("LessEqual", "<"),
    ">=": ("GreaterEqual", ">"),
}
CONDITION = re.compile(r"^(?P<head>\s*(?:\} )?(?:else )?if \()(?P<rest>.*)$")
EARLY_RETURN = re.compile(r"^\s*if \(.*\) (?:co_)?return\b.*;$|^\s*if \(.*\) continue;$")
CHECK = re.compile(r"^(?P<head>\s*(?:if \(.*\) )?)(?P<check>CV_(?:CO_)?CHECK)\((?P<call>.*)\);$")
NOT_CODE = ("//", "#", "template", "using", "static_assert")


def find(root: Path) -> list[Mutant]:
    """All of them, in the order of files and lines."""
    found = []
    for folder in FOLDERS:
        for path in sorted((root / "src" / folder).rglob("*.cc")):
            found += list(_in_file(path.relative_to(root).as_posix(), path.read_text()))
    return found


def _in_file(file: str, text: str) -> Iterator[Mutant]:
    at = 0
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        code = line.strip()
        following = lines[number].strip() if number < len(lines) else ""
        if code and not code.startswith(NOT_CODE) and "constexpr" not in code and not code.endswith("\\"):
            for new, what in _of_line(line, following):
                yield Mutant(file, number, at, line, new, f"{what}: {code[:90]}")
        at += len(line) + 1


def _of_line(line: str, following: str) -> Iterator[tuple[str, str]]:
    if EARLY_RETURN.match(line):
        if not following.startswith("else"):
            indent = len(line) - len(line.lstrip())
            yield f"{line[:indent]}if (!{CHOSEN}) {line[indent:]}", "dropped"
    elif match := CHECK.match(line):
        call = match["call"]
        changed = f"{{ if ({CHOSEN}) (void)({call}); else {match['check']}({call}); }}"
        yield match["head"] + changed, "error ignored"
    elif (condition := _condition(line)) is not None:
        head, text, tail = condition
        yield f"{head}{CHOSEN} != static_cast<bool>({text}){tail}", "negated"
    # With blanks around, as clang-format has operators and not the brackets of templates.
    for operator, (name, changed) in COMPARISONS.items():
        if line.count(f" {operator} ") == 1 and "<<" not in line and '"' not in line and "operator" not in line:
            new = f" {operator} ::checkvalve::mutants::{name}<{NUMBER}>() {operator} "
            yield line.replace(f" {operator} ", new), f"{operator} made {changed}"


def _condition(line: str) -> tuple[str, str, str] | None:
    """What is before, in and behind the condition of an if that ends on its line."""
    match = CONDITION.match(line)
    if match is None:
        return None
    depth = 1
    start = 0
    rest = match["rest"]
    for at, letter in enumerate(rest):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == ";" and depth == 1:
            start = at + 2  # behind the statement that initialises
        if depth == 0:
            condition = rest[start:at]
            if re.match(r"(const )?auto\b|\w+[&*]? \w+ = ", condition):
                return None  # declares what it asks
            return match["head"] + rest[:start], condition, rest[at:]
    return None
