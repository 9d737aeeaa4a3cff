"""Logins and host keys: every way in, and every way to be refused."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.conftest import make_pair
from e2e.support.pair import Pair, Servers
from e2e.support.program import PROGRAM, Outcome
from e2e.support.trees import assert_same, contents, fill
from servers.asyncssh_server import AsyncsshServer
from servers.keys import Agent, fingerprint, make_key, public_key, sign_user_key, write_known_hosts
from servers.openssh import SshServer

TREE = {"a.txt": b"alpha", "b/c.txt": b"gamma"}
PASSWORD = 'pass word with $pecial "quotes" ü'


@pytest.fixture
def filled(plain_pair: Pair) -> Pair:
    fill(plain_pair.source, TREE)
    return plain_pair


def without_identity(pair: Pair) -> list[str]:
    options = pair.program.options
    at = options.index("--identity")
    return options[:at] + options[at + 2 :]


def refused(outcome: Outcome, kind: str) -> str:
    """Nothing was moved, the error is permanent; returns its message and its hint."""
    outcome.expect(3)
    error = outcome.json["error"]
    assert (error["kind"], error["status"]) == (kind, "permanent")
    assert not outcome.of_type("retry")
    return f"{error['message']}\n{error['hint']}"


@pytest.mark.quick
def test_wrong_key(filled: Pair, place: Path) -> None:
    filled.program.options = [*without_identity(filled), "--identity", str(make_key(place / "stranger"))]
    message = refused(filled.sync(), "auth")
    assert message
    assert contents(filled.target) == {}


def test_identity_that_does_not_exist(filled: Pair, place: Path) -> None:
    filled.program.options = [*without_identity(filled), "--identity", str(place / "missing key")]
    outcome = filled.sync()
    assert outcome.code in (2, 3)
    assert "missing key" in outcome.text


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_key_types(place: Path, servers: Servers, user_key: Path, kind: str) -> None:
    key = make_key(place / "key", kind=kind)
    with SshServer(place / "server", authorized=[key]) as server:
        pair = make_pair(place, Servers(server, server), key)
        fill(pair.source, TREE)
        pair.synced()


def test_key_with_passphrase(place: Path) -> None:
    key = make_key(place / "key", passphrase="open sesame")
    with SshServer(place / "server", authorized=[key]) as server:
        pair = make_pair(place, Servers(server, server), key)
        fill(pair.source, TREE)
        pair.program.env = {"CHECKVALVE_SOURCE_PASSPHRASE": "wrong", "CHECKVALVE_TARGET_PASSPHRASE": "open sesame"}
        refused(pair.sync(), "auth")
        pair.program.env = {f"CHECKVALVE_{side}_PASSPHRASE": "open sesame" for side in ("SOURCE", "TARGET")}
        pair.synced()


def test_certificate(place: Path) -> None:
    authority = make_key(place / "authority")
    key = make_key(place / "key")
    (place / "ca.pub").write_text(public_key(authority) + "\n")
    with SshServer(place / "server", lines=[f'TrustedUserCAKeys "{place / "ca.pub"}"']) as server:
        sign_user_key(authority, key, server.user)
        pair = make_pair(place, Servers(server, server), key)
        fill(pair.source, TREE)
        pair.synced()


def test_a_certificate_that_the_server_does_not_trust(place: Path) -> None:
    """One that lies beside the key is tried first, as ssh(1) does, and then the key alone."""
    key = make_key(place / "key")
    with SshServer(place / "server", authorized=[key]) as server:
        sign_user_key(make_key(place / "authority"), key, server.user)
        pair = make_pair(place, Servers(server, server), key)
        fill(pair.source, TREE)
        pair.synced()
        (place / "key-cert.pub").write_text("no certificate\n")
        pair.assert_nothing_to_do()


def test_agent(filled: Pair, place: Path, user_key: Path) -> None:
    agent = Agent(place / "agent")
    try:
        filled.program.options = without_identity(filled)
        filled.program.env = {"SSH_AUTH_SOCK": str(agent.socket)}
        refused(filled.sync(), "auth")
        agent.add(user_key)
        filled.synced()
    finally:
        agent.stop()


@pytest.fixture(params=["password", "keyboard-interactive"])
def password_server(request: pytest.FixtureRequest, place: Path) -> Iterator[AsyncsshServer]:
    with AsyncsshServer(place / "asyncssh", PASSWORD, login=request.param) as server:
        yield server


def use_password_server(pair: Pair, server: AsyncsshServer) -> None:
    fill(pair.source, TREE)
    known_hosts = pair.state.parent / "known_hosts"
    known_hosts.write_text(known_hosts.read_text() + server.known_hosts.read_text())
    pair.source_url = server.url(pair.source)
    pair.target_url = server.url(pair.target)
    pair.program.options = without_identity(pair)


@pytest.mark.quick
def test_password(plain_pair: Pair, password_server: AsyncsshServer) -> None:
    use_password_server(plain_pair, password_server)
    plain_pair.program.env = {"CHECKVALVE_SOURCE_PASSWORD": PASSWORD, "CHECKVALVE_TARGET_PASSWORD": PASSWORD}
    plain_pair.synced()


def test_wrong_password(plain_pair: Pair, password_server: AsyncsshServer) -> None:
    use_password_server(plain_pair, password_server)
    plain_pair.program.env = {"CHECKVALVE_SOURCE_PASSWORD": "wrong", "CHECKVALVE_TARGET_PASSWORD": PASSWORD}
    refused(plain_pair.sync(), "auth")
    assert contents(plain_pair.target) == {}


def test_secrets_on_a_descriptor(plain_pair: Pair, password_server: AsyncsshServer) -> None:
    use_password_server(plain_pair, password_server)
    read_end, write_end = os.pipe()
    os.write(write_end, json.dumps({"source": {"password": PASSWORD}, "target": {"password": PASSWORD}}).encode())
    os.close(write_end)
    plain_pair.sync("--secrets-fd", str(read_end), pass_fds=(read_end,)).expect(0)
    os.close(read_end)
    assert_same(plain_pair.source, plain_pair.target)


def test_password_in_a_url_is_refused(plain_pair: Pair) -> None:
    url = plain_pair.source_url.replace("@", ":hunter2@", 1)
    outcome = plain_pair.program.work("sync", url, plain_pair.target_url).expect(2)
    assert "hunter2" not in outcome.text
    assert "password" in outcome.text.lower()


def test_unknown_host_key_sends_no_credential(place: Path, plain_pair: Pair, password_server: AsyncsshServer) -> None:
    use_password_server(plain_pair, password_server)
    (place / "known_hosts").write_text("")
    plain_pair.program.env = {"CHECKVALVE_SOURCE_PASSWORD": PASSWORD, "CHECKVALVE_TARGET_PASSWORD": PASSWORD}
    message = refused(plain_pair.sync(), "host_key")
    assert fingerprint(password_server.host_key) in message
    assert "checkvalve trust" in message
    assert password_server.credentials_seen() == []


@pytest.mark.parametrize("side", ["source", "target"])
def test_unknown_host_key_of_openssh(place: Path, user_key: Path, servers: Servers, side: str) -> None:
    """The server's debug log would show a login request."""
    with SshServer(place / "server", log_level="DEBUG1", authorized=[user_key]) as server:
        both = Servers(server, servers.target) if side == "source" else Servers(servers.source, server)
        pair = make_pair(place, both, user_key)
        other = both.target if side == "source" else both.source
        write_known_hosts(place / "known_hosts", [(other.port, other.host_key)])
        fill(pair.source, TREE)
        assert fingerprint(server.host_key) in refused(pair.sync(), "host_key")
        log = server.log_text()
        assert "userauth-request" not in log
        assert contents(pair.target) == {}


