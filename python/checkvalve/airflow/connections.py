"""Airflow connections as endpoints.

A connection type maps to a builder. To add one: a class with a ``scheme`` and ``endpoint()``, and a
``@connection_type`` line with the types that it serves.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from ..api import Endpoint
from ..program import find_program

if TYPE_CHECKING:
    from airflow.sdk import Connection


log = logging.getLogger(__name__)


class ConnectionConfigError(ValueError):
    """An invalid connection; the message names it."""


class EndpointBuilder(ABC):
    """Makes an endpoint of a connection. ``scheme`` is the backend that it needs."""

    scheme: ClassVar[str]

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.extra: dict[str, Any] = connection.extra_dejson
        self.options: dict[str, str] = {}
        self.secrets: dict[str, str] = {}

    @abstractmethod
    def endpoint(self, path: str) -> Endpoint:
        """The endpoint for a path of an operator. Raises ConnectionConfigError."""

    def required_scheme(self) -> str:
        """The backend that this connection needs."""
        return self.scheme

    def connect_timeout_seconds(self) -> float | None:
        """The connect timeout of the connection; None if it has none."""
        return None

    def warn(self, extra: str, message: str) -> None:
        """Logs that an extra of the stock hooks has another meaning here."""
        log.warning("Connection '%s': the extra '%s' %s", self.connection.conn_id, extra, message)

    def error(self, message: str) -> ConnectionConfigError:
        return ConnectionConfigError(f"connection '{self.connection.conn_id}': {message}")

    def text(self, *names: str) -> str | None:
        """The first of these extras that is set and not empty."""
        for name in names:
            if (value := self.extra.get(name)) not in (None, ""):
                return str(value)
        return None

    def flag(self, *names: str) -> bool | None:
        """A boolean extra, as the stock hooks read it; None if it is not set."""
        value = self.text(*names)
        return None if value is None else value.strip().lower() == "true"

    def add_option(self, name: str, value: str | None) -> None:
        if value is not None:
            self.options[name] = value

    def add_secret(self, name: str, value: str | None) -> None:
        if value:
            self.secrets[name] = value

    def url(self, path: str, *, host: str | None = None) -> str:
        """SCHEME://USER@HOST:PORT/PATH with everything that needs it percent-encoded."""
        connection = self.connection
        host = host or connection.host
        if not host:
            raise self.error("missing host")
        user = f"{quote(connection.login, safe='')}@" if connection.login else ""
        port = f":{connection.port}" if connection.port else ""
        bracketed = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{user}{bracketed}{port}/{quote(path.lstrip('/'), safe='/')}"


Builder = type[EndpointBuilder]
_BUILDERS: dict[str, Builder] = {}


def connection_type(*names: str) -> Callable[[Builder], Builder]:
    """Registers a builder for connection types."""

    def register(builder: Builder) -> Builder:
        _BUILDERS.update(dict.fromkeys(names, builder))
        return builder

    return register


def known_connection_types() -> list[str]:
    return sorted(_BUILDERS)


def endpoint_of(connection: Connection, path: str, program: str | None = None) -> Endpoint:
    """The endpoint for a connection and a path on it. Raises ConnectionConfigError."""
    return builder_of(connection, program).endpoint(path)


def builder_of(connection: Connection, program: str | None = None) -> EndpointBuilder:
    """The builder for a connection's type. Raises ConnectionConfigError if there is none, or no backend for it."""
    builder_class = _BUILDERS.get(connection.conn_type or "")
    if builder_class is None:
        raise ConnectionConfigError(
            f"connection '{connection.conn_id}': no backend for connection type '{connection.conn_type}':"
            f" expected one of {', '.join(known_connection_types())}"
        )
    builder = builder_class(connection)
    scheme = builder.required_scheme()
    backends = engine_backends(program)
    if scheme not in backends:
        raise builder.error(
            f"this engine has no backend for '{scheme}', which connections of type '{connection.conn_type}' need;"
            f" it has {', '.join(sorted(backends))}"
        )
    return builder


_KEY_ON_ONE_LINE = re.compile(r"-----BEGIN ([A-Z ]+)-----([^:-]+)-----END \1-----")
_KEY_LINE = 70


