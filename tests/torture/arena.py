"""Where a scenario runs the program: a source and a target of some kind, their servers, the ledger and the reader."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from random import Random
from typing import IO, Any

from e2e.support.program import PROGRAM, clean_environment
from servers.keys import write_known_hosts
from servers.openssh import SshServer
from servers.s3_moto import s3_client
from servers.s3_versitygw import Versitygw
from servers.sftp_filter import SFTP_SERVERS, subsystem
from torture.oracle import Digest, Ended, Findings, Ledger, digest, is_temporary, read_file, read_tree

HANG_SECONDS = 90.0
SETTLE_SECONDS = 30.0
VERSITYGW_OWN = b".sgwtmp"  # in each bucket
# Short enough that a run with a fault ends soon, long enough for a busy machine.
TIMES = ("--stall-timeout", "3s", "--connect-timeout", "5s", "--retries", "3", "--lease-ttl", "2s")


class Servers:
    """Started when they are first asked for, stopped together. sshd serves sources, and targets through quirks."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.stack = ExitStack()

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    @cached_property
    def source(self) -> SshServer:
        return self.stack.enter_context(SshServer(self.place / "source-server", read_only=True))

    @cached_property
    def target(self) -> SshServer:
        directory = self.place / "target-server"
        directory.mkdir()
        server = SshServer(directory, authorized=[self.source.user_key], subsystem=subsystem(directory))
        self.stack.enter_context(server)
        self.serve_plainly()
        return server

    @cached_property
    def gateway(self) -> Versitygw:
        return self.stack.enter_context(Versitygw(self.place / "gateway"))

    def serve_with(self, *quirks: str) -> None:
        """For sessions of the target that begin from now on."""
        assert self.target
        subsystem(self.target.directory, *quirks)

    def serve_plainly(self) -> None:
        program = next(path for path in SFTP_SERVERS if os.path.exists(path))
        script = self.place / "target-server" / "sftp-filter"
        script.write_text(f"#!/bin/sh\nexec {shlex.quote(program)}\n")
        script.chmod(0o755)


class Command:
    """The program at work. Its output goes to files, so that it never waits for the scenario."""

    def __init__(self, argv: Sequence[str], env: dict[str, str], place: Path, pass_fds: Sequence[int] = ()) -> None:
        self.argv = list(argv)
        self.out, self.err = (tempfile.TemporaryFile(dir=place) for _ in range(2))  # noqa: SIM115
        self.popen = subprocess.Popen(
            self.argv, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err, env=env, pass_fds=pass_fds, cwd=place
        )
        self.killed = False

    @property
    def pid(self) -> int:
        return self.popen.pid

    def running(self) -> bool:
        return self.popen.poll() is None

    def kill(self) -> None:
        self.killed = self.killed or self.running()
        self.popen.kill()

    def end(self, timeout: float = HANG_SECONDS) -> Ended:
        code: int | None
        try:
            code = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            code = None
        killed = self.killed or code == -signal.SIGKILL
        return Ended(code, self._read(self.out), self._read(self.err), killed and code != 0)

    @staticmethod
    def _read(file: IO[bytes]) -> bytes:
        file.seek(0)
        return file.read()


def bucket_writer(gateway: Versitygw, bucket: str) -> Callable[[bytes, bytes], object]:
    """Puts objects with their checksums; a file that is written into the bucket's directory would have none."""
    client = s3_client(gateway.endpoint_url, gateway.access_key, gateway.secret_key)
    crc32c: Any = import_module("crc32c").crc32c  # as boto3, of moto's requirements

    def put(name: bytes, content: bytes) -> None:
        checksum = b64encode(crc32c(content).to_bytes(4, "big")).decode()
        client.put_object(Bucket=bucket, Key=name.decode(), Body=content, ChecksumCRC32C=checksum)

    return put


