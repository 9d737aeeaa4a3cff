#!/usr/bin/env python3
"""Checks that a file includes only what is below it, that only backends know their schemes, and that no file grows past
500 lines.

Layers, lowest first: core, protocol, {backends, state, transforms}, layers, sync, cli. The three in the middle don't
include each other; state includes only core. Names each offence; exit code 1 if there is one.
"""

import re
import sys
from pathlib import Path

# What the files of each folder of src/ may include, besides their own folder.
ALLOWED = {
    "core": set(),
    "protocol": {"core"},
    "backends": {"core", "protocol"},
    "transforms": {"core"},
    "state": {"core"},
    "decorators": {"core", "backends"},
    "sync": {"core", "backends", "transforms", "state", "decorators"},
    "cli": {"core", "protocol", "backends", "transforms", "state", "decorators", "sync"},
}
MOST_LINES = 500
SUFFIXES = {".h", ".cc", ".py"}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')
SCHEME = re.compile(r'\.scheme = "([^"]+)"')  # in a backend's descriptor
WORDS = {"file"}  # schemes that are words, too: they count only beside "scheme"
RAW_STRING = re.compile(r'R"(\w*)\(.*?\)\1"', re.DOTALL)


def included(path: Path):
    """Yields (line number, name) of each include in quotes."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1)


def layer_offences(root: Path):
    source = root / "src"
    for path in sorted(p for p in source.rglob("*") if p.suffix in {".h", ".cc"}):
        place = path.relative_to(root)
        folder = place.parts[1]
        if folder not in ALLOWED:
            yield f"{place}: the folder src/{folder} has no layer: name it in tools/check_layers.py"
            continue
        for number, name in included(path):
            if not (source / name).is_file():  # made by the build: of no layer
                continue
            other = Path(name).parts[0]
            if other != folder and other not in ALLOWED[folder]:
                below = ", ".join(sorted(ALLOWED[folder])) or "nothing else"
                yield f'{place}:{number}: includes "{name}", but {folder} may use only: {below}'


def scheme_offences(root: Path):
    """Literals that are a backend's scheme, outside of its folder."""
    source = root / "src"
    schemes = {
        scheme: path.parent
        for path in sorted((source / "backends").glob("*/*.cc"))
        for scheme in SCHEME.findall(path.read_text(encoding="utf-8"))
    }
    for path in sorted(p for p in source.rglob("*") if p.suffix in {".h", ".cc"}):
        if source / "protocol" in path.parents:  # where "sftp" is the SSH subsystem
            continue
        text = RAW_STRING.sub(lambda match: "\n" * match[0].count("\n"), path.read_text(encoding="utf-8"))
        for number, line in enumerate(text.splitlines(), start=1):
            for scheme, folder in schemes.items():
                named = f'"{scheme}"' in line and (scheme not in WORDS or "scheme" in line)
                if named and folder not in path.parents:
                    yield (
                        f'{path.relative_to(root)}:{number}: names the scheme "{scheme}", which only '
                        f"{folder.relative_to(root)} may: add what you need to BackendDescriptor"
                    )


def length_offences(root: Path):
    for folder in ("src", "tests"):
        for path in sorted(
            p for p in (root / folder).rglob("*") if p.suffix in SUFFIXES and "__pycache__" not in p.parts
        ):
            with path.open("rb") as file:
                lines = sum(1 for _ in file)
            if lines > MOST_LINES:
                yield f"{path.relative_to(root)}: {lines} lines, more than {MOST_LINES}: split it"


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    offences = [*layer_offences(root), *scheme_offences(root), *length_offences(root)]
    for offence in offences:
        print(offence, file=sys.stderr)
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
