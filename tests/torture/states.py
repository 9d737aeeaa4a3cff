"""The state: lost, cut off or damaged between runs and in the middle of one; PostgreSQL restarted in mid-run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from servers.postgres import PostgresServer
from servers.process import ServerError
from torture.arena import Arena, Kind, change, fill, plant
from torture.session import Figures, Session, Unavailable

HEADER_BYTES = 100  # of an SQLite file
STATE_FAILED = 5


def _files(state: Path) -> list[Path]:
    return [path for path in (state, Path(f"{state}-wal"), Path(f"{state}-shm")) if path.exists()]


def _remove(state: Path, random: Random) -> None:
    for path in _files(state):
        path.unlink(missing_ok=True)


def _remove_log(state: Path, random: Random) -> None:
    for path in _files(state)[1:]:
        path.unlink(missing_ok=True)


def _truncate(state: Path, random: Random) -> None:
    path = random.choice(_files(state)[:2])
    os.truncate(path, random.randrange(max(path.stat().st_size, 1)))


def _overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def _flip(state: Path, random: Random) -> None:
    path = random.choice(_files(state)[:2])
    size = path.stat().st_size
    for _ in range(random.choice((1, 8, 64))):
        if size:
            _overwrite(path, random.randrange(size), random.randbytes(1))


def _zero_page(state: Path, random: Random) -> None:
    pages = max(state.stat().st_size // 4096, 1)
    _overwrite(state, random.randrange(pages) * 4096, bytes(4096))


def _header(state: Path, random: Random) -> None:
    _overwrite(state, random.randrange(HEADER_BYTES), random.randbytes(8))


DAMAGES: tuple[Callable[[Path, Random], None], ...] = (_remove, _remove_log, _truncate, _flip, _zero_page, _header)


def damaged_state(session: Session) -> Figures:
    """The next run works, or says that the state failed; without the state all is well again."""
    refused = runs = 0
    for turn in session.rounds(50):
        damage = DAMAGES[turn % len(DAMAGES)]
        at_work = turn % 2 == 1
        where = f"state damaged by {damage.__name__.strip('_')} {'in a run' if at_work else 'between runs'} ({turn})"
        random = session.random(where)
        # What times tell is in the history where they are not kept.
        options = ("--preserve", "none") if turn % 3 == 0 else ()
        with Arena(session.servers, Kind("local", "local")) as arena:
            fill(arena.ledger, random, small=40)
            plant(arena, random)
            state = arena.place / "state.db"
            arena.judged_sync(session.findings, where, *options)
            change(arena.ledger, random, 10)
            if at_work:
                wanted = arena.ledger.begin()
                command = arena.start_sync("--bwlimit", "4MiB", *options)
                time.sleep(random.uniform(0.01, 0.4))
                damage(state, random)
                session.findings.take(arena.ledger.judge(command.end(), wanted, where))
            else:
                damage(state, random)
            runs += 1
            change(arena.ledger, random, 10)
            ended = arena.judged_sync(session.findings, where, *options)
            if ended.code == STATE_FAILED:
                refused += 1
                _remove(state, random)
            arena.settle(session.findings, where, *options)
    return {"runs with a damaged state": runs, "set aside or repaired": runs - refused, "refused": refused}


def postgres_outages(session: Session) -> Figures:
    """The database goes away for seconds while a run is at work: shut down, crashed, or replaced by its standby."""
    try:
        server = PostgresServer(session.place / "postgres").start()
    except ServerError as error:
        raise Unavailable(str(error)) from error
    runs = survived = 0
    try:
        for turn in session.rounds(9):
            outage = ("shut down", "crashed", "failed over")[turn % 3]
            where = f"PostgreSQL {outage} in mid-run ({turn})"
            random = session.random(where)
            standby = server.standby(session.place / f"postgres-{turn}") if outage == "failed over" else None
            url = server.url_with(standby) if standby else server.url()
            with Arena(session.servers, Kind("local", "local")) as arena:
                arena.options[arena.options.index("--state") + 1] = url
                arena.env["CHECKVALVE_STATE_PASSWORD"] = server.password
                fill(arena.ledger, random, small=60, large=4, large_bytes=1 << 20)
                plant(arena, random)
                wanted = arena.ledger.begin()
                command = arena.start_sync("--bwlimit", "2MiB", "--batch-files", "10")
                time.sleep(random.uniform(0.3, 1.5))
                if outage != "shut down":
                    server.kill()
                server.stop()
                time.sleep(random.uniform(0, 4))
                if standby:
                    standby.promote()
                    server = standby
                else:
                    server.start()
                ended = command.end()
                runs += 1
                survived += ended.code == 0
                session.findings.take(arena.ledger.judge(ended, wanted, where))
                arena.settle(session.findings, where)
    finally:
        server.stop()
    return {"runs": runs, "succeeded all the same": survived}
