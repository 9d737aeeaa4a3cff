"""Child processes that live no longer than the program that starts them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

PR_SET_PDEATHSIG = 1
START_SECONDS = 20.0
STOP_SECONDS = 10.0

_libc = ctypes.CDLL(None, use_errno=True)

# A process by id and start time (clock ticks since boot): an id alone may be given to another process.
ProcessId = tuple[int, int]


class ServerError(Exception):
    """A server could not be started; the text holds the end of its log."""


def free_port() -> int:
    """A loopback TCP port that is free now. Another process may take it first: starters try again."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stat(pid: int) -> tuple[int, int] | None:
    """Parent and start time of a process, or None once it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else (int(fields[1]), int(fields[19]))


def alive(process: ProcessId) -> bool:
    stat = _stat(process[0])
    return stat is not None and stat[1] == process[1]


def descendants(pid: int) -> list[ProcessId]:
    """All processes below `pid`, children before grandchildren."""
    children: dict[int, list[ProcessId]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := _stat(int(name))):
            children.setdefault(stat[0], []).append((int(name), stat[1]))
    found: list[ProcessId] = []
    pending = [pid]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += [child for child, _ in below]
    return found


def send(processes: Sequence[ProcessId], number: signal.Signals) -> None:
    for process in processes:
        if alive(process):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process[0], number)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Looks again and again until the condition holds; False if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """A server process, in a session of its own so that Ctrl-C in a terminal reaches the tests and not the server."""

    def __init__(
        self,
        argv: Sequence[str | os.PathLike[str]],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
        user: str | None = None,
    ) -> None:
        """`user`: run as that user, without further groups; only root can."""
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                [os.fspath(part) for part in argv],
                stdin=stdin,
                stdout=output if stdout is None else stdout,
                stderr=output,
                env=None if env is None else dict(env),
                start_new_session=True,
                user=user,
                group=None if user is None else pwd.getpwnam(user).pw_gid,
                extra_groups=None if user is None else [],
                preexec_fn=_die_with_parent,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def running(self) -> bool:
        return self.popen.poll() is None

    def log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """Ends the process and everything below it, also what is stopped or has left the process group."""
        below = descendants(self.pid)
        if self.running():
            self.popen.terminate()
            self.popen.send_signal(signal.SIGCONT)
            try:
                self.popen.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        send(below, signal.SIGKILL)
        wait_until(lambda: not any(alive(process) for process in below), STOP_SECONDS)
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream:
                stream.close()


def ssh_banner(port: int) -> bool:
    """True once an SSH server greets on the port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def wait_ready(child: Child, port: int, ready: Callable[[int], bool]) -> bool:
    """Waits until the server answers; False if it has ended or does not come up."""
    wait_until(lambda: not child.running() or ready(port), START_SECONDS)
    return child.running() and ready(port)


class ChildServer:
    """A server that is one child process from the start on, as a context manager."""

    child: Child
    port: int

    def stop(self) -> None:
        self.child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class StartedServer:
    """A server that start() starts, also again after stop(), as a context manager that does both."""

    child: Child | None = None
    port = 0

    def start(self) -> Self:
        raise NotImplementedError

    def stop(self) -> None:
        if self.child:
            self.child.stop()
            self.child = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve(server: ChildServer | StartedServer) -> None:
    """As a program: prints "port N" once the server answers, and serves until standard input ends."""
    with server:
        print(f"port {server.port}", flush=True)
        sys.stdin.read()


def start_on_free_port(make: Callable[[int], Child], ready: Callable[[int], bool]) -> tuple[Child, int]:
    """Starts a server on a port that is given to it; tries another one if the port was taken meanwhile."""
    tail = ""
    for _ in range(5):
        port = free_port()
        child = make(port)
        if wait_ready(child, port, ready):
            return child, port
        child.stop()
        tail = child.log_tail()
    raise ServerError(f"the server did not start; the end of its log:\n{tail}")
