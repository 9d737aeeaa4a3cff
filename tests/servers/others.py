"""SFTP servers of other makes, which ./dev torture tries: each logs the current user in by key."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .keys import make_key, public_key, write_known_hosts
from .openssh import current_user, sftp_url
from .process import Child, ServerError, StartedServer, ssh_banner, start_on_free_port

TESTS = Path(__file__).resolve().parents[1]
TOOLS = TESTS.parent / "build-tools"


class OtherServer(StartedServer):
    """One server. `directory` holds its keys and log, and must be its own; `key` may log in."""

    name = ""
    user = ""

    def __init__(self, directory: Path, key: Path) -> None:
        directory.mkdir(parents=True)
        self.directory = directory
        self.user = self.user or current_user()
        self.host_key = self.make_host_key()
        self.known_hosts = directory / "known_hosts"
        self.authorized = directory / "authorized_keys"
        self.authorized.write_text(public_key(key) + "\n")
        self.authorized.chmod(0o600)

    def start(self) -> OtherServer:
        """Throws ServerError where the server is not installed."""
        log = self.directory / "log"
        self.child, self.port = start_on_free_port(
            lambda port: Child(self.argv(port), log, env={**os.environ, **self.environment()}), ssh_banner
        )
        write_known_hosts(self.known_hosts, [(self.port, self.host_key)])
        return self

    def url(self, path: str | bytes | os.PathLike[str], port: int = 0) -> str:
        return sftp_url(port or self.port, path, self.user)

    def make_host_key(self) -> Path:
        return make_key(self.directory / "host_key")

    def argv(self, port: int) -> list[str | Path]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}


def _program(name: str, package: str) -> str:
    if found := shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        return found
    raise ServerError(f"{name} is not installed (Debian: {package})")


class Paramiko(OtherServer):
    name = "paramiko"

    def argv(self, port: int) -> list[str | Path]:
        return [sys.executable, "-m", "servers.paramiko_server", str(port), self.host_key, self.authorized]

    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(TESTS)}


class AsyncSsh(OtherServer):
    name = "asyncssh"

    def argv(self, port: int) -> list[str | Path]:
        program = (
            "import asyncio, sys, asyncssh\n"
            "async def main():\n"
            "    await asyncssh.listen('127.0.0.1', int(sys.argv[1]), server_host_keys=[sys.argv[2]],\n"
            "                          authorized_client_keys=sys.argv[3], sftp_factory=asyncssh.SFTPServer)\n"
            "    await asyncio.Event().wait()\n"
            "asyncio.run(main())\n"
        )
        return [sys.executable, "-c", program, str(port), self.host_key, self.authorized]


class RcloneSftp(OtherServer):
    """Serves the directory around its own. Its cache of directories is short: it does not see other writers."""

    name = "rclone serve sftp"

    def url(self, path: str | bytes | os.PathLike[str], port: int = 0) -> str:
        relative = os.path.relpath(os.fsencode(path), os.fsencode(self.directory.parent))
        return super().url(b"/" + relative, port)

    def argv(self, port: int) -> list[str | Path]:
        program = os.environ.get("RCLONE") or _program("rclone", "rclone")
        keys: list[str | Path] = ["--key", self.host_key, "--authorized-keys", self.authorized]
        served: list[str | Path] = [
            "serve",
            "sftp",
            self.directory.parent,
            "--addr",
            f"127.0.0.1:{port}",
            "--dir-cache-time",
            "20ms",
        ]
        return [program, *served, *keys]

    def environment(self) -> dict[str, str]:
        return {"RCLONE_CONFIG": str(self.directory / "rclone.conf"), "RCLONE_CACHE_DIR": str(self.directory / "cache")}


class NewRcloneSftp(RcloneSftp):
    """PyPI's rclone, which is newer than Debian's."""

    name = "rclone serve sftp, PyPI's"

    def argv(self, port: int) -> list[str | Path]:
        return [Path(sys.executable).parent / "rclone", *super().argv(port)[1:]]


class Dropbear(OtherServer):
    """With OpenSSH's sftp-server. It reads keys in the home directory only: it gets one in a mount namespace."""

    name = "dropbear with sftp-server"

    def make_host_key(self) -> Path:
        """Converts the key to dropbear's form."""
        key = make_key(self.directory / "host_key")
        argv = [_program("dropbearconvert", "dropbear-bin"), "openssh", "dropbear", str(key)]
        # It reads PEM and OpenSSH's form without a passphrase.
        done = subprocess.run([*argv, str(self.directory / "dropbear_key")], capture_output=True, check=False)
        if done.returncode != 0:
            raise ServerError(f"dropbearconvert failed: {done.stderr.decode()}")
        return key

    def argv(self, port: int) -> list[str | Path]:
        if os.geteuid() != 0:
            raise ServerError("dropbear is only tried by root, which can give it a home directory of its own")
        home = self.directory / "home"
        (home / ".ssh").mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
        shutil.copy(self.authorized, home / ".ssh" / "authorized_keys")
        script = 'mount --bind "$1" "$HOME_OF_USER" && shift && exec "$@"'
        dropbear = [_program("dropbear", "dropbear-bin"), "-F", "-E", "-s", "-p", f"127.0.0.1:{port}"]
        keys: list[str | Path] = ["-r", self.directory / "dropbear_key", "-P", self.directory / "pid"]
        return ["unshare", "-m", "sh", "-c", script, "sh", home, *dropbear, *keys]

    def environment(self) -> dict[str, str]:
        return {"HOME_OF_USER": os.path.expanduser(f"~{current_user()}")}


class Mina(OtherServer):
    name = "Apache MINA SSHD"

    def argv(self, port: int) -> list[str | Path]:
        java = _program("java", "default-jdk-headless")
        jars = TOOLS / "mina"
        source = Path(__file__).parent / "mina"
        if not list(jars.glob("sshd-sftp-*.jar")):
            copy = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
            argv = [_program("mvn", "maven"), "-q", "-B", "-f", str(source / "pom.xml"), copy]
            done = subprocess.run([*argv, f"-DoutputDirectory={jars}"], capture_output=True, check=False)
            if done.returncode != 0:
                raise ServerError(f"Maven has not fetched MINA: {done.stdout.decode()[-500:]}")
        return [java, "-cp", f"{jars}/*", source / "Mina.java", str(port), self.host_key, self.authorized]

    def environment(self) -> dict[str, str]:
        return {"LC_ALL": "C.UTF-8"}  # Java decodes file names by it


OTHERS: tuple[type[OtherServer], ...] = (AsyncSsh, Paramiko, RcloneSftp, NewRcloneSftp, Mina, Dropbear)
