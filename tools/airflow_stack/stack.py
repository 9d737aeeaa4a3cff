"""The parts of deploy/compose.yaml as separate processes on this machine: redis, api-server, scheduler, dag-processor,
Celery workers, two SFTP servers and, if wanted, an S3 server. All on free loopback ports, below one directory, and gone
when it stops."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from servers.keys import public_key  # noqa: E402
from servers.openssh import SshServer  # noqa: E402
from servers.process import Child, free_port, wait_until  # noqa: E402
from servers.process import ServerError as ServerError  # noqa: E402
from servers.s3_versitygw import REGION, Versitygw  # noqa: E402

from .client import AirflowClient  # noqa: E402

USER = "admin"
BUCKET = "checkvalve"
_READY_SECONDS = 120.0


def airflow_program() -> str:
    return str(Path(sys.executable).parent / "airflow")


def engine_program() -> str:
    program = Path(os.environ.get("CHECKVALVE_PROGRAM") or ROOT / "build" / "checkvalve")
    if not program.exists():
        raise ServerError(f"{program} is missing: run ./dev build first, or set CHECKVALVE_PROGRAM")
    return str(program)


@dataclass
class Stack:
    """``directory`` is the stack's own. ``environment`` is added to that of all Airflow processes.

    ``s3``: an S3 server with the bucket ``checkvalve`` too, and the connection ``checkvalve_s3`` to it.
    """

    directory: Path
    dags: Path = ROOT / "dags"
    workers: int = 2
    slots: int = 4
    environment: dict[str, str] = field(default_factory=dict)
    api_port: int = 0
    s3: bool = False

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.password = secrets.token_urlsafe(12)
        self.redis_port = free_port()
        self.api_port = self.api_port or free_port()
        self.url = f"http://127.0.0.1:{self.api_port}"
        self.client = AirflowClient(self.url, USER, self.password)
        self.state = self.directory / "state" / "state.db"
        self.source_root = self.directory / "source-home"
        self.target_root = self.directory / "target-home"
        self.source = self._sftp_server("source", self.source_root)
        self.target = self._sftp_server("target", self.target_root, authorized=[self.source.user_key])
        self.s3_server: Versitygw | None = None
        self.worker_processes: list[Child] = []
        self._children: list[Child] = []
        self._shared = self._shared_environment()

    def start(self) -> None:
        try:
            self.source.start()
            self.target.start()
            if self.s3:
                self.s3_server = Versitygw(self.directory / "s3-server")
                self.s3_server.make_bucket(BUCKET)
            self._start_redis()
            self._prepare_database()
            self.start_parts()
            self.client.login()
        except BaseException:
            self.stop()
            raise

    def start_parts(self) -> None:
        api = self._airflow(
            "api-server", "api-server", "--host", "127.0.0.1", "--port", str(self.api_port), "--workers", "1"
        )
        self._airflow("scheduler", "scheduler")
        self._airflow("dag-processor", "dag-processor")
        for _ in range(self.workers):
            self.start_worker()
        if not wait_until(lambda: not api.running() or self._healthy(), _READY_SECONDS) or not api.running():
            raise ServerError(f"Airflow did not become healthy; the end of the api-server's log:\n{api.log_tail()}")

    def start_worker(self) -> Child:
        name = f"worker-{len(self.worker_processes) + 1}"
        worker = self._airflow(
            name, "celery", "worker", "--skip-serve-logs", "--concurrency", str(self.slots), "--celery-hostname", name,
            database=False,
        )  # fmt: skip
        self.worker_processes.append(worker)
        return worker

    def stop(self) -> None:
        """Signals all parts at once, except redis, without which workers would not end in order."""
        for child in self._children[1:]:
            if child.running():
                child.popen.terminate()
        for child in reversed(self._children):
            child.stop()
        self._children = []
        self.source.stop()
        self.target.stop()
        if self.s3_server:
            self.s3_server.stop()

    def logs(self) -> dict[str, str]:
        """The end of each process's log, by name."""
        return {child.log.stem: child.log_tail() for child in self._children}

    def connection(self, conn_id: str, server: SshServer, **extra: str) -> dict[str, object]:
        """An Airflow connection to one of the servers: key login, host key pinned."""
        extras = {"private_key": server_key(self.source), "host_key": public_key(server.host_key), **extra}
        return {
            "connection_id": conn_id,
            "conn_type": "sftp",
            "host": "127.0.0.1",
            "port": server.port,
            "login": server.user,
            "extra": json.dumps({name: value for name, value in extras.items() if value}),
        }

    def s3_connection(self, conn_id: str, server: Versitygw) -> dict[str, object]:
        """An Airflow connection to the S3 server."""
        return {
            "connection_id": conn_id,
            "conn_type": "aws",
            "login": server.access_key,
            "password": server.secret_key,
            "extra": json.dumps({"endpoint_url": server.endpoint_url, "region_name": REGION}),
        }

    def __enter__(self) -> Stack:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _sftp_server(self, name: str, root: Path, authorized: list[Path] | None = None) -> SshServer:
        root.mkdir(exist_ok=True)
        # The sessions begin in this folder, as those of a user of its own would. sshd splits this at spaces, whatever
        # the quotes: the stack's directory must have none.
        lines = [f"ForceCommand internal-sftp -d {root}"]
        return SshServer(self.directory / f"{name}-server", authorized=authorized or [], lines=lines)

    def _shared_environment(self) -> dict[str, str]:
        redis = f"redis://127.0.0.1:{self.redis_port}"
        bin_directory = str(Path(sys.executable).parent)
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            "PATH": f"{bin_directory}:{os.environ.get('PATH', '')}",
            "AIRFLOW_HOME": str(self.directory / "worker-home"),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CELERY__BROKER_URL": f"{redis}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"{redis}/1",
            "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": '{"worker_disable_prefetch": true}',
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.directory / "task-logs"),
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "CHECKVALVE_PROGRAM": engine_program(),
            "CHECKVALVE_STATE": str(self.state),
            **self.environment,
        }

    def _database_environment(self) -> dict[str, str]:
        fernet_key = self.directory / "fernet.key"
        if not fernet_key.exists():
            fernet_key.touch(mode=0o600)
            fernet_key.write_bytes(base64.urlsafe_b64encode(secrets.token_bytes(32)))
            (self.directory / "jwt.secret").touch(mode=0o600)
            (self.directory / "jwt.secret").write_text(secrets.token_urlsafe(32))
        return {
            "AIRFLOW_HOME": str(self.directory / "home"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.directory / 'airflow.db'}",
            "AIRFLOW__CORE__FERNET_KEY_CMD": f"cat '{fernet_key}'",
            "AIRFLOW__API_AUTH__JWT_SECRET_CMD": f"cat '{self.directory / 'jwt.secret'}'",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.directory / "passwords.json"),
        }

    def _start_redis(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise ServerError("redis-server is not installed (Debian: redis-server)")
        argv = [
            program,
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.redis_port),
            "--save",
            "",
            "--dir",
            str(self.directory),
        ]
        redis = Child(argv, self.directory / "redis.log")
        self._children.append(redis)
        if not wait_until(lambda: "Ready to accept" in redis.log_tail() or not redis.running(), 20):
            raise ServerError(f"redis did not start: {redis.log_tail()}")

    def _prepare_database(self) -> None:
        self.state.parent.mkdir(exist_ok=True)
        passwords = self.directory / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({USER: self.password}))
        wanted = [
            self.connection("checkvalve_source", self.source),
            self.connection("checkvalve_target", self.target),
            *([self.s3_connection("checkvalve_s3", self.s3_server)] if self.s3_server else []),
        ]
        connections = {
            item["connection_id"]: {name: value for name, value in item.items() if name != "connection_id"}
            for item in wanted
        }
        file = self.directory / "connections.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(connections))
        self._run("db", "migrate")
        self._run("connections", "import", "--overwrite", str(file))
        file.unlink()

    def _run(self, *words: str) -> None:
        environment = {**self._shared, **self._database_environment()}
        done = subprocess.run(
            [airflow_program(), *words], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            raise ServerError(f"airflow {' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")

    def _airflow(self, name: str, *words: str, database: bool = True) -> Child:
        environment = {**self._shared, **(self._database_environment() if database else {})}
        child = Child([airflow_program(), *words], self.directory / f"{name}.log", env=environment)
        self._children.append(child)
        return child

    def _healthy(self) -> bool:
        try:
            health = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return False
        return all(
            (health.get(part) or {}).get("status") == "healthy"
            for part in ("metadatabase", "scheduler", "dag_processor")
        )


def server_key(server: SshServer) -> str:
    """The private key that both servers let in."""
    return server.user_key.read_text()
