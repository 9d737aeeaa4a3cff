"""Fixtures: scratch space, real servers for the session, directories and state for each test."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before they are imported: a failed assertion of a helper says what it compared.
pytest.register_assert_rewrite("e2e.support.pair", "e2e.support.program", "e2e.support.trees")


from e2e.support.pair import Pair, Servers  # noqa: E402
from e2e.support.program import PROGRAM, Program  # noqa: E402
from e2e.support.s3_line import Line, line_to_versitygw  # noqa: E402
from scratch import MIB, scratch_directory  # noqa: E402
from servers.keys import write_known_hosts  # noqa: E402
from servers.openssh import SshServer  # noqa: E402
from servers.proxy import DelayProxy  # noqa: E402
from servers.s3_versitygw import Versitygw  # noqa: E402

SCRATCH_BYTES = 1536 * MIB
"""For tests without the marker scratch_bytes: a file of 512 MiB, its copy, and the servers' own files."""

UNPRIVILEGED = "games"  # on every Debian; see SshServer.run_as


def pytest_configure(config: pytest.Config) -> None:
    if not PROGRAM.exists():
        raise pytest.UsageError(f"{PROGRAM} is missing: run ./dev build first, or set CHECKVALVE_PROGRAM")
    # Ends as by Ctrl-C: servers are stopped and scratch files removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A login agent, or its keys, must not help a test to pass.
    os.environ.pop("SSH_AUTH_SOCK", None)


@pytest.fixture(scope="session")
def scratch(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The session's directory for everything, with room for the largest of its tests."""
    marks = (mark for item in request.session.items for mark in item.iter_markers("scratch_bytes"))
    with scratch_directory(
        "checkvalve e2e ", max((mark.args[0] for mark in marks), default=SCRATCH_BYTES)
    ) as directory:
        yield directory


@pytest.fixture(scope="session")
def normal_server(scratch: Path) -> Iterator[SshServer]:
    with SshServer(scratch / "source-server") as server:
        yield server


@pytest.fixture(scope="session")
def read_only_server(scratch: Path, normal_server: SshServer) -> Iterator[SshServer]:
    """A source that refuses every write: the engine's promise to only read it is kept by the server."""
    with SshServer(scratch / "read-only-server", read_only=True, authorized=[normal_server.user_key]) as server:
        yield server


@pytest.fixture(scope="session")
def target_server(scratch: Path, normal_server: SshServer) -> Iterator[SshServer]:
    with SshServer(scratch / "target-server", authorized=[normal_server.user_key]) as server:
        yield server


@pytest.fixture(scope="session")
def user_key(normal_server: SshServer) -> Path:
    """Logs in at each server of the session."""
    return normal_server.user_key


@pytest.fixture(scope="session")
def gateway(scratch: Path) -> Iterator[Versitygw]:
    with Versitygw(scratch / "versitygw") as server:
        yield server


@pytest.fixture
def line(place: Path, gateway: Versitygw) -> Iterator[Line]:
    with line_to_versitygw(place, gateway) as line:
        yield line


@pytest.fixture(scope="session")
def read_only_gateway(scratch: Path, gateway: Versitygw) -> Iterator[Versitygw]:
    """The same buckets, from a server that refuses every change."""
    server = Versitygw(
        scratch / "versitygw read-only",
        data=gateway.data,
        read_only=True,
        access_key=gateway.access_key,
        secret_key=gateway.secret_key,
    )
    with server:
        yield server


@pytest.fixture
def place(scratch: Path) -> Iterator[Path]:
    """A folder of one test, removed after it."""
    folder = Path(tempfile.mkdtemp(prefix="test ", dir=scratch))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def make_pair(place: Path, servers: Servers, user_key: Path, *, source_port: int = 0, target_port: int = 0) -> Pair:
    """Folders and state in `place`; the ports are those of proxies in front of the servers."""
    source, target = place / "source tree", place / "target tree"
    for folder in (source, target):
        folder.mkdir(exist_ok=True)
        for server in (servers.source, servers.target):
            if server.run_as:
                shutil.chown(folder, server.run_as)
    entries = [
        (port, server.host_key)
        for server, proxied in ((servers.source, source_port), (servers.target, target_port))
        for port in {server.port, proxied or server.port}
    ]
    known_hosts = write_known_hosts(place / "known_hosts", entries)
    state = place / "state.db"
    program = Program(
        place / "home", ["--known-hosts", str(known_hosts), "--identity", str(user_key), "--state", str(state)]
    )
    return Pair(
        source, target, servers.source.url(source, source_port), servers.target.url(target, target_port), state, program
    )


@pytest.fixture(params=["normal", "read_only"])
def pair(request: pytest.FixtureRequest, place: Path, target_server: SshServer, user_key: Path) -> Pair:
    """Each test that asks for it runs twice: the second time against a source server that refuses writes."""
    source_server = request.getfixturevalue(f"{request.param}_server")
    return make_pair(place, Servers(source_server, target_server), user_key)


@pytest.fixture
def servers(normal_server: SshServer, target_server: SshServer) -> Servers:
    return Servers(normal_server, target_server)


@pytest.fixture
def plain_pair(place: Path, servers: Servers, user_key: Path) -> Pair:
    """For what does not depend on the source server's mode."""
    return make_pair(place, servers, user_key)


@pytest.fixture
def proxies(place: Path, servers: Servers) -> Iterator[tuple[DelayProxy, DelayProxy]]:
    """In front of the source and of the target, for lines that are cut."""
    with (
        DelayProxy(servers.source.port, place / "source-proxy.log") as source,
        DelayProxy(servers.target.port, place / "target-proxy.log") as target,
    ):
        yield source, target


@pytest.fixture
def proxied_pair(place: Path, servers: Servers, user_key: Path, proxies: tuple[DelayProxy, DelayProxy]) -> Pair:
    return make_pair(place, servers, user_key, source_port=proxies[0].port, target_port=proxies[1].port)


@pytest.fixture
def own_servers(place: Path, user_key: Path) -> Iterator[Servers]:
    """Two servers for one test that pauses, restarts or overloads them."""
    source = SshServer(place / "own-source", authorized=[user_key])
    target = SshServer(place / "own-target", authorized=[user_key])
    with source, target:
        yield Servers(source, target)


@pytest.fixture
def own_pair(place: Path, own_servers: Servers, user_key: Path) -> Pair:
    return make_pair(place, own_servers, user_key)


@pytest.fixture
def unprivileged_pair(place: Path, user_key: Path) -> Iterator[Pair]:
    """Servers whose user is not root, so that permissions are refused."""
    run_as = UNPRIVILEGED if os.geteuid() == 0 else None
    source = SshServer(place / "u-source", run_as=run_as, authorized=[user_key])
    target = SshServer(place / "u-target", run_as=run_as, authorized=[user_key])
    with source, target:
        yield make_pair(place, Servers(source, target), user_key)