@dataclass(frozen=True)
class Kind:
    """Of the endpoints: "local", "sftp" or "s3"."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source} to {self.target}"


class Arena:
    """One source, one target and one state, with a ledger."""

    def __init__(
        self, servers: Servers, kind: Kind, *, source_port: int = 0, target_port: int = 0, target: Path | None = None
    ) -> None:
        """The ports are those of proxies in front of the servers; `target` another directory to publish to."""
        self.servers, self.kind = servers, kind
        self.place = Path(tempfile.mkdtemp(prefix="arena ", dir=servers.place))
        self.place.chmod(0o755)
        self.env = clean_environment(self.place / "home")
        self.options = ["--state", str(self.place / "state.db"), *TIMES]
        source = self._directory("source", kind.source)
        chosen = target or self._directory("target", kind.target)
        self.ledger = Ledger(source, chosen, chosen.parent if kind.target != "s3" and target is None else None)
        if kind.target == "s3":
            self.ledger.skip = VERSITYGW_OWN
        if kind.source == "s3":
            self.ledger.store = bucket_writer(servers.gateway, source.name)
        self.urls = [
            self._url(kind.source, source, source_port, True),
            self._url(kind.target, chosen, target_port, False),
        ]
        if "sftp" in (kind.source, kind.target):
            self._trust(source_port, target_port)
        if "s3" in (kind.source, kind.target):
            self.env |= servers.gateway.environment()
            if port := (source_port if kind.source == "s3" else target_port):
                self.env["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{port}"

    def _directory(self, name: str, kind: str) -> Path:
        if kind == "s3":
            return self.servers.gateway.make_bucket(f"{name}-{os.urandom(6).hex()}")
        directory = self.place / f"{name} field" / name
        directory.mkdir(parents=True)
        return directory

    def _url(self, kind: str, path: Path, port: int, is_source: bool) -> str:
        if kind == "local":
            return str(path)
        if kind == "s3":
            return f"s3://{path.name}"
        return (self.servers.source if is_source else self.servers.target).url(path, port)

    def _trust(self, source_port: int, target_port: int) -> None:
        entries = []
        for kind, server, proxy in (
            (self.kind.source, "source", source_port),
            (self.kind.target, "target", target_port),
        ):
            if kind == "sftp":
                it = getattr(self.servers, server)
                entries += [(port, it.host_key) for port in {it.port, proxy or it.port}]
        known_hosts = write_known_hosts(self.place / "known_hosts", entries)
        self.options += ["--known-hosts", str(known_hosts), "--identity", str(self.servers.source.user_key)]

    # The program

    def start(self, command: str, *arguments: str, wrapper: Sequence[str] = ()) -> Command:
        argv = [*wrapper, str(PROGRAM), command, *arguments, *self.options, "--json"]
        return Command(argv, self.env, self.place)

    def start_sync(self, *options: str, wrapper: Sequence[str] = ()) -> Command:
        return self.start("sync", *self.urls, *options, wrapper=wrapper)

    def sync(self, *options: str, timeout: float = HANG_SECONDS) -> Ended:
        return self.start_sync(*options).end(timeout)

    def sweep(self) -> Ended:
        options = list(self._without(self.options, "--lease-ttl"))
        argv = [str(PROGRAM), "sweep", self.urls[1], "--older-than", "0s", *options, "--json"]
        return Command(argv, self.env, self.place).end()

    @staticmethod
    def _without(options: Sequence[str], name: str) -> Iterator[str]:
        skip = 0
        for option in options:
            skip = 2 if option == name else max(skip - 1, 0)
            if not skip:
                yield option

    def judged_sync(self, findings: Findings, where: str, *options: str, timeout: float = HANG_SECONDS) -> Ended:
        wanted = self.ledger.begin()
        ended = self.sync(*options, timeout=timeout)
        findings.take(self.ledger.judge(ended, wanted, where))
        return ended

    def settle(self, findings: Findings, where: str, *options: str) -> None:
        """Without faults all arrives, and sweep leaves nothing of ours.

        A server may still be at requests of a run that was killed, and its lease still valid: a few tries are fine.
        """
        deadline = time.monotonic() + SETTLE_SECONDS
        while (ended := self.judged_sync(findings, where, *options)).code != 0:
            if ended.code is None or time.monotonic() > deadline:
                findings.add("lost", f"{where}: no recovery: exit code {ended.code}: {ended.text()[-600:]}")
                return
        while True:
            swept = self.sweep()
            if not self.temporaries() or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        findings.take(self.ledger.judge(swept, {}, f"{where}, sweep", promise=False, swept=True))
        if self.kind.target == "s3" and (left := self.temporaries()):
            findings.add("orphan", f"{where}: uploads are left: {left}")

    def temporaries(self) -> list[bytes]:
        if self.kind.target != "s3":
            return [name for name in read_tree(self.ledger.target) if is_temporary(name)]
        uploads = self.ledger.target / os.fsdecode(VERSITYGW_OWN) / "multipart"
        return [os.fsencode(path.name) for path in uploads.glob("*/*") if path.is_dir()]

    def published(self) -> int:
        return sum(name in self.ledger.versions for name in read_tree(self.ledger.target, skip=self.ledger.skip))

    def close(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        for root in (self.ledger.source, self.ledger.target):
            shutil.rmtree(root, ignore_errors=True)

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def reader(arena: Arena, findings: Findings, where: str) -> Iterator[list[int]]:
    """Reads the final names all the time, as a consumer does; yields the count of reads, in a list of one."""
    stop = threading.Event()
    reads = [0]
    ledger = arena.ledger
    seen = Findings()

    def look() -> None:
        while not stop.is_set():
            for name in list(ledger.versions):
                if stop.is_set():
                    return
                with ledger.looking:
                    content = read_file(os.path.join(os.fsencode(ledger.target), name))
                    found: Digest | None = None if content is None else digest(content)
                    ledger.look(name, found, seen, f"{where}, reader")
                reads[0] += 1
                time.sleep(0)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield reads
    finally:
        stop.set()
        thread.join()
        findings.take(seen)


def fill(ledger: Ledger, random: Random, *, small: int = 30, large: int = 1, large_bytes: int = 1 << 20) -> None:
    """Small files in folders, and large ones of several chunks."""
    for number in range(small):
        ledger.put(b"folder_%d/file_%03d.txt" % (number % 4, number), random.randbytes(random.randint(0, 3000)))
    for number in range(large):
        ledger.put(b"large_%d.bin" % number, random.randbytes(large_bytes + random.randint(0, 5000)))


def change(ledger: Ledger, random: Random, count: int = 5) -> None:
    """New versions of some files: of another size, or of the same."""
    for name in random.sample(sorted(ledger.now), min(count, len(ledger.now))):
        size = len(read_file(os.path.join(os.fsencode(ledger.source), name)) or b"")
        ledger.put(name, random.randbytes(max(size + random.choice((-1, 0, 0, 1, 500)), 1)))


def plant(arena: Arena, random: Random) -> None:
    """Files that are not the program's, with names that look like its own."""
    root = arena.ledger.target
    if arena.kind.target != "s3":
        for name in (
            ".cv-notes.part",
            ".cv-7k3m9q2x5t-1-9f02ab17.part",
            "other.part",
            "folder_0/.cv-.part",
            "kept.txt",
        ):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(random.randbytes(100))
        (root.parent / "beside.txt").write_bytes(b"beside the target")
    arena.ledger.watch()
