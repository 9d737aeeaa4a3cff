"""Measures transforms against the shell pipelines that a user would write, for docs/benchmarks.md: ./dev bench
transforms --help.

The same bytes take both ways, between the same two OpenSSH servers, in turn; what arrives is compared in content (what
is compressed, after decompression; what a peer quotes beyond need, without quotes). A pipeline is
`ssh cat | FILTER | ssh 'cat >'`; for many files it runs once a file, in a loop, over one shared connection to each
server (ssh's ControlMaster): with a login a file it would take five times as long.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from scratch import GIB, scratch_directory  # noqa: E402
from servers.keys import write_known_hosts  # noqa: E402
from servers.openssh import SshServer  # noqa: E402

import data  # noqa: E402
import sections  # noqa: E402
from measure import Measurement, RunError, measure  # noqa: E402
from tools import CIPHER, PROGRAM, End, Setup, ssh_command  # noqa: E402

KIB = 1 << 10
PEAK_GOAL_BYTES = 96 << 20
CARD = "[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{4}"
QUERY = "SELECT country, count(*) AS n, sum(amount) AS total FROM input GROUP BY country ORDER BY country"
MASK = """
import csv, sys
table = str.maketrans({**{c: "x" for c in map(chr, range(0x110000)) if c.isalpha()}, **{c: "0" for c in "0123456789"}})
rows = csv.reader(sys.stdin)
out = csv.writer(sys.stdout, lineterminator="\\n")
header = next(rows)
at = header.index("name")
out.writerow(header)
for row in rows:
    row[at] = row[at].translate(table)
    out.writerow(row)
"""


@dataclass(frozen=True)
class Case:
    name: str
    transform: str
    filters: dict[str, str]  # name of a peer: its shell command
    suffix: str = ""
    unpack: tuple[str, ...] = ()


CASES = [
    Case("gzip", "gzip", {"pigz": "pigz -c"} if shutil.which("pigz") else {"gzip": "gzip -c"}, ".gz", ("gzip", "-dc")),
    Case("zstd", "zstd", {"zstd": "zstd -q -c"}, ".zst", ("zstd", "-dc")),
    Case("csv-mask", "csv mask=name", {"python": f"python3 -c {shlex.quote(MASK)}"}),
    Case("redact", f"redact pattern='{CARD}' with=card", {"sed": f"LC_ALL=C sed -E 's/{CARD}/card/g'"}),
    Case(
        "sql",
        f'sql query="{QUERY}"',
        {"sqlite3": f"sqlite3 -csv -header '' '.import --csv /dev/stdin input' {shlex.quote(QUERY)}"},
    ),
]  # fmt: skip


def write_table(path: Path, size_bytes: int, seed: int) -> None:
    """CSV of about this size: ids, names, card numbers, countries, amounts, a note of words."""
    source = random.Random(seed)
    words = ["".join(source.choices("etaoinshrdlu", k=source.randint(2, 9))) for _ in range(2_000)]
    countries = ["de", "fr", "it", "pl", "es", "se", "nl", "dk"]
    rows = []
    made = 0
    while made < min(size_bytes, 16 << 20):
        name = f"{source.choice(words).title()}, {source.choice(words).title()}"
        card = "-".join(f"{source.randint(0, 9999):04}" for _ in range(4))
        note = " ".join(source.choices(words, k=6))
        amount = f"{source.randint(0, 99999) / 100:.2f}"
        rows.append(f'{source.randint(1, 10**9)},"{name}",{card},{source.choice(countries)},{amount},{note}\n')
        made += len(rows[-1])
    block = "".join(rows).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(b"id,name,card,country,amount,note\n")
        left = size_bytes
        while left > 0:
            part = block if left >= len(block) else block[: block.rfind(b"\n", 0, left) + 1]
            if not part:
                break
            file.write(part)
            left -= len(part)


def make_data(root: Path, many: bool, scale: float) -> None:
    shutil.rmtree(root, ignore_errors=True)
    if not many:
        write_table(root / "large.csv", int(GIB * scale), 1)
        return
    for number in range(int(1_000 * scale)):
        write_table(root / f"folder_{number // 100:02}" / f"file_{number:04}.csv", 100 * KIB, number)


def ours(setup: Setup, case: Case) -> list[str]:
    ends = [end.server.url(end.folder, end.port) for end in (setup.source, setup.target)]
    return [
        str(PROGRAM), "sync", *ends, "--identity", str(setup.identity), "--known-hosts", str(setup.known_hosts),
        "--state", str(setup.scratch / "state.db"), "--json", "--transform", case.transform,
    ]  # fmt: skip


def pipeline(setup: Setup, case: Case, filter_command: str, many: bool) -> list[str]:
    cat, put = (ssh_command(setup, end) for end in (setup.source, setup.target))
    lines = ["set -e -o pipefail"]
    if many:
        shared = {ssh: f"{ssh} -S {setup.scratch}/{name}.mux" for ssh, name in ((cat, "source"), (put, "target"))}
        closing = "; ".join(f"{ssh} -O exit" for ssh in shared.values())
        lines += [f"trap {shlex.quote(closing)} EXIT", *(f"{ssh} -M -N -f" for ssh in shared.values())]
        cat, put = shared[cat], shared[put]
    files = sorted(path.relative_to(setup.source.folder) for path in setup.source.folder.rglob("*.csv"))
    folders = " ".join(sorted({shlex.quote(str(setup.target.folder / file.parent)) for file in files}))
    if many:
        lines.append(f"{put} {shlex.quote(f'mkdir -p {folders}')}")
    for file in files:
        taken = shlex.quote(f"cat {shlex.quote(str(setup.source.folder / file))}")
        given = shlex.quote(f"cat > {shlex.quote(str(setup.target.folder / file) + case.suffix)}")
        lines.append(f"{cat} {taken} | {filter_command} | {put} {given}")
    script = setup.scratch / "pipeline.sh"
    script.write_text("\n".join(lines) + "\n")
    return ["bash", str(script)]


def content(folder: Path, case: Case) -> dict[str, str]:
    """Digest of each file's content, by its name without the suffix."""
    found = {}
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        name = str(path.relative_to(folder)).removesuffix(case.suffix)
        digest = hashlib.sha256()
        if case.suffix == ".gz" and path.stat().st_size < 1 << 20:
            digest.update(gzip.decompress(path.read_bytes()))
        elif case.unpack:
            run = subprocess.Popen([*case.unpack, str(path)], stdout=subprocess.PIPE)
            assert run.stdout is not None
            while block := run.stdout.read(1 << 20):
                digest.update(block)
            if run.wait() != 0:
                raise RunError(f"{name} can't be unpacked")
        else:
            # Python's csv and sqlite3 quote more than must be.
            for block in path.open("rb"):
                digest.update(block.replace(b'"', b"").replace(b"\r", b""))
        found[name] = digest.hexdigest()
    return found


