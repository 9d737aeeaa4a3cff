"""The deviations from sftp-server's behaviour that servers.sftp_filter can have: QUIRKS, by the words of its command
line."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import struct
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

from .sftp_attribute_quirks import EmptyAttributes, NoChmod, NoPermissions, NoSizes, NoTypes
from .sftp_packets import (
    EOF,
    EXTENDED,
    EXTENDED_REPLY,
    EXTENSIONS,
    FAILURE,
    HANDLE,
    NAME,
    OK,
    OPEN_EXCLUSIVE,
    OPEN_WRITE,
    REQUESTS,
    STATUS,
    VERSION,
    Attributes,
    Packet,
    status,
    string,
    take_string,
)
from .sftp_quirk import Quirk

POLL_SECONDS = 0.01


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


class EndAfter(AtNth):
    awaited: int | None = None

    def act(self, request: Packet) -> Packet:
        self.awaited = request.id
        return request

    def reply(self, request: Packet | None, reply: Packet) -> Packet:
        if request and request.id == self.awaited:
            os._exit(1)
        return reply


class CloseFails(Quirk):
    """As a full disk behind a network file system: files close with an error, directories do not."""

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        self.files: set[bytes] = set()

    def reply(self, request: Packet | None, reply: Packet) -> Packet:
        if request and request.name == "open" and reply.type == HANDLE:
            self.files.add(take_string(reply.body)[0])
        return reply

    def close(self, request: Packet) -> Packet:
        return status(request, FAILURE, "disk full") if take_string(request.body)[0] in self.files else request


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


class Without(Quirk):
    """Does not advertise the extension NAME@openssh.com."""

    def reply(self, request: Packet | None, reply: Packet) -> Packet:
        if reply.type != VERSION:
            return reply
        body, offset = reply.body[:4], 4
        while offset < len(reply.body):
            name, offset = take_string(reply.body, offset)
            data, offset = take_string(reply.body, offset)
            if name != f"{self.argument}@openssh.com".encode():
                body += string(name) + string(data)
        return Packet(VERSION, 0, body)


class Names(Quirk):
    """HOW: what the server makes of names. "fold" and "form": keeps them as they are given, and takes those for one
    that differ in case or Unicode form, or in Unicode form only; "utf8": stores U+FFFD for what is not UTF-8."""

    TWO_PATHS = ("rename", "posix_rename", "hardlink")
    ONE_PATH = (
        *("open", "lstat", "stat", "setstat", "lsetstat", "opendir", "remove", "mkdir", "rmdir", "realpath"),
        *("readlink", "statvfs", "expand_path"),
    )

    def __getattr__(self, name: str) -> Callable[[Packet], Packet]:
        if name not in (*self.ONE_PATH, *self.TWO_PATHS, "symlink"):
            raise AttributeError(name)
        return self._change

    def _change(self, request: Packet) -> Packet:
        body, offset = b"", 0
        if request.type == EXTENDED:
            word, offset = take_string(request.body)
            body = string(word)
        if request.name == "symlink":
            text, offset = take_string(request.body)
            body = string(text)
        for _ in range(2 if request.name in self.TWO_PATHS else 1):
            path, offset = take_string(request.body, offset)
            body += string(self._resolved(path))
        return Packet(request.type, request.id, body + request.body[offset:])

    def _resolved(self, path: bytes) -> bytes:
        """Component by component, as the file system has it or would."""
        found = b"/" if path.startswith(b"/") else b""
        for name in path.split(b"/"):
            stored = os.path.join(found, name)
            if self.argument == "utf8":
                stored = os.path.join(found, name.decode(errors="replace").encode())
            elif not os.path.lexists(stored) and os.path.isdir(found or b"."):
                same = [each for each in os.listdir(found or b".") if self._form(each) == self._form(name)]
                stored = os.path.join(found, same[0]) if same else stored
            found = stored
        return found

    def _form(self, name: bytes) -> str:
        text = unicodedata.normalize("NFD", os.fsdecode(name))
        return text.casefold() if self.argument == "fold" else text


class Refuse(Quirk):
    """NAME[:CODE]: answers each request of that name with the status (4, FAILURE)."""

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        name, _, code = argument.partition(":")
        setattr(self, name, lambda request: status(request, int(code or FAILURE)))


class Ignore(Quirk):
    """NAME: answers each request of that name with OK, and does nothing."""

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        setattr(self, argument, lambda request: status(request, OK))


class Delay(Quirk):
    """NAME:SECONDS: serves nothing for that long before each request of that name, once a file was written."""

    wrote = False

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        name, _, self.seconds = argument.partition(":")
        setattr(self, name, self._delay)

    def write(self, request: Packet) -> Packet:
        self.wrote = True
        return request

    def _delay(self, request: Packet) -> Packet:
        if self.wrote:
            time.sleep(float(self.seconds))
        return request


def open_flags(request: Packet) -> int:
    return int(struct.unpack_from(">I", request.body, take_string(request.body)[1])[0])


class NoExclusive(Quirk):
    def open(self, request: Packet) -> Packet:
        return status(request, FAILURE) if open_flags(request) & OPEN_EXCLUSIVE else request


class ReadOnly(Quirk):
    """A file system that is mounted read-only: FAILURE, and a flag of statvfs."""

    def open(self, request: Packet) -> Packet:
        return status(request, FAILURE) if open_flags(request) & OPEN_WRITE else request

    def mkdir(self, request: Packet) -> Packet:
        return status(request, FAILURE)

    def reply(self, request: Packet | None, reply: Packet) -> Packet:
        if reply.type == EXTENDED_REPLY and request and request.name == "statvfs":
            (flags,) = struct.unpack_from(">Q", reply.body, 72)
            return Packet(reply.type, reply.id, reply.body[:72] + struct.pack(">Q", flags | 1) + reply.body[80:])
        return reply


class OpenFiles(Quirk):
    """N: FAILURE beyond that many handles of a session."""

    handles = 0

    def open(self, request: Packet) -> Packet:
        if self.handles >= int(self.argument):
            return status(request, FAILURE)
        self.handles += 1
        return request

    opendir = open

    def reply(self, request: Packet | None, reply: Packet) -> Packet:
        if request and request.name in ("open", "opendir") and reply.type == STATUS:
            self.handles -= 1
        if request and request.name == "close":
            self.handles -= 1
        return reply


class EmptyEnd(Quirk):
    """The end of a directory is a NAME packet without a name."""

    def reply(self, request: Packet | None, reply: Packet) -> Packet:
        if request and request.name == "readdir" and reply.type == STATUS:
            return Packet(NAME, reply.id, struct.pack(">I", 0))
        return reply


class OneWriter(Quirk):
    """Takes the bytes of a handle in ascending order, from 0, as servers in front of object stores do."""

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        self.expected: dict[bytes, int] = {}

    def write(self, request: Packet) -> Packet:
        handle, offset = take_string(request.body)
        (at, length) = struct.unpack_from(">QI", request.body, offset)
        if self.expected.get(handle, 0) != at:
            return status(request, FAILURE, "Illegal seek")
        self.expected[handle] = at + length
        return request

    def close(self, request: Packet) -> Packet:
        self.expected.pop(take_string(request.body)[0], None)
        return request


class ShortReads(Quirk):
    """BYTES: answers a READ with at most so many. BYTES:refuse: and refuses the READs for the rest."""

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        limit, _, self.rest = argument.partition(":")
        self.limit = int(limit)

    def read(self, request: Packet) -> Packet:
        _, offset = take_string(request.body)
        (at, length) = struct.unpack_from(">QI", request.body, offset)
        if self.rest and at % (2 * self.limit):
            return status(request, FAILURE, "refused")
        request.body = request.body[:offset] + struct.pack(">QI", at, min(length, self.limit))
        return request


class Pickup(Quirk):
    """DIRECTORY: takes each file there, out of the client's sight, as it is closed after writing."""

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        self.paths: dict[bytes, bytes] = {}

    def reply(self, request: Packet | None, reply: Packet) -> Packet:
        if not request:
            return reply
        if request.name == "open" and reply.type == HANDLE and open_flags(request) & OPEN_WRITE:
            self.paths[take_string(reply.body)[0]] = take_string(request.body)[0]
        if request.name == "close" and (path := self.paths.pop(take_string(request.body)[0], None)):
            shutil.move(os.fsdecode(path), self.argument)
        return reply


