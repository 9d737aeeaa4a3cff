"""Starts the program, reads its events, and makes sure that it ends."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from .errors import EXIT_FILES_FAILED, EXIT_USAGE, EngineError, PermanentError, TransientError
from .events import Event, event_from_json
from .program import find_program
from .summary import Summary
from .transform import engine_environment

Secrets = Mapping[str, Any]
"""The document of --secrets-fd: {"source": {"password": …}, "target": …, "state": …, "endpoints": {NAME: …}}."""

_TICK_SECONDS = 1.0
_STOP_GRACE_SECONDS = 10.0
_STDERR_LINES = 40


class Operation:
    """A running program. Iterate over its events, then call ``result()``; or only the latter.

    As a context manager it stops the program on exit if it still runs. The program also ends, as by SIGTERM, when this
    process dies. One thread iterates; ``stop`` and ``terminate`` may be called from any thread and from a signal
    handler.

    ``files``: a list of paths for ``--files-from``. ``on_tick`` is called about once a second while events are read; it
    may raise to abort, or call ``stop``.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        secrets: Secrets | None = None,
        files: Sequence[str] | None = None,
        program: str | None = None,
        on_tick: Callable[[Operation], None] | None = None,
    ) -> None:
        self.summary: Summary | None = None
        self.summary_json: dict[str, Any] | None = None
        self._on_tick = on_tick
        self._events_fd, events_write = os.pipe()
        try:
            with _Descriptors() as descriptors:
                argv = [find_program(program), *arguments, "--events", f"fd:{events_write}", "--die-with-parent"]
                argv += descriptors.files_from(files)
                secrets_write = None
                if secrets:
                    secrets_read, secrets_write = descriptors.pipe()
                    argv += ["--secrets-fd", str(secrets_read)]
                # The program stays in our process group: a signal to the group reaches it too.
                self._process = subprocess.Popen(
                    argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    pass_fds=(events_write, *descriptors.inherited),
                    env=engine_environment(),
                )
                descriptors.close_inherited()
                if secrets_write is not None:
                    descriptors.send(secrets_write, json.dumps(secrets).encode())
        except BaseException:
            os.close(self._events_fd)
            raise
        finally:
            os.close(events_write)
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._stderr_reader = threading.Thread(target=self._read_stderr, name="checkvalve-stderr", daemon=True)
        self._stderr_reader.start()
        self._lines = self._read_lines()

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Operation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        """The events, until the program closes its stream. The summary is kept for ``result``."""
        for line in self._lines:
            value = json.loads(line)
            if value.get("type") == "summary":
                self.summary_json = value.get("summary", value)
                self.summary = Summary.from_json(self.summary_json or {})
            elif event := event_from_json(value):
                yield event

    def result(self) -> Summary:
        """Reads the remaining events, waits for the end and returns the summary.

        Raises PermanentError or TransientError if the program's exit code is not 0.
        """
        for _ in self:
            pass
        code = self.wait()
        if code != 0:
            raise self._error(code)
        if self.summary is None:
            raise TransientError("checkvalve ended without a summary", exit_code=code)
        return self.summary

    def wait(self) -> int:
        """Waits for the program's end and returns its exit code, negative for the signal that killed it."""
        code = self._process.wait()
        self._stderr_reader.join(timeout=_STOP_GRACE_SECONDS)
        return code

    def running(self) -> bool:
        """Does not reap the process, so that a signal handler may call it while ``wait`` is in progress."""
        if self._process.returncode is not None:
            return False
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False

    def terminate(self) -> None:
        """Asks the program to stop: it cleans up or records what is in flight."""
        self._send(signal.SIGTERM)

    def stop(self, grace_seconds: float = _STOP_GRACE_SECONDS) -> None:
        """``terminate``, and SIGKILL if it still runs after the grace period. Returns once it has ended."""
        self.terminate()
        deadline = time.monotonic() + grace_seconds
        while self.running():
            if time.monotonic() > deadline:
                self._send(signal.SIGKILL)
                deadline = float("inf")
            time.sleep(0.02)

    def close(self) -> None:
        """Stops the program if it still runs and closes the descriptors."""
        if self.running():
            self.stop()
        if self._events_fd >= 0:
            os.close(self._events_fd)
            self._events_fd = -1
        self.wait()
        for stream in (self._process.stdin, self._process.stderr):
            if stream is not None:
                stream.close()

    def _send(self, number: signal.Signals) -> None:
        if self.running():
            # Popen.send_signal takes the lock that an interrupted Popen.wait holds.
            os.kill(self.pid, number)

    def _read_lines(self) -> Iterator[bytes]:
        pending = b""
        while self._events_fd >= 0:
            ready, _, _ = select.select([self._events_fd], [], [], _TICK_SECONDS)
            if self._on_tick is not None:
                self._on_tick(self)
            if not ready:
                continue
            data = os.read(self._events_fd, 1 << 16)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            yield from lines

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._stderr.append(line.decode(errors="replace").rstrip())

    def _error(self, code: int) -> EngineError:
        return error_of(code, self.summary, "\n".join(self._stderr))