def key_text(key: str | None) -> str | None:
    """A private key with its line breaks, which a form's masked field removes and JSON often has as "\\n"."""
    if key is None:
        return None
    key = key.replace("\\n", "\n").strip()
    if not (found := _KEY_ON_ONE_LINE.fullmatch(key)):
        return f"{key}\n"
    kind, body = found[1], "".join(found[2].split())
    lines = [body[start : start + _KEY_LINE] for start in range(0, len(body), _KEY_LINE)]
    return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""])


@cache
def engine_backends(program: str | None) -> frozenset[str]:
    """The schemes of the program's backends (`checkvalve backends --json`)."""
    result = subprocess.run(
        [find_program(program), "backends", "--json"], capture_output=True, check=True, stdin=subprocess.DEVNULL
    )
    return frozenset(str(backend["scheme"]) for backend in json.loads(result.stdout)["backends"])


@connection_type("sftp", "ssh")
class SftpBuilder(EndpointBuilder):
    """The extras of the stock SFTP and SSH hooks.

    A path that does not begin with "/" is relative to the login directory. Unlike in older stock hooks, an unknown host
    key is always refused, unless ``no_host_key_check`` is "true", which sends the login to any server.
    """

    scheme = "sftp"

    def endpoint(self, path: str) -> Endpoint:
        self._login()
        self._host_key()
        ciphers = self.extra.get("ciphers") or None
        self.add_option("ciphers", ",".join(map(str, ciphers)) if isinstance(ciphers, list) else ciphers)
        self._warn_of_ignored_extras()
        return Endpoint(self.url(path if path.startswith("/") else f"~/{path}"), self.options, self.secrets)

    def connect_timeout_seconds(self) -> float | None:
        text = self.text("conn_timeout", "timeout")
        try:
            seconds = None if text is None else float(text)
        except ValueError:
            seconds = 0.0
        if seconds is not None and seconds <= 0:
            raise self.error(f"invalid extra conn_timeout '{text}': expected a number of seconds")
        return seconds

    def _warn_of_ignored_extras(self) -> None:
        if self.flag("allow_host_key_change") and self.options.get("host_key_check") != "no":
            self.warn("allow_host_key_change", "is ignored: unknown and changed host keys are refused")
        if self.flag("look_for_keys") is False and not {"identity", "private_key"} & {*self.options, *self.secrets}:
            self.warn(
                "look_for_keys", "is ignored: the default keys of the worker's user are tried before the password"
            )
        if self.extra.get("disabled_algorithms"):
            self.warn("disabled_algorithms", "is ignored: only 'ciphers' can be chosen")
        if self.flag("compress"):
            self.warn("compress", "is ignored: connections are not compressed")

    def _login(self) -> None:
        key_file, private_key = self.text("key_file"), self.text("private_key")
        if key_file and private_key:
            raise self.error("key_file and private_key exclude each other")
        self.add_option("identity", key_file)
        self.add_secret("private_key", key_text(private_key))
        password = self.connection.password
        passphrase = self.text("private_key_passphrase", "passphrase")
        # As with the stock hooks, the password is also the passphrase of a key without one.
        self.add_secret("passphrase", passphrase or (password if key_file or private_key else None))
        self.add_secret("password", password)

    def _host_key(self) -> None:
        host_key = self.text("host_key")
        known_hosts = self.text("known_hosts")
        # "none" disables the check in the stock asynchronous hook.
        unchecked = self.flag("no_host_key_check", "ignore_hostkey_verification") or known_hosts == "none"
        if host_key and unchecked:
            raise self.error("host_key and no_host_key_check exclude each other")
        if host_key:
            self.add_option("host_key", _key_of_line(host_key))
        elif unchecked:
            self.add_option("host_key_check", "no")
        if known_hosts != "none":
            self.add_option("known_hosts", known_hosts)