class Endless(Quirk):
    """Each directory "d" has the content of its parent."""

    def opendir(self, request: Packet) -> Packet:
        path, _ = take_string(request.body)
        return Packet(request.type, request.id, string(re.sub(rb"(/d)+$", b"", path)))


class ManyNames(Quirk):
    """COUNT:PAGES: each directory but the first that is listed has as many pages of as many files."""

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        self.count, self.pages = (int(number) for number in argument.split(":"))
        attributes = Attributes(size=0, permissions=stat.S_IFREG | 0o644, times=(0, 0)).encode()
        self.names = [string(b"%08d" % number) + string(b"") + attributes for number in range(self.count)]
        self.sent: dict[bytes, int] = {}
        self.first: bytes | None = None

    def reply(self, request: Packet | None, reply: Packet) -> Packet:
        if request and request.name == "opendir" and reply.type == HANDLE:
            path, _ = take_string(request.body)
            self.first = self.first or path
            if path != self.first:
                self.sent[take_string(reply.body)[0]] = 0
        if request and request.name == "close":
            self.sent.pop(take_string(request.body)[0], None)
        return reply

    def readdir(self, request: Packet) -> Packet:
        handle, _ = take_string(request.body)
        if handle not in self.sent:
            return request
        self.sent[handle] += 1
        sent = self.sent[handle]
        if sent > self.pages:
            return status(request, EOF)
        return Packet(NAME, request.id, struct.pack(">I", self.count) + b"".join(self.names))


QUIRKS: dict[str, type[Quirk]] = {
    "delay": Delay,
    "empty-attributes": EmptyAttributes,
    "empty-end": EmptyEnd,
    "end-after": EndAfter,
    "end-at": EndAt,
    "endless": Endless,
    "hold": Hold,
    "ignore": Ignore,
    "close-fails": CloseFails,
    "kill-at": KillAt,
    "list-as": ListAs,
    "log": Log,
    "many-names": ManyNames,
    "names": Names,
    "no-chmod": NoChmod,
    "no-exclusive": NoExclusive,
    "no-permissions": NoPermissions,
    "no-sizes": NoSizes,
    "no-types": NoTypes,
    "one-writer": OneWriter,
    "open-files": OpenFiles,
    "pickup": Pickup,
    "read-only": ReadOnly,
    "refuse": Refuse,
    "short-reads": ShortReads,
    "without": Without,
}
