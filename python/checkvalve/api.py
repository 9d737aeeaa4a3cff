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
from .options import Batching, JobOptions
from .summary import DoctorReport, PlanStatus, Summary, VerifySummary


@dataclass(frozen=True)
class Endpoint:
    """One side: a URL, ``NAME:path`` of a config, or a path; options and secrets as `checkvalve backends` lists them.

    Braces are braces: only in a configured job do ``{date}`` and its forms stand for something.
    Secrets go to the program through a descriptor; they are in no argument, environment or file.
    """

    url: str
    options: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def argument(self) -> str:
        """The URL as SOURCE or TARGET of a command, in which braces stand for a date unless they are doubled."""
        return self.url.replace("{", "{{").replace("}", "}}")

    def arguments(self, side: str) -> list[str]:
        return [word for name, value in self.options.items() for word in (f"--{side}-option", f"{name}={value}")]


@dataclass(frozen=True)
class State:
    """Where plans and checkpoints are: a path, sqlite:///path or postgresql://user@host/name. None: the default."""

    location: str | None = None
    password: str | None = field(default=None, repr=False)

    def arguments(self) -> list[str]:
        return ["--state", self.location] if self.location else []


@dataclass(frozen=True)
class ConfiguredJob:
    """A ``[job.NAME]`` of a TOML config, instead of two endpoints; ``date`` is a date (2024-03-01) or ``yesterday``."""

    config: str
    name: str
    date: str | None = None

    def arguments(self) -> list[str]:
        dates = ["--date", self.date] if self.date else []
        return ["--config", self.config, "--job", self.name, *dates]


Tick = Callable[[Operation], None]


def sync(
    source: str | Endpoint,
    target: str | Endpoint,
    options: JobOptions | None = None,
    *,
    batching: Batching | None = None,
    state: str | State | None = None,
    program: str | None = None,
    on_tick: Tick | None = None,
) -> Operation:
    """Plans, then copies every file that is new or changed."""
    return start(
        "sync", (_endpoint(source), _endpoint(target)), options, batching=batching, state=state, program=program,
        on_tick=on_tick,
    )  # fmt: skip


def plan(
    source: str | Endpoint,
    target: str | Endpoint,
    options: JobOptions | None = None,
    *,
    batching: Batching | None = None,
    state: str | State | None = None,
    program: str | None = None,
    on_tick: Tick | None = None,
) -> Operation:
    """Lists both sides, compares, cuts into batches and keeps the plan; ``result().batch_list`` names the batches."""
    return start(
        "plan", (_endpoint(source), _endpoint(target)), options, batching=batching, state=state, program=program,
        on_tick=on_tick,
    )  # fmt: skip


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
    """Does all or some batches of a plan. The plan holds the endpoints; ``source`` and ``target`` bring the secrets.

    Of ``options`` those count that do not change what the plan says (``JobOptions.run_arguments``).
    """
    place = _state(state)
    arguments = ["run", plan, *(word for batch in batches for word in ("--batch", str(batch)))]
    if config:
        arguments += ["--config", config]
    arguments += [*(options.run_arguments() if options else []), *place.arguments()]
    return Operation(
        arguments,
        secrets=secrets_document(source, target, place, endpoint_secrets),
        program=program,
        on_tick=on_tick,
    )


def verify(
    source: str | Endpoint,
    target: str | Endpoint,
    options: JobOptions | None = None,
    *,
    state: str | State | None = None,
    program: str | None = None,
    timeout_seconds: float = 6 * 3600,
) -> VerifySummary:
    """Compares both sides and changes nothing; with ``options.checksum`` both are read. Differences do not raise."""
    ends = (_endpoint(source), _endpoint(target))
    return compare(ends, options, state=state, program=program, timeout_seconds=timeout_seconds)


