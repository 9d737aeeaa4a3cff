"""Measures S3 to S3, SFTP to S3 and S3 to SFTP against rclone, on versitygw and OpenSSH: python bench/s3.py --help.

Each side has a server of its own, so that no tool can let a service copy by itself; s5cmd, which knows one service at a
time, can't take part.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from servers.keys import write_known_hosts  # noqa: E402
from servers.openssh import SshServer  # noqa: E402
from servers.proxy import DelayProxy  # noqa: E402
from servers.s3_versitygw import REGION, Versitygw  # noqa: E402

import data  # noqa: E402
from measure import Measurement, RunError, measure  # noqa: E402

PROGRAM = Path(os.environ.get("CHECKVALVE_PROGRAM", ROOT / "build" / "checkvalve"))
TREE = "tree"  # the folder, and the prefix, that is copied
TUNED = ["--transfers", "64", "--checkers", "64"]


@dataclass(frozen=True)
class Case:
    name: str
    source: str  # "s3" or "sftp"
    target: str
    make: Callable[[Path, float], None]
    round_trip_ms: int = 0


def _small(root: Path, scale: float) -> None:
    data.small_files(root, max(1, int(5_000 * scale)), 10_240)


def _large(root: Path, scale: float) -> None:
    data.one_file(root, max(1, int((1 << 30) * scale)))


CASES = [
    *(Case(f"{source}-{target}-{size}", source, target, make)
      for source, target in (("s3", "s3"), ("sftp", "s3"), ("s3", "sftp"))
      for size, make in (("small", _small), ("large", _large))),
    Case("sftp-s3-small-20ms", "sftp", "s3", _small, 20),
]  # fmt: skip


class S3Side:
    """A versitygw with one bucket."""

    def __init__(self, stack: ExitStack, scratch: Path, round_trip_ms: int) -> None:
        self.server = stack.enter_context(Versitygw(scratch))
        self.folder = self.server.make_bucket("bench") / TREE
        self.url = f"s3://bench/{TREE}"
        port = self.server.port
        if round_trip_ms:
            port = stack.enter_context(DelayProxy(port, scratch / "proxy.log", delay_ms=round_trip_ms // 2)).port
        self.endpoint = f"http://127.0.0.1:{port}"

    def options(self, side: str) -> list[str]:
        pairs = {"endpoint_url": self.endpoint, "access_key_id": self.server.access_key, "region": REGION}
        return [word for key, value in pairs.items() for word in (f"--{side}-option", f"{key}={value}")]

    def env(self, side: str) -> dict[str, str]:
        remote = f"RCLONE_CONFIG_{side.upper()}"
        return {
            f"CHECKVALVE_{side.upper()}_SECRET_ACCESS_KEY": self.server.secret_key,
            f"{remote}_TYPE": "s3",
            f"{remote}_PROVIDER": "Other",
            f"{remote}_ENDPOINT": self.endpoint,
            f"{remote}_REGION": REGION,
            f"{remote}_ACCESS_KEY_ID": self.server.access_key,
            f"{remote}_SECRET_ACCESS_KEY": self.server.secret_key,
        }

    def remote(self, side: str) -> str:
        return f"{side}:bench/{TREE}"


class SftpSide:
    """An sshd with one folder."""

    def __init__(self, stack: ExitStack, scratch: Path, round_trip_ms: int) -> None:
        self.server = stack.enter_context(SshServer(scratch))
        self.folder = scratch / "files" / TREE
        self.folder.parent.mkdir()
        self.port = self.server.port
        if round_trip_ms:
            self.port = stack.enter_context(
                DelayProxy(self.port, scratch / "proxy.log", delay_ms=round_trip_ms // 2)
            ).port
        self.url = self.server.url(self.folder, self.port)
        self.known_hosts = write_known_hosts(scratch / "bench_known_hosts", [(self.port, self.server.host_key)])

    def options(self, side: str) -> list[str]:
        pairs = {"identity": self.server.user_key, "known_hosts": self.known_hosts}
        return [word for key, value in pairs.items() for word in (f"--{side}-option", f"{key}={value}")]

    def env(self, side: str) -> dict[str, str]:
        remote = f"RCLONE_CONFIG_{side.upper()}"
        return {
            f"{remote}_TYPE": "sftp",
            f"{remote}_HOST": "127.0.0.1",
            f"{remote}_PORT": str(self.port),
            f"{remote}_USER": self.server.user,
            f"{remote}_KEY_FILE": str(self.server.user_key),
            f"{remote}_KNOWN_HOSTS_FILE": str(self.known_hosts),
            f"{remote}_SHELL_TYPE": "unix",
        }

    def remote(self, side: str) -> str:
        return f"{side}:{self.folder}"


Side = S3Side | SftpSide


def commands(source: Side, target: Side, state: Path) -> dict[str, list[str]]:
    copy = ["rclone", "copy", source.remote("source"), target.remote("target")]
    return {
        "checkvalve": [
            str(PROGRAM), "sync", source.url, target.url, "--state", str(state),
            *source.options("source"), *target.options("target"),
        ],
        "rclone": copy,
        "rclone-tuned": [*copy, *TUNED],
    }  # fmt: skip


def run_case(case: Case, scale: float, runs: int, scratch: Path) -> dict[str, list[Measurement]]:
    sides: dict[str, type[S3Side] | type[SftpSide]] = {"s3": S3Side, "sftp": SftpSide}
    results: dict[str, list[Measurement]] = {}
    with ExitStack() as stack:
        source = sides[case.source](stack, scratch / "source", case.round_trip_ms)
        target = sides[case.target](stack, scratch / "target", case.round_trip_ms)
        case.make(source.folder, scale)
        expected = data.count(source.folder)
        env = {"HOME": str(scratch), "AWS_CA_BUNDLE": "", **source.env("source"), **target.env("target")}
        for _ in range(runs):
            for tool, argv in commands(source, target, scratch / "state.db").items():
                for file in scratch.glob("state.db*"):
                    file.unlink()
                shutil.rmtree(target.folder, ignore_errors=True)
                if case.target == "sftp":
                    target.folder.mkdir()
                measured = measure(argv, env)
                if (arrived := data.count(target.folder)) != expected:
                    raise RunError(f"{arrived} files and bytes are at the target, not {expected}")
                results.setdefault(tool, []).append(measured)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(case.name for case in CASES)}; default: all")
    parser.add_argument("--scale", type=float, default=1.0, help="of the data: 0.01 is a quick look")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(f"median of {options.runs}, scale {options.scale}")
    print(f"{'case':20} {'tool':14} {'seconds':>8} {'CPU s':>7} {'MiB':>5}")
    for case in CASES:
        if options.cases and case.name not in options.cases:
            continue
        memory = Path("/dev/shm")
        scratch = Path(tempfile.mkdtemp(prefix="checkvalve bench ", dir=memory if memory.is_dir() else None))
        try:
            for tool, measured in run_case(case, options.scale, options.runs, scratch).items():
                median = sorted(measured, key=lambda one: one.seconds)[len(measured) // 2]
                peak = max(one.peak_bytes for one in measured) >> 20
                cpu = statistics.median(one.cpu_seconds for one in measured)
                print(f"{case.name:20} {tool:14} {median.seconds:8.2f} {cpu:7.2f} {peak:5}", flush=True)
        except (RunError, subprocess.TimeoutExpired) as error:
            print(f"{case.name:20} failed: {error}", file=sys.stderr)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
