"""Disks that are full, over quota or read-only, sources that change and vanish under the program, hostile names."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.s3_moto import Moto
from torture.arena import Arena, Kind, change, fill, plant, reader
from torture.oracle import is_reserved, read_tree
from torture.session import Figures, Session, Unavailable

MIB = 1 << 20


@contextmanager
def small_disk(place: Path, *options: str) -> Iterator[Path]:
    """A file system of its own; only root can mount one."""
    if os.geteuid() != 0:
        raise Unavailable("only root can mount a small file system")
    disk = place / f"disk-{os.urandom(4).hex()}"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(disk)], capture_output=True, check=False
    )
    if done.returncode != 0:
        raise Unavailable(f"mount: {done.stderr.decode().strip()}")
    try:
        disk.chmod(0o777)
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def _remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def full_disk(session: Session) -> Figures:
    """Eight files of 2 MiB onto 9 MiB: what fits arrives, the rest fails with a reason; with more room all arrives."""
    fits = published = runs = 0
    for turn in session.rounds(6):
        kind = (Kind("local", "sftp"), Kind("local", "local"))[turn % 2]
        where = f"full disk {turn}, {kind}"
        random = session.random(where)
        with small_disk(session.place, "size=9m") as disk, Arena(session.servers, kind, target=disk) as arena:
            fill(arena.ledger, random, small=5, large=8, large_bytes=2 * MIB - 6000)
            arena.judged_sync(session.findings, where)
            runs += 1
            fits += 4
            published += min(sum(name.startswith(b"large") for name in read_tree(disk) if not is_reserved(name)), 4)
            _remount(disk, "size=64m")
            arena.settle(session.findings, where)
    return {"runs": runs, "large files that fit": fits, "of them published before the disk was full": published}


def read_only_disk(session: Session) -> Figures:
    """It becomes read-only between two runs, and before the first."""
    failed = runs = 0
    for turn in session.rounds(4):
        kind = (Kind("local", "sftp"), Kind("local", "local"))[turn % 2]
        where = f"read-only disk {turn}, {kind}"
        random = session.random(where)
        with small_disk(session.place, "size=32m") as disk, Arena(session.servers, kind, target=disk) as arena:
            fill(arena.ledger, random)
            if turn % 4 < 2:
                arena.judged_sync(session.findings, where)
                change(arena.ledger, random)
            _remount(disk, "ro")
            ended = arena.judged_sync(session.findings, where)
            runs += 1
            failed += ended.code not in (0, None)
            _remount(disk, "rw")
            arena.settle(session.findings, where)
    return {"runs": runs, "failed with a reason": failed}


@contextmanager
def disk_with_quota(place: Path, limit: str) -> Iterator[Path]:
    """A btrfs subvolume with a limit: no other file system has quotas in every kernel."""
    if os.geteuid() != 0 or shutil.which("mkfs.btrfs") is None:
        raise Unavailable("only root can mount a file system with a quota, which btrfs-progs make")
    image, disk = place / "quota.img", place / "quota-disk"
    disk.mkdir()
    image.touch()
    os.truncate(image, 200 * MIB)
    _run("mkfs.btrfs", "-q", image)
    _run("mount", "-o", "loop", image, disk)
    try:
        _run("btrfs", "subvolume", "create", disk / "target")
        _run("btrfs", "quota", "enable", disk)
        _run("btrfs", "qgroup", "limit", limit, disk / "target")
        yield disk / "target"
    finally:
        _run("umount", disk)
        image.unlink()
        disk.rmdir()


def _run(*argv: str | Path) -> None:
    done = subprocess.run(argv, capture_output=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"{argv[0]}: {done.stderr.decode().strip()}")


def quota(session: Session) -> Figures:
    """A quota of 9 MiB, and then none."""
    runs = published = failed = 0
    for kind in session.sample([Kind("local", "sftp"), Kind("local", "local")], session.random("quota")):
        where = f"quota, {kind}"
        with disk_with_quota(session.place, "9M") as disk, Arena(session.servers, kind, target=disk) as arena:
            fill(arena.ledger, session.random(where), small=5, large=8, large_bytes=2 * MIB - 6000)
            ended = arena.judged_sync(session.findings, where)
            runs += 1
            published += arena.published()
            failed += ended.code == 1
            _run("btrfs", "qgroup", "limit", "none", disk)
            arena.settle(session.findings, where)
    return {"runs": runs, "files published within the quota": published, "failed with a reason": failed}


def changing_source(session: Session) -> Figures:
    """Files are rewritten in place, replaced, and removed while they are copied."""
    kinds = [Kind("local", "sftp"), Kind("sftp", "local"), Kind("local", "local")]
    changes = runs = 0
    session.servers.target  # noqa: B018
    for turn in session.rounds(12):
        kind = kinds[turn % len(kinds)]
        where = f"changing source {turn}, {kind}"
        random = session.random(where)
        with Arena(session.servers, kind) as arena:
            ledger = arena.ledger
            fill(ledger, random, small=30, large=2, large_bytes=3 * MIB)
            plant(arena, random)
            wanted = ledger.begin()
            command = arena.start_sync("--bwlimit", "8MiB")
            done = threading.Event()
            made = [0]

            def edit(ledger=ledger, random=random, done=done, made=made) -> None:  # type: ignore[no-untyped-def]
                while not done.is_set():
                    size = random.randint(2 * MIB, 4 * MIB)
                    ledger.put_slowly(b"large_0.bin", [random.randbytes(size // 8) for _ in range(8)])
                    ledger.put(b"large_1.bin", random.randbytes(size))
                    change(ledger, random, 3)
                    small = [name for name in ledger.now if name.startswith(b"folder")]
                    if len(small) > 15:
                        ledger.remove(random.choice(small))
                    made[0] += 6
                    done.wait(0.02)

            editor = threading.Thread(target=edit)
            editor.start()
            with reader(arena, session.findings, where):
                ended = command.end()
            done.set()
            editor.join()
            runs += 1
            changes += made[0]
            # What was removed or replaced meanwhile may be of any version since the beginning.
            session.findings.take(ledger.judge(ended, wanted, where))
            arena.settle(session.findings, where)
    return {"runs": runs, "changes meanwhile": changes}


def vanished_target(session: Session) -> Figures:
    """The target's root is renamed away in mid-run, and comes back."""
    runs = 0
    for turn in session.rounds(4):
        kind = (Kind("local", "sftp"), Kind("local", "local"))[turn % 2]
        where = f"vanished target {turn}, {kind}"
        random = session.random(where)
        with Arena(session.servers, kind) as arena:
            fill(arena.ledger, random, small=40, large=2)
            plant(arena, random)
            command = arena.start_sync("--bwlimit", "4MiB")
            away = arena.place / "away"
            try:
                command.popen.wait(random.uniform(0.1, 0.5))
            except subprocess.TimeoutExpired:
                os.rename(arena.ledger.target, away)
                ended = command.end()
                if arena.ledger.target.exists():  # made again by the run
                    shutil.copytree(away, arena.ledger.target, dirs_exist_ok=True)
                else:
                    os.rename(away, arena.ledger.target)
                session.findings.take(arena.ledger.judge(ended, {}, where, promise=False))
            runs += 1
            arena.settle(session.findings, where)
    return {"runs": runs}


