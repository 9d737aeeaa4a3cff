"""Large files that are cut off within a run, or killed over several: how many bytes are sent for each of the file."""

from __future__ import annotations

from collections.abc import Callable

from servers.process import wait_until
from servers.wire_faults import WireFault, WireProxy
from torture.arena import Arena, Command, Kind
from torture.session import Figures, Session

LARGE_BYTES = 256 << 20
EACH_BYTES = 70 << 20  # of the file, between two interruptions: more than is sent between two records
INTERRUPTIONS = 3
SECONDS = 120.0


def large_files(session: Session) -> Figures:
    """One file to an SFTP server; at the end it arrives whole, whatever it was."""
    ratios = {"cut": [0.0], "killed": [0.0]}
    for turn in session.rounds(3):
        for how, interrupt in (("cut", _cuts), ("killed", _kills)):
            where = f"large file, {how} {INTERRUPTIONS} times, round {turn}"
            with (
                WireProxy(session.servers.target.port) as proxy,
                Arena(session.servers, Kind("local", "sftp"), target_port=proxy.port) as arena,
            ):
                random = session.random(where)
                content = b"".join(random.randbytes(1 << 20) for _ in range(LARGE_BYTES >> 20))
                arena.ledger.put(b"large.bin", content)
                interrupt(session, arena, proxy, where)
                arena.settle(session.findings, where)
                ratios[how].append(proxy.passed[True] / LARGE_BYTES)
    return {
        "bytes sent for each of a file that was cut off three times": f"{max(ratios['cut']):.2f}",
        "killed three times": f"{max(ratios['killed']):.2f}",
    }


def _cuts(session: Session, arena: Arena, proxy: WireProxy, where: str) -> None:
    wanted = arena.ledger.begin()
    proxy.fault = WireFault("reset", True, EACH_BYTES)
    command = arena.start_sync()
    for number in range(2, INTERRUPTIONS + 1):
        fault = proxy.fault
        if not _reached(command, fault.hit.is_set):
            break
        proxy.fault = WireFault("reset", True, number * EACH_BYTES)
    session.findings.take(arena.ledger.judge(command.end(), wanted, where))


def _kills(session: Session, arena: Arena, proxy: WireProxy, where: str) -> None:
    for number in range(1, INTERRUPTIONS + 1):
        wanted = arena.ledger.begin()
        command = arena.start_sync()
        _reached(command, lambda goal=number * EACH_BYTES: proxy.passed[True] >= goal)  # type: ignore[misc]
        command.kill()
        session.findings.take(arena.ledger.judge(command.end(), wanted, where))


def _reached(command: Command, condition: Callable[[], bool]) -> bool:
    return wait_until(lambda: condition() or not command.running(), SECONDS) and command.running()
