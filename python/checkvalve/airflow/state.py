"""Where the state is: an operator's ``state``, else ``[checkvalve] state`` of Airflow, else CHECKVALVE_STATE."""

from __future__ import annotations

import os
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

from airflow.providers.common.compat.sdk import BaseHook, conf

from ..api import State

_LIBPQ_EXTRAS = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "channel_binding", "gssencmode"),
    *("connect_timeout", "target_session_attrs", "options"),
)
"""Extras of a postgres connection that are passed to libpq: whom to trust, and which server to use."""


def state_of(state: str | None) -> State:
    """A path, a URL, or the id of a connection (``postgres``; ``sqlite`` with the path as its host).

    The password is passed to the program through a descriptor. Raises ValueError for a connection of another type.
    """
    location = state or conf.get("checkvalve", "state", fallback=None) or os.environ.get("CHECKVALVE_STATE")
    if not location:
        return State()
    if "://" in location:
        return _without_password(location)
    if "/" in location:
        return State(location)
    return _of_connection(location)


def _without_password(url: str) -> State:
    parts = urlsplit(url)
    if parts.password is None:
        return State(url)
    user = f"{parts.username}@" if parts.username else ""
    address = parts.netloc.rsplit("@", 1)[-1]
    return State(urlunsplit(parts._replace(netloc=user + address)), unquote(parts.password))


def _of_connection(conn_id: str) -> State:
    connection = BaseHook.get_connection(conn_id)
    if connection.conn_type == "sqlite":
        return State(connection.host)
    if connection.conn_type not in ("postgres", "postgresql"):
        raise ValueError(
            f"connection '{conn_id}' of type '{connection.conn_type}' cannot hold the state; hint: use one of type"
            " 'postgres' or 'sqlite', or a path or URL"
        )
    user = f"{quote(connection.login, safe='')}@" if connection.login else ""
    host = connection.host or "localhost"
    bracketed = f"[{host}]" if ":" in host else host
    port = f":{connection.port}" if connection.port else ""
    name = quote(connection.schema or "", safe="")
    parameters = {key: value for key, value in connection.extra_dejson.items() if key in _LIBPQ_EXTRAS and value}
    query = f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
    return State(f"postgresql://{user}{bracketed}{port}/{name}{query}", connection.password or None)