@pytest.mark.quick
def test_changed_host_key(filled: Pair, place: Path, servers: Servers) -> None:
    stranger = make_key(place / "another host key")
    write_known_hosts(
        place / "known_hosts", [(servers.source.port, stranger), (servers.target.port, servers.target.host_key)]
    )
    message = refused(filled.sync(), "host_key")
    assert "changed" in message.lower() or "differ" in message.lower()


def test_pinned_fingerprint(filled: Pair, place: Path, servers: Servers) -> None:
    (place / "known_hosts").write_text("")
    right = [f"host_key_fingerprint={fingerprint(server.host_key)}" for server in (servers.source, servers.target)]
    filled.sync("--source-option", right[0], "--target-option", right[1]).expect(0)
    assert_same(filled.source, filled.target)
    refused(filled.sync("--source-option", right[1], "--target-option", right[1]), "host_key")


def test_trust_with_fingerprint(filled: Pair, place: Path, servers: Servers) -> None:
    known_hosts = place / "known_hosts"
    known_hosts.write_text("")
    for server in (servers.source, servers.target):
        url = f"sftp://127.0.0.1:{server.port}"
        wrong = filled.program.run(
            "trust", url, "--known-hosts", str(known_hosts), "--fingerprint", "SHA256:" + "A" * 43
        )
        assert wrong.code == 3, wrong.text
        shown = filled.program.run("trust", url, "--known-hosts", str(known_hosts), stdin=b"no\n")
        assert fingerprint(server.host_key) in shown.text
        assert f"]:{server.port} " not in known_hosts.read_text()
        filled.program.run(
            "trust", url, "--known-hosts", str(known_hosts), "--fingerprint", fingerprint(server.host_key)
        ).expect(0)
    filled.synced()