HOSTILE = ("..%2Fescaped", "..%2F..%2Fescaped", "%2Ftmp%2Fescaped", "..", ".", "folder_0%2F..%2F..%2Fescaped", "a%2Fb")


def hostile_names(session: Session) -> Figures:
    """Listings of an SFTP server and keys of a bucket that would lead outside of the target's root."""
    runs = 0
    servers = session.servers
    for name in session.sample(list(HOSTILE), session.random("hostile names")):
        where = f"listed as {name}"
        with Arena(servers, Kind("local", "local")) as arena:
            plant(arena, session.random(where))
            source = arena.place / "hostile"
            (source / "folder_0").mkdir(parents=True)
            (source / "plain.txt").write_bytes(b"plain")
            (source / "folder_0" / "plain.txt").write_bytes(b"plain")
            servers.target  # noqa: B018
            servers.serve_with(f"list-as=plain.txt:{name}")
            options = ["--known-hosts", str(servers.target.known_hosts), "--identity", str(servers.source.user_key)]
            ended = arena.start("sync", servers.target.url(source), arena.urls[1], *options).end()
            servers.serve_plainly()
            runs += 1
            # Nothing that came from the hostile server is wanted; what counts is where it went.
            arena.ledger.versions |= {name: {content: 1} for name, content in read_tree(arena.ledger.target).items()}
            session.findings.take(arena.ledger.judge(ended, {}, where, promise=False))
    with Moto(session.place / "moto") as moto, Arena(servers, Kind("local", "local")) as arena:
        plant(arena, session.random("hostile keys"))
        bucket = moto.make_bucket("hostile")
        for key in ("../escaped", "a/../../escaped", "/escaped", "..", "a//b", "./x", "fine"):
            moto.put(bucket, key, b"hostile")
        arena.env |= moto.environment()
        ended = arena.start("sync", f"s3://{bucket}", arena.urls[1]).end()
        runs += 1
        arena.ledger.versions |= {name: {content: 1} for name, content in read_tree(arena.ledger.target).items()}
        session.findings.take(arena.ledger.judge(ended, {}, "hostile keys", promise=False))
    return {"runs": runs}


def planted_links(session: Session) -> Figures:
    """A link at the target that leads outside, under the name of a directory or file of the source."""
    runs = 0
    session.servers.target  # noqa: B018
    for kind in session.sample([Kind("local", "sftp"), Kind("local", "local")], session.random("links")):
        where = f"planted links, {kind}"
        with Arena(session.servers, kind) as arena:
            fill(arena.ledger, session.random(where), small=12, large=1)
            outside = arena.ledger.target.parent / "outside"
            outside.mkdir()
            (outside / "file_000.txt").write_bytes(b"outside")
            for name in ("folder_0", "folder_1"):
                (arena.ledger.target / name).symlink_to(outside, target_is_directory=True)
            (arena.ledger.target / "large_0.bin").symlink_to(outside / "file_000.txt")
            arena.ledger.watch()
            arena.ledger.foreign.clear()
            ended = arena.sync()
            runs += 1
            for name in ("folder_0", "folder_1", "large_0.bin"):
                path = arena.ledger.target / name
                if path.is_symlink():
                    path.unlink()
            session.findings.take(arena.ledger.judge(ended, {}, where, promise=False))
    return {"runs": runs}
