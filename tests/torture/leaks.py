"""Canary secrets go in by every way, and are searched for in all that the program shows, starts or writes."""

from __future__ import annotations

import json
import os
import resource
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from e2e.support.program import PROGRAM
from servers.asyncssh_server import AsyncsshServer
from servers.keys import make_key
from servers.openssh import SshServer
from servers.process import descendants
from servers.sftp_filter import SFTP_SERVERS
from torture.arena import HANG_SECONDS, Arena, Kind, fill
from torture.oracle import Findings
from torture.session import Figures, Session

ROOT = Path(__file__).resolve().parents[2]
BANDWIDTH = ("--bwlimit", "4MiB")  # so that a run is long enough to be looked at


@dataclass
class Setup:
    """One command with secrets in it."""

    arguments: list[str]
    env: dict[str, str] = field(default_factory=dict)
    document: dict[str, object] | str = ""  # for --secrets-fd
    inputs: list[Path] = field(default_factory=list)  # files that hold a secret because they are a way in
    succeeds: bool = True
    given_in_argv: bool = False  # a mistake that is refused: argv is the caller's


class Canary:
    """A secret that is found in whatever form it may show."""

    def __init__(self) -> None:
        self.text = "canary-" + secrets.token_hex(12)

    def forms(self) -> Iterator[bytes]:
        plain = self.text.encode()
        yield plain
        yield plain.hex().encode()
        # base64 at each of the three alignments, without the ends that depend on what is around.
        for before in range(3):
            yield b64encode(b"x" * before + plain)[4:-4]

    def in_(self, content: bytes) -> bool:
        return any(form in content for form in self.forms())


Way = Callable[[Session, Arena, Canary], Setup]


def _login(session: Session, arena: Arena, canary: Canary) -> tuple[str, list[str]]:
    """An SSH server that takes the canary as its password: the source's URL and the options to get there."""
    server = AsyncsshServer(arena.place / "asyncssh", canary.text)
    session.servers.stack.callback(server.stop)
    arena.options += ["--known-hosts", str(server.known_hosts)]
    return server.url(arena.ledger.source), []


def password_descriptor(session: Session, arena: Arena, canary: Canary) -> Setup:
    url, _ = _login(session, arena, canary)
    return Setup(["sync", url, arena.urls[1]], document={"source": {"password": canary.text}})


def password_environment(session: Session, arena: Arena, canary: Canary) -> Setup:
    url, _ = _login(session, arena, canary)
    return Setup(["sync", url, arena.urls[1]], {"CHECKVALVE_SOURCE_PASSWORD": canary.text})


def _config(arena: Arena, text: str) -> Path:
    path = arena.place / "checkvalve.toml"
    path.write_text(text)
    return path


def password_file(session: Session, arena: Arena, canary: Canary) -> Setup:
    url, _ = _login(session, arena, canary)
    secret = arena.place / "password"
    secret.write_text(canary.text + "\n")
    config = _config(arena, f'[endpoint.a]\nurl = "{url}"\npassword_file = "password"\n')
    return Setup(["sync", "a:", arena.urls[1], "--config", str(config)], inputs=[secret])


def password_variable(session: Session, arena: Arena, canary: Canary) -> Setup:
    url, _ = _login(session, arena, canary)
    config = _config(arena, f'[endpoint.a]\nurl = "{url}"\npassword_env = "PARTNER_PASSWORD"\n')
    return Setup(["sync", "a:", arena.urls[1], "--config", str(config)], {"PARTNER_PASSWORD": canary.text})


def wrong_password(session: Session, arena: Arena, canary: Canary) -> Setup:
    server = AsyncsshServer(arena.place / "asyncssh", "another")
    session.servers.stack.callback(server.stop)
    arena.options += ["--known-hosts", str(server.known_hosts)]
    url = server.url(arena.ledger.source)
    return Setup(["sync", url, arena.urls[1]], document={"source": {"password": canary.text}}, succeeds=False)


def password_in_url(session: Session, arena: Arena, canary: Canary) -> Setup:
    url = f"sftp://me:{canary.text}@127.0.0.1:1/x"
    return Setup(["sync", url, arena.urls[1]], succeeds=False, given_in_argv=True)


def password_as_option(session: Session, arena: Arena, canary: Canary) -> Setup:
    arguments = ["sync", "sftp://me@127.0.0.1:1/x", arena.urls[1], "--source-option", f"password={canary.text}"]
    return Setup(arguments, succeeds=False, given_in_argv=True)


