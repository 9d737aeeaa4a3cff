"""Private keys in the forms that ssh-keygen, openssl and puttygen write: with no, a wrong and the right passphrase."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from e2e.conftest import make_pair
from e2e.support.pair import Servers
from e2e.support.program import Outcome
from e2e.support.trees import fill
from servers.keys import make_key, run_tool
from servers.openssh import SshServer

PASSPHRASE = "open sesame"


def openssl_key(key: Path, *, passphrase: str) -> Path:
    """PKCS #8, as "openssl genpkey" writes it."""
    path = key.parent / "pkcs8.pem"
    cipher = ["-aes-256-cbc", "-pass", f"pass:{passphrase}"] if passphrase else []
    run_tool("openssl", "genpkey", "-algorithm", "ed25519", *cipher, "-out", path)
    path.chmod(0o600)
    plain = run_tool("openssl", "pkey", "-in", path, "-passin", f"pass:{passphrase}", "-pubout", "-outform", "DER")
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0 " + plain[-32:]
    Path(f"{path}.pub").write_text(f"ssh-ed25519 {base64.b64encode(blob).decode()}\n")
    return path


def putty_key(key: Path, *parameters: str, passphrase: str) -> Path:
    path = key.with_suffix(".ppk")
    words = key.parent / "passphrase"
    words.write_text(passphrase)
    run_tool("puttygen", key, "-O", "private", "-o", path, "--new-passphrase", words, *parameters)
    Path(f"{path}.pub").write_text(Path(f"{key}.pub").read_text())
    return path


def ssh_keygen_form(key: Path, form: str, *, passphrase: str) -> Path:
    run_tool("ssh-keygen", "-q", "-p", "-m", form, "-P", "", "-N", passphrase, "-f", key)
    return key


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
@pytest.mark.parametrize(
    ("kind", "make"),
    [
        pytest.param("ed25519", openssl_key, id="PKCS8-ed25519"),
        *(
            pytest.param(kind, partial(ssh_keygen_form, form=form), id=f"{form}-{kind}")
            for kind in ("rsa", "ecdsa")
            for form in ("PEM", "PKCS8")
        ),
        *(
            pytest.param(kind, lambda key, passphrase, p=parameters: putty_key(key, *p, passphrase=passphrase), id=name)
            for kind, name, parameters in (
                ("ed25519", "PuTTY2-ed25519", ["--ppk-param", "version=2"]),
                ("rsa", "PuTTY2-rsa", ["--ppk-param", "version=2"]),
                ("ecdsa", "PuTTY2-ecdsa", ["--ppk-param", "version=2"]),
                ("ed25519", "PuTTY3-ed25519", []),
                ("rsa", "PuTTY3-rsa", ["--ppk-param", "kdf=argon2d"]),
                ("ecdsa", "PuTTY3-ecdsa", ["--ppk-param", "kdf=argon2i,memory=1024,passes=2,parallelism=2"]),
            )
        ),
    ],
)
def test_key_forms(place: Path, kind: str, make: Callable[..., Path], passphrase: str) -> None:
    key = make(make_key(place / "key", kind=kind), passphrase=passphrase)
    damaged = place / "damaged"
    damaged.write_bytes(key.read_bytes()[:-9])
    with SshServer(place / "server", authorized=[key]) as server:
        pair = make_pair(place, Servers(server, server), key)
        fill(pair.source, {"a.txt": b"alpha"})
        options = pair.program.options
        known_hosts = options[options.index("--known-hosts") + 1]

        def listing(identity: Path, given: str = "") -> Outcome:
            pair.program.env = {"CHECKVALVE_SOURCE_PASSPHRASE": given} if given else {}
            return pair.program.run("ls", pair.source_url, "--known-hosts", known_hosts, "--identity", str(identity))

        if passphrase:
            assert "does it need a passphrase?" in listing(key).expect(3).text
            assert "wrong passphrase" in listing(key, "wrong").expect(3).text
        listing(key, passphrase).expect(0)
        listing(damaged, passphrase).expect(3)
