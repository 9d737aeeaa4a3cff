"""The delay_proxy program: a server behind a long or a broken line."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from pathlib import Path

from .process import Child, ChildServer, ServerError

BUILD = Path(os.environ.get("CHECKVALVE_BUILD", Path(__file__).resolve().parents[2] / "build"))
ANSWER_SECONDS = 20.0


class DelayProxy(ChildServer):
    """Runs between a client and 127.0.0.1:`server_port`; clients connect to `port`. See delay_proxy.cc."""

    def __init__(self, server_port: int, log: Path, *, delay_ms: int = 0) -> None:
        program = BUILD / "tests" / "delay_proxy"
        if not program.exists():
            raise ServerError(f"{program} is missing: ./dev build all")
        self.child = Child(
            [program, "--to", f"127.0.0.1:{server_port}", "--delay-ms", str(delay_ms)],
            log,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._answers: queue.Queue[str] = queue.Queue()
        self._cut = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        self.port = int(self._answers.get(timeout=ANSWER_SECONDS).removeprefix("port "))

    def cut(self) -> None:
        """Resets all connections."""
        self._command("cut")

    def cut_after(self, count_bytes: int) -> None:
        """Resets all connections once that many more bytes have passed; `was_cut` returns whether they have."""
        self._cut.clear()
        self._command(f"cut-after {count_bytes}")

    def was_cut(self) -> bool:
        return self._cut.is_set()

    def refuse(self) -> None:
        """Resets new connections at once."""
        self._command("refuse")

    def accept(self) -> None:
        self._command("accept")

    def hang(self) -> None:
        """Passes nothing on; connections stay open."""
        self._command("hang")

    def flow(self) -> None:
        self._command("flow")

    def _command(self, line: str) -> None:
        assert self.child.popen.stdin
        self.child.popen.stdin.write(f"{line}\n".encode())
        self.child.popen.stdin.flush()
        answer = self._answers.get(timeout=ANSWER_SECONDS)
        if answer != "done":
            raise ServerError(f"delay_proxy answered {answer!r} to {line!r}")

    def _read(self) -> None:
        assert self.child.popen.stdout
        for line in self.child.popen.stdout:
            text = line.decode().strip()
            if text == "cut":
                self._cut.set()
            else:
                self._answers.put(text)
