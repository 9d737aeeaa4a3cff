"""A filter in front of OpenSSH's sftp-server: speaks SFTP packets on standard input and output, with quirks of choice.

As sshd's subsystem ("Subsystem sftp PYTHON -m servers.sftp_filter QUIRK…", see `subsystem`), one process a session:

    hold=NAME:N:DIR      holds back the N-th request of this name until DIR/release exists; creates DIR/NAME-N first
    end-at=NAME:N:DIR    ends the session instead of passing that request on
    end-after=NAME:N:DIR passes that request on, and ends the session instead of answering
    kill-at=NAME:N:DIR:HOW  kills the process whose id is in DIR/pid at that request; HOW: "done" passes the request on
                         then, "undone" ends the session instead
    log=FILE             writes the name of each request to FILE
    list-as=NAME:OTHER   lists the entry NAME as OTHER, in which "%2F" stands for a slash
    without=posix-rename does not advertise posix-rename@openssh.com
    …                    the others: servers.sftp_quirks

Like sftp-server itself, the filter processes all requests that it has read even after its client is gone.
"""

from __future__ import annotations

import os
import shlex
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from .sftp_packets import Packet
from .sftp_quirk import Quirk
from .sftp_quirks import QUIRKS

SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server")


class Filter:
    """Passes packets between a client and an sftp-server through quirks, in their order."""

    def __init__(self, quirks: list[Quirk], client_in: BinaryIO, client_out: BinaryIO) -> None:
        program = next(path for path in SFTP_SERVERS if os.path.exists(path))
        self.quirks = quirks
        self.client_in, self.client_out = client_in, client_out
        self.server = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.due: dict[int, Packet] = {}
        self.writing = threading.Lock()  # of client_out

    def run(self) -> None:
        assert self.server.stdin
        assert self.server.stdout
        replies = threading.Thread(target=self._each, args=(self.server.stdout, self._pass_reply), daemon=True)
        replies.start()
        self._each(self.client_in, self._pass_request)
        self.server.stdin.close()
        self.server.wait()

    @staticmethod
    def _each(stream: BinaryIO, pass_on: Callable[[Packet], None]) -> None:
        while len(head := stream.read(4)) == 4:
            data = stream.read(struct.unpack(">I", head)[0])
            pass_on(Packet.parse(data))

    def _pass_request(self, request: Packet) -> None:
        self.due[request.id] = request
        passed: Packet | None = request
        for quirk in self.quirks:
            hook = getattr(quirk, request.name, None)
            if hook is None:
                continue
            passed = hook(passed)
            if passed is None or passed.is_reply():
                break
        if passed is None:
            return
        if passed.is_reply():
            self._to_client(passed)
            return
        assert self.server.stdin
        self.server.stdin.write(passed.encode())
        self.server.stdin.flush()

    def _pass_reply(self, reply: Packet) -> None:
        request = self.due.pop(reply.id, None)
        passed: Packet | None = reply
        for quirk in self.quirks:
            if passed is not None:
                passed = quirk.reply(request, passed)
        if passed is not None:
            self._to_client(passed)

    def _to_client(self, packet: Packet) -> None:
        try:
            with self.writing:
                self.client_out.write(packet.encode())
                self.client_out.flush()
        except OSError:
            pass  # the client is gone; its requests are processed all the same


def subsystem(directory: Path, *quirks: str) -> str:
    """The command for SshServer.subsystem that serves with these quirks: a script that `directory` gets."""
    script = directory / "sftp-filter"
    tests = Path(__file__).resolve().parents[1]
    words = [sys.executable, "-m", "servers.sftp_filter", *quirks]
    script.write_text(f"#!/bin/sh\nPYTHONPATH={shlex.quote(str(tests))} exec {shlex.join(words)}\n")
    script.chmod(0o755)
    return f"'\"{script}\"'"  # sshd removes one pair of quotes, the shell the other


def main() -> None:
    quirks = []
    for word in sys.argv[1:]:
        name, _, argument = word.partition("=")
        quirks.append(QUIRKS[name](argument))
    Filter(quirks, sys.stdin.buffer, sys.stdout.buffer).run()


if __name__ == "__main__":
    main()
