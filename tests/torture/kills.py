"""SIGKILL: at each step that has a name, done or undone, and at random moments with a reader of the final names."""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from random import Random

from servers.process import wait_until
from servers.s3_faults import Fault, FaultyProxy
from torture.arena import Arena, Command, Kind, change, fill, plant, reader
from torture.session import Figures, Session, Unavailable

STEP_SECONDS = 60.0
# Of the program with a local target and an SQLite state: what changes a file or makes it durable.
SYSTEM_CALLS = (
    "openat",
    "pwrite64",
    "fsync",
    "fdatasync",
    "linkat",
    "renameat",
    "renameat2",
    "rename",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "utimensat",
    "ftruncate",
    "copy_file_range",
)
S3_STEPS = (
    ("list", r"^GET .*list-type=2"),
    ("small object", r"^PUT .*/file_"),
    ("begin of an upload", r"^POST .*uploads"),
    ("part", r"^PUT .*partNumber=2"),
    ("completion", r"^POST .*uploadId="),
)


def _places(count: int) -> list[int]:
    """Which of so many requests: the first, one in the middle, the last."""
    return sorted({1, (count + 1) // 2, count})


def _prepared(
    session: Session, kind: Kind, random: Random, *, target_port: int = 0, large_bytes: int = 1 << 20
) -> Arena:
    """Half of the files are at the target in an older version."""
    arena = Arena(session.servers, kind, target_port=target_port)
    fill(arena.ledger, random, small=12, large=1, large_bytes=large_bytes)
    plant(arena, random)
    arena.judged_sync(session.findings, f"{kind}, preparation")
    change(arena.ledger, random, 7)
    for number in range(3):
        arena.ledger.put(b"new/file_%d" % number, random.randbytes(2000))
    change_large(arena, random, large_bytes)
    return arena


def change_large(arena: Arena, random: Random, large_bytes: int) -> None:
    arena.ledger.put(b"large_0.bin", random.randbytes(large_bytes))


def sftp_steps(session: Session) -> Figures:
    """The target's server kills the program as a request arrives."""
    random = session.random("sftp steps")
    kind = Kind("local", "sftp")
    servers = session.servers
    log = session.place / "requests"
    servers.target  # noqa: B018
    with _prepared(session, kind, session.random("requests")) as arena:
        servers.serve_with(f"log={log}")
        arena.judged_sync(session.findings, "sftp steps, count")
        servers.serve_plainly()
    counts = Counter(log.read_text().split())
    log.unlink()
    cases = [
        (name, number, how)
        for name, count in sorted(counts.items())
        for number in _places(count)
        for how in ("done", "undone")
    ]
    hit = runs = 0
    for name, number, how in session.sample(cases, random):
        where = f"killed at {name} {number} ({how})"
        with _prepared(session, kind, session.random(where)) as arena:
            gate = arena.place / "gate"
            gate.mkdir()
            servers.serve_with(f"kill-at={name}:{number}:{gate}:{how}")
            with reader(arena, session.findings, where):
                wanted = arena.ledger.begin()
                command = arena.start_sync()
                (gate / "pid").write_text(str(command.pid))
                ended = command.end()
                servers.serve_plainly()
                runs += 1
                hit += ended.killed
                session.findings.take(arena.ledger.judge(ended, wanted, where))
                arena.settle(session.findings, where)
    return {"steps of an SFTP target": len(counts), "kills at them": hit, "runs": runs}


def local_steps(session: Session) -> Figures:
    """strace kills the program as it makes a system call: of the target's files, and of the state's."""
    strace = shutil.which("strace")
    if strace is None:
        raise Unavailable("strace is not installed")
    random = session.random("local steps")
    kind = Kind("local", "local")
    counts = Counter[str]()
    with _prepared(session, kind, session.random("calls")) as arena:
        log = arena.place / "calls"
        arena.start_sync(wrapper=[strace, "-f", "-qq", "-o", str(log), "-e", "trace=" + ",".join(SYSTEM_CALLS)]).end()
        counts.update(re.findall(r"^\d+ +(\w+)\(", log.read_text(errors="replace"), re.MULTILINE))
    if not counts:
        raise Unavailable("strace may not trace here")
    cases = [
        (name, number)
        for name, count in sorted(counts.items())
        for number in sorted({*_places(count), *_places(count // 2 or 1)})
    ]
    hit = runs = 0
    for name, number in session.sample(cases, random):
        where = f"killed at system call {name} {number}"
        with _prepared(session, kind, session.random(where)) as arena:
            wrapper = [strace, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={name}"]
            wrapper += ["-e", f"inject={name}:signal=KILL:when={number}"]
            with reader(arena, session.findings, where):
                wanted = arena.ledger.begin()
                ended = arena.start_sync(wrapper=wrapper).end()
                runs += 1
                hit += ended.killed
                session.findings.take(arena.ledger.judge(ended, wanted, where))
                arena.settle(session.findings, where)
    return {"system calls": len(counts), "kills at them": hit, "runs": runs}


def s3_steps(session: Session) -> Figures:
    """The proxy in front of the service has a request, or its answer, when the program is killed."""
    random = session.random("s3 steps")
    cases = [(step, pattern, how) for step, pattern in S3_STEPS for how in ("done", "undone")]
    hit = runs = 0
    for step, pattern, how in session.sample(cases, random):
        where = f"killed at S3 {step} ({how})"
        with (
            FaultyProxy(session.servers.gateway.port) as proxy,
            _prepared(
                session, Kind("local", "s3"), session.random(where), target_port=proxy.port, large_bytes=18 << 20
            ) as arena,
        ):
            fault = proxy.fail(pattern, "hold" if how == "done" else "reset", last=100)
            wanted = arena.ledger.begin()
            command = arena.start_sync()
            reached = _reached(fault, command)
            if how == "done" and reached:
                time.sleep(0.2)  # the answer is on its way to the proxy, which holds it
            command.kill()
            ended = command.end()
            proxy.faults.clear()
            fault.release.set()
            runs += 1
            hit += ended.killed
            session.findings.take(arena.ledger.judge(ended, wanted, where))
            arena.settle(session.findings, where)
    return {"steps of an S3 target": len(S3_STEPS), "kills at them": hit, "runs": runs}


def _reached(fault: Fault, command: Command) -> bool:
    return wait_until(lambda: bool(fault.hit) or not command.running(), STEP_SECONDS)


def random_moments(session: Session) -> Figures:
    """Rounds of one arena: the source changes, a run is killed at some moment; each tenth run may end."""
    kinds = [Kind("local", "sftp"), Kind("sftp", "sftp"), Kind("sftp", "local"), Kind("local", "local")]
    kills = rounds = reads_made = 0
    session.servers.target  # noqa: B018 (starts it before anything is timed)
    for turn in session.rounds(30):
        kind = kinds[turn % len(kinds)]
        where = f"random kills {turn}, {kind}"
        random = session.random(where)
        with Arena(session.servers, kind) as arena:
            fill(arena.ledger, random, small=40, large=2)
            plant(arena, random)
            started = time.monotonic()
            arena.judged_sync(session.findings, where)
            length = time.monotonic() - started
            with reader(arena, session.findings, where) as reads:
                for _ in range(10):
                    change(arena.ledger, random, 12)
                    arena.ledger.put(b"large_0.bin", random.randbytes(1 << 20))
                    wanted = arena.ledger.begin()
                    command = arena.start_sync()
                    time.sleep(random.uniform(0, length))
                    command.kill()
                    ended = command.end()
                    rounds += 1
                    kills += ended.killed
                    session.findings.take(arena.ledger.judge(ended, wanted, where))
                arena.settle(session.findings, where)
            reads_made += reads[0]
    return {"runs": rounds, "killed at work": kills, "reads of final names meanwhile": reads_made}
