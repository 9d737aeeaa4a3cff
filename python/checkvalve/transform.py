"""Transforms in Python: how they are passed to the program, and Python functions as filters of files.

A transform of a chain is a string as on the command line (``"gzip level=9"``), a mapping with a ``name`` and options as
in a config (``{"name": "gzip", "level": 9}``), or what :func:`python_transform` returns.

Run as a program, this module filters standard input to standard output; the transform ``exec`` runs it:

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
"""The module search path of the process that started the program, for functions that are not installed."""

_PYTHON = "python"
_CHUNK_BYTES = 1 << 18
_EXIT_FAILED, _EXIT_USAGE = 1, 2


def python_transform(function: str, /, *, options: Mapping[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    """A Python function as a transform: ``python_transform("my_package.my_module:function", key="value")``.

    The function is called once per file, in a separate process, as ``function(chunks, **arguments)``: ``chunks`` is an
    iterator over the file's bytes, in pieces of any size; it returns an iterable of bytes, or is a generator of them.
    An exception fails that file. The environment variable ``CHECKVALVE_PATH`` is the file's path.

    ``arguments`` must be JSON values and not secret: they are stored in the plan and visible in the process list.
    ``options`` are those of the transform ``exec`` (``timeout``, ``memory``, ``cpu``, ``version``, ``environment``,
    ``rename``): a new ``version`` has all files published again. Raises ValueError for a function that is not
    MODULE:FUNCTION.
    """
    check_function_name(function)
    return {"name": _PYTHON, "function": function, "arguments": arguments, "options": dict(options or {})}


def check_function_name(function: str) -> None:
    module, colon, name = function.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        raise ValueError(
            f"invalid function '{function}': expected MODULE:FUNCTION, for example my_package.my_module:function"
        )


def transform_text(transform: Transform) -> str:
    """The value of ``--transform``. Raises ValueError for a mapping without a name."""
    if isinstance(transform, str):
        return transform
    options = dict(transform)
    name = options.pop("name", None)
    if not name:
        raise ValueError(f"transform without a name: {transform!r}")
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
    """This process's environment and module search path."""
    return {**os.environ, PATH_VARIABLE: os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}


class _UsageError(Exception):
    """Invalid arguments."""


def main(arguments: list[str]) -> int:
    """Filters standard input to standard output. A failure is one line on standard error."""
    # What the function prints must not mix with the file's bytes.
    output = os.dup(1)
    os.dup2(2, 1)
    name = arguments[0] if arguments else "checkvalve.transform"
    try:
        function, keywords = _function_of(arguments)
        pieces = function(_chunks(0), **keywords)
        if not isinstance(pieces, Iterable):
            raise TypeError(f"function returned {type(pieces).__name__}: expected an iterable of bytes")
        for piece in pieces:
            _write(output, piece)
        os.close(output)
    except BrokenPipeError:  # the reader ended or failed the file
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


def _function_of(arguments: list[str]) -> tuple[Filter, dict[str, Any]]:
    if len(arguments) not in (1, 2):
        raise _UsageError("usage: python -m checkvalve.transform MODULE:FUNCTION [JSON-OBJECT]")
    try:
        check_function_name(arguments[0])
        keywords = json.loads(arguments[1]) if len(arguments) == 2 else {}
    except ValueError as error:
        raise _UsageError(str(error)) from None
    if not isinstance(keywords, dict):
        raise _UsageError(f"invalid arguments {arguments[1]}: expected a JSON object")
    sys.path += [path for path in os.environ.get(PATH_VARIABLE, "").split(os.pathsep) if path and path not in sys.path]
    module, _, name = arguments[0].partition(":")
    try:
        function: Any = importlib.import_module(module)
        for part in name.split("."):
            function = getattr(function, part)
    except (ImportError, AttributeError) as error:
        raise _UsageError(str(error)) from None
    if not callable(function):
        raise _UsageError(f"not a function but {type(function).__name__}")
    return function, keywords


def _chunks(descriptor: int) -> Iterator[bytes]:
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        yield chunk


def _write(descriptor: int, piece: bytes) -> None:
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise TypeError(f"function yielded {type(piece).__name__}: expected bytes")
    rest = memoryview(piece).cast("B")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
