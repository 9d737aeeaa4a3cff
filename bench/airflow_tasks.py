"""./dev bench airflow: checkvalve and Airflow's own SFTP operator and hooks, as tasks on the same Celery workers.

Starts the process stack of ./dev airflow with bench/airflow_dags, runs the ways in turn over the same two OpenSSH
servers, and takes two times of each run: that of the tasks' execute() calls, and that of the whole DAG run. A way that
needs longer than --once-over in its first run is not run again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[1:1] = [str(ROOT / "tests"), str(ROOT / "tools")]

from airflow_stack.client import AirflowClient, wait_for  # noqa: E402
from airflow_stack.stack import Stack  # noqa: E402
from scratch import GIB, scratch_directory  # noqa: E402

import airflow_report  # noqa: E402
import data  # noqa: E402
from airflow_report import CASES, WAYS, AirflowCase  # noqa: E402
from measure import RunError  # noqa: E402

OUT = ROOT / "bench" / "out"
RUN_SECONDS = 1200.0
DONE = ("success", "failed")


@dataclass(frozen=True)
class TaskRun:
    """One run of a way. Times in seconds; peaks are of the largest task, its engine counted beside it."""

    transfer: float
    dag: float
    task_peak_bytes: int
    engine_peak_bytes: int
    engine_seconds: list[float]


def run_way(stack: Stack, way: str, source: Path) -> TaskRun:
    client = stack.client
    spool, target = stack.directory / "spool", stack.target_root / "copy"
    for folder in (spool, target):
        shutil.rmtree(folder, ignore_errors=True)
    for file in stack.state.parent.glob("state.db*"):
        file.unlink()
    conf = {"source": str(source), "spool": str(spool), "target": str(target)}
    run_id = client.trigger(way, conf=conf)
    state = client.wait_for_run(way, run_id, RUN_SECONDS)
    if state != "success":
        raise RunError(f"the run of {way} ended as '{state}'\n{failure_log(client, way, run_id)}")
    if (arrived := data.count(target)) != (expected := data.count(source)):
        raise RunError(f"{arrived} files and bytes are at the target, not {expected}")
    shutil.rmtree(spool, ignore_errors=True)
    shutil.rmtree(target)
    return figures(client, way, run_id)


def figures(client: AirflowClient, way: str, run_id: str) -> TaskRun:
    entries = client.xcoms(way, run_id)
    noted = [item["value"] for item in entries if item["key"] == "bench"]
    copies = [item["value"] for item in entries if item["key"] == "checkvalve_report" and "seconds" in item["value"]]
    run = next(run for run in client.runs(way) if run["dag_run_id"] == run_id)
    times = [datetime.fromisoformat(run[name]) for name in ("queued_at", "end_date")]
    return TaskRun(
        # Mapped tasks run side by side, others one after the other.
        transfer=busy_seconds([(item["began"], item["ended"]) for item in noted]),
        dag=(times[1] - times[0]).total_seconds(),
        task_peak_bytes=max(item["peak_bytes"] for item in noted),
        engine_peak_bytes=max((item["peak_rss_bytes"] for item in copies), default=0),
        engine_seconds=[item["seconds"] for item in copies],
    )


def busy_seconds(spans: list[tuple[float, float]]) -> float:
    """The time within at least one of the spans."""
    total, reached = 0.0, 0.0
    for began, ended in sorted(spans):
        total += max(0.0, ended - max(began, reached))
        reached = max(reached, ended)
    return total


def failure_log(client: AirflowClient, way: str, run_id: str) -> str:
    failed = [item for item in client.tasks(way, run_id) if item["state"] == "failed"]
    return "\n".join(
        client.log(way, run_id, item["task_id"], item["try_number"], item["map_index"])[-3000:] for item in failed[:1]
    )


def run_case(stack: Stack, case: AirflowCase, options: argparse.Namespace) -> dict[str, list[TaskRun]]:
    for server in (stack.source, stack.target):
        server.ciphers = case.ciphers
        server.restart()
    source = stack.source_root / case.name
    case.make(source, options.scale)
    results: dict[str, list[TaskRun]] = {way: [] for way in case.ways if not options.ways or way in options.ways}
    for _ in range(options.runs):
        for way, runs in results.items():
            if runs and runs[0].dag > options.once_over:
                continue
            run = run_way(stack, way, source)
            runs.append(run)
            print(f"  {case.name:16} {way:18} {run.transfer:8.2f} s  whole DAG {run.dag:7.2f} s", flush=True)
    shutil.rmtree(source)
    return results


def as_json(case: AirflowCase, results: dict[str, list[TaskRun]]) -> dict[str, Any]:
    return {
        "case": case.name,
        "machine": airflow_report.machine(),
        "ways": {
            way: {
                "transfer_seconds": [round(run.transfer, 3) for run in runs],
                "dag_seconds": [round(run.dag, 3) for run in runs],
                "task_peak_bytes": max(run.task_peak_bytes for run in runs),
                "engine_peak_bytes": max(run.engine_peak_bytes for run in runs),
                "engine_seconds": [run.engine_seconds for run in runs],
            }
            for way, runs in results.items()
        },
    }


def save(path: Path, case: AirflowCase, result: dict[str, Any]) -> None:
    """Keeps what is there of ways that were not measured this time."""
    before = json.loads(path.read_text())["ways"] if path.exists() else {}
    ways = {**before, **result["ways"]}
    whole = {**result, "ways": {way: ways[way] for way in case.ways if way in ways}}
    path.write_text(json.dumps(whole, indent=2) + "\n")


def warm_up(stack: Stack) -> None:
    """One small run of each DAG: the first one of a worker loads what later ones have."""
    source = stack.source_root / "warm-up"
    data.flat_files(source, 2, 100)
    for way in WAYS:
        run_way(stack, way, source)


def measure_cases(options: argparse.Namespace) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    # The data, its copy, what a way spools between the two, and what Airflow itself writes.
    with scratch_directory("cv-bench-airflow-", int((3 * options.scale + 0.5) * GIB)) as place:
        stack = Stack(place, dags=ROOT / "bench" / "airflow_dags")
        with stack:
            client = stack.client
            wait_for(lambda: client.dag_ids() >= set(WAYS) or client.import_errors(), 90, "the DAG file to be read")
            if errors := client.import_errors():
                raise RunError("\n".join(errors))
            warm_up(stack)
            for case in CASES:
                if options.cases and case.name not in options.cases:
                    continue
                print(f"{case.title}:", flush=True)
                result = as_json(case, run_case(stack, case, options))
                print(airflow_report.text_table(result))
                if options.scale == 1:
                    save(OUT / f"airflow-{case.name}.json", case, result)


def parse_options() -> argparse.Namespace:
    names = ", ".join(case.name for case in CASES)
    parser = argparse.ArgumentParser(prog="./dev bench airflow", description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"all, if none is named: {names}")
    parser.add_argument("--runs", type=int, default=3, help="of each way in each case (default 3)")
    parser.add_argument("--once-over", type=float, default=30, help="seconds of a long enough first run (default 30)")
    parser.add_argument("--ways", type=lambda text: text.split(","), help="only these: " + ",".join(WAYS))
    parser.add_argument("--scale", type=float, default=1.0, help="part of the data; under 1 there is no report")
    parser.add_argument("--report", action="store_true", help="measure nothing: write the section again")
    options = parser.parse_args()
    unknown = set(options.cases) - {case.name for case in CASES} | set(options.ways or ()) - set(WAYS)
    if unknown:
        parser.error(f"not known: {', '.join(sorted(unknown))}")
    return options


def main() -> int:
    options = parse_options()
    if not options.report:
        try:
            measure_cases(options)
        except RunError as error:
            print(f"./dev bench airflow: {error}", file=sys.stderr)
            return 1
    if options.report or options.scale == 1:
        airflow_report.write(OUT, ROOT / "docs" / "benchmarks.md")
        print("wrote the Airflow section of docs/benchmarks.md")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
