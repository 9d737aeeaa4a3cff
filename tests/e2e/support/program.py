"""The program as a user runs it; its output is checked against its documented contract on each run."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(os.environ.get("CHECKVALVE_PROGRAM", ROOT / "build" / "checkvalve"))
RUN_SECONDS = 100.0
CHECKED_EVENTS = 3000  # a long run's events are all alike

Event = dict[str, Any]

_event_schema = jsonschema.Draft202012Validator(json.loads((ROOT / "schema" / "events.schema.json").read_text()))


def check_event(event: Event) -> None:
    _event_schema.validate(event)


def clean_environment(home: Path) -> dict[str, str]:
    """No agent, no settings and no keys of the user who runs the tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "LANG", "LC_ALL", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "MUTANT", "MUTANTS_REACHED")
    }
    home.mkdir(parents=True, exist_ok=True)
    return {**kept, "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config")}


@dataclass
class Outcome:
    """A command that has ended."""

    argv: list[str]
    code: int
    stdout: bytes
    stderr: bytes
    events: list[Event] = field(default_factory=list)

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.stdout))

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace") + self.stderr.decode(errors="replace")

    def expect(self, code: int) -> Outcome:
        assert self.code == code, f"exit code {self.code}, not {code}, of {' '.join(self.argv)}\n{self.text[-4000:]}"
        return self

    def of_type(self, name: str) -> list[Event]:
        return [event for event in self.events if event["type"] == name]


class Running:
    """A command at work. Its output and its events are read all the time, so that it never waits for the test."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: Path | None,
        pass_fds: Sequence[int] = (),
        *,
        read_events: bool = True,
    ) -> None:
        read_end, write_end = os.pipe()
        self.argv = [*argv, "--events", f"fd:{write_end}"]
        self.popen = subprocess.Popen(
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            cwd=cwd,
            pass_fds=(write_end, *pass_fds),
        )
        os.close(write_end)
        self.events: list[Event] = []
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._output: list[bytes] = [b"", b""]
        self._readers = [
            threading.Thread(target=self._drain, args=(number, stream))
            for number, stream in enumerate((self.popen.stdout, self.popen.stderr))
        ]
        if read_events:
            self._readers.append(threading.Thread(target=self._read_events, args=(read_end,)))
        else:
            os.close(read_end)
            self._lines.put(b"")
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self.popen.pid

    def next_events(self) -> Iterator[Event]:
        """Events as they come, to the end of the run."""
        while line := self._lines.get(timeout=RUN_SECONDS):
            try:
                event = json.loads(line)
            except json.JSONDecodeError:  # the last line of a run that was killed
                assert self.popen.wait() < 0
                continue
            self.events.append(event)
            yield event
        self._lines.put(b"")

    def wait_for(self, condition: Callable[[Event], bool]) -> Event:
        for event in self.next_events():
            if condition(event):
                return event
        raise AssertionError(f"the run ended without the event that was waited for\n{self.finish().text}")

    def wait_for_published(self, count: int) -> None:
        left = count
        for event in self.next_events():
            left -= event["type"] == "file_published"
            if left == 0:
                return
        raise AssertionError(f"the run ended before {count} files were published\n{self.finish().text}")

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def finish(self) -> Outcome:
        """Waits for the end; the events that are left are read and checked."""
        for _ in self.next_events():
            pass
        code = self.popen.wait(RUN_SECONDS)
        for reader in self._readers:
            reader.join()
        for event in self.events[:CHECKED_EVENTS]:
            check_event(event)
        return Outcome(self.argv, code, self._output[0], self._output[1], self.events)

    def stop(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()

    def _drain(self, number: int, stream: Any) -> None:
        self._output[number] = stream.read()
        stream.close()

    def _read_events(self, read_end: int) -> None:
        with os.fdopen(read_end, "rb") as pipe:
            for line in pipe:
                self._lines.put(line)
        self._lines.put(b"")


@dataclass
class Program:
    """Runs build/checkvalve with options and an environment that a test shares between its runs."""

    home: Path
    options: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    cwd: Path | None = None

    @property
    def connection_options(self) -> list[str]:
        """Those of the shared options that a command without a state takes."""
        at = self.options.index("--state")
        return self.options[:at] + self.options[at + 2 :]

    def environment(self) -> dict[str, str]:
        return {**clean_environment(self.home), **self.env}

    def run(
        self,
        command: str,
        *arguments: str,
        stdin: bytes | None = None,
        timeout: float = RUN_SECONDS,
        pass_fds: Sequence[int] = (),
    ) -> Outcome:
        """Any command, to its end, without the shared options."""
        argv = [str(PROGRAM), command, *arguments]
        done = subprocess.run(
            argv,
            input=b"" if stdin is None else stdin,
            capture_output=True,
            env=self.environment(),
            cwd=self.cwd,
            timeout=timeout,
            pass_fds=pass_fds,
            check=False,
        )
        return Outcome(argv, done.returncode, done.stdout, done.stderr)

    def start(self, command: str, *arguments: str, pass_fds: Sequence[int] = (), **options: Any) -> Running:
        """`sync`, `plan` or `run` with the shared options, at work. Options are those of Running."""
        return Running(
            [str(PROGRAM), command, *arguments, *self.options], self.environment(), self.cwd, pass_fds, **options
        )

    def work(
        self,
        command: str,
        *arguments: str,
        stdin: bytes | None = None,
        pass_fds: Sequence[int] = (),
        timeout: float = RUN_SECONDS,
    ) -> Outcome:
        """`sync`, `plan` or `run` with the shared options, --json and --events, to its end; both are checked."""
        events_file = self.home / f"events-{os.urandom(4).hex()}.jsonl"
        outcome = self.run(
            command,
            *arguments,
            *self.options,
            "--json",
            "--events",
            str(events_file),
            stdin=stdin,
            pass_fds=pass_fds,
            timeout=timeout,
        )
        if events_file.exists():
            outcome.events = [json.loads(line) for line in events_file.read_bytes().splitlines()]
            events_file.unlink()
        check_outcome(outcome)
        return outcome


def check_outcome(outcome: Outcome) -> None:
    """What holds for each run, whatever its exit code: docs/reference/machine.md."""
    for event in outcome.events[:CHECKED_EVENTS]:
        check_event(event)
    if outcome.events:
        assert outcome.events[-1]["type"] == "summary"
    if outcome.code in (0, 1, 3):
        lines = outcome.stdout.splitlines()
        assert lines, f"no JSON on stdout: {outcome.text}"
        for line in lines:
            check_summary(json.loads(line), outcome.code)


def check_summary(summary: dict[str, Any], code: int) -> None:
    assert summary["version"] == 1
    if summary["command"] not in ("sync", "run", "plan"):
        return
    for name in (
        "files_planned",
        "files_copied",
        "files_skipped",
        "files_failed",
        "bytes_planned",
        "bytes_copied",
        "batches",
        "peak_rss_bytes",
    ):
        assert isinstance(summary[name], int), name
        assert summary[name] >= 0, name
    assert summary["seconds"] >= 0
    assert len(summary["failures"]) == min(summary["files_failed"], 1000)
    for failure in summary["failures"]:
        assert {"batch", "path", "kind", "status", "operation", "message"} <= set(failure)
    assert (summary["files_failed"] > 0) == (code == 1) or code == 3