def call_json(
    arguments: Sequence[str],
    *,
    secrets: Secrets | None = None,
    files: Sequence[str] | None = None,
    program: str | None = None,
    timeout_seconds: float = 300,
) -> tuple[int, dict[str, Any]]:
    """Runs a command with --json and returns its exit code and object. Raises EngineError if it printed none."""
    with _Descriptors() as descriptors:
        argv = [find_program(program), *arguments, "--json", *descriptors.files_from(files)]
        secrets_write = None
        if secrets:
            secrets_read, secrets_write = descriptors.pipe()
            argv += ["--secrets-fd", str(secrets_read)]
        with subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=descriptors.inherited,
        ) as process:
            try:
                descriptors.close_inherited()
                if secrets_write is not None:
                    descriptors.send(secrets_write, json.dumps(secrets).encode())
                output, errors = _communicate(process, timeout_seconds)
            except BaseException:
                process.kill()
                raise
    try:
        return process.returncode, json.loads(output)
    except ValueError:
        raise error_of(process.returncode, None, errors.decode(errors="replace")) from None


def error_of(code: int, summary: Summary | None, stderr: str) -> EngineError:
    """The exception for an exit code other than 0."""
    failure = summary.error if summary else None
    if failure is not None:
        error_class = PermanentError if failure.permanent and failure.kind != "interrupted" else TransientError
        return error_class(str(failure), exit_code=code, failure=failure, summary=summary)
    if code == EXIT_FILES_FAILED and summary is not None:
        return _files_failed(code, summary)
    message = stderr.strip() or f"checkvalve ended with exit code {code}"
    if code == EXIT_USAGE:
        return PermanentError(message, exit_code=code, summary=summary)
    if code < 0:
        message = f"checkvalve was killed by {signal.Signals(-code).name}"
    elif summary is not None and summary.interrupted:
        message = "checkvalve was interrupted"
    return TransientError(message, exit_code=code, summary=summary)


def _files_failed(code: int, summary: Summary) -> EngineError:
    """Transient if at least one file may succeed later: a retry skips the files that are done."""
    count = summary.files_failed or len(summary.failures)
    shown = "; ".join(str(failure) for failure in summary.failures[:5])
    more = f"; and {count - 5} more" if count > 5 else ""
    permanent = bool(summary.failures) and all(failure.permanent for failure in summary.failures)
    error_class = PermanentError if permanent else TransientError
    files = "1 file" if count == 1 else f"{count} files"
    return error_class(f"{files} not copied: {shown}{more}", exit_code=code, summary=summary)


def _communicate(process: subprocess.Popen[bytes], timeout_seconds: float) -> tuple[bytes, bytes]:
    """Like Popen.communicate, which closes standard input first, at whose end the program would stop."""
    stdin, process.stdin = process.stdin, None
    try:
        return process.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        raise TransientError(
            f"checkvalve did not end within {timeout_seconds:.0f} s", exit_code=-signal.SIGKILL
        ) from None
    finally:
        if stdin is not None:
            stdin.close()


class _Descriptors:
    """The descriptors that one process inherits, and the write end of its secrets."""

    def __init__(self) -> None:
        self.inherited: list[int] = []
        self._writes: list[int] = []

    def __enter__(self) -> _Descriptors:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_inherited()
        for descriptor in self._writes:
            os.close(descriptor)

    def pipe(self) -> tuple[int, int]:
        read, write = os.pipe()
        self.inherited.append(read)
        self._writes.append(write)
        return read, write

    def files_from(self, files: Sequence[str] | None) -> list[str]:
        """The arguments for a list of files, if there is one."""
        return [] if files is None else ["--files-from", f"/dev/fd/{self._file_list(files)}", "--from0"]

    def _file_list(self, files: Sequence[str]) -> int:
        """A file in memory with NUL-terminated paths: a list of any length needs no thread that feeds a pipe."""
        descriptor = os.memfd_create("checkvalve-files")
        self.inherited.append(descriptor)
        with open(descriptor, "wb", closefd=False) as stream:
            stream.write(b"".join(os.fsencode(name) + b"\0" for name in files))
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor

    def close_inherited(self) -> None:
        for descriptor in self.inherited:
            os.close(descriptor)
        self.inherited = []

    def send(self, descriptor: int, data: bytes) -> None:
        """Writes all and closes. If the program ended early, its exit code says so."""
        self._writes.remove(descriptor)
        try:
            with open(descriptor, "wb") as stream:
                stream.write(data)
        except BrokenPipeError:
            pass
