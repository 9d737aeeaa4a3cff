"""The same work with servers of many makes: a table of what each can do, and what is promised on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.support.program import PROGRAM
from e2e.support.trees import ODD_NAMES
from servers.openssh import SshServer
from servers.others import OTHERS
from servers.process import ServerError
from servers.proftpd import Proftpd
from servers.wire_faults import WireFault, WireProxy
from torture.arena import Arena, Command, Kind, Servers, change, fill, plant
from torture.oracle import read_tree
from torture.session import Figures, Session

LARGE_BYTES = 6 << 20
NON_ATOMIC = ("--on-conflict", "overwrite-non-atomic")
# Lists for sftp-server's -P (sftp-server(8)): what other servers lack.
NO_EXTENSIONS = "posix-rename,fsync,hardlink,statvfs,fstatvfs,limits,lsetstat,expand-path"
NO_ATTRIBUTES = "setstat,fsetstat,lsetstat"


@dataclass
class Row:
    """What one server did. A cell is empty where it was not tried."""

    server: str
    arrives: str = ""
    rerun: str = ""
    replaces: str = ""
    times: str = ""
    fsync: str = ""
    cut: str = ""
    names: str = ""
    source: str = ""
    notes: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        cells = [self.arrives, self.rerun, self.replaces, self.times, self.fsync, self.cut, self.names, self.source]
        return [self.server, *cells, self.promise()]

    def promise(self) -> str:
        parts = []
        if self.arrives == "yes":
            parts.append("whole files")
            parts.append(
                {
                    "in one step": "old or new at every moment",
                    "non-atomic": "a name may be missing while it is replaced",
                }.get(self.replaces, "existing files are not replaced")
            )
            if self.times == "no":
                parts.append("versions are known by the history")
            if self.fsync == "no":
                parts.append("a power loss at the server may lose the last files")
        if self.source == "yes":
            parts.append("a source that is only read")
        return "; ".join(parts + self.notes) or "nothing"


HEAD = [
    "server",
    "tree arrives",
    "rerun copies nothing",
    "replaces",
    "keeps times",
    "fsync",
    "arrives after a cut",
    "odd names",
    "as a source",
    "promised",
]
ROWS: list[Row] = []
"""Of the last run, for the report."""

Make = Callable[[Path, Path], Any]


def _openssh(**options: Any) -> Make:
    return lambda directory, key: SshServer(directory, authorized=[key], **options)


SERVERS: list[tuple[str, Make]] = [
    ("OpenSSH", _openssh()),
    ("OpenSSH, read-only (-R)", _openssh(read_only=True)),
    ("OpenSSH without extensions (-P)", _openssh(subsystem=f"internal-sftp -P {NO_EXTENSIONS}")),
    ("OpenSSH that sets no attributes (-P)", _openssh(subsystem=f"internal-sftp -P {NO_ATTRIBUTES}")),
    ("OpenSSH that removes nothing (-P)", _openssh(subsystem="internal-sftp -P remove")),
    ("ProFTPD mod_sftp", lambda directory, key: Proftpd(directory)),
    *((other.name, other) for other in OTHERS),
]


def server_matrix(session: Session) -> Figures:
    ROWS.clear()
    missing = []
    for number, (name, make) in enumerate(session.sample(SERVERS, session.random("servers"))):
        directory = session.place / f"matrix-{number}"
        key = session.servers.source.user_key
        try:
            server = make(directory, key)
            server.user_key = key
            with server:
                ROWS.append(_tried(session, name, server))
        except ServerError as error:
            missing.append(f"{name} ({str(error).splitlines()[0]})")
    figures: Figures = {"servers": len(ROWS)}
    if missing:
        figures["not there"] = "; ".join(missing)
    return figures


def table(rows: list[Row]) -> str:
    lines = [" | ".join(HEAD), " | ".join("---" for _ in HEAD), *(" | ".join(row.cells()) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _tried(session: Session, name: str, server: Any) -> Row:
    row = Row(name)
    own = session.servers.source
    as_target, as_source = Servers(session.place), Servers(session.place)
    as_target.__dict__ |= {"source": own, "target": server}
    as_source.__dict__ |= {"source": server, "target": own}
    if "read-only" not in name:
        with Arena(as_target, Kind("local", "sftp")) as arena:
            _as_target(session, row, arena)
        if row.arrives == "yes":
            row.cut = _after_a_cut(session, as_target, Kind("local", "sftp"), server.port, row)
    _as_source(session, row, as_source, server.port)
    return row


def _as_target(session: Session, row: Row, arena: Arena) -> None:
    random = session.random(row.server)
    fill(arena.ledger, random, small=25, large=1, large_bytes=LARGE_BYTES)
    plant(arena, random)
    where = f"target {row.server}"
    ended = arena.judged_sync(session.findings, where)
    row.arrives = "yes" if ended.code == 0 else f"no ({_reason(ended.text())})"
    if ended.code != 0:
        return
    summary = arena.judged_sync(session.findings, f"{where}, rerun").summary() or {}
    row.rerun = "yes" if summary.get("files_planned") == 0 else f"no: {summary.get('files_copied')}"
    change(arena.ledger, random, 8)
    row.replaces = "no"
    for how, options in (("in one step", ()), ("non-atomic", NON_ATOMIC)):
        if arena.judged_sync(session.findings, f"{where}, replace", *options).code == 0:
            row.replaces = how
            break
    row.fsync = _fsync(arena)
    row.times = "yes" if _mtime(arena.ledger.target) == _mtime(arena.ledger.source) else "no"
    _odd_names(session, row, arena)
    swept = arena.sweep()
    session.findings.take(
        arena.ledger.judge(swept, {}, f"{where}, sweep", promise=False, swept="removes nothing" not in row.server)
    )


def _odd_names(session: Session, row: Row, arena: Arena) -> None:
    """One after the other in a directory each: names that a server takes for one do not meet."""
    for number, name in enumerate(ODD_NAMES):
        arena.ledger.put(b"odd/%d/" % number + name, b"odd %d" % number)
    ended = arena.judged_sync(session.findings, f"target {row.server}, odd names", *NON_ATOMIC)
    tree = read_tree(arena.ledger.target)
    there = sum(b"odd/%d/" % number + name in tree for number, name in enumerate(ODD_NAMES))
    row.names = "all" if there == len(ODD_NAMES) else f"{there} of {len(ODD_NAMES)}"
    if ended.code == 0 and there < len(ODD_NAMES):
        row.notes.append("names that it can't hold are changed without a word")


def _mtime(root: Path) -> int:
    return int((root / "large_0.bin").stat().st_mtime)


def _fsync(arena: Arena) -> str:
    """As `doctor` has it."""
    at = arena.options.index("--known-hosts")
    argv = [str(PROGRAM), "doctor", arena.urls[1], *arena.options[at : at + 4], "--json"]
    report = Command(argv, arena.env, arena.place).end()
    checks = json.loads(report.stdout).get("checks", [])
    return next((str(check["value"]) for check in checks if "fsync" in check["name"]), "")


def _after_a_cut(session: Session, servers: Servers, kind: Kind, port: int, row: Row) -> str:
    """The line is cut when half of the large file has passed."""
    fault = WireFault("reset", upwards=kind.target == "sftp", offset=LARGE_BYTES // 2)
    to_target = kind.target == "sftp"
    with (
        WireProxy(port, fault) as proxy,
        Arena(
            servers,
            kind,
            source_port=0 if to_target else proxy.port,
            target_port=proxy.port if to_target else 0,
        ) as arena,
    ):
        fill(arena.ledger, session.random("cut"), small=10, large=1, large_bytes=LARGE_BYTES)
        plant(arena, session.random("cut"))
        ended = arena.judged_sync(session.findings, f"{kind}, {row.server}, cut")
        return "yes" if ended.code == 0 and fault.hit.is_set() else f"no ({_reason(ended.text())})"


def _as_source(session: Session, row: Row, servers: Servers, port: int) -> None:
    with Arena(servers, Kind("sftp", "local")) as arena:
        fill(arena.ledger, session.random(row.server), small=25, large=1, large_bytes=LARGE_BYTES)
        plant(arena, session.random(row.server))
        where = f"source {row.server}"
        ended = arena.judged_sync(session.findings, where)
        if ended.code != 0:
            row.source = f"no ({_reason(ended.text())})"
            return
        summary = arena.judged_sync(session.findings, f"{where}, rerun").summary() or {}
        again = summary.get("files_planned")
    cut = _after_a_cut(session, servers, Kind("sftp", "local"), port, row)
    row.source = "yes" if again == 0 and cut == "yes" else f"reruns copy {again}, cut: {cut}"


def _reason(text: str) -> str:
    """The message of the first failure."""
    for line in text.splitlines():
        try:
            summary = json.loads(line)
        except ValueError:
            continue
        failures = [summary["error"]] if summary.get("error") else summary.get("failures", [])
        if failures:
            return str(failures[0]["message"])[:100]
    return text.strip()[-100:]
