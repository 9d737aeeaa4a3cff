"""./dev bench: measures checkvalve and its peers on real OpenSSH servers, and writes the report."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from scratch import GIB, scratch_directory  # noqa: E402
from servers.keys import write_known_hosts  # noqa: E402
from servers.openssh import SshServer  # noqa: E402
from servers.proxy import DelayProxy  # noqa: E402

import data  # noqa: E402
import report  # noqa: E402
from cases import CASES, Case  # noqa: E402
from measure import Measurement, RunError, measure  # noqa: E402
from tools import CIPHER, TOOLS, End, Setup, build_new_rclone, versions  # noqa: E402

OUT = ROOT / "bench" / "out"


class Bench:
    """Two servers on loopback and the data of one case after the other."""

    def __init__(self, scratch: Path, source: SshServer, target: SshServer, options: argparse.Namespace) -> None:
        self.scratch = scratch
        self.source = source
        self.target = target
        self.options = options
        self.versions = versions()

    def run_case(self, case: Case) -> dict[str, list[Measurement]]:
        """Runs the tools in turn, so that what else the machine does meets all of them."""
        root, target = self.scratch / "data", self.scratch / "copy"
        shutil.rmtree(root, ignore_errors=True)
        case.make(root, self.options.scale)
        expected = data.count(root)
        names = [name for name in case.tools if name in self.versions and self._wanted(name)]
        results: dict[str, list[Measurement]] = {name: [] for name in names}
        with self._setup(case, root, target) as setup:
            for _ in range(self.options.runs):
                for name in list(names):
                    try:
                        results[name].append(self._run_tool(case, name, setup, expected))
                    except RunError as error:
                        print(f"{case.name}: {name} is skipped: {error}", file=sys.stderr)
                        names.remove(name)
                        del results[name]
        for folder in (root, target):
            shutil.rmtree(folder, ignore_errors=True)
        return results

    def _run_tool(self, case: Case, name: str, setup: Setup, expected: data.Counted) -> Measurement:
        for file in self.scratch.glob("state.db*"):
            file.unlink()
        data.empty_folder(setup.target.folder)
        command = TOOLS[name](setup, case, self.options.scale)
        if case.synced_before:
            self._fill_target(case, name, setup)
        measured = measure(command.argv, command.env)
        wanted = (0, 0) if case.plan_only else expected
        if (arrived := data.count(setup.target.folder)) != wanted:
            raise RunError(f"{arrived} files and bytes are at the target, not {wanted}")
        print(f"  {case.name:14} {name:18} {measured.seconds:8.2f} s  {measured.peak_bytes >> 20:5} MiB", flush=True)
        return measured

    def _fill_target(self, case: Case, name: str, setup: Setup) -> None:
        """What the rerun finds: each tool has done the work itself, the raw pipe finds a copy."""
        if name == "raw":
            subprocess.run(["cp", "-a", f"{setup.source.folder}/.", str(setup.target.folder)], check=True)
        else:
            command = TOOLS[name](setup, case, self.options.scale)
            measure(command.argv, command.env)

    def _wanted(self, name: str) -> bool:
        return not self.options.tools or name in self.options.tools

    @contextmanager
    def _setup(self, case: Case, root: Path, target: Path) -> Iterator[Setup]:
        with ExitStack() as stack:
            ports = [self.source.port, self.target.port]
            if case.round_trip_ms:
                ports = [
                    stack.enter_context(
                        DelayProxy(port, self.scratch / "proxy.log", delay_ms=case.round_trip_ms // 2)
                    ).port
                    for port in ports
                ]
            known_hosts = write_known_hosts(
                self.scratch / "known_hosts", [(ports[0], self.source.host_key), (ports[1], self.target.host_key)]
            )
            yield Setup(
                End(self.source, ports[0], root),
                End(self.target, ports[1], target),
                self.scratch,
                known_hosts,
                self.source.user_key,
            )


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("cases", nargs="*", help="all, if none is named: " + ", ".join(case.name for case in CASES))
    parser.add_argument("--runs", type=int, default=3, help="of each tool in each case (default 3)")
    parser.add_argument("--tools", type=lambda text: text.split(","), help="only these: " + ",".join(TOOLS))
    parser.add_argument("--scale", type=float, default=1.0, help="part of the data; under 1 there is no report")
    parser.add_argument("--quick", action="store_true", help="--scale 0.1 --runs 1")
    parser.add_argument("--no-new-rclone", action="store_true", help="do not build rclone's newest release")
    parser.add_argument("--report", action="store_true", help="measure nothing: write the report from bench/out/ again")
    options = parser.parse_args()
    if options.quick:
        options.scale, options.runs = 0.1, 1
    unknown = set(options.cases) - {case.name for case in CASES}
    unknown |= set(options.tools or ()) - set(TOOLS)
    if unknown:
        parser.error(f"not known: {', '.join(sorted(unknown))}")
    return options


def run_cases(options: argparse.Namespace) -> None:
    if not options.no_new_rclone:
        build_new_rclone()
    OUT.mkdir(parents=True, exist_ok=True)
    # The data and its copy: 1 GiB in a file, or a million inodes, which on a RAM disk take about 1 KiB each.
    with scratch_directory("cv-bench-", int((3 * options.scale + 0.1) * GIB)) as scratch:
        source = SshServer(scratch / "source", ciphers=CIPHER)
        target = SshServer(scratch / "target", ciphers=CIPHER, authorized=[source.user_key])
        with source, target:
            bench = Bench(scratch, source, target, options)
            for case in CASES:
                if options.cases and case.name not in options.cases:
                    continue
                print(f"{case.title}:", flush=True)
                results = bench.run_case(case)
                print(report.text_table(case, results, bench.versions))
                if options.scale == 1:
                    result = report.as_json(case, results, bench.versions)
                    (OUT / f"{case.name}.json").write_text(json.dumps(result, indent=2) + "\n")


def main() -> int:
    options = parse_options()
    if not options.report:
        run_cases(options)
    if options.report or options.scale == 1:
        report.write(OUT, ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "img" / "benchmarks.svg")
        print("wrote docs/benchmarks.md")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
