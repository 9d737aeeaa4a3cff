"""paramiko's SFTP server over the file system: python -m servers.paramiko_server PORT HOST_KEY AUTHORIZED_KEYS"""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import paramiko


class Login(paramiko.ServerInterface):
    def __init__(self, authorized: set[str]) -> None:
        self.authorized = authorized

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL if key.get_base64() in self.authorized else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class Files(paramiko.SFTPServerInterface):
    """As paramiko's own example does it, with paths as they come."""

    def _try(self, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or errno.EIO)

    def _done(self, call: Any, *arguments: Any) -> int:
        answer = self._try(call, *arguments)
        return answer if isinstance(answer, int) else paramiko.SFTP_OK

    def list_folder(self, path: str) -> Any:
        def listed() -> list[paramiko.SFTPAttributes]:
            entries = []
            for name in os.listdir(path):
                attributes = paramiko.SFTPAttributes.from_stat(os.lstat(os.path.join(path, name)))
                attributes.filename = name
                entries.append(attributes)
            return entries

        return self._try(listed)

    def stat(self, path: str) -> Any:
        return self._try(lambda: paramiko.SFTPAttributes.from_stat(os.stat(path)))

    def lstat(self, path: str) -> Any:
        return self._try(lambda: paramiko.SFTPAttributes.from_stat(os.lstat(path)))

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> Any:
        def opened() -> paramiko.SFTPHandle:
            mode = 0o666 if attr.st_mode is None else attr.st_mode
            descriptor = os.open(path, flags, mode)
            writes = flags & (os.O_WRONLY | os.O_RDWR)
            file = os.fdopen(descriptor, "rb" if not writes else "r+b" if flags & os.O_RDWR else "wb")
            handle = Handle(flags)
            handle.filename = path
            handle.readfile = handle.writefile = file
            return handle

        return self._try(opened)

    def remove(self, path: str) -> int:
        return self._done(os.remove, path)

    def rename(self, oldpath: str, newpath: str) -> int:
        return paramiko.SFTP_FAILURE if os.path.lexists(newpath) else self._done(os.rename, oldpath, newpath)

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return self._done(os.replace, oldpath, newpath)

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        return self._done(os.mkdir, path)

    def rmdir(self, path: str) -> int:
        return self._done(os.rmdir, path)

    def chattr(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        return self._done(paramiko.SFTPServer.set_file_attr, path, attr)


class Handle(paramiko.SFTPHandle):
    def stat(self) -> Any:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))

    def chattr(self, attr: paramiko.SFTPAttributes) -> int:
        self.writefile.flush()
        paramiko.SFTPServer.set_file_attr(self.filename, attr)
        return paramiko.SFTP_OK


def serve(connection: socket.socket, key: paramiko.PKey, authorized: set[str]) -> None:
    transport = paramiko.Transport(connection)
    transport.add_server_key(key)
    transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
    try:
        transport.start_server(server=Login(authorized))
    except (paramiko.SSHException, EOFError):
        transport.close()


def main() -> None:
    port, host_key, authorized_keys = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    authorized = {line.split()[1] for line in authorized_keys.read_text().splitlines()}
    key = paramiko.Ed25519Key(filename=host_key)
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, key, authorized), daemon=True).start()


if __name__ == "__main__":
    main()
