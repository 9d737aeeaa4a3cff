"""./dev torture [--minutes N] [--only NAME]… [--seed S] [--write]: runs the scenarios and prints the counts."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from scratch import GIB, scratch_directory
from torture import report
from torture.arena import Servers
from torture.scenarios import SCENARIOS
from torture.session import Session, Unavailable

ROOT = Path(__file__).resolve().parents[2]
FULL_MINUTES = 36.0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./dev torture", description="Breaks runs in every way, and counts what was lost."
    )
    parser.add_argument("--minutes", type=float, default=FULL_MINUTES, help="how long it may take; fewer: fewer rounds")
    parser.add_argument("--only", action="append", metavar="NAME", choices=list(SCENARIOS), help="|".join(SCENARIOS))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--no-write", action="store_true", help="do not write the figures into docs/reliability.md")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.pop("SSH_AUTH_SOCK", None)
    print(f"seed {options.seed}", flush=True)
    chosen = {name: SCENARIOS[name] for name in options.only or SCENARIOS}
    began = time.monotonic()
    results = []
    share = min(options.minutes / FULL_MINUTES, 1.0)
    with scratch_directory("checkvalve torture ", 2 * GIB) as place, Servers(place) as servers:
        for name, scenario in chosen.items():
            session = Session(servers, place, options.seed, share, began + options.minutes * 60)
            started = time.monotonic()
            try:
                figures = scenario(session)
            except Unavailable as reason:
                figures = {"not run": str(reason)}
            result = report.Result(name, figures, session.findings, time.monotonic() - started, session.cut_short)
            results.append(result)
            print(result.text(), flush=True)
    counts = sum((result.new.counts for result in results), Counter[str]())
    print(report.counts_text(counts), flush=True)
    if not options.only and not options.no_write:
        report.write(ROOT / "docs" / "reliability.md", results, options.seed, time.monotonic() - began)
    return 1 if counts.total() else 0


if __name__ == "__main__":
    sys.exit(main())