def run_case(setup: Setup, case: Case, many: bool, runs: int) -> dict[str, list[Measurement]]:
    results: dict[str, list[Measurement]] = {}
    wanted: dict[str, str] | None = None
    for _ in range(runs):
        commands = {"checkvalve": ours(setup, case)}
        for peer, filter_command in case.filters.items():
            if shutil.which(peer):
                commands[peer] = pipeline(setup, case, filter_command, many)
        for tool, argv in commands.items():
            if tool != "checkvalve":
                argv = pipeline(setup, case, case.filters[tool], many)
            for file in setup.scratch.glob("state.db*"):
                file.unlink()
            data.empty_folder(setup.target.folder)
            measured = measure(argv, {})
            if tool not in results:
                found = content(setup.target.folder, case)
                if wanted is None:
                    wanted = found
                if found != wanted or not found:
                    raise RunError(f"{tool} has made something else of the files")
            results.setdefault(tool, []).append(measured)
    return results


SECTION = "Transforms, against shell pipelines"
HEADINGS = ["data", "chain", "tool", "median", "time to checkvalve's", "pair by pair", "runs", "CPU", "peak memory"]
ABOUT = (
    "Made by `./dev bench transforms` on {date}: {cores} cores of {cpu}, two OpenSSH servers on loopback, files on a "
    "RAM disk, aes128-gcm. The same bytes, CSV of names, card numbers and words, take both ways in turn: a pipeline is "
    "`ssh cat | FILTER | ssh 'cat >'`, for many files one a file over one shared connection to each server. Peak "
    "memory is of the largest process; a pipeline has several."
)


