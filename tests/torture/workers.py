"""Engines that share a plan, some of them stopped for longer than their lease."""

from __future__ import annotations

import signal
import time

from e2e.support.program import PROGRAM
from torture.arena import Arena, Command, Kind, fill, plant, reader
from torture.session import Figures, Session

LEASE_SECONDS = 1.0


def shared_plans(session: Session) -> Figures:
    """2 to 4 engines on one plan; one or two are stopped, lose their leases and wake up again."""
    kinds = [Kind("local", "sftp"), Kind("local", "local"), Kind("sftp", "local")]
    taken_over = engines = rounds = 0
    session.servers.target  # noqa: B018 (starts it before anything is timed)
    for turn in session.rounds(50):
        kind = kinds[turn % len(kinds)]
        where = f"shared plan {turn}, {kind}"
        random = session.random(where)
        with Arena(session.servers, kind) as arena:
            at = arena.options.index("--lease-ttl") + 1
            arena.options[at] = f"{LEASE_SECONDS:.0f}s"
            fill(arena.ledger, random, small=60, large=3, large_bytes=1 << 20)
            plant(arena, random)
            planned = arena.start("plan", *arena.urls, "--batch-files", "8").end()
            summary = planned.summary()
            if planned.code != 0 or summary is None:
                session.findings.add("lost", f"{where}: no plan: {planned.text()[-500:]}")
                continue
            wanted = arena.ledger.begin()
            with reader(arena, session.findings, where):
                at_work = [
                    arena.start("run", str(summary["plan"]), "--bwlimit", "2MiB") for _ in range(random.randint(2, 4))
                ]
                engines += len(at_work)
                stopped = at_work[: random.randint(1, 2)]
                for engine in stopped:
                    time.sleep(random.uniform(0.05, 0.4))
                    engine.popen.send_signal(signal.SIGSTOP)
                time.sleep(LEASE_SECONDS + random.uniform(0.2, 0.8))
                for engine in stopped:
                    engine.popen.send_signal(signal.SIGCONT)
                for engine in at_work:
                    ended = engine.end()
                    # Success is about the whole plan, a failure about the engine's own batches.
                    session.findings.take(arena.ledger.judge(ended, wanted if ended.code == 0 else {}, where))
            rounds += 1
            taken_over += _taken_over(arena, str(summary["plan"]))
            arena.settle(session.findings, where)
    return {"rounds": rounds, "engines": engines, "batches that were taken over": taken_over}


def _taken_over(arena: Arena, plan: str) -> int:
    """Batches with more than one lease."""
    argv = [str(PROGRAM), "status", plan, "--state", str(arena.place / "state.db"), "--json"]
    status = Command(argv, arena.env, arena.place).end().summary()
    assert status
    batches = status["batches"]
    assert isinstance(batches, list)
    return sum(batch["generation"] > 1 for batch in batches)
