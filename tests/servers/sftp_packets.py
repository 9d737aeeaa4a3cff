"""SFTP packets (draft-ietf-secsh-filexfer-02)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

# Packet types by number (section 3).
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
EXTENDED = 200
VERSION, STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED_REPLY = 2, 101, 102, 103, 104, 105, 201
OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE, OP_UNSUPPORTED = 0, 1, 2, 3, 4, 5, 8
OPEN_WRITE, OPEN_EXCLUSIVE = 0x02, 0x20
HAS_SIZE, HAS_OWNER, HAS_PERMISSIONS, HAS_TIMES = 1, 2, 4, 8


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

    def is_reply(self) -> bool:
        return self.type >= STATUS and self.type != 200


def status(request: Packet, code: int, message: str = "") -> Packet:
    return Packet(STATUS, request.id, struct.pack(">I", code) + string(message.encode()) + string(b""))


@dataclass
class Attributes:
    """ATTRS (section 5), without extended ones."""

    size: int | None = None
    owner: tuple[int, int] | None = None
    permissions: int | None = None
    times: tuple[int, int] | None = None

    @classmethod
    def take(cls, data: bytes, offset: int) -> tuple[Attributes, int]:
        (flags,) = struct.unpack_from(">I", data, offset)
        offset += 4
        found = cls()
        if flags & HAS_SIZE:
            (found.size,) = struct.unpack_from(">Q", data, offset)
            offset += 8
        if flags & HAS_OWNER:
            found.owner = struct.unpack_from(">II", data, offset)
            offset += 8
        if flags & HAS_PERMISSIONS:
            (found.permissions,) = struct.unpack_from(">I", data, offset)
            offset += 4
        if flags & HAS_TIMES:
            found.times = struct.unpack_from(">II", data, offset)
            offset += 8
        return found, offset

    def encode(self) -> bytes:
        flags = 0
        body = b""
        if self.size is not None:
            flags |= HAS_SIZE
            body += struct.pack(">Q", self.size)
        if self.owner is not None:
            flags |= HAS_OWNER
            body += struct.pack(">II", *self.owner)
        if self.permissions is not None:
            flags |= HAS_PERMISSIONS
            body += struct.pack(">I", self.permissions)
        if self.times is not None:
            flags |= HAS_TIMES
            body += struct.pack(">II", *self.times)
        return struct.pack(">I", flags) + body