def rows(case: Case, many: bool, tools: dict[str, Any]) -> list[list[str]]:
    """A row of the table a tool."""
    ours = tools["checkvalve"]["seconds"]
    table = []
    for tool, measured in tools.items():
        seconds = measured["seconds"]
        pairs = [one / two for one, two in zip(seconds, ours, strict=True)]
        table.append(
            [
                "1,000 × 100 KiB" if many else "1 GiB",
                case.name,
                "**checkvalve**" if tool == "checkvalve" else f"`{tool}`",
                f"{median(seconds):.2f} s",
                f"{median(seconds) / median(ours):.2f}×",
                f"{min(pairs):.2f} – {max(pairs):.2f}",
                f"{len(seconds)}",
                f"{median(measured['cpu_seconds']):.1f} s",
                f"{max(measured['peak_bytes']) >> 20} MiB",
            ]
        )
    return table


def goal(case: Case, many: bool, tools: dict[str, Any]) -> str:
    best = min(median(measured["seconds"]) for tool, measured in tools.items() if tool != "checkvalve")
    ratio = best / median(tools["checkvalve"]["seconds"])
    if many:
        return sections.verdict(ratio >= 2, f"{case.name}, many files: 2× as fast as the pipeline", f"{ratio:.2f}×")
    return sections.verdict(ratio >= 1, f"{case.name}, one file: as fast as the pipeline", f"{ratio:.2f}×")


def write_section() -> None:
    """From what was measured at full size."""
    found = [
        (case, many, kept) for many in (False, True) for case in CASES if (kept := sections.kept(file_of(case, many)))
    ]
    if not found:
        return
    lines = [ABOUT.format(**found[-1][2]["machine"]), "", "| " + " | ".join(HEADINGS) + " |"]
    lines.append("| --- " * len(HEADINGS) + "|")
    goals = []
    peak = 0
    for case, many, kept in found:
        lines += ["| " + " | ".join(row) + " |" for row in rows(case, many, kept["tools"])]
        goals.append(goal(case, many, kept["tools"]))
        peak = max(peak, *kept["tools"]["checkvalve"]["peak_bytes"])
    goals.append(sections.verdict(peak < PEAK_GOAL_BYTES, "peak memory under 96 MiB", f"{peak >> 20} MiB at most"))
    sections.write_section(SECTION, [*lines, "", *goals])


def file_of(case: Case, many: bool) -> str:
    return f"transforms-{case.name}-{'many' if many else 'one'}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./dev bench transforms", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(case.name for case in CASES)}; default: all")
    parser.add_argument("--files", choices=["one", "many", "both"], default="both")
    parser.add_argument("--scale", type=float, default=1.0, help="of the data: 0.1 is a quick look, which is not kept")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--more", action="store_true", help="join the runs to those that are kept of these cases")
    parser.add_argument("--report", action="store_true", help="measure nothing: write the section from bench/out/")
    options = parser.parse_args()
    if unknown := set(options.cases) - {case.name for case in CASES}:
        parser.error(f"not known: {', '.join(sorted(unknown))}")
    if options.report:
        write_section()
        return 0
    print("| " + " | ".join(HEADINGS) + " |\n" + "| --- " * len(HEADINGS) + "|")
    # The data, its copy, and room for a result larger than its input.
    with scratch_directory("cv-bench-", int((4 * options.scale + 0.1) * GIB)) as scratch:
        source = SshServer(scratch / "source", ciphers=CIPHER)
        target = SshServer(scratch / "target", ciphers=CIPHER, authorized=[source.user_key])
        with source, target:
            known_hosts = write_known_hosts(
                scratch / "known_hosts", [(source.port, source.host_key), (target.port, target.host_key)]
            )
            setup = Setup(
                End(source, source.port, scratch / "data"), End(target, target.port, scratch / "copy"),
                scratch, known_hosts, source.user_key,
            )  # fmt: skip
            for many in (False, True):
                if options.files == ("one" if many else "many"):
                    continue
                make_data(setup.source.folder, many, options.scale)
                for case in CASES:
                    if options.cases and case.name not in options.cases:
                        continue
                    measured = run_case(setup, case, many, options.runs)
                    tools = sections.as_tools(measured)
                    for row in rows(case, many, tools):
                        print("| " + " | ".join(row) + " |", flush=True)
                    print(f"    {goal(case, many, tools)}", flush=True)
                    if options.scale == 1.0:
                        sections.keep(file_of(case, many), measured, more=options.more)
    write_section()
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.setdefault("LC_ALL", "C.UTF-8")
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