def password_in_config(session: Session, arena: Arena, canary: Canary) -> Setup:
    config = _config(arena, f'[endpoint.a]\nurl = "sftp://me@127.0.0.1:1/x"\npassword = "{canary.text}"\n')
    return Setup(["sync", "a:", arena.urls[1], "--config", str(config)], inputs=[config], succeeds=False)


def url_with_password_in_config(session: Session, arena: Arena, canary: Canary) -> Setup:
    config = _config(arena, f'[endpoint.a]\nurl = "sftp://me:{canary.text}@127.0.0.1:1/x"\n')
    return Setup(["sync", "a:", arena.urls[1], "--config", str(config)], inputs=[config], succeeds=False)


def broken_document(session: Session, arena: Arena, canary: Canary) -> Setup:
    document = '{"source": {"password": "' + canary.text + "}"
    return Setup(["sync", arena.urls[0], arena.urls[1]], document=document, succeeds=False)


def _locked_key(arena: Arena, canary: Canary, session: Session) -> tuple[str, Path]:
    """A key whose passphrase is the canary, and the URL of a server that takes it."""
    key = make_key(arena.place / "locked_key", passphrase=canary.text)
    server = SshServer(arena.place / "locked-server", read_only=True, authorized=[key])
    session.servers.stack.enter_context(server)
    arena.options += ["--known-hosts", str(server.known_hosts)]
    return server.url(arena.ledger.source), key


def passphrase_descriptor(session: Session, arena: Arena, canary: Canary) -> Setup:
    url, key = _locked_key(arena, canary, session)
    arguments = ["sync", url, arena.urls[1], "--identity", str(key)]
    return Setup(arguments, document={"source": {"passphrase": canary.text}})


def passphrase_environment(session: Session, arena: Arena, canary: Canary) -> Setup:
    url, key = _locked_key(arena, canary, session)
    return Setup(["sync", url, arena.urls[1], "--identity", str(key)], {"CHECKVALVE_SOURCE_PASSPHRASE": canary.text})


def private_key(session: Session, arena: Arena, canary: Canary) -> Setup:
    """The key's text is the secret: a line of its base64 is the canary."""
    key = session.servers.source.user_key
    text = key.read_text()
    canary.text = text.splitlines()[3]
    arena.options += ["--known-hosts", str(session.servers.source.known_hosts)]
    url = session.servers.source.url(arena.ledger.source)
    return Setup(["sync", url, arena.urls[1]], document={"source": {"private_key": text}})


def _bucket(session: Session, arena: Arena) -> tuple[str, dict[str, str]]:
    gateway = session.servers.gateway
    bucket = gateway.make_bucket(f"leaks-{secrets.token_hex(6)}")
    environment = gateway.environment()
    environment.pop("AWS_SECRET_ACCESS_KEY")
    return f"s3://{bucket.name}", environment


def s3_environment(session: Session, arena: Arena, canary: Canary) -> Setup:
    url, environment = _bucket(session, arena)
    canary.text = session.servers.gateway.secret_key
    return Setup(["sync", arena.urls[0], url], {**environment, "AWS_SECRET_ACCESS_KEY": canary.text})


def s3_descriptor(session: Session, arena: Arena, canary: Canary) -> Setup:
    url, environment = _bucket(session, arena)
    canary.text = session.servers.gateway.secret_key
    environment.pop("AWS_ACCESS_KEY_ID")
    option = f"access_key_id={session.servers.gateway.access_key}"
    arguments = ["sync", arena.urls[0], url, "--target-option", option]
    return Setup(arguments, environment, {"target": {"secret_access_key": canary.text}})


def s3_trace(session: Session, arena: Arena, canary: Canary) -> Setup:
    """Heads of requests go to a file, the token's among them."""
    setup = s3_environment(session, arena, canary)
    setup.arguments += ["--target-option", f"http_trace={arena.place / 'trace'}"]
    return setup


def s3_token(session: Session, arena: Arena, canary: Canary) -> Setup:
    """The service refuses it, and its answers name what it refuses."""
    url, environment = _bucket(session, arena)
    environment |= {"AWS_SECRET_ACCESS_KEY": canary.text, "AWS_SESSION_TOKEN": canary.text}
    trace = ["--target-option", f"http_trace={arena.place / 'trace'}"]
    return Setup(["sync", arena.urls[0], url, *trace], environment, succeeds=False)


