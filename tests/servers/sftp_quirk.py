"""What each quirk of servers.sftp_quirks is."""

from __future__ import annotations

from .sftp_packets import Packet


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
