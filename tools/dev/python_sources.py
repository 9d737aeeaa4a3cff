#!/usr/bin/env python3
"""Makes the Python files that say what the program says: options.py and events.py of python/checkvalve.

    python_sources.py PROGRAM            writes both
    python_sources.py PROGRAM --check    exits with 1 and names those that are stale

options.py comes from the program's table of options (`checkvalve man --page options`), events.py from
schema/events.schema.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "checkvalve"
LINE = 120

HEADER = '''"""{title}

Made by tools/dev/python_sources.py (`./dev docs`): do not edit.
"""

from __future__ import annotations

'''

# Options that other objects carry: endpoints (api.Endpoint), api.State, api.ConfiguredJob, and the list of files.
CARRIED_ELSEWHERE = {
    *("source", "target", "source_option", "target_option", "identity", "known_hosts", "state"),
    *("date", "file", "files_from", "from0", "escaped"),
}
FIELD_NAMES = {"transform": "transforms"}
TYPES = {"N": "int", "SIZE": "str | int", "switch": "bool"}


def main(arguments: list[str]) -> int:
    program, check = arguments[0], "--check" in arguments
    table = json.loads(subprocess.run([program, "man", "--page", "options"], check=True, capture_output=True).stdout)
    schema = json.loads((ROOT / "schema" / "events.schema.json").read_text())
    made = {PACKAGE / "options.py": options_source(table), PACKAGE / "events.py": events_source(schema)}
    stale = [path for path, text in made.items() if path.read_text() != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is stale: run ./dev docs", file=sys.stderr)
        else:
            path.write_text(made[path])
    return 1 if check and stale else 0


def options_source(table: dict[str, Any]) -> str:
    body = [
        HEADER.format(title="The options of a job."),
        "from collections.abc import Sequence\n",
        "from dataclasses import dataclass\n\n",
        "from .arguments import OptionObject, option\n",
        "from .transform import Transform, transform_text\n\n\n",
        "@dataclass(kw_only=True, repr=False)\n",
        "class JobOptions(OptionObject):\n",
        docstring(
            "Options of ``sync``, ``plan``, ``run`` and ``verify``; each takes those that mean something to it."
            ' Sizes, durations and rates are as on the command line: ``"64MiB"``, ``"5m"``, ``"10MiB/s"``.'
            " Exclude patterns come before include patterns.",
            "    ",
        ),
    ]
    for item in table["options"]:
        if item["name"] not in CARRIED_ELSEWHERE:
            body.append(option_source(item))
    return "".join(body)


def option_source(item: dict[str, Any]) -> str:
    name = FIELD_NAMES.get(item["name"], item["name"])
    kind = TYPES.get(item["type"], "str")
    arguments = [repr_double(item["flag"]), repr_double(" ".join(item["commands"]))]
    if item["negation"]:
        arguments.append(f"negation={repr_double(item['negation'])}")
    if item["repeatable"]:
        kind = f"Sequence[{'Transform' if name == 'transforms' else kind}]"
        arguments.append("default=()")
        if name == "transforms":
            arguments.append("text=transform_text")
    else:
        kind += " | None"
    line = f"    {name}: {kind} = option({', '.join(arguments)})\n"
    if len(line) > LINE + 1:
        line = f"    {name}: {kind} = option(\n        {', '.join(arguments)}\n    )\n"
    text = sentence(item["help"])
    if item["choices"]:
        text += f" One of {', '.join(item['choices'])}."
    if item["default"]:
        text += f" Default: {item['default']}."
    return "\n" + line + docstring(text, "    ")


def events_source(schema: dict[str, Any]) -> str:
    kinds = [rule["then"]["$ref"].rpartition("/")[2] for rule in schema["allOf"]]
    kinds.remove("summary")  # summary.Summary
    body = [
        HEADER.format(title="The engine's events (docs/reference/machine.md)."),
        "from dataclasses import dataclass, fields\n",
        "from typing import Any, ClassVar\n\n\n",
        "@dataclass(frozen=True)\n",
        "class Event:\n",
        docstring(f"``t``: {schema['properties']['t']['description']}.", "    "),
        '\n    type: ClassVar[str] = ""\n    t: int = 0\n',
    ]
    body += [event_source(kind, schema["$defs"]) for kind in kinds]
    body.append("\n\n_CLASSES: tuple[type[Event], ...] = (\n")
    body += [f"    {class_name(kind)},\n" for kind in kinds]
    body.append(
        ")\n"
        "_TYPES = {each.type: (each, frozenset(field.name for field in fields(each))) for each in _CLASSES}\n\n\n"
        "def event_from_json(value: dict[str, Any]) -> Event | None:\n"
        '    """The event of one line; None for an unknown type. Unknown fields are ignored."""\n'
        '    known = _TYPES.get(str(value.get("type")))\n'
        "    if known is None:\n"
        "        return None\n"
        "    event_class, names = known\n"
        "    return event_class(**{name: item for name, item in value.items() if name in names})\n"
    )
    return "".join(body)


def event_source(kind: str, definitions: dict[str, Any]) -> str:
    definition = definitions[kind]
    body = [
        f"\n\n@dataclass(frozen=True)\nclass {class_name(kind)}(Event):\n",
        docstring(definition["description"], "    "),
        f'\n    type: ClassVar[str] = "{kind}"\n',
    ]
    for name, rule in definition["properties"].items():
        if name == "type":
            continue
        rule = definitions[rule["$ref"].rpartition("/")[2]] | rule if "$ref" in rule else rule
        default = {"string": 'str = ""', "integer": "int = 0", "boolean": "bool = False"}[rule["type"]]
        body.append(f"    {name}: {default}\n")
        if "description" in rule:
            body.append(docstring(sentence(rule["description"]), "    "))
        elif "enum" in rule and len(rule["enum"]) < 6:
            body.append(docstring(f"One of {', '.join(rule['enum'])}.", "    "))
    return "".join(body)


def class_name(kind: str) -> str:
    return "".join(word.capitalize() for word in kind.split("_"))


def sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else text + "."


def repr_double(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def docstring(text: str, indent: str) -> str:
    """Wrapped at the line's length, as ruff formats it."""
    text = text.replace("\\", "\\\\")
    if len(indent) + len(text) + 6 <= LINE:
        return f'{indent}"""{text}"""\n'
    lines = textwrap.wrap(text, LINE - len(indent) - 3, break_long_words=False, break_on_hyphens=False)
    return f'{indent}"""' + f"\n{indent}".join(lines) + f'\n{indent}"""\n'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