def s3_credentials_file(session: Session, arena: Arena, canary: Canary) -> Setup:
    url, environment = _bucket(session, arena)
    gateway = session.servers.gateway
    canary.text = gateway.secret_key
    environment.pop("AWS_ACCESS_KEY_ID")
    path = arena.place / "credentials"
    path.write_text(
        f"[default]\naws_access_key_id = {gateway.access_key}\naws_secret_access_key = {gateway.secret_key}\n"
    )
    environment["AWS_SHARED_CREDENTIALS_FILE"] = str(path)
    return Setup(["sync", arena.urls[0], url], environment, inputs=[path])


def child_processes(session: Session, arena: Arena, canary: Canary) -> Setup:
    """A command endpoint's process does not inherit what is for the program."""
    server = next(path for path in SFTP_SERVERS if os.path.exists(path))
    config = _config(
        arena,
        f'[endpoint.a]\nscheme = "sftp"\ncommand = ["{server}"]\nservice = "leaks"\nroot = "{arena.ledger.source}"\n',
    )
    names = ("SOURCE_PASSWORD", "SOURCE_PASSPHRASE", "TARGET_PASSWORD", "STATE_PASSWORD")
    environment = {f"CHECKVALVE_{name}": canary.text for name in names}
    return Setup(["sync", "a:", arena.urls[1], "--config", str(config)], environment)


def ssh_program(session: Session, arena: Arena, canary: Canary) -> Setup:
    arena.options += ["--known-hosts", str(session.servers.source.known_hosts)]
    arena.options += ["--identity", str(session.servers.source.user_key), "--source-option", "transport=ssh"]
    environment = {"CHECKVALVE_TARGET_PASSPHRASE": canary.text, "CHECKVALVE_STATE_PASSWORD": canary.text}
    return Setup(["sync", session.servers.source.url(arena.ledger.source), arena.urls[1]], environment)


def state_url(session: Session, arena: Arena, canary: Canary) -> Setup:
    at = arena.options.index("--state")
    del arena.options[at : at + 2]
    arguments = ["sync", *arena.urls, "--state", f"postgresql://me:{canary.text}@127.0.0.1:1/x"]
    return Setup(arguments, succeeds=False, given_in_argv=True)


def state_environment(session: Session, arena: Arena, canary: Canary) -> Setup:
    at = arena.options.index("--state")
    del arena.options[at : at + 2]
    arguments = ["sync", *arena.urls, "--state", "postgresql://me@127.0.0.1:1/x"]
    return Setup(arguments, {"CHECKVALVE_STATE_PASSWORD": canary.text}, succeeds=False)


WAYS: tuple[Way, ...] = (
    password_descriptor,
    password_environment,
    password_file,
    password_variable,
    wrong_password,
    password_in_url,
    password_as_option,
    password_in_config,
    url_with_password_in_config,
    broken_document,
    passphrase_descriptor,
    passphrase_environment,
    private_key,
    s3_environment,
    s3_descriptor,
    s3_trace,
    s3_token,
    s3_credentials_file,
    child_processes,
    ssh_program,
    state_url,
    state_environment,
)


def secrets_in(session: Session) -> Figures:
    looked_at = ways = 0
    cores = "no core file was written here"
    for way in session.sample(list(WAYS), session.random("secrets")):
        where = f"secret by {way.__name__.replace('_', ' ')}"
        for dies in (False, True):
            canary = Canary()
            with Arena(session.servers, Kind("local", "local")) as arena:
                fill(arena.ledger, session.random(where), small=5, large=1, large_bytes=3 << 20)
                setup = way(session, arena, canary)
                if dies and not setup.succeeds:
                    continue
                ways += not dies
                looked_at += _searched(session.findings, where, arena, setup, canary, dies=dies)
                if dies and list(arena.place.rglob("core*")):
                    cores = "written and searched"
    _provider(session)
    return {"ways in": ways, "places searched": looked_at, "core files": cores, "Python package": "searched"}


@contextmanager
def _secrets_pipe(document: dict[str, object] | str) -> Iterator[tuple[list[str], list[int]]]:
    if not document:
        yield [], []
        return
    read_end, write_end = os.pipe()
    text = document if isinstance(document, str) else json.dumps(document)
    os.write(write_end, text.encode())
    os.close(write_end)
    try:
        yield ["--secrets-fd", str(read_end)], [read_end]
    finally:
        os.close(read_end)