def compare(
    ends: tuple[Endpoint | None, Endpoint | None],
    options: JobOptions | None = None,
    *,
    configured: ConfiguredJob | None = None,
    state: str | State | None = None,
    program: str | None = None,
    timeout_seconds: float = 6 * 3600,
) -> VerifySummary:
    """``verify`` of two endpoints, or of a configured job, to whose endpoints ``ends`` may add secrets."""
    options = options or JobOptions()
    place = _state(state)
    words = ["verify", "--die-with-parent", *_places(ends, configured), *options.arguments(), *place.arguments()]
    code, value = call_json(
        words,
        secrets=secrets_document(*ends, place),
        files=options.file_list,
        program=program,
        timeout_seconds=timeout_seconds,
    )
    report = VerifySummary.from_json(value)
    if code not in (0, EXIT_FILES_FAILED) or report.error:
        raise _error(code, value)
    return report


def status(plan: str, *, state: str | State | None = None, program: str | None = None) -> PlanStatus:
    """How far a plan is."""
    place = _state(state)
    code, value = call_json(
        ["status", plan, *place.arguments()], secrets=secrets_document(None, None, place), program=program
    )
    if value.get("error"):
        raise _error(code, value)
    return PlanStatus.from_json(value)


def doctor(
    endpoint: str | Endpoint, *, read_only: bool = False, program: str | None = None, timeout_seconds: float = 60
) -> DoctorReport:
    """Connects and reports what an endpoint can do. A failure to connect is in the report's ``error``.

    Unless ``read_only``, temporaries are made below its root, some megabytes among them, and removed again.
    """
    end = _endpoint(endpoint)
    only_look = ["--read-only"] if read_only else []
    _, value = call_json(
        ["doctor", end.url, *only_look, *end.arguments("source")],
        secrets=secrets_document(end, None, State()),
        program=program,
        timeout_seconds=timeout_seconds,
    )
    return DoctorReport.from_json(value)


def start(
    command: str,
    ends: tuple[Endpoint | None, Endpoint | None],
    options: JobOptions | None = None,
    *,
    configured: ConfiguredJob | None = None,
    endpoint_secrets: Mapping[str, Mapping[str, str]] | None = None,
    batching: Batching | None = None,
    state: str | State | None = None,
    program: str | None = None,
    on_tick: Tick | None = None,
) -> Operation:
    """``sync`` or ``plan`` of two endpoints, or of a configured job, to whose endpoints ``ends`` may add secrets."""
    options = options or JobOptions()
    place = _state(state)
    batches = batching.arguments() if batching else []
    return Operation(
        [command, *_places(ends, configured), *options.arguments(), *batches, *place.arguments()],
        secrets=secrets_document(*ends, place, endpoint_secrets),
        files=options.file_list,
        program=program,
        on_tick=on_tick,
    )


def secrets_document(
    source: Endpoint | None,
    target: Endpoint | None,
    state: State,
    endpoints: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """The document of --secrets-fd; empty if there are no secrets."""
    document: dict[str, Any] = {}
    if source and source.secrets:
        document["source"] = dict(source.secrets)
    if target and target.secrets:
        document["target"] = dict(target.secrets)
    if endpoints:
        document["endpoints"] = {name: dict(secrets) for name, secrets in endpoints.items()}
    if state.password:
        document["state"] = {"password": state.password}
    return document


def _places(ends: tuple[Endpoint | None, Endpoint | None], configured: ConfiguredJob | None) -> list[str]:
    words = configured.arguments() if configured else [end.argument() for end in ends if end]
    for side, end in zip(("source", "target"), ends, strict=True):
        words += end.arguments(side) if end else []
    return words


def _endpoint(value: str | Endpoint) -> Endpoint:
    return Endpoint(value) if isinstance(value, str) else value


def _state(value: str | State | None) -> State:
    return value if isinstance(value, State) else State(value)


def _error(code: int, value: dict[str, Any]) -> Exception:
    failure = Failure.from_json(value["error"]) if value.get("error") else None
    return error_of(code, Summary.from_json(value), str(failure or ""))
