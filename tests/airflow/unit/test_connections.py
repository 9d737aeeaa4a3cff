"""Airflow connections as endpoints: the extras of the stock hooks, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection
from checkvalve.airflow.connections import (
    ConnectionConfigError,
    builder_of,
    endpoint_of,
    key_text,
    known_connection_types,
)

from servers.keys import make_key


def connection(conn_type: str, extra: dict[str, Any] | None = None, **fields: Any) -> Connection:
    return Connection(conn_id="partner", conn_type=conn_type, extra=json.dumps(extra or {}), **fields)


def test_sftp_login_with_password() -> None:
    end = endpoint_of(connection("sftp", host="h.example", login="me", password="secret", port=2022), "/in box/{a}")
    assert end.url == "sftp://me@h.example:2022/in%20box/%7Ba%7D"
    assert end.secrets == {"password": "secret"}
    assert end.options == {}
    assert "secret" not in repr(end)


@pytest.mark.parametrize(
    ("extra", "options", "secrets"),
    [
        ({"key_file": "/k"}, {"identity": "/k"}, {"passphrase": "pw", "password": "pw"}),
        ({"private_key": "PEM"}, {}, {"private_key": "PEM\n", "passphrase": "pw", "password": "pw"}),
        (
            {"private_key": "PEM", "private_key_passphrase": "pp"},
            {},
            {"private_key": "PEM\n", "passphrase": "pp", "password": "pw"},
        ),
        ({"host_key": "ssh-ed25519 AAAA me@there"}, {"host_key": "ssh-ed25519 AAAA"}, {"password": "pw"}),
        ({"host_key": "AAAA"}, {"host_key": "ssh-rsa AAAA"}, {"password": "pw"}),
        ({"host_key": "AAAA comment"}, {"host_key": "ssh-rsa AAAA"}, {"password": "pw"}),
        ({"host_key": "[h.example]:22 ssh-ed25519 AAAA\n"}, {"host_key": "ssh-ed25519 AAAA"}, {"password": "pw"}),
        ({"no_host_key_check": "true"}, {"host_key_check": "no"}, {"password": "pw"}),
        ({"no_host_key_check": True}, {"host_key_check": "no"}, {"password": "pw"}),
        ({"no_host_key_check": "false"}, {}, {"password": "pw"}),
        ({"ignore_hostkey_verification": True}, {"host_key_check": "no"}, {"password": "pw"}),
        ({"known_hosts": "/etc/hosts.keys"}, {"known_hosts": "/etc/hosts.keys"}, {"password": "pw"}),
        ({"known_hosts": "none"}, {"host_key_check": "no"}, {"password": "pw"}),
        ({"ciphers": ["aes128-ctr", "aes256-ctr"]}, {"ciphers": "aes128-ctr,aes256-ctr"}, {"password": "pw"}),
        ({"ciphers": "aes128-ctr"}, {"ciphers": "aes128-ctr"}, {"password": "pw"}),
        ({"look_for_keys": "true", "compress": "false", "cmd_timeout": 5}, {}, {"password": "pw"}),
    ],
)
@pytest.mark.parametrize("conn_type", ["sftp", "ssh"])
def test_sftp_extras(conn_type: str, extra: dict[str, Any], options: Any, secrets: Any) -> None:
    end = endpoint_of(connection(conn_type, extra, host="h", password="pw"), "/x")
    assert (end.options, end.secrets) == (options, secrets)


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"allow_host_key_change": "true"}, "allow_host_key_change"),
        ({"allow_host_key_change": "true", "no_host_key_check": "true"}, None),
        ({"look_for_keys": "false"}, "look_for_keys"),
        ({"look_for_keys": "false", "key_file": "/k"}, None),
        ({"look_for_keys": "false", "private_key": "K"}, None),
        ({"disabled_algorithms": {"pubkeys": ["rsa-sha2-512"]}}, "disabled_algorithms"),
        ({"compress": "true"}, "compress"),
        ({"compress": "false", "host_key": "AAAA"}, None),
    ],
)
def test_what_the_engine_can_not_do_of_the_extras_is_named(
    extra: dict[str, Any], named: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint_of(connection("sftp", extra, host="h", password="pw"), "/x")
    assert [record.args[1] for record in caplog.records if record.args] == ([named] if named else [])


@pytest.mark.parametrize(
    ("extra", "seconds"), [({}, None), ({"conn_timeout": 7}, 7), ({"timeout": "12"}, 12), ({"conn_timeout": ""}, None)]
)
def test_the_connect_timeout(extra: dict[str, Any], seconds: float | None) -> None:
    assert builder_of(connection("sftp", extra, host="h")).connect_timeout_seconds() == seconds
    with pytest.raises(ConnectionConfigError, match="conn_timeout 'soon': expected a number of seconds"):
        builder_of(connection("sftp", {"conn_timeout": "soon"}, host="h")).connect_timeout_seconds()


def test_a_relative_path_begins_in_the_login_directory() -> None:
    assert endpoint_of(connection("sftp", host="h"), "out/2024-03-01/").url == "sftp://h/~/out/2024-03-01/"


@pytest.mark.parametrize(
    ("conn", "message"),
    [
        (connection("sftp"), "connection 'partner': missing host"),
        (connection("sftp", {"key_file": "/k", "private_key": "K"}, host="h"), "key_file and private_key"),
        (connection("sftp", {"host_key": "AAAA", "no_host_key_check": "true"}, host="h"), "exclude each other"),
        (connection("mysql", host="h"), "no backend for connection type 'mysql': expected one of aws, "),
        (connection("wasb"), "no backend for connection type 'wasb'"),
        (connection("checkvalve", host="nowhere"), "invalid URL: expected one like sftp://"),
        (connection("checkvalve", {"options": "identity /k"}, host="sftp://h"), "'identity /k': expected KEY=VALUE"),
        (connection("checkvalve", host="gopher://h"), "no backend for 'gopher'"),
        (connection("aws", {"role_arn": "arn:aws:iam::1:role/r"}), "the extra role_arn is not supported"),
        (connection("aws", {"verify": False}), "certificates are always verified"),
    ],
)
def test_what_is_refused(conn: Connection, message: str) -> None:
    with pytest.raises(ConnectionConfigError, match=message.replace("(", r"\(")):
        endpoint_of(conn, "/x")


def test_a_generic_connection() -> None:
    extra = {"options": "host_key=ssh-ed25519 AAAA\n\nconnections=2\n", "passphrase": "pp", "private_key": "K"}
    end = endpoint_of(connection("checkvalve", extra, host="sftp://h:22/base", login="me", password="pw"), "a b")
    assert end.url == "sftp://me@h:22/base/a%20b"
    assert end.options == {"host_key": "ssh-ed25519 AAAA", "connections": "2"}
    assert end.secrets == {"password": "pw", "private_key": "K\n", "passphrase": "pp"}


@pytest.mark.parametrize("login", [None, "me"])
def test_a_generic_connection_to_a_whole_file_system(login: str | None) -> None:
    end = endpoint_of(connection("checkvalve", host="file:///", login=login), "/data/in")
    assert end.url == ("file:///data/in" if login is None else "file://me@/data/in"), "the engine refuses a user there"


def test_a_folder_of_the_worker() -> None:
    assert endpoint_of(connection("fs", {"path": "/data"}), "in").url == "file:///data/in"
    assert endpoint_of(connection("fs", {"path": "/data"}), "/other").url == "file:///other"


def test_the_known_connection_types() -> None:
    assert known_connection_types() == ["aws", "checkvalve", "fs", "sftp", "ssh"]


def test_a_key_that_lost_its_line_breaks_is_mended(tmp_path: Path) -> None:
    """A browser drops them when a key is pasted into a masked field."""
    key = make_key(tmp_path / "key", kind="rsa").read_text()
    for damaged in (key, key.replace("\n", ""), key.replace("\n", " "), key.replace("\n", "\\n")):
        assert key_text(damaged) == key


def test_aws_uses_only_what_the_engine_declares() -> None:
    extra = {
        "aws_session_token": "t",
        "region_name": "eu-1",
        "endpoint_url": "http://h:1",
        "service_config": {"s3": {"endpoint_url": "http://s3:1"}},
        "config_kwargs": {"s3": {"addressing_style": "path"}, "signature_version": "unsigned"},
        "verify": "/ca.pem",
        "profile_name": "p",
    }
    end = endpoint_of(connection("aws", extra, login="AK", password="SK"), "bucket/out put/")
    assert end.url == "s3://bucket/out%20put/"
    assert end.secrets == {"secret_access_key": "SK", "session_token": "t"}
    assert (end.options["endpoint_url"], end.options["path_style"]) == ("http://s3:1", "yes")
    assert (end.options["ca_bundle"], end.options["anonymous"]) == ("/ca.pem", "yes")
    assert endpoint_of(connection("aws", {"endpoint_url": "http://h:1"}), "b").options == {"endpoint_url": "http://h:1"}
    program = os.environ["CHECKVALVE_PROGRAM"]
    said = json.loads(subprocess.run([program, "backends", "--json"], capture_output=True, check=True).stdout)
    s3 = next(backend for backend in said["backends"] if backend["scheme"] == "s3")
    assert set(end.secrets) <= {secret["name"] for secret in s3["secrets"]}
    assert set(end.options) <= {option["name"] for option in s3["options"]}
