"""Objects whose fields are options of the program: what ``options.py`` is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any


def option(
    flag: str,
    commands: str,
    *,
    negation: str | None = None,
    default: Any = None,
    text: Callable[[Any], str] = str,
) -> Any:
    """A dataclass field that is an option of the program.

    ``commands``: those that take it, separated by spaces. ``negation``: the flag that switches it off. ``text``: makes
    the argument of one value.
    """
    metadata = {"flag": flag, "commands": frozenset(commands.split()), "negation": negation, "text": text}
    return field(default=default, metadata=metadata)


@dataclass(kw_only=True, repr=False)
class OptionObject:
    """A dataclass whose fields are made with :func:`option`. A field that is None is left to the program's default.

    Airflow renders the fields (``template_fields``), which is why they can be assigned.
    """

    extra_arguments: Sequence[str] = ()
    """Further arguments, as on the command line; not for ``run``."""

    def arguments(self, command: str) -> list[str]:
        """The arguments of a command: the options that it takes, of those that are set."""
        arguments: list[str] = []
        for each in fields(self):
            if command in each.metadata.get("commands", ()):
                arguments += _arguments_of(each.metadata, getattr(self, each.name))
        return arguments if command == "run" else [*arguments, *self.extra_arguments]

    @property
    def template_fields(self) -> Sequence[str]:
        return tuple(each.name for each in fields(self))

    def serialize(self) -> dict[str, Any]:
        """The fields that are set; Airflow's page of a task shows them."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value not in (None, ())}

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.serialize().items())
        return f"{type(self).__name__}({given})"


def _arguments_of(metadata: Any, value: Any) -> list[str]:
    if value is None:
        return []
    flag, text = metadata["flag"], metadata["text"]
    if isinstance(value, bool):
        switch = flag if value else metadata["negation"]
        return [switch] if switch else []
    values = value if isinstance(value, list | tuple) else [value]
    return [argument for each in values for argument in (flag, text(each))]