def answer_on_a_terminal(argv: list[str], env: dict[str, str], answer: bytes) -> tuple[int, bytes]:
    """Runs a command on a terminal of its own and types the answer; returns exit code and what was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, env)
    os.write(terminal, answer)
    shown = b""
    try:
        while piece := os.read(terminal, 4096):
            shown += piece
    except OSError:  # Linux's way to say that the other side is closed
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def test_trust_asks_on_a_terminal(filled: Pair, place: Path, servers: Servers) -> None:
    known_hosts = place / "known_hosts"
    known_hosts.write_text("")
    for server in (servers.source, servers.target):
        argv = [str(PROGRAM), "trust", f"sftp://127.0.0.1:{server.port}", "--known-hosts", str(known_hosts)]
        code, shown = answer_on_a_terminal(argv, filled.program.environment(), b"no\n")
        assert code != 0
        assert fingerprint(server.host_key).encode() in shown
        assert f"]:{server.port} " not in known_hosts.read_text()
        code, shown = answer_on_a_terminal(argv, filled.program.environment(), b"yes\n")
        assert code == 0, shown
    filled.synced()


@pytest.mark.quick
def test_ssh_child_transport(filled: Pair) -> None:
    """The ssh program carries the packets."""
    filled.synced("--source-option", "transport=ssh", "--target-option", "transport=ssh")
    filled.assert_nothing_to_do()


def test_ssh_config_is_honoured(place: Path, servers: Servers, user_key: Path) -> None:
    pair = make_pair(place, servers, user_key)
    fill(pair.source, TREE)
    config = pair.program.home / ".ssh" / "config"
    pair.program.environment()
    config.parent.mkdir(mode=0o700)
    config.write_text(
        "".join(
            f"Host {name}\n  HostName 127.0.0.1\n  Port {server.port}\n  User {server.user}\n"
            f'  IdentityFile "{user_key}"\n'
            f'  UserKnownHostsFile "{place / "known_hosts"}"\n'
            for name, server in (("src.example", servers.source), ("dst.example", servers.target))
        )
    )
    pair.program.options = ["--state", str(pair.state), "--known-hosts", str(place / "known_hosts")]
    options = [option for side in ("source", "target") for option in (f"--{side}-option", f"ssh_config={config}")]
    path = pair.source_url.split("/", 3)[3], pair.target_url.split("/", 3)[3]
    pair.program.work("sync", f"sftp://src.example/{path[0]}", f"sftp://dst.example/{path[1]}", *options).expect(0)
    assert_same(pair.source, pair.target)


class SshConfig:
    """A user's ~/.ssh/config for two hosts by name, and a sync between them that is given nothing else."""

    def __init__(self, place: Path, servers: Servers, user_key: Path, *lines: str) -> None:
        self.pair = make_pair(place, servers, user_key)
        fill(self.pair.source, TREE)
        self.servers = {"src.example": servers.source, "dst.example": servers.target}
        self.pair.program.environment()
        self.file = self.pair.program.home / ".ssh" / "config"
        self.file.parent.mkdir(mode=0o700)
        self.file.write_text(
            "".join(
                f"Host {name}\n  HostName 127.0.0.1\n  Port {server.port}\n  User {server.user}\n"
                + "".join(f"  {line}\n" for line in lines)
                for name, server in self.servers.items()
            )
        )
        (place / "known_hosts").unlink()
        self.pair.program.options = ["--state", str(self.pair.state)]
        for side in ("source", "target"):
            self.pair.program.options += [f"--{side}-option", f"ssh_config={self.file}"]

    def url(self, name: str) -> str:
        side = self.pair.source_url if name == "src.example" else self.pair.target_url
        return f"sftp://{name}/{side.split('/', 3)[3]}"

    def sync(self, *options: str) -> Outcome:
        return self.pair.program.work("sync", self.url("src.example"), self.url("dst.example"), *options)

    def synced(self) -> None:
        self.sync().expect(0)
        assert_same(self.pair.source, self.pair.target)


