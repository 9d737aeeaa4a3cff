"""Keys made at run time, known_hosts files and an ssh-agent."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from .process import Child, ServerError, wait_until


def run_tool(*argv: str | os.PathLike[str], env: dict[str, str] | None = None, stdin: bytes = b"") -> bytes:
    """Runs a tool of OpenSSH to its end and returns its output; its error text is in the exception."""
    done = subprocess.run([os.fspath(part) for part in argv], input=stdin, capture_output=True, env=env, check=False)
    if done.returncode != 0:
        raise ServerError(f"{argv[0]} failed: {done.stderr.decode(errors='replace')}")
    return done.stdout


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Makes a key pair at `path` and `path`.pub. The passphrase is in ssh-keygen's argv: good for test keys only."""
    run_tool("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "checkvalve-test", "-f", path)
    return path


def public_key(private: Path) -> str:
    """The key as a line of authorized_keys: type and base64."""
    return " ".join(Path(f"{private}.pub").read_text().split()[:2])


def fingerprint(private: Path) -> str:
    """SHA256:… as ssh-keygen prints it."""
    return run_tool("ssh-keygen", "-l", "-f", f"{private}.pub").decode().split()[1]


def sign_user_key(authority: Path, key: Path, principal: str) -> Path:
    """Writes the certificate `key`-cert.pub, valid for an hour."""
    run_tool("ssh-keygen", "-q", "-s", authority, "-I", "checkvalve-test", "-n", principal, "-V", "+1h", f"{key}.pub")
    return Path(f"{key}-cert.pub")


def write_known_hosts(path: Path, entries: Iterable[tuple[int, Path]]) -> Path:
    """A known_hosts file for servers on 127.0.0.1, given as port and host key."""
    path.write_text("".join(f"[127.0.0.1]:{port} {public_key(key)}\n" for port, key in entries))
    return path


class Agent:
    """An ssh-agent with its own socket."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.socket = directory / "agent.sock"
        program = shutil.which("ssh-agent")
        if program is None:
            raise ServerError("ssh-agent is not installed (Debian: openssh-client)")
        self.child = Child([program, "-D", "-a", self.socket], directory / "agent.log")
        if not wait_until(self.socket.exists, 10):
            self.child.stop()
            raise ServerError(f"ssh-agent did not start: {self.child.log_tail()}")

    def add(self, key: Path) -> None:
        run_tool("ssh-add", "-q", key, env={**os.environ, "SSH_AUTH_SOCK": str(self.socket)})

    def stop(self) -> None:
        self.child.stop()
        self.socket.unlink(missing_ok=True)
