"""The containers of the stack under test, as a Site of the scenarios."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import Any

from airflow_stack.client import AirflowClient

from airflow_scenarios import Engine, Site

COMPOSE = shlex.split(os.environ.get("CHECKVALVE_COMPOSE", ""))
PROJECT = os.environ.get("COMPOSE_PROJECT_NAME", "")
POSTGRES = "compose.postgres.yaml" in " ".join(COMPOSE)
SERVICES: tuple[str, ...] = ("redis", "api-server", "scheduler", "dag-processor", "worker", "source", "target")
S3 = "compose.s3.yaml" in " ".join(COMPOSE)
SERVICES += (("postgres",) if POSTGRES else ()) + (("s3",) if S3 else ())
FILL = """
import pathlib, random, sys
folder, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chooser = random.Random(folder)
for number in range(count):
    path = pathlib.Path.home() / folder / ("odd" if number % 2 else "even") / f"{number:05}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(chooser.randbytes(size))
"""


def run(words: list[str], given: str | None = None) -> str:
    done = subprocess.run(words, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(words)}: {done.stderr}"
    return done.stdout


def docker(*words: str) -> str:
    return run(["docker", *words])


def compose(*words: str) -> str:
    return run([*COMPOSE, *words])


def containers(service: str) -> list[str]:
    """The ids of the service's running containers."""
    labels = {"project": PROJECT, "service": service}
    filters = [word for name, value in labels.items() for word in ("-f", f"label=com.docker.compose.{name}={value}")]
    return docker("ps", "-q", *filters).split()


def within(service: str, command: str, *words: str, given: str | None = None) -> str:
    """What a shell command prints in the service's first container; `words` are its $1 and so on."""
    return within_container(containers(service)[0], command, *words, given=given)


def within_container(name: str, command: str, *words: str, given: str | None = None) -> str:
    return run(["docker", "exec", "-i", name, "sh", "-c", command, "sh", *words], given)


def processes(name: str) -> list[tuple[int, str]]:
    """Process ids, as the machine sees them, and arguments of a container's processes."""
    lines = docker("top", name, "-eo", "pid,args").splitlines()[1:]
    return [(int(pid), args) for pid, args in (line.strip().split(maxsplit=1) for line in lines)]


def find(service: str, folder: str, expression: str) -> list[str]:
    """The lines of `find` below a folder of a server's home, which may not be there yet."""
    return within(service, f'cd "$HOME/$1" 2>/dev/null || exit 0; find . {expression}', folder).splitlines()


class Containers(Site):
    def __init__(self, client: AirflowClient) -> None:
        self.client = client

    def fill(self, folder: str, count: int, size_bytes: int) -> None:
        within("source", 'python3 - "$@"', folder, str(count), str(size_bytes), given=FILL)

    def digests(self, side: str, folder: str) -> dict[str, str]:
        lines = find(side, folder, "-type f ! -name '.*' -exec sha256sum {} +")
        return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}

    def published(self, folder: str) -> dict[str, int]:
        lines = find("target", folder, "-type f ! -name '.*' -printf '%i %p\\n'")
        return {path: int(inode) for inode, path in (line.split(" ", 1) for line in lines)}

    def partials(self, folder: str) -> list[str]:
        return find("target", folder, "-type f -name '.*'")

    def engines(self) -> set[Engine]:
        return {
            (name, pid)
            for name in containers("worker")
            for pid, args in processes(name)
            if "checkvalve" in args and "--events" in args
        }

    def connection(self, conn_id: str, side: str, **extra: str) -> dict[str, Any]:
        extras = {
            "private_key": within("api-server", "cat /var/lib/checkvalve/database/client_key"),
            "host_key": within(side, "cut -d' ' -f1-2 /var/lib/checkvalve/ssh/host_key.pub").strip(),
            **extra,
        }
        return {
            "connection_id": conn_id,
            "conn_type": "sftp",
            "host": side,
            "port": 2222,
            "login": "checkvalve",
            "extra": json.dumps({name: value for name, value in extras.items() if value}),
        }

    def new_key(self) -> str:
        return within("source", "cd /tmp && ssh-keygen -q -t ed25519 -N '' -f unknown && cat unknown")

    def take_target_down(self) -> None:
        self._target = containers("target")[0]
        docker("stop", "--time=2", self._target)

    def bring_target_up(self) -> None:
        docker("start", self._target)
