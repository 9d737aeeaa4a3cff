"""PostgreSQL as an unprivileged user, and PgBouncer in front of it, on free loopback ports.

As a program: python3 -m servers.postgres prints the server's URL, the pooler's URL (empty if PgBouncer is not
installed) and the password, a line each, and runs until its standard input ends.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .process import Child, ServerError, StartedServer, start_on_free_port, wait_ready

USER = "checkvalve"
DATABASE = "postgres"
SSL_REQUEST = struct.pack("!II", 8, 80877103)  # PostgreSQL's protocol: answered by one byte before any login


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.settimeout(2)
            connection.sendall(SSL_REQUEST)
            return connection.recv(1) in (b"N", b"S")
    except OSError:
        return False


def _account() -> str | None:
    """Who runs the servers: PostgreSQL and PgBouncer refuse to run as root."""
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"


def _program(name: str) -> str | None:
    """Debian keeps the server's programs out of PATH, a folder for each major version."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *map(str, folders)])
    return shutil.which(name, path=path)


@dataclass
class PostgresServer(StartedServer):
    """One cluster. `directory` holds its data, sockets and log, and must be its own."""

    directory: Path
    password: str = field(default_factory=lambda: secrets.token_hex(16))  # of the superuser "checkvalve", over TCP

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.account = _account()
        if self.account:
            shutil.chown(self.directory, self.account)

    def url(self, database: str = DATABASE, port: int = 0) -> str:
        """Without the password; `port` is that of a pooler or proxy in front."""
        return f"postgresql://{USER}@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> PostgresServer:
        """Starts on a free port; a restart keeps data and port."""
        if self.port:
            self.child = self._launch(self.port)
            if not wait_ready(self.child, self.port, _answers):
                raise ServerError(f"PostgreSQL did not start again:\n{self.child.log_tail()}")
            return self
        self._make_cluster()
        self.child, self.port = start_on_free_port(self._launch, _answers)
        return self

    def kill(self) -> None:
        """As a crash: clients learn nothing."""
        assert self.child
        self.child.popen.send_signal(signal.SIGQUIT)
        self.child.popen.wait()

    def stop(self) -> None:
        if self.child and self.child.running():
            self.child.popen.send_signal(signal.SIGINT)  # fast shutdown: does not wait for clients
            with suppress(subprocess.TimeoutExpired):
                self.child.popen.wait(10)
        super().stop()

    def standby(self, directory: Path) -> PostgresServer:
        """A synchronous standby of this server, started: from here on a commit waits for it."""
        other = PostgresServer(directory, self.password)
        primary = f"host=127.0.0.1 port={self.port} user={USER} application_name=standby"
        options = ["-d", primary, "-R", "-X", "stream", "-c", "fast"]
        other._run("pg_basebackup", "-D", other.directory / "data", *options, env={"PGPASSWORD": self.password})
        with (other.directory / "data" / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"primary_conninfo = '{primary} password={self.password}'\n")
            settings.write("synchronous_standby_names = ''\n")  # it has none itself, once promoted
        other.child, other.port = start_on_free_port(other._launch, _answers)
        self.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        self.execute("SELECT pg_reload_conf()")
        return other

    def url_with(self, standby: PostgresServer) -> str:
        """Of whichever of the two is the primary."""
        here = f"127.0.0.1:{self.port}"
        return self.url().replace(here, f"{here},127.0.0.1:{standby.port}") + "?target_session_attrs=read-write"

    def promote(self) -> None:
        self.execute("SELECT pg_promote()")

    def execute(self, sql: str) -> None:
        self._run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.url(), "-c", sql, env={"PGPASSWORD": self.password})

    def _run(self, name: str, *arguments: str | Path, env: dict[str, str] | None = None) -> None:
        program = _program(name)
        if program is None:
            raise ServerError(f"{name} is not installed (Debian: postgresql-15)")
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.directory,
            env={**os.environ, **(env or {})},
            user=self.account,
            extra_groups=None if self.account is None else [],
        )
        if done.returncode != 0:
            raise ServerError(f"{name} failed:\n{done.stderr}")

    def _make_cluster(self) -> None:
        password_file = self.directory / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        if self.account:
            shutil.chown(password_file, self.account)
        options = ["--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        try:
            self._run("initdb", "-D", self.directory / "data", "-U", USER, "--pwfile", password_file, *options)
        finally:
            password_file.unlink()

    def _launch(self, port: int) -> Child:
        server = _program("postgres")
        assert server
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.directory,
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": 60,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        argv = [server, "-D", str(self.directory / "data"), *options]
        return Child(argv, self.directory / "postgres.log", user=self.account)


@dataclass
class Pooler(StartedServer):
    """PgBouncer in transaction mode. Few server connections, used in turn: a transaction seldom gets the last one's."""

    directory: Path
    server: PostgresServer

    @staticmethod
    def installed() -> bool:
        return _program("pgbouncer") is not None

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.server.account:
            shutil.chown(self.directory, self.server.account)

    def start(self) -> Pooler:
        self.child, self.port = start_on_free_port(self._launch, _answers)
        return self

    def _launch(self, port: int) -> Child:
        program = _program("pgbouncer")
        assert program
        users = self.directory / "users.txt"
        users.touch(mode=0o600)
        users.write_text(f'"{USER}" "{self.server.password}"\n')
        config = self.directory / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host=127.0.0.1 port={self.server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {users}\n"
            "pool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 200\nserver_round_robin = 1\n"
        )
        if self.server.account:
            for path in (users, config):
                shutil.chown(path, self.server.account)
        return Child([program, config], self.directory / "pgbouncer.log", user=self.server.account)


def main() -> int:
    # A signal ends the wait below as the end of input does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="cv-postgres-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # the servers' user passes through
        with PostgresServer(directory / "server") as server:
            if not Pooler.installed():
                _serve(server.url(), "", server.password)
                return 0
            with Pooler(directory / "pooler", server) as pooler:
                _serve(server.url(), server.url(port=pooler.port), server.password)
    return 0


def _serve(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)
    with suppress(KeyboardInterrupt):
        sys.stdin.buffer.read()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ServerError as error:
        sys.exit(str(error))
