"""asyncssh's SFTP server: logins with password and keyboard-interactive, and an SFTP server that is not OpenSSH's.

Run as a program, with options on the command line and the password in the environment (TEST_SERVER_PASSWORD):

    python -m servers.asyncssh_server --directory DIR --login password|keyboard-interactive
        [--no-posix-rename] [--refuse-rename N]… [--no-setstat]

It prints "port N" and serves the whole file system of the current user until its standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from .keys import make_key, write_known_hosts
from .openssh import sftp_url
from .process import Child, ChildServer, ServerError

USER = "tester"


class LoginServer(asyncssh.SSHServer):
    """Knows one user, by password or by questions, and writes down every credential it was sent."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.password = os.environ["TEST_SERVER_PASSWORD"]

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return bool(self.options.login == "password")

    def validate_password(self, username: str, password: str) -> bool:
        self._write_down("password")
        return username == USER and password == self.password

    def kbdint_auth_supported(self) -> bool:
        return bool(self.options.login == "keyboard-interactive")

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, Sequence[tuple[str, bool]]]:
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        self._write_down("keyboard-interactive")
        return username == USER and list(responses) == [self.password]

    def _write_down(self, method: str) -> None:
        with open(self.options.directory / "credentials", "a") as file:
            file.write(f"{method}\n")


class PlainSftpServer(asyncssh.SFTPServer):
    """Without the extensions that were switched off."""

    options: argparse.Namespace
    renames = 0  # of all sessions

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        if self.options.no_posix_rename:
            raise asyncssh.SFTPOpUnsupported("posix-rename is switched off")
        super().posix_rename(oldpath, newpath)

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        PlainSftpServer.renames += 1
        if self.renames in self.options.refuse_rename:
            raise asyncssh.SFTPFailure("this rename is refused")
        super().rename(oldpath, newpath)

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        if self.options.no_setstat:
            raise asyncssh.SFTPPermissionDenied("changing attributes is forbidden here")
        super().setstat(path, attrs)

    def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> None:
        if self.options.no_setstat:
            raise asyncssh.SFTPPermissionDenied("changing attributes is forbidden here")
        super().fsetstat(file_obj, attrs)


async def serve(options: argparse.Namespace) -> None:
    PlainSftpServer.options = options
    acceptor = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: LoginServer(options),
        server_host_keys=[str(options.directory / "host_key")],
        sftp_factory=PlainSftpServer,
    )
    print(f"port {acceptor.get_port()}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    acceptor.close()


class AsyncsshServer(ChildServer):
    """Starts the program above, with its own host key in `directory`."""

    def __init__(
        self, directory: Path, password: str, *, login: str = "password", options: tuple[str, ...] = ()
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.host_key = make_key(directory / "host_key")
        self.known_hosts = directory / "known_hosts"
        self.credentials = directory / "credentials"
        self.child = Child(
            [sys.executable, "-m", "servers.asyncssh_server", "--directory", directory, "--login", login, *options],
            directory / "log",
            env={
                **os.environ,
                "TEST_SERVER_PASSWORD": password,
                "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.child.popen.stdout
        first = self.child.popen.stdout.readline().decode()
        if not first.startswith("port "):
            self.child.stop()
            raise ServerError(f"asyncssh's server did not start:\n{self.child.log_tail()}")
        self.port = int(first.split()[1])
        write_known_hosts(self.known_hosts, [(self.port, self.host_key)])

    def url(self, path: str | bytes | os.PathLike[str]) -> str:
        return sftp_url(self.port, path, USER)

    def credentials_seen(self) -> list[str]:
        """The methods of the credentials that clients sent, in order."""
        return self.credentials.read_text().split() if self.credentials.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(prog="asyncssh_server")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--login", choices=("password", "keyboard-interactive"), default="password")
    parser.add_argument("--no-posix-rename", action="store_true")
    parser.add_argument("--refuse-rename", type=int, action="append", default=[], metavar="N")
    parser.add_argument("--no-setstat", action="store_true")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