def _searched(findings: Findings, where: str, arena: Arena, setup: Setup, canary: Canary, *, dies: bool) -> int:
    """Runs it and searches; `dies`: it is aborted in mid-run. Returns the count of places."""
    temporary = arena.place / "tmp"
    temporary.mkdir()
    events = arena.place / "events"
    looked_at = 0

    def look(place: str, content: bytes) -> None:
        nonlocal looked_at
        looked_at += 1
        if canary.in_(content):
            findings.add("leak", f"{where}: in {place}")

    with _secrets_pipe(setup.document) as (options, descriptors):
        argv = [str(PROGRAM), *setup.arguments, *arena.options, *options, *BANDWIDTH, "--json", "--events", str(events)]
        process = subprocess.Popen(
            argv,
            env={**arena.env, **setup.env, "TMPDIR": str(temporary)},
            pass_fds=descriptors,
            cwd=arena.place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_allow_core,
        )
        started = time.monotonic()
        while process.poll() is None and time.monotonic() - started < (0.4 if dies else 1.0):
            for pid in [process.pid, *(pid for pid, _ in descendants(process.pid))]:
                for file in ("cmdline", "environ"):
                    # The kernel keeps the environment that the caller gave; only the same user can read it.
                    if pid == process.pid and (file == "environ" or setup.given_in_argv):
                        continue
                    look(f"/proc/…/{file} of {'a child' if pid != process.pid else 'the program'}", _proc(pid, file))
            for path in temporary.rglob("*"):
                if path.is_file():
                    look(f"temporary file {path.name}", path.read_bytes())
            time.sleep(0.03)
        if dies:
            process.send_signal(signal.SIGABRT)
        try:
            out, err = process.communicate(timeout=HANG_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            findings.add("hang", f"{where}: the command did not end")
    if not dies and (process.returncode == 0) != setup.succeeds:
        findings.add("crash", f"{where}: exit code {process.returncode}: {(out + err).decode(errors='replace')[-400:]}")
    look("standard output", out)
    look("standard error", err)
    state = arena.place / "state.db"
    if state.exists() and not dies:
        with sqlite3.connect(state) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    servers_own = ("asyncssh", "locked-server")
    for path in arena.place.rglob("*"):
        relative = path.relative_to(arena.place)
        if path.is_file() and path not in setup.inputs and relative.parts[0] not in servers_own:
            look(f"file {relative}", path.read_bytes())
    return looked_at


def _proc(pid: int, file: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:
        return b""


def _allow_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


PACKAGE = """
import sys, time
import checkvalve
from checkvalve.api import Endpoint, State
secret = sys.stdin.readline().strip()
source = Endpoint(sys.argv[1], {"known_hosts": sys.argv[3]}, {"password": secret})
with checkvalve.sync(source, sys.argv[2], state=sys.argv[4], program=sys.argv[5]) as operation:
    print(operation.pid, repr(source), flush=True)
    print(operation.result(), flush=True)
"""


def _provider(session: Session) -> None:
    """The Python package that the Airflow provider is built on: neither argv nor environment of what it starts."""
    where = "secret by the Python package"
    canary = Canary()
    with Arena(session.servers, Kind("local", "local")) as arena:
        fill(arena.ledger, session.random(where), small=2, large=1, large_bytes=30 << 20)
        server = AsyncsshServer(arena.place / "asyncssh", canary.text)
        with server:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    PACKAGE,
                    server.url(arena.ledger.source),
                    arena.urls[1],
                    str(server.known_hosts),
                    str(arena.place / "state.db"),
                    str(PROGRAM),
                ],
                env={**arena.env, "PYTHONPATH": str(ROOT / "python")},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert process.stdin
            process.stdin.write(canary.text.encode() + b"\n")
            process.stdin.close()
            process.stdin = None
            seen = 0
            while process.poll() is None:
                for pid, _ in descendants(process.pid):
                    for file in ("cmdline", "environ"):
                        content = _proc(pid, file)
                        seen += bool(content)
                        if canary.in_(content):
                            session.findings.add("leak", f"{where}: in /proc/…/{file}")
                time.sleep(0.01)
            assert process.stdout
            output = process.stdout.read()
        if canary.in_(output):
            session.findings.add("leak", f"{where}: in its output")
        if process.returncode != 0 or not seen:
            text = output.decode(errors="replace")[-400:]
            session.findings.add("crash", f"{where}: exit code {process.returncode}, {seen} places: {text}")
        shutil.rmtree(arena.place / "asyncssh", ignore_errors=True)
