"""S3 over TLS, rclone's S3 server, and the conformance program against servers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from e2e.support.program import Program, clean_environment
from e2e.support.trees import contents, large_file, many_small
from servers import nginx
from servers.keys import write_known_hosts
from servers.openssh import SshServer
from servers.proxy import BUILD
from servers.s3_rclone import RcloneS3, program
from servers.s3_versitygw import Versitygw

MIB = 1 << 20


def make_certificate(place: Path, name: str) -> tuple[Path, Path]:
    """Of an authority of its own, for 127.0.0.1."""
    place.mkdir(exist_ok=True)
    certificate, key = place / f"{name}.pem", place / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


def test_over_tls(place: Path) -> None:
    certificate, key = make_certificate(place / "keys", "server")
    other, _ = make_certificate(place / "keys", "other")
    source = place / "source"
    many_small(source, 200)
    large_file(source / "large.bin", 20 * MIB)
    with Versitygw(place / "versitygw", tls=(certificate, key)) as server:
        bucket = server.make_bucket("bucket")
        trusting = Program(
            place / "home",
            ["--state", str(place / "state.db")],
            {**server.environment(), "AWS_CA_BUNDLE": str(certificate)},
        )
        trace = place / "trace"
        trusting.work("sync", str(source), "s3://bucket", "--target-option", f"http_trace={trace}").expect(0)
        assert {name for name in contents(bucket) if not name.startswith(b".sgwtmp")} == set(contents(source))
        assert "> PUT " in trace.read_text()
        trusting.work("sync", "s3://bucket", str(place / "back")).expect(0)
        assert contents(place / "back") == contents(source)
        for bundle in ({"AWS_CA_BUNDLE": str(other)}, {}):
            wary = Program(place / "home", ["--state", str(place / "other.db")], {**server.environment(), **bundle})
            outcome = wary.work("sync", str(source), "s3://bucket/refused").expect(3)
            assert outcome.json["error"]["kind"] == "host_key"
            assert "certificate" in outcome.text
        assert not (bucket / "refused").exists()


@pytest.mark.skipif(nginx.program() is None, reason="no nginx, which speaks HTTP/2")
def test_over_http2(place: Path) -> None:
    """Through a reverse proxy: the signature covers the host that the proxy was asked for. After a hundred requests it
    asks for another connection (GOAWAY; RFC 9113, 6.8)."""
    certificate, key = make_certificate(place / "keys", "server")
    source = place / "source"
    many_small(source, 1_200)
    large_file(source / "large.bin", 100 * MIB + 17)
    with (
        Versitygw(place / "versitygw") as server,
        nginx.Nginx(place / "nginx", server.port, certificate, key) as proxy,
    ):
        bucket = server.make_bucket("bucket")
        env = {**server.environment(), "AWS_ENDPOINT_URL_S3": proxy.endpoint_url, "AWS_CA_BUNDLE": str(certificate)}
        client = Program(place / "home", ["--state", str(place / "state.db")], env)
        there = client.work("sync", str(source), "s3://bucket/there").expect(0)
        assert contents(bucket / "there") == contents(source)
        client.work("sync", "s3://bucket/there", str(place / "back")).expect(0)
        assert contents(place / "back") == contents(source)
        client.work("sync", "s3://bucket/there", "s3://bucket/copy").expect(0)
        assert contents(bucket / "copy") == contents(source)
        assert not there.of_type("warning")
        # A part that was on its way when the proxy refused it can't be sent again: the file is resumed from the others.
        assert {event["path"] for event in there.of_type("retry")} <= {"large.bin"}
    requests = proxy.requests()
    assert {protocol for protocol, _ in requests} == {"HTTP/2.0"}
    assert requests["HTTP/2.0", "PUT"] >= 2 * 1_200 + 100 // 8
    assert requests["HTTP/2.0", "GET"] >= 1_200
    assert proxy.connections() < requests.total() / 10


@pytest.mark.skipif(program() is None, reason="no rclone that has `serve s3` (1.65 or newer): RCLONE names one")
def test_rclone_serves(place: Path) -> None:
    source = place / "source"
    many_small(source, 300)
    large_file(source / "large.bin", 40 * MIB + 17)
    with RcloneS3(place / "rclone") as server:
        bucket = server.make_bucket("bucket")
        client = Program(place / "home", ["--state", str(place / "state.db")], server.environment())
        client.work("sync", str(source), "s3://bucket/there").expect(0)
        assert contents(bucket / "there") == contents(source)
        assert client.work("sync", str(source), "s3://bucket/there").expect(0).json["files_planned"] == 0
        client.work("sync", "s3://bucket/there", str(place / "back")).expect(0)
        assert contents(place / "back") == contents(source)
        client.work("sync", "s3://bucket/there", "s3://bucket/copy").expect(0)
        assert contents(bucket / "copy") == contents(source)
        (source / "new").write_bytes(b"new")
        client.work("sync", str(source), "s3://bucket/there", "--on-conflict", "fail").expect(0)
        assert (bucket / "there" / "new").read_bytes() == b"new"
        assert list((bucket / "there").glob(".cv-*")) == []


def run_conformance(place: Path, url: str, *options: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [BUILD / "tests" / "checkvalve-conformance", url, *options, "--gtest_brief=1"],
        env={**clean_environment(place / "home"), **(env or {})},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


@pytest.mark.parametrize("kind", ["folder", "versitygw", "sshd"])
def test_conformance_program(place: Path, normal_server: SshServer, kind: str) -> None:
    """What anybody may run against a server of their own; it says what it leaves behind."""
    if kind == "folder":
        said = run_conformance(place, str(place))
    elif kind == "versitygw":
        with Versitygw(place / "versitygw") as server:
            server.make_bucket("bucket")
            said = run_conformance(place, "s3://bucket/below", env=server.environment())
    else:
        folder = place / "served"
        folder.mkdir()
        hosts = write_known_hosts(place / "known_hosts", [(normal_server.port, normal_server.host_key)])
        options = ["--known-hosts", str(hosts), "--identity", str(normal_server.user_key)]
        said = run_conformance(place, normal_server.url(folder), *options)
    assert "checkvalve-conformance-" in said
    assert os.environ.get("SSH_AUTH_SOCK") is None


def test_conformance_program_says_what_is_wrong(place: Path) -> None:
    done = subprocess.run(
        [BUILD / "tests" / "checkvalve-conformance", "gopher://host/x"],
        env=clean_environment(place / "home"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "gopher" in done.stderr
