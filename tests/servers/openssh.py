"""OpenSSH's sshd as the current user, root or not, with its own host key, configuration and authorized keys."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_from_bytes

from .keys import make_key, public_key, write_known_hosts
from .process import Child, ServerError, StartedServer, descendants, send, ssh_banner, start_on_free_port, wait_ready


def current_user() -> str:
    """By the process's rights; the environment may name another."""
    return pwd.getpwuid(os.geteuid()).pw_name


def sftp_url(port: int, path: str | bytes | os.PathLike[str], user: str | None = None) -> str:
    """sftp://user@127.0.0.1:port/path, with the path percent-encoded byte for byte."""
    return f"sftp://{user or current_user()}@127.0.0.1:{port}{quote_from_bytes(os.fsencode(path))}"


@dataclass
class SshServer(StartedServer):
    """One sshd. `directory` holds its keys, configuration and log, and must be its own."""

    directory: Path
    read_only: bool = False  # the SFTP server refuses every write (-R)
    chroot: Path | None = None  # as root only; the path and its parents must belong to root and be writable by no other
    # As root only: the whole server runs as, and serves, this user. It must have a login that is not locked ("games"
    # has, "nobody" has not).
    run_as: str | None = None
    authorized: list[Path] = field(default_factory=list)  # private keys that may log in beside the server's user key
    ciphers: str = ""  # empty: OpenSSH's own order
    log_level: str = "VERBOSE"
    lines: list[str] = field(default_factory=list)  # further lines of sshd_config
    subsystem: str = ""  # the command that serves SFTP (sftp_filter.py); empty: OpenSSH's own server

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.user = self.run_as or current_user()
        self.host_key = make_key(self.directory / "host_key")
        self.user_key = make_key(self.directory / "user_key")
        self.log = self.directory / "sshd.log"
        self.known_hosts = self.directory / "known_hosts"

    def start(self) -> SshServer:
        """Starts on a free port; a restart keeps the port it had."""
        program = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if program is None:
            raise ServerError("sshd is not installed (Debian: openssh-server)")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(
                mode=0o755, exist_ok=True
            )  # compiled into sshd, which as root refuses to run without
        if self.port:
            self.child = self._launch(program, self.port)
            if not wait_ready(self.child, self.port, ssh_banner):
                raise ServerError(f"sshd did not start again:\n{self.child.log_tail()}")
        else:
            self.child, self.port = start_on_free_port(lambda port: self._launch(program, port), ssh_banner)
        write_known_hosts(self.known_hosts, [(self.port, self.host_key)])
        return self

    def restart(self) -> None:
        """Drops all connections and listens on the same port again."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stops answering: the listener and all connections, which stay open."""
        assert self.child
        self.child.popen.send_signal(signal.SIGSTOP)
        send(self._sessions(), signal.SIGSTOP)

    def resume(self) -> None:
        assert self.child
        send(self._sessions(), signal.SIGCONT)
        self.child.popen.send_signal(signal.SIGCONT)

    def url(self, path: str | bytes | os.PathLike[str], port: int = 0) -> str:
        """The URL of a path; `port` is that of a proxy in front."""
        return sftp_url(port or self.port, path, self.user)

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def _sessions(self) -> list[tuple[int, int]]:
        return descendants(self.child.pid) if self.child else []

    def _launch(self, program: str, port: int) -> Child:
        config = self.directory / "sshd_config"
        config.write_text("\n".join(self._config(port)) + "\n")
        if self.run_as:
            for path in (self.directory, self.host_key):
                shutil.chown(path, self.run_as)
        return Child([program, "-D", "-e", "-f", config], self.log, user=self.run_as)

    def _config(self, port: int) -> list[str]:
        authorized = self.directory / "authorized_keys"
        authorized.write_text("".join(public_key(key) + "\n" for key in [self.user_key, *self.authorized]))
        lines = [
            f"Port {port}",
            "ListenAddress 127.0.0.1",
            f'HostKey "{self.host_key}"',
            f'AuthorizedKeysFile "{str(authorized).replace("%", "%%")}"',
            "PidFile none",
            "StrictModes no",
            f"UsePAM {'yes' if _account_is_locked(self.user) else 'no'}",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitUserRC no",
            "PrintMotd no",
            "PrintLastLog no",
            "UseDNS no",
            # bash would read the user's .bashrc for commands over ssh; at this level it takes itself for a subshell.
            "SetEnv SHLVL=2",
            "MaxStartups 200:30:400",
            "MaxSessions 200",
            f"LogLevel {self.log_level}",
            f"Subsystem sftp {self.subsystem or 'internal-sftp'}{' -R' if self.read_only else ''}",
        ]
        if self.ciphers:
            lines.append(f"Ciphers {self.ciphers}")
        if self.chroot:
            lines.append(f'ChrootDirectory "{self.chroot}"')
        return lines + self.lines


def _account_is_locked(user: str) -> bool:
    """Without PAM, sshd as root refuses accounts whose password field starts with "!", key or not."""
    try:
        shadow = Path("/etc/shadow").read_text()
    except OSError:
        return False
    return any(line.startswith(f"{user}:!") for line in shadow.splitlines())
