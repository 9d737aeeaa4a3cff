"""A filter in front of OpenSSH's sftp-server: speaks SFTP packets on standard input and output, with quirks of choice.

As sshd's subsystem ("Subsystem sftp PYTHON -m servers.sftp_filter QUIRK…", see `subsystem`), one process a session:

    hold=NAME:N:DIR      holds back the N-th request of this name until DIR/release exists; creates DIR/NAME-N first
    end-at=NAME:N:DIR    ends the session instead of passing that request on
    kill-at=NAME:N:DIR:HOW  kills the process whose id is in DIR/pid at that request; HOW: "done" passes the request on
                         then, "undone" ends the session instead
    log=FILE             writes the name of each request to FILE
    list-as=NAME:OTHER   lists the entry NAME as OTHER, in which "%2F" stands for a slash
    no-posix-rename      does not advertise posix-rename@openssh.com

A quirk is a subclass of Quirk with a method for each request type, and one for replies. Like sftp-server itself, the
filter processes all requests that it has read even after its client is gone.
"""

from __future__ import annotations

import os
import shlex
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server")
POLL_SECONDS = 0.01

# Packet types by number (draft-ietf-secsh-filexfer-02, section 3).
REQUESTS = {
    1: "init",
    3: "open",
    4: "close",
    5: "read",
    6: "write",
    7: "lstat",
    8: "fstat",
    9: "setstat",
    10: "fsetstat",
    11: "opendir",
    12: "readdir",
    13: "remove",
    14: "mkdir",
    15: "rmdir",
    16: "realpath",
    17: "stat",
    18: "rename",
    19: "readlink",
    20: "symlink",
    200: "extended",
}
EXTENSIONS = (
    "posix_rename",
    "hardlink",
    "fsync",
    "statvfs",
    "fstatvfs",
    "limits",
    "expand_path",
    "lsetstat",
    "check_file",
)
VERSION, STATUS, HANDLE, DATA, NAME, ATTRS = 2, 101, 102, 103, 104, 105
OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE, OP_UNSUPPORTED = 0, 1, 2, 3, 4, 5, 8


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def take_string(data: bytes, offset: int = 0) -> tuple[bytes, int]:
    """A string at `offset`, and the offset behind it."""
    (length,) = struct.unpack_from(">I", data, offset)
    return data[offset + 4 : offset + 4 + length], offset + 4 + length


@dataclass
class Packet:
    """One packet. `id` is the request's; INIT and VERSION have none (0), and their version stands in `body`."""

    type: int
    id: int
    body: bytes

    @classmethod
    def parse(cls, data: bytes) -> Packet:
        if data[0] in (1, VERSION):
            return cls(data[0], 0, data[1:])
        return cls(data[0], struct.unpack_from(">I", data, 1)[0], data[5:])

    def encode(self) -> bytes:
        head = b"" if self.type in (1, VERSION) else struct.pack(">I", self.id)
        return string(bytes([self.type]) + head + self.body)

    @property
    def name(self) -> str:
        """ "open", "rename", …; of an extension its name without the domain, '-' as '_': "posix_rename"."""
        if self.type == 200:
            return take_string(self.body)[0].decode().split("@")[0].replace("-", "_")
        return REQUESTS.get(self.type, f"type_{self.type}")


def status(request: Packet, code: int, message: str = "") -> Packet:
    return Packet(STATUS, request.id, struct.pack(">I", code) + string(message.encode()) + string(b""))


class Quirk:
    """A deviation from sftp-server's behaviour. A subclass has a method for each request it changes, by Packet.name:

        def rename(self, request: Packet) -> Packet | None

    which returns the packet to pass on: the request itself, another one, or a reply (status()), which then goes to the
    client and not to the server; None passes nothing on. Calls come in the order of the requests, from one thread.
    """

    def __init__(self, argument: str) -> None:
        self.argument = argument

    def reply(self, request: Packet | None, reply: Packet) -> Packet | None:
        """A reply of the server; `request` is what it answers, if known. None: the client gets nothing."""
        return reply


class AtNth(Quirk):
    """Acts at one request: NAME:N:DIRECTORY, with the name as Packet.name, counted over all sessions from 1."""

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        name, number, directory = argument.split(":", 2)
        self.name, self.number, self.directory = name, int(number), Path(directory)
        setattr(self, name, self._count)

    def _count(self, request: Packet) -> Packet | None:
        for count in range(1, self.number + 1):
            try:
                (self.directory / f"{self.name}-{count}").touch(exist_ok=False)
            except FileExistsError:
                continue
            return self.act(request) if count == self.number else request
        return request

    def act(self, request: Packet) -> Packet | None:
        raise NotImplementedError


class Hold(AtNth):
    def act(self, request: Packet) -> Packet:
        while not (self.directory / "release").exists():
            if not self.directory.exists():
                os._exit(1)  # the test has ended without a release
            time.sleep(POLL_SECONDS)
        return request


class EndAt(AtNth):
    def act(self, request: Packet) -> Packet:
        os._exit(1)


class KillAt(AtNth):
    def __init__(self, argument: str) -> None:
        argument, _, self.how = argument.rpartition(":")
        super().__init__(argument)

    def act(self, request: Packet) -> Packet:
        file = self.directory / "pid"
        while not file.exists() or not file.read_text():
            time.sleep(POLL_SECONDS)
        os.kill(int(file.read_text()), signal.SIGKILL)
        if self.how == "undone":
            os._exit(1)
        return request


class Log(Quirk):
    def __getattr__(self, name: str) -> Callable[[Packet], Packet]:
        if name not in {*REQUESTS.values(), *EXTENSIONS}:
            raise AttributeError(name)
        return self._write

    def _write(self, request: Packet) -> Packet:
        with open(self.argument, "a") as file:
            file.write(request.name + "\n")
        return request


class ListAs(Quirk):
    def reply(self, request: Packet | None, reply: Packet) -> Packet:
        if reply.type != NAME or request is None or request.name != "readdir":
            return reply
        name, _, other = self.argument.partition(":")
        old, new = string(name.encode()), string(other.replace("%2F", "/").encode())
        return Packet(reply.type, reply.id, reply.body.replace(old, new))


class NoPosixRename(Quirk):
    def reply(self, request: Packet | None, reply: Packet) -> Packet:
        if reply.type != VERSION:
            return reply
        body, offset = reply.body[:4], 4
        while offset < len(reply.body):
            name, offset = take_string(reply.body, offset)
            data, offset = take_string(reply.body, offset)
            if name != b"posix-rename@openssh.com":
                body += string(name) + string(data)
        return Packet(VERSION, 0, body)


QUIRKS: dict[str, type[Quirk]] = {
    "hold": Hold,
    "end-at": EndAt,
    "kill-at": KillAt,
    "log": Log,
    "list-as": ListAs,
    "no-posix-rename": NoPosixRename,
}


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
            if passed is None or (passed.type >= STATUS and passed.type != 200):
                break
        if passed is None:
            return
        if passed.type >= STATUS and passed.type != 200:
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