def test_host_key_alias(place: Path, servers: Servers, user_key: Path) -> None:
    """ssh_config(5): the host key is looked up, and saved, under the alias alone; both hosts have one here."""
    known_hosts = place / "hosts by alias"
    lines = [f'IdentityFile "{user_key}"', f'UserKnownHostsFile "{known_hosts}"']
    config = SshConfig(place, servers, user_key, *lines)
    text = config.file.read_text()
    for name in config.servers:
        text = text.replace(f"Host {name}\n", f"Host {name}\n  HostKeyAlias alias-of-{name}\n")
    config.file.write_text(text)
    by_address = "".join(
        f"[127.0.0.1]:{server.port} {public_key(server.host_key)}\n" for server in config.servers.values()
    )
    known_hosts.write_text(by_address)
    refused(config.sync(), "host_key")
    for name, server in config.servers.items():
        trusted = config.pair.program.run(
            "trust", config.url(name), "--source-option", f"ssh_config={config.file}",
            "--fingerprint", fingerprint(server.host_key),
        )  # fmt: skip
        trusted.expect(0)
    added = known_hosts.read_text().removeprefix(by_address).splitlines()
    assert added == [f"alias-of-{name} {public_key(server.host_key)}" for name, server in config.servers.items()]
    config.synced()
    known_hosts.write_text(known_hosts.read_text().replace("alias-of-src.example", "alias-of-dst.example"))
    assert refused(config.sync(), "host_key")


def test_further_known_hosts_files(place: Path, servers: Servers, user_key: Path) -> None:
    files = [place / "empty", place / "missing", place / "source", place / "both"]
    files[0].write_text("")
    files[2].write_text(f"[127.0.0.1]:{servers.source.port} {public_key(servers.source.host_key)}\n")
    names = " ".join(f'"{file}"' for file in files)
    config = SshConfig(place, servers, user_key, f'IdentityFile "{user_key}"', f"UserKnownHostsFile {names}")
    refused(config.sync(), "host_key")
    files[3].write_text(f"[127.0.0.1]:{servers.target.port} {public_key(servers.target.host_key)}\n")
    config.synced()


def test_strict_host_key_checking_is_never_weakened(place: Path, servers: Servers, user_key: Path) -> None:
    known_hosts = place / "hosts"
    lines = [f'IdentityFile "{user_key}"', f'UserKnownHostsFile "{known_hosts}"', "StrictHostKeyChecking no"]
    config = SshConfig(place, servers, user_key, *lines)
    refused(config.sync(), "host_key")
    assert not known_hosts.exists()


@pytest.fixture
def certified(place: Path) -> Iterator[tuple[Servers, Path, Path]]:
    """A server that only takes certificates, with a key and its certificate under another name than the key's."""
    authority = make_key(place / "authority")
    key = make_key(place / "key")
    (place / "ca.pub").write_text(public_key(authority) + "\n")
    with SshServer(place / "server", lines=[f'TrustedUserCAKeys "{place / "ca.pub"}"']) as server:
        certificate = sign_user_key(authority, key, server.user).rename(place / "elsewhere.pub")
        yield Servers(server, server), key, certificate


