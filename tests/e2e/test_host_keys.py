"""known_hosts as OpenSSH reads it, pins, ssh_config, forms of keys, and logins that must neither ask nor hang."""

from __future__ import annotations

import base64
import os
import pty
import subprocess
from pathlib import Path

import pytest

from e2e.conftest import make_pair
from e2e.support.pair import Pair, Servers
from e2e.support.program import PROGRAM
from e2e.support.trees import assert_same, contents, fill
from e2e.test_logins import SshConfig, refused, without_identity
from servers.keys import fingerprint, make_key, public_key, run_tool, write_known_hosts
from servers.openssh import SshServer

TREE = {"a.txt": b"alpha"}


def lines_of(servers: Servers, form: str) -> str:
    return "".join(
        form.format(port=server.port, key=public_key(server.host_key)) for server in (servers.source, servers.target)
    )


@pytest.mark.parametrize(
    "form",
    [
        "[127.0.0.1]:{port} {key}\r\n",
        "127.0.0.1 {key}\n",
        "*,!other {key}\n",
        "# comment\n\n\t[127.0.0.1]:{port}\t{key} me@here\n",
        "@cert-authority 127.0.0.1 {key}\n[127.0.0.1]:{port} {key}\n",
    ],
)
def test_lines_that_openssh_takes(plain_pair: Pair, place: Path, servers: Servers, form: str) -> None:
    fill(plain_pair.source, TREE)
    (place / "known_hosts").write_bytes(lines_of(servers, form).encode())
    plain_pair.synced()


def test_hashed_names(plain_pair: Pair, place: Path, servers: Servers) -> None:
    fill(plain_pair.source, TREE)
    run_tool("ssh-keygen", "-H", "-f", place / "known_hosts")
    assert "127.0.0.1" not in (place / "known_hosts").read_text()
    plain_pair.synced()


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("[127.0.0.1]:{port} {key}\n@revoked * {key}\n", "is revoked by a @revoked line"),
        ("@revoked 127.0.0.1 {key}\n127.0.0.1 {key}\n", "is revoked by a @revoked line"),
        ("@cert-authority * {key}\n", "transport=ssh"),
        ("*,![127.0.0.1]:{port} {key}\n", "checkvalve trust"),
    ],
)
def test_lines_that_openssh_refuses(plain_pair: Pair, place: Path, servers: Servers, form: str, expected: str) -> None:
    fill(plain_pair.source, TREE)
    (place / "known_hosts").write_text(lines_of(servers, form))
    outcome = plain_pair.sync()
    refused(outcome, "host_key")
    assert expected in outcome.text
    assert contents(plain_pair.target) == {}


def test_a_revoked_key_cannot_be_trusted(plain_pair: Pair, place: Path, servers: Servers) -> None:
    known_hosts = place / "known_hosts"
    known_hosts.write_text(lines_of(servers, "@revoked * {key}\n"))
    before = known_hosts.read_bytes()
    url = f"sftp://127.0.0.1:{servers.source.port}"
    outcome = plain_pair.program.run("trust", url, "--known-hosts", str(known_hosts), stdin=b"yes\n")
    assert outcome.code == 3
    assert "revoked" in outcome.text
    assert known_hosts.read_bytes() == before


def test_a_key_that_changed_cannot_be_trusted(plain_pair: Pair, place: Path, servers: Servers) -> None:
    known_hosts = write_known_hosts(place / "hosts", [(servers.source.port, make_key(place / "earlier"))])
    before = known_hosts.read_bytes()
    url, given = f"sftp://127.0.0.1:{servers.source.port}", fingerprint(servers.source.host_key)
    outcome = plain_pair.program.run("trust", url, "--known-hosts", str(known_hosts), "--fingerprint", given)
    assert outcome.code == 3
    assert "another key" in outcome.text
    assert known_hosts.read_bytes() == before


def test_ciphers_of_ssh_config(place: Path, user_key: Path) -> None:
    """A site's policy: only the ciphers that it lists are offered."""
    with SshServer(place / "server", authorized=[user_key], ciphers="chacha20-poly1305@openssh.com") as server:
        hosts = write_known_hosts(place / "hosts", [(server.port, server.host_key)])
        lines = [f'IdentityFile "{user_key}"', f'UserKnownHostsFile "{hosts}"', "Ciphers aes256-ctr"]
        config = SshConfig(place, Servers(server, server), user_key, *lines)
        config.sync("--retries", "0").expect(3)
        config.file.write_text(
            config.file.read_text().replace("aes256-ctr", "aes256-ctr,chacha20-poly1305@openssh.com")
        )
        config.synced()


@pytest.mark.parametrize("form", ["PEM", "PKCS8"])
def test_an_encrypted_key_never_prompts(place: Path, plain_pair: Pair, servers: Servers, form: str) -> None:
    """On a terminal, where OpenSSL would ask for the passphrase and wait."""
    key = make_key(place / "key", kind="rsa")
    run_tool("ssh-keygen", "-q", "-p", "-m", form, "-P", "", "-N", "open sesame", "-f", key)
    options = [*without_identity(plain_pair), "--identity", str(key)]
    known_hosts = options[options.index("--known-hosts") + 1]
    argv = [str(PROGRAM), "ls", plain_pair.source_url, "--known-hosts", known_hosts, "--identity", str(key)]
    master, terminal = pty.openpty()
    try:
        # A session of its own, so that /dev/tty is this terminal.
        done = subprocess.run(
            ["setsid", "--ctty", "--wait", *argv], stdin=terminal, stdout=terminal, stderr=terminal, timeout=60,
            env=plain_pair.program.environment(), check=False,
        )  # fmt: skip
        shown = os.read(master, 65536)
    finally:
        os.close(master)
        os.close(terminal)
    assert done.returncode == 3
    assert b"does it need a passphrase?" in shown
    assert b"pass phrase:" not in shown


