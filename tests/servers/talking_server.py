"""An SSH server that takes every login and sends something on the channel before, or after, it starts SFTP.

Run as a program: python -m servers.talking_server --directory DIR. It prints "port N" and serves until its standard
input ends. The login name says what it does: "before-4000" sends 4000 bytes before it answers the request for the
subsystem, "after-1" one byte after, "with-64" 64 bytes before it even accepts the request and 64 after. "end-0" accepts
the subsystem and ends the channel at once.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import asyncssh

from .keys import make_key


class TalkingSession(asyncssh.SSHServerSession[bytes]):
    def __init__(self, user: str) -> None:
        moment, amount = user.split("-")
        self.moment, self.talk = moment, b"A" * int(amount)

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self.channel = chan
        if self.moment == "with":
            chan.write(self.talk)

    def subsystem_requested(self, subsystem: str) -> bool:
        if self.moment == "before":
            self.channel.write(self.talk)
        return True

    def session_started(self) -> None:
        if self.moment in ("after", "with"):
            self.channel.write(self.talk)
        if self.moment == "end":
            self.channel.exit(1)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Answers INIT with VERSION 3, as far as anybody still listens."""
        self.channel.write(b"\0\0\0\x05\x02\0\0\0\x03")


class OpenServer(asyncssh.SSHServer):
    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn

    def begin_auth(self, username: str) -> bool:
        return False

    def session_requested(self) -> tuple[asyncssh.SSHServerChannel[bytes], asyncssh.SSHServerSession[bytes]]:
        user = str(self.connection.get_extra_info("username"))
        return self.connection.create_server_channel(encoding=None), TalkingSession(user)


async def serve(directory: Path) -> None:
    acceptor = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=OpenServer, server_host_keys=[str(make_key(directory / "host_key"))]
    )
    print(f"port {acceptor.get_port()}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    acceptor.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="talking_server")
    parser.add_argument("--directory", type=Path, required=True)
    asyncio.run(serve(parser.parse_args().directory))