def test_certificate_file(place: Path, certified: tuple[Servers, Path, Path]) -> None:
    servers, key, certificate = certified
    hosts = write_known_hosts(place / "hosts", [(servers.source.port, servers.source.host_key)])
    lines = [f'IdentityFile "{key}"', f'UserKnownHostsFile "{hosts}"']
    config = SshConfig(place, servers, key, *lines)
    refused(config.sync(), "auth")
    config.file.write_text(
        config.file.read_text().replace("  IdentityFile", f'  CertificateFile "{certificate}"\n  IdentityFile')
    )
    config.synced()


def test_identities_only(place: Path, user_key: Path) -> None:
    """An agent full of other keys does not use up the tries that the server allows."""
    agent = Agent(place / "agent")
    try:
        for number in range(6):
            agent.add(make_key(place / f"stranger {number}"))
        agent.add(user_key)
        tries = ["MaxAuthTries 3"]
        with SshServer(place / "few tries", lines=tries, authorized=[user_key]) as server:
            hosts = write_known_hosts(place / "hosts", [(server.port, server.host_key)])
            lines = [f'IdentityFile "{user_key}.pub"', f'UserKnownHostsFile "{hosts}"']
            config = SshConfig(place, Servers(server, server), user_key, *lines)
            config.pair.program.env = {"SSH_AUTH_SOCK": str(agent.socket)}
            message = refused(config.sync(), "auth")
            assert "too many tries" in message
            assert all(part in message for part in ("--identity", "agent=no", "IdentitiesOnly"))
            config.file.write_text(
                config.file.read_text().replace("  IdentityFile", "  IdentitiesOnly yes\n  IdentityFile")
            )
            config.synced()
    finally:
        agent.stop()


def test_the_agent_is_asked_once(place: Path, user_key: Path) -> None:
    """Its keys, and then ssh_config's: not its keys again, which would use up the six tries that OpenSSH allows."""
    agent = Agent(place / "agent")
    try:
        for number in range(3):
            agent.add(make_key(place / f"stranger {number}"))
        with SshServer(place / "server", authorized=[user_key]) as server:
            hosts = write_known_hosts(place / "hosts", [(server.port, server.host_key)])
            lines = [f'IdentityFile "{user_key}"', f'UserKnownHostsFile "{hosts}"']
            config = SshConfig(place, Servers(server, server), user_key, *lines)
            config.pair.program.env = {"SSH_AUTH_SOCK": str(agent.socket)}
            config.synced()
    finally:
        agent.stop()


@pytest.mark.parametrize("transport", ["libssh", "ssh"])
def test_a_given_identity_comes_before_the_agent(plain_pair: Pair, place: Path, transport: str) -> None:
    """A full agent does not use up the server's tries before the key that was named."""
    fill(plain_pair.source, TREE)
    agent = Agent(place / "agent")
    try:
        for number in range(7):
            agent.add(make_key(place / f"stranger {number}"))
        plain_pair.program.env = {"SSH_AUTH_SOCK": str(agent.socket)}
        plain_pair.synced("--source-option", f"transport={transport}", "--target-option", f"transport={transport}")
    finally:
        agent.stop()


def test_an_address_that_does_not_answer_leaves_time_for_the_next(place: Path) -> None:
    """A host of two addresses, as with IPv6 that leads nowhere. Its name is given in a mount namespace of the test."""
    (place / "hosts").write_text("127.0.0.1 two.test\n127.0.0.2 two.test\n")
    as_if = ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && "$@"']
    as_if += [str(place / "hosts")]
    if subprocess.run([*as_if, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount")
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second, socket.socket() as server:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for caller in (first, second):  # they take the places of all who might be let in
            caller.setblocking(False)
            caller.connect_ex(deaf.getsockname())
        server.bind(("127.0.0.2", deaf.getsockname()[1]))
        server.listen()
        url = f"sftp://two.test:{deaf.getsockname()[1]}/"
        argv = [*as_if, str(PROGRAM), "doctor", url, "--connect-timeout", "2s"]
        subprocess.run(argv, capture_output=True, env={**os.environ, "HOME": str(place)}, check=False, timeout=60)
        server.settimeout(10)
        with server.accept()[0] as connection:
            assert connection.recv(4) == b"SSH-"
