"""Transforms in Python: how they are named to the engine, and Python functions as filters of files.

A transform of a chain is a text as on the command line (``"gzip level=9"``), a mapping with a ``name`` and options
(``{"name": "gzip", "level": 9}``, as in the config), or what :func:`python_transform` returns.

As a program it is one filter, from standard input to standard output, which is how the engine's ``exec`` runs it:

    python -m checkvalve.transform my_package.my_module:function '{"key": "value"}'
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Transform = str | Mapping[str, Any]
Filter = Callable[..., Iterable[bytes]]
"""Called as ``function(chunks, **arguments)``, with an iterator over a file's bytes."""

PATH_VARIABLE = "CHECKVALVE_PYTHONPATH"
"""Where functions are looked for beside the interpreter's own path: what the process that started the engine had."""

_PYTHON = "python"
_CHUNK_BYTES = 1 << 18
_EXIT_FAILED, _EXIT_USAGE = 1, 2


def python_transform(function: str, /, *, options: Mapping[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    """A transform that a Python function does: ``python_transform("my_package.my_module:function", key="value")``.

    The function is called once a file, in a process of its own, as ``function(chunks, **arguments)``: ``chunks`` is an
    iterator over the file's bytes, in pieces of any size; it returns an iterable of bytes, or is a generator of them.
    What it raises fails that file. ``CHECKVALVE_PATH`` of the environment is the file's path.

    ``arguments`` must be what JSON can hold, and no secrets: they are in the plan and in the process's arguments.
    ``options`` are those of the transform ``exec`` (``timeout``, ``memory``, ``cpu``, ``version``, ``environment``,
    ``rename``): change ``version`` with the function's code, and files are made again. Raises ValueError for a function
    that is not MODULE:FUNCTION.
    """
    check_function_name(function)
    return {"name": _PYTHON, "function": function, "arguments": arguments, "options": dict(options or {})}


def check_function_name(function: str) -> None:
    module, colon, name = function.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        raise ValueError(f"'{function}' names no function: write my_package.my_module:function")


def transform_text(transform: Transform) -> str:
    """The text of a transform for ``--transform``. Raises ValueError for a mapping without a name."""
    if isinstance(transform, str):
        return transform
    options = dict(transform)
    name = options.pop("name", None)
    if not name:
        raise ValueError(f'a transform needs a name: {{"name": "gzip", "level": 9}}, not {transform!r}')
    if name == _PYTHON:
        name, options = "exec", _exec_options(**options)
    return " ".join([str(name), *(f"{key}={_quoted(_value_text(value))}" for key, value in options.items())])


def _exec_options(function: str, arguments: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", __name__, function, *([json.dumps(arguments)] if arguments else [])]
    environment = options.get("environment", [])
    environment = [environment] if isinstance(environment, str) else list(environment)
    return {**options, "command": command, "environment": [*environment, PATH_VARIABLE]}


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value) if isinstance(value, list | tuple | dict) else str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def engine_environment() -> dict[str, str]:
    """This process's environment, and where Python functions of a chain are found."""
    return {**os.environ, PATH_VARIABLE: os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}


class _UsageError(Exception):
    """What the program was told makes no sense."""


def main(words: list[str]) -> int:
    """Filters standard input to standard output. What fails is said on standard error in one line."""
    # What the function prints must not get among the file's bytes.
    output = os.dup(1)
    os.dup2(2, 1)
    name = words[0] if words else "checkvalve.transform"
    try:
        function, arguments = _function_of(words)
        pieces = function(_chunks(0), **arguments)
        if not isinstance(pieces, Iterable):
            raise TypeError(f"it returned {type(pieces).__name__}, not an iterable of bytes")
        for piece in pieces:
            _write(output, piece)
        os.close(output)
    except BrokenPipeError:  # the engine has gone, or has given the file up
        return _EXIT_FAILED
    except _UsageError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return _EXIT_USAGE
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
        print(f"{name}: {type(error).__name__}: {error}{place}", file=sys.stderr)
        return _EXIT_FAILED
    return 0


def _function_of(words: list[str]) -> tuple[Filter, dict[str, Any]]:
    if len(words) not in (1, 2):
        raise _UsageError("usage: python -m checkvalve.transform MODULE:FUNCTION [JSON OBJECT OF ARGUMENTS]")
    try:
        check_function_name(words[0])
        arguments = json.loads(words[1]) if len(words) == 2 else {}
    except ValueError as error:
        raise _UsageError(str(error)) from None
    if not isinstance(arguments, dict):
        raise _UsageError(f"the arguments must be a JSON object, not {words[1]}")
    sys.path += [path for path in os.environ.get(PATH_VARIABLE, "").split(os.pathsep) if path and path not in sys.path]
    module, _, name = words[0].partition(":")
    try:
        function: Any = importlib.import_module(module)
        for part in name.split("."):
            function = getattr(function, part)
    except (ImportError, AttributeError) as error:
        raise _UsageError(str(error)) from None
    if not callable(function):
        raise _UsageError(f"it is of type {type(function).__name__}, no function")
    return function, arguments


def _chunks(descriptor: int) -> Iterator[bytes]:
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        yield chunk


def _write(descriptor: int, piece: bytes) -> None:
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise TypeError(f"it gave a piece of type {type(piece).__name__}, not bytes")
    rest = memoryview(piece).cast("B")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
