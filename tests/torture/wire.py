"""Wire faults: each fault of servers/wire_faults.py, on both sides of both protocols, at five offsets."""

from __future__ import annotations

from servers.wire_faults import ACTIONS, WireFault, WireProxy
from torture.arena import Arena, Kind, fill, plant
from torture.session import Figures, Session

OFFSETS = (0.0, 0.02, 0.3, 0.7, 0.98)  # of the bytes of a run without a fault, in the fault's direction
SLOW_BYTES_PER_S = 400_000  # 6 MiB in 15 s; the stall timeout is 3 s
SIDES = (
    (Kind("sftp", "local"), "source"),
    (Kind("local", "sftp"), "target"),
    (Kind("s3", "local"), "source"),
    (Kind("local", "s3"), "target"),
)


def wire_faults(session: Session) -> Figures:
    """The run ends in its time, with success or an honest failure; a run after it brings the rest."""
    cases = [(action, kind, side, offset) for action in ACTIONS for kind, side in SIDES for offset in OFFSETS]
    random = session.random("wire faults")
    hit = runs = recovered = 0
    lengths: dict[tuple[Kind, bool], int] = {}
    session.servers.target  # noqa: B018
    for action, kind, side, offset in session.sample(cases, random):
        # Content goes one way and requests the other: both are hit, content more often.
        upwards = (side == "target") == (random.random() < 0.7)
        where = f"{action} at {offset:.0%} of {'requests' if upwards else 'replies'}, {side} of {kind}"
        if (kind, upwards) not in lengths:
            lengths[kind, True], lengths[kind, False] = _lengths(session, kind, side)
        fault = WireFault(action, upwards, int(lengths[kind, upwards] * offset))
        with WireProxy(_port(session, kind), fault) as proxy, _arena(session, kind, side, proxy.port, where) as arena:
            ended = arena.judged_sync(session.findings, where)
            runs += 1
            hit += fault.hit.is_set()
            recovered += ended.code == 0
            proxy.fault = None
            arena.settle(session.findings, where)
    return {
        "runs": runs,
        "faults met": hit,
        "succeeded all the same": recovered,
        "failed with a reason": runs - recovered,
    }


def slow_line(session: Session) -> Figures:
    """A line on which what is in flight takes several times the stall timeout: slow, but never silent."""
    runs = done = 0
    session.servers.target  # noqa: B018
    for kind, side in session.sample(list(SIDES), session.random("slow line")):
        where = f"slow line, {side} of {kind}"
        with (
            WireProxy(_port(session, kind), bytes_per_s=SLOW_BYTES_PER_S) as proxy,
            _arena(session, kind, side, proxy.port, where) as arena,
        ):
            ended = arena.judged_sync(session.findings, where)
            runs += 1
            done += ended.code == 0
            if ended.code != 0:
                session.findings.add("lost", f"{where}: exit code {ended.code}: {ended.text()[-300:]}")
    return {"runs": runs, "succeeded": done}


def _port(session: Session, kind: Kind) -> int:
    if "s3" in (kind.source, kind.target):
        return session.servers.gateway.port
    return session.servers.source.port if kind.source == "sftp" else session.servers.target.port


def _arena(session: Session, kind: Kind, side: str, port: int, where: str) -> Arena:
    arena = Arena(
        session.servers, kind, source_port=port if side == "source" else 0, target_port=port if side == "target" else 0
    )
    random = session.random(where)
    fill(arena.ledger, random, small=20, large=1, large_bytes=6 << 20)
    plant(arena, random)
    return arena


def _lengths(session: Session, kind: Kind, side: str) -> tuple[int, int]:
    """The bytes that a run without a fault sends and receives."""
    with WireProxy(_port(session, kind)) as proxy, _arena(session, kind, side, proxy.port, "lengths") as arena:
        arena.judged_sync(session.findings, f"{kind} through a proxy")
        return proxy.passed[True], proxy.passed[False]
