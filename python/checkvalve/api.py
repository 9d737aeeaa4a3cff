"""``sync``, ``plan``, ``run``, ``verify``, ``status`` and ``doctor`` from Python.

For example:

    with checkvalve.sync("sftp://a.example/out/2024-03-01", "/data/in/2024-03-01") as operation:
        for event in operation:
            print(event)
    print(operation.result().files_copied)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .engine import Operation, call_json, error_of
from .errors import EXIT_FILES_FAILED, Failure
from .options import JobOptions
from .summary import DoctorReport, PlanStatus, Summary, VerifySummary


@dataclass(frozen=True)
class Endpoint:
    """A URL, ``NAME:path`` of a config, or a path; options and secrets as `checkvalve backends` lists them.

    Braces are literal: ``{date}`` is expanded in configured jobs only. Secrets are passed to the program through a
    descriptor, never in an argument, the environment or a file.
    """

    url: str
    options: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def argument(self) -> str:
        """The URL as SOURCE or TARGET of a command, which expands {date}: braces are doubled."""
        return self.url.replace("{", "{{").replace("}", "}}")

    def arguments(self, role: str) -> list[str]:
        """The options, for the "source" or the "target" of a command."""
        return [each for name, value in self.options.items() for each in (f"--{role}-option", f"{name}={value}")]


@dataclass(frozen=True)
class State:
    """Where plans and history are: a path, sqlite:///path or postgresql://user@host/name. None: the default place."""

    location: str | None = None
    password: str | None = field(default=None, repr=False)

    def arguments(self) -> list[str]:
        return ["--state", self.location] if self.location else []


@dataclass(frozen=True)
class ConfiguredJob:
    """A ``[job.NAME]`` of a TOML config, instead of two endpoints; ``date`` is the value of ``{date}``."""

    config: str
    name: str
    date: str | None = None

    def arguments(self) -> list[str]:
        dates = ["--date", self.date] if self.date else []
        return ["--config", self.config, "--job", self.name, *dates]


Tick = Callable[[Operation], None]
Endpoints = tuple[Endpoint | None, Endpoint | None]
"""Source and target. None: as the configured job or the plan has it."""


def sync(
    source: str | Endpoint,
    target: str | Endpoint,
    options: JobOptions | None = None,
    *,
    files: str | Sequence[str] | None = None,
    state: str | State | None = None,
    program: str | None = None,
    on_tick: Tick | None = None,
) -> Operation:
    """Plans, then copies every file that is missing or changed. ``files``: as for :func:`start`."""
    endpoints = (_endpoint(source), _endpoint(target))
    return start("sync", endpoints, options, files=files, state=state, program=program, on_tick=on_tick)


def plan(
    source: str | Endpoint,
    target: str | Endpoint,
    options: JobOptions | None = None,
    *,
    files: str | Sequence[str] | None = None,
    state: str | State | None = None,
    program: str | None = None,
    on_tick: Tick | None = None,
) -> Operation:
    """Compares source and target and stores a plan; ``result().batch_list`` has its batches."""
    endpoints = (_endpoint(source), _endpoint(target))
    return start("plan", endpoints, options, files=files, state=state, program=program, on_tick=on_tick)


def run(
    plan: str,
    batches: Sequence[int] = (),
    *,
    source: Endpoint | None = None,
    target: Endpoint | None = None,
    endpoint_secrets: Mapping[str, Mapping[str, str]] | None = None,
    config: str | None = None,
    options: JobOptions | None = None,
    state: str | State | None = None,
    program: str | None = None,
    on_tick: Tick | None = None,
) -> Operation:
    """Runs all batches of a plan, or some. The plan has the endpoints; ``source`` and ``target`` bring their secrets.

    Of ``options``, those of the command ``run`` apply; the others are fixed by the plan.
    """
    where = _state(state)
    arguments = ["run", plan, *(each for batch in batches for each in ("--batch", str(batch)))]
    if config:
        arguments += ["--config", config]
    arguments += [*(options.arguments("run") if options else []), *where.arguments()]
    return Operation(
        arguments,
        secrets=secrets_document((source, target), where, endpoint_secrets),
        program=program,
        on_tick=on_tick,
    )


def verify(
    source: str | Endpoint,
    target: str | Endpoint,
    options: JobOptions | None = None,
    *,
    files: str | Sequence[str] | None = None,
    state: str | State | None = None,
    program: str | None = None,
    timeout_seconds: float = 6 * 3600,
) -> VerifySummary:
    """Compares source and target and changes nothing; ``options.checksum`` reads both. Differences do not raise."""
    endpoints = (_endpoint(source), _endpoint(target))
    return compare(endpoints, options, files=files, state=state, program=program, timeout_seconds=timeout_seconds)


