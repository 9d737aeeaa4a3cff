"""Quirks of the attributes that a server sends or takes."""

from __future__ import annotations

import stat
import struct

from .sftp_packets import (
    ATTRS,
    NAME,
    PERMISSION_DENIED,
    Attributes,
    Packet,
    status,
    string,
    take_string,
)
from .sftp_quirk import Quirk


class ChangedAttributes(Quirk):
    """Changes the attributes of replies, and of names in listings."""

    def reply(self, request: Packet | None, reply: Packet) -> Packet:
        if reply.type == ATTRS:
            return Packet(ATTRS, reply.id, self.change(Attributes.take(reply.body, 0)[0], listed=False).encode())
        if reply.type == NAME and request and request.name == "readdir":
            return self._listing(reply)
        return reply

    def _listing(self, reply: Packet) -> Packet:
        (count,) = struct.unpack_from(">I", reply.body)
        body, offset = reply.body[:4], 4
        for _ in range(count):
            name, offset = take_string(reply.body, offset)
            longname, offset = take_string(reply.body, offset)
            attributes, offset = Attributes.take(reply.body, offset)
            body += string(name) + string(self.longname(name, longname))
            body += self.change(attributes, listed=True).encode()
        return Packet(NAME, reply.id, body)

    def change(self, attributes: Attributes, *, listed: bool) -> Attributes:
        raise NotImplementedError

    def longname(self, name: bytes, longname: bytes) -> bytes:
        return longname


class EmptyAttributes(ChangedAttributes):
    """Listings have none. With the argument "names" the longname is the name."""

    def change(self, attributes: Attributes, *, listed: bool) -> Attributes:
        return Attributes() if listed else attributes

    def longname(self, name: bytes, longname: bytes) -> bytes:
        return name if self.argument == "names" else longname


class NoTypes(ChangedAttributes):
    """Permissions without S_IFMT, in listings or, with the argument "all", everywhere; the longname is the name."""

    def change(self, attributes: Attributes, *, listed: bool) -> Attributes:
        if attributes.permissions is not None and (listed or self.argument == "all"):
            attributes.permissions = stat.S_IMODE(attributes.permissions)
        return attributes

    def longname(self, name: bytes, longname: bytes) -> bytes:
        return name


class NoPermissions(NoTypes):
    """Attributes have no permissions anywhere."""

    def change(self, attributes: Attributes, *, listed: bool) -> Attributes:
        attributes.permissions = None
        return attributes


class NoSizes(ChangedAttributes):
    """STAT, LSTAT and FSTAT show no sizes."""

    def change(self, attributes: Attributes, *, listed: bool) -> Attributes:
        if not listed:
            attributes.size = None
        return attributes


class NoChmod(Quirk):
    """Refuses SETSTAT and FSETSTAT of permissions, and then sets nothing of the others."""

    def _check(self, request: Packet) -> Packet:
        attributes, _ = Attributes.take(request.body, take_string(request.body)[1])
        return request if attributes.permissions is None else status(request, PERMISSION_DENIED)

    setstat = fsetstat = _check