def test_a_login_without_an_answer_is_no_refusal(place: Path, plain_pair: Pair, servers: Servers) -> None:
    """As of a slow directory of users: another run may succeed."""
    stranger = make_key(place / "stranger")
    slow = ["AuthorizedKeysCommand /bin/sleep 8", "AuthorizedKeysCommandUser root"]
    with SshServer(place / "server", lines=slow) as server:
        known_hosts = write_known_hosts(place / "hosts", [(server.port, server.host_key)])
        plain_pair.source_url = server.url(plain_pair.source)
        plain_pair.program.options = ["--state", str(plain_pair.state), "--known-hosts", str(known_hosts)]
        plain_pair.program.options += ["--identity", str(stranger), "--target-option", "host_key_check=no"]
        error = plain_pair.sync("--connect-timeout", "1s", "--retries", "0").expect(3).json["error"]
    assert error["kind"] == "timeout"
    assert error["status"] != "permanent"


@pytest.mark.parametrize("passphrase", ["", "open sesame"])
@pytest.mark.parametrize("way", ["file", "secret"])
def test_ed25519_key_in_pkcs8_form(place: Path, passphrase: str, way: str) -> None:
    """As openssl writes it; OpenSSH reads no Ed25519 key in this form either."""
    key = place / "key"
    encrypt = ["-aes-256-cbc", "-pass", f"pass:{passphrase}"] if passphrase else []
    run_tool("openssl", "genpkey", "-algorithm", "ed25519", "-out", key, *encrypt)
    der = run_tool("openssl", "pkey", "-in", key, "-pubout", "-outform", "DER", "-passin", f"pass:{passphrase}")
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (b"ssh-ed25519", der[-32:]))
    (place / "key.pub").write_text(f"ssh-ed25519 {base64.b64encode(blob).decode()}\n")
    with SshServer(place / "server", authorized=[key]) as server:
        pair = make_pair(place, Servers(server, server), key)
        fill(pair.source, TREE)
        sides = ("SOURCE", "TARGET")
        if passphrase:
            pair.program.env = {f"CHECKVALVE_{side}_PASSPHRASE": "wrong" for side in sides}
            refused(pair.sync(), "auth")
            pair.program.env = {f"CHECKVALVE_{side}_PASSPHRASE": passphrase for side in sides}
        if way == "secret":
            pair.program.env |= {f"CHECKVALVE_{side}_PRIVATE_KEY": key.read_text() for side in sides}
            pair.program.options = without_identity(pair)
        pair.synced()


def test_host_name_with_an_underscore(place: Path, servers: Servers, user_key: Path) -> None:
    """libssh takes none; the ssh program does."""
    lines = [f'IdentityFile "{user_key}"', f'UserKnownHostsFile "{place / "hosts"}"']
    config = SshConfig(place, servers, user_key, *lines)
    write_known_hosts(place / "hosts", [(server.port, server.host_key) for server in config.servers.values()])
    text = config.file.read_text()
    for name in list(config.servers):
        text = text.replace(f"Host {name}\n", f"Host {name.replace('.', '_')}\n")
    config.file.write_text(text)
    ends = [config.url(name).replace(name, name.replace(".", "_")) for name in config.servers]
    config.pair.program.work("sync", *ends).expect(0)
    assert_same(config.pair.source, config.pair.target)


def test_ssh_config_that_never_ends(place: Path, servers: Servers, user_key: Path) -> None:
    """What a "Match exec" runs for `ssh -G` ends with the connect timeout. (libssh runs it, too, without one.)"""
    marker = place / "once"
    lines = [f'IdentityFile "{user_key}"', f'UserKnownHostsFile "{place / "hosts"}"']
    config = SshConfig(place, servers, user_key, *lines)
    write_known_hosts(place / "hosts", [(server.port, server.host_key) for server in config.servers.values()])
    script = place / "exec"
    script.write_text(
        "#!/bin/sh\n"
        "parents=$PPID,$(cut -d' ' -f4 /proc/$PPID/stat)\n"  # a shell may stand between
        f"ps -o comm= -p $parents | grep -qx ssh || exit 0\ntouch '{marker}'\nexec sleep 600\n"
    )
    script.chmod(0o755)
    config.file.write_text(
        f'Match exec "{str(script).replace(" ", "?")}"\n  Compression no\n' + config.file.read_text()
    )
    outcome = config.sync("--connect-timeout", "1s")
    assert marker.exists()
    outcome.expect(0)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_pinned_fingerprint_of_any_key_of_the_server(place: Path, user_key: Path, kind: str) -> None:
    """The server has keys of several types, and the pinned one need not be that which it is asked for first."""
    keys = {name: make_key(place / name, kind=name) for name in ("rsa", "ecdsa")}
    with SshServer(
        place / "server", authorized=[user_key], lines=[f'HostKey "{key}"' for key in keys.values()]
    ) as server:
        keys["ed25519"] = server.host_key
        pair = make_pair(place, Servers(server, server), user_key)
        (place / "known_hosts").write_text("")
        fill(pair.source, TREE)
        pins = [f"--{side}-option=host_key_fingerprint={fingerprint(keys[kind])}" for side in ("source", "target")]
        pair.synced(*pins)
        refused(pair.sync(*(pin[:-8] + "AAAAAAAA" for pin in pins)), "host_key")