def compare(
    endpoints: Endpoints,
    options: JobOptions | None = None,
    *,
    files: str | Sequence[str] | None = None,
    configured: ConfiguredJob | None = None,
    state: str | State | None = None,
    program: str | None = None,
    timeout_seconds: float = 6 * 3600,
) -> VerifySummary:
    """``verify`` of two endpoints, or of a configured job, to whose endpoints ``endpoints`` may add secrets."""
    where = _state(state)
    arguments = _arguments("verify", endpoints, options, files, configured, where)
    code, value = call_json(
        [*arguments, "--die-with-parent"],
        secrets=secrets_document(endpoints, where),
        files=_file_list(files),
        program=program,
        timeout_seconds=timeout_seconds,
    )
    report = VerifySummary.from_json(value)
    if code not in (0, EXIT_FILES_FAILED) or report.error:
        raise _error(code, value)
    return report


def status(plan: str, *, state: str | State | None = None, program: str | None = None) -> PlanStatus:
    """The state of a plan and its batches."""
    where = _state(state)
    code, value = call_json(
        ["status", plan, *where.arguments()], secrets=secrets_document((None, None), where), program=program
    )
    if value.get("error"):
        raise _error(code, value)
    return PlanStatus.from_json(value)


def doctor(
    endpoint: str | Endpoint, *, read_only: bool = False, program: str | None = None, timeout_seconds: float = 60
) -> DoctorReport:
    """Connects and reports what an endpoint can do. A failure to connect is in the report's ``error``.

    Unless ``read_only``, it writes temporary files of some megabytes below the endpoint's root and removes them.
    """
    checked = _endpoint(endpoint)
    _, value = call_json(
        ["doctor", checked.url, *(["--read-only"] if read_only else []), *checked.arguments("source")],
        secrets=secrets_document((checked, None), State()),
        program=program,
        timeout_seconds=timeout_seconds,
    )
    return DoctorReport.from_json(value)


def start(
    command: str,
    endpoints: Endpoints,
    options: JobOptions | None = None,
    *,
    files: str | Sequence[str] | None = None,
    configured: ConfiguredJob | None = None,
    endpoint_secrets: Mapping[str, Mapping[str, str]] | None = None,
    state: str | State | None = None,
    program: str | None = None,
    on_tick: Tick | None = None,
) -> Operation:
    """``sync`` or ``plan`` of two endpoints, or of a configured job, to whose endpoints ``endpoints`` may add secrets.

    ``files``: one path, or a list of paths, relative to the source root, instead of listing directories.
    """
    where = _state(state)
    return Operation(
        _arguments(command, endpoints, options, files, configured, where),
        secrets=secrets_document(endpoints, where, endpoint_secrets),
        files=_file_list(files),
        program=program,
        on_tick=on_tick,
    )


def secrets_document(
    endpoints: Endpoints, state: State, named: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Any]:
    """The document of --secrets-fd; empty if there are no secrets. ``named``: by the config's names of endpoints."""
    document: dict[str, Any] = {}
    for role, endpoint in zip(("source", "target"), endpoints, strict=True):
        if endpoint and endpoint.secrets:
            document[role] = dict(endpoint.secrets)
    if named:
        document["endpoints"] = {name: dict(secrets) for name, secrets in named.items()}
    if state.password:
        document["state"] = {"password": state.password}
    return document


def _arguments(
    command: str,
    endpoints: Endpoints,
    options: JobOptions | None,
    files: str | Sequence[str] | None,
    configured: ConfiguredJob | None,
    state: State,
) -> list[str]:
    """All but a list of files, which is passed through a descriptor."""
    arguments = [command]
    arguments += configured.arguments() if configured else [each.argument() for each in endpoints if each]
    for role, endpoint in zip(("source", "target"), endpoints, strict=True):
        arguments += endpoint.arguments(role) if endpoint else []
    if isinstance(files, str):
        arguments += ["--file", files]
    return [*arguments, *(options or JobOptions()).arguments(command), *state.arguments()]


def _file_list(files: str | Sequence[str] | None) -> Sequence[str] | None:
    return None if isinstance(files, str) else files


def _endpoint(value: str | Endpoint) -> Endpoint:
    return Endpoint(value) if isinstance(value, str) else value


def _state(value: str | State | None) -> State:
    return value if isinstance(value, State) else State(value)


def _error(code: int, value: dict[str, Any]) -> Exception:
    failure = Failure.from_json(value["error"]) if value.get("error") else None
    return error_of(code, Summary.from_json(value), str(failure or ""))
