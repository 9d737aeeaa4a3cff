"""Finds places for mutants in C++ sources, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mutants.guards import Mutant

FOLDERS = ("sync", "state", "backends", "protocol", "decorators")
# With blanks around, as clang-format has operators and not the brackets of templates.
COMPARISONS = {" == ": " != ", " != ": " == ", " < ": " <= ", " > ": " >= ", " <= ": " < ", " >= ": " > "}
CONDITION = re.compile(r"^(?P<head>\s*(?:\} )?(?:else )?if \()(?P<rest>.*)$")
EARLY_RETURN = re.compile(r"^\s*if \(.*\) (?:co_)?return\b.*;$|^\s*if \(.*\) continue;$")
CHECK = re.compile(r"^\s*(?:if \(.*\) )?CV_(?:CO_)?CHECK\((?P<call>.*)\);$")


def find(root: Path) -> list[Mutant]:
    """All of them, in the order of files and lines."""
    found = []
    for folder in FOLDERS:
        for path in sorted((root / "src" / folder).rglob("*.cc")):
            found += list(_in_file(path.relative_to(root).as_posix(), path.read_text()))
    return found


def _in_file(file: str, text: str) -> Iterator[Mutant]:
    seen: dict[str, int] = {}
    for line in text.splitlines():
        index = seen.get(line, 0)
        seen[line] = index + 1
        code = line.strip()
        if not code or code.startswith(("//", "#", "template", "using", "static_assert")) or "constexpr" in code:
            continue
        for new, what in _of_line(line):
            yield Mutant(file, f"{line}\n", f"{new}\n" if new else "", f"{what}: {code[:90]}", index)


def _of_line(line: str) -> Iterator[tuple[str, str]]:
    if EARLY_RETURN.match(line):
        yield "", "dropped"
    elif match := CHECK.match(line):
        yield (
            line[: match.start("call")].replace("CV_CO_CHECK(", "(void)(").replace("CV_CHECK(", "(void)(")
            + line[match.start("call") :],
            "error ignored",
        )
    elif (condition := _condition(line)) is not None:
        head, text, tail = condition
        yield f"{head}!({text}){tail}", "negated"
    for old, new in COMPARISONS.items():
        if line.count(old) == 1 and "<<" not in line and '"' not in line:
            yield line.replace(old, new), f"{old.strip()} made {new.strip()}"


def _condition(line: str) -> tuple[str, str, str] | None:
    """What stands before, in and behind the condition of an if that ends on its line."""
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