def _key_of_line(line: str) -> str:
    """Type and base64 of a public key: alone, as in authorized_keys, as in known_hosts or as of `ssh-keyscan`."""
    words = line.split()
    for number, word in enumerate(words[:-1]):
        if word.startswith(("ssh-", "ecdsa-", "sk-")):
            return f"{word} {words[number + 1]}"
    return f"ssh-rsa {words[0]}"  # as the stock hooks interpret base64 alone


@connection_type("fs")
class FileBuilder(EndpointBuilder):
    """A directory of the worker. The extra ``path`` is the base of paths that do not begin with "/"."""

    scheme = "file"

    def endpoint(self, path: str) -> Endpoint:
        base = self.text("path") or "/"
        whole = path if path.startswith("/") else f"{base.rstrip('/')}/{path}"
        return Endpoint(f"file://{quote(whole, safe='/')}")


@connection_type("checkvalve")
class GenericBuilder(EndpointBuilder):
    """Any endpoint: a URL, to which paths are appended, with options and secrets of its backend."""

    def required_scheme(self) -> str:
        return self._base_url().split("://", 1)[0]

    def endpoint(self, path: str) -> Endpoint:
        for line in (self.text("options") or "").splitlines():
            name, equals, value = line.strip().partition("=")
            if line.strip() and not equals:
                raise self.error(f"invalid option '{line.strip()}': expected KEY=VALUE")
            self.add_option(name.strip(), value.strip() if equals else None)
        self.options.pop("", None)
        self.add_secret("password", self.connection.password)
        self.add_secret("private_key", key_text(self.text("private_key")))
        self.add_secret("passphrase", self.text("passphrase"))
        scheme, rest = self._base_url().split("://", 1)
        below = f"{rest.rstrip('/')}/{quote(path, safe='/').lstrip('/')}"
        return Endpoint(f"{scheme}://{self._user_of(rest)}{below}", self.options, self.secrets)

    def _base_url(self) -> str:
        url = self.connection.host or ""
        if "://" not in url:
            raise self.error("invalid URL: expected one like sftp://files.example.org/outgoing or file:///data")
        return url

    def _user_of(self, address: str) -> str:
        if not self.connection.login or "@" in address.split("/", 1)[0]:
            return ""
        return f"{quote(self.connection.login, safe='')}@"


@connection_type("aws")
class S3Builder(EndpointBuilder):
    """S3: paths are BUCKET/PREFIX. Login and password are the access key; without them AWS's default sources apply.

    Extras of the stock hook that change whose permissions are used, or whom to trust, are errors where they are not
    supported.
    """

    scheme = "s3"

    def endpoint(self, path: str) -> Endpoint:
        for name in ("role_arn", "assume_role_method", "assume_role_kwargs"):
            if self.extra.get(name):
                raise self.error(
                    f"the extra {name} is not supported; hint: give temporary credentials with aws_session_token, or"
                    " profile_name, a profile of the worker's ~/.aws/config"
                )
        verify = self.text("verify")
        if verify is not None and verify.lower() == "false":
            raise self.error("certificates are always verified; hint: give the authority's PEM file as verify")
        if verify is not None and verify.lower() != "true":
            self.add_option("ca_bundle", verify)
        self.add_option("access_key_id", self.connection.login)
        self.add_secret("secret_access_key", self.connection.password)
        self.add_secret("session_token", self.text("aws_session_token"))
        self.add_option("region", self.text("region_name"))
        service = self._table("service_config", "s3").get("endpoint_url")
        self.add_option("endpoint_url", service or self.text("endpoint_url"))
        if style := self._table("config_kwargs", "s3").get("addressing_style"):
            self.add_option("path_style", {"path": "yes", "virtual": "no"}.get(style, "auto"))
        if self._table("config_kwargs").get("signature_version") == "unsigned":
            self.add_option("anonymous", "yes")
        self.add_option("profile", self.text("profile_name"))
        return Endpoint(f"s3://{quote(path.lstrip('/'), safe='/')}", self.options, self.secrets)

    def _table(self, *names: str) -> dict[str, Any]:
        """A nested object of the extras; empty if it is not set."""
        table: Any = self.extra
        for name in names:
            table = table.get(name) if isinstance(table, dict) else None
        return table if isinstance(table, dict) else {}
