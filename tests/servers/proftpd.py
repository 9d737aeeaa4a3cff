"""ProFTPD with mod_sftp as the current user: a real SFTP server of another make, which has the "check-file" extension.

As a program it serves until its standard input ends, and prints "port N" once it answers. Its keys and known_hosts are
in DIR:

    python -m servers.proftpd --directory DIR
"""

from __future__ import annotations

import argparse
import grp
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from .keys import make_key, run_tool, write_known_hosts
from .openssh import current_user, sftp_url
from .process import Child, ServerError, StartedServer, serve, ssh_banner, start_on_free_port


@dataclass
class Proftpd(StartedServer):
    """One server. `directory` holds its keys, configuration and log, and must be its own."""

    directory: Path

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.host_key = make_key(self.directory / "host_key")
        self.user_key = make_key(self.directory / "user_key")
        self.known_hosts = self.directory / "known_hosts"

    def start(self) -> Proftpd:
        program = shutil.which("proftpd", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if program is None:
            raise ServerError("proftpd is not installed (Debian: proftpd-core, proftpd-mod-crypto)")
        self._write_users()
        self.child, self.port = start_on_free_port(lambda port: self._launch(program, port), ssh_banner)
        write_known_hosts(self.known_hosts, [(self.port, self.host_key)])
        return self

    def url(self, path: str | os.PathLike[str], port: int = 0) -> str:
        """`port` is that of a proxy in front."""
        return sftp_url(port or self.port, path)

    def _write_users(self) -> None:
        """The current user, without a password, and its key in the format of RFC 4716."""
        user = pwd.getpwuid(os.geteuid())
        users = self.directory / "users"
        users.write_text(f"{user.pw_name}:*:{user.pw_uid}:{user.pw_gid}::{user.pw_dir}:/bin/sh\n")
        users.chmod(0o600)
        (self.directory / "authorized").write_bytes(run_tool("ssh-keygen", "-e", "-f", f"{self.user_key}.pub"))

    def _launch(self, program: str, port: int) -> Child:
        at = self.directory
        lines = [
            "LoadModule mod_sftp.c",
            "ServerType standalone",
            'ServerName "checkvalve test"',
            "DefaultAddress 127.0.0.1",
            f"Port {port}",
            "SocketBindTight on",
            "UseIPv6 off",
            "UseReverseDNS off",
            f"User {current_user()}",
            f"Group {grp.getgrgid(os.getegid()).gr_name}",
            "RootLogin on",
            "UseFtpUsers off",
            "RequireValidShell off",
            "WtmpLog off",
            "TransferLog none",
            "DelayEngine off",
            "AllowOverwrite on",
            f'SystemLog "{at}/system.log"',
            f'PidFile "{at}/pid"',
            f'ScoreboardFile "{at}/scoreboard"',
            f'AuthUserFile "{at}/users"',
            "AuthOrder mod_auth_file.c",
            "SFTPEngine on",
            f'SFTPLog "{at}/sftp.log"',
            f'SFTPHostKey "{self.host_key}"',
            "SFTPAuthMethods publickey",
            f'SFTPAuthorizedUserKeys "file:{at}/authorized"',
        ]
        config = at / "proftpd.conf"
        config.write_text("\n".join(lines) + "\n")
        return Child([program, "--nodaemon", "--config", config], at / "proftpd.log")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", type=Path, required=True)
    serve(Proftpd(parser.parse_args().directory))


if __name__ == "__main__":
    main()
