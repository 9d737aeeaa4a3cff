"""./dev mutants [--sample N] [--seed S] [--again] [--list]: changes guards one at a time, and runs the tests.

All mutants are compiled into one build, build-mutants/, and chosen when a program starts. Caught: a test that reaches
the mutant fails twice, or does not end.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutants.find import FOLDERS, find
from mutants.guards import guards
from mutants.known import KNOWN
from mutants.mutant import Mutant
from mutants.schemata import BUILD, ROOT, Sample, Schemata
from mutants.suites import CONCURRENT, CONFORMANCE, PROGRAMS, Suites
from torture.report import between_markers, made_at

VERDICTS = BUILD / "verdicts.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev mutants")
    parser.add_argument("--sample", type=int, default=200, help="how many beside the guards that are always tried")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--again", action="store_true", help="try only those that the last run with this seed missed")
    parser.add_argument("--list", action="store_true", help="only print all places for mutants")
    parser.add_argument("--write", action="store_true", help="write the figures into docs/reliability.md")
    options = parser.parse_args()
    places = find(ROOT)
    if options.list:
        print("\n".join(mutant.text() for mutant in places))
        return 0
    began = time.monotonic()
    always = guards(ROOT)
    sample = Sample(places, options.sample, options.seed, always)
    schemata = Schemata(always, sample, FOLDERS)
    print(f"seed {options.seed}; {len(places)} places for mutants; building", flush=True)
    schemata.build(["checkvalve", "delay_proxy", "checkvalve-conformance", *PROGRAMS, *CONFORMANCE])
    for mutant in schemata.not_compiled:
        print(f"{mutant.text()}: does not compile", flush=True)
    built = time.monotonic()
    print(f"built in {built - began:.0f} s; recording what each test reaches", flush=True)
    suites = Suites(schemata.mutants)
    suites.record()
    suites.record_end_to_end()
    recorded = time.monotonic()
    print(f"recorded in {recorded - built:.0f} s", flush=True)
    before = _read() if options.again else {}

    def judge(number: int) -> str:
        mutant = schemata.mutants[number]
        verdict = before.get(_key(mutant)) or suites.verdict(number, mutant.folder)
        print(f"{mutant.text()}: {verdict or 'MISSED'}", flush=True)
        return verdict

    with ThreadPoolExecutor(CONCURRENT) as pool:
        verdicts = dict(zip(schemata.mutants.values(), pool.map(judge, schemata.mutants), strict=True))
    VERDICTS.write_text(json.dumps({_key(mutant): verdict for mutant, verdict in verdicts.items()}, indent=1))
    minutes = (time.monotonic() - began) / 60
    command = f"./dev mutants --sample {options.sample} --seed {options.seed}"
    report = _report(command, verdicts, len(places), len(schemata.not_compiled), minutes)
    print(report)
    if options.write:
        between_markers(ROOT / "docs" / "reliability.md", "mutants", report)
    return 0


def _key(mutant: Mutant) -> str:
    """What stays when other lines of the file change."""
    return f"{mutant.file}: {mutant.what}"


def _read() -> dict[str, str]:
    return json.loads(VERDICTS.read_text()) if VERDICTS.exists() else {}


def _report(command: str, verdicts: dict[Mutant, str], places: int, not_compiled: int, minutes: float) -> str:
    missed = [mutant for mutant, verdict in verdicts.items() if not verdict]
    by = Counter(verdict.split(":")[0] for verdict in verdicts.values() if verdict)
    late = sum(verdict.endswith(": does not end") for verdict in verdicts.values())
    caught = len(verdicts) - len(missed)
    percent = 100 * caught / max(len(verdicts), 1)
    named = sum(_key(mutant) in KNOWN for mutant in missed)
    lines = [
        f"`{command}` {made_at()}, in {minutes:.0f} minutes: of {places:,} places in `src/`, {len(verdicts)} were "
        f"changed, one at a time. {caught} ({percent:.1f}%) were caught, {late} of them by "
        f"a test that did not end; {len(missed)} were missed, {named} of them for a reason that is named below. "
        f"{not_compiled} that did not compile were replaced by others.",
        "",
        "| `src/` | changed | caught | missed |",
        "| --- | --- | --- | --- |",
    ]
    for folder in sorted({mutant.folder for mutant in verdicts}):
        here = [verdict for mutant, verdict in verdicts.items() if mutant.folder == folder]
        lines.append(f"| {folder} | {len(here)} | {sum(map(bool, here))} | {here.count('')} |")
    lines += ["", "| caught by | mutants |", "| --- | --- |"]
    lines += [f"| {suite} | {count} |" for suite, count in by.most_common()]
    if missed:
        lines += ["", "| missed | change | reason |", "| --- | --- | --- |"]
    for mutant in missed:
        what = mutant.what.replace("|", "\\|")
        lines.append(f"| `{Path(mutant.file).name}:{mutant.line}` | `{what}` | {KNOWN.get(_key(mutant), '')} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
