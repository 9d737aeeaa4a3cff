"""`./dev airflow [--demo]`: starts the stack, prints where it is and how to log in, and stops it on Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from airflow_stack.client import wait_for
from airflow_stack.sample import DATES, fill_source, show_tree
from airflow_stack.stack import ROOT, USER, ServerError, Stack
from scratch import GIB, ScratchError, scratch_directory

DAG_ID = "checkvalve_daily"


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev airflow", description=__doc__)
    parser.add_argument("--demo", action="store_true", help="run the three dates, show the result, and stop")
    parser.add_argument("--workers", type=int, default=2, help="Celery workers [2]")
    parser.add_argument("--port", type=int, default=0, help="port of the web server [a free one]")
    parser.add_argument("--s3", action="store_true", help="an S3 server too (versitygw), for the DAGs to and from S3")
    parser.add_argument("--dags", type=Path, default=None, help="folder of DAG files [dags/]")
    arguments = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with scratch_directory("checkvalve-airflow-", GIB) as directory:
            return serve(arguments, directory, stopped)
    except (ScratchError, ServerError) as error:
        print(f"./dev airflow: {error}", file=sys.stderr)
        return 1


def serve(arguments: argparse.Namespace, directory: Path, stopped: threading.Event) -> int:
    dags = arguments.dags.resolve() if arguments.dags else ROOT / "dags"
    stack = Stack(directory, dags=dags, workers=arguments.workers, api_port=arguments.port, s3=arguments.s3)
    fill_source(stack.source_root)
    print(f"Starting Airflow in {directory}: redis, api-server, scheduler, dag-processor, {stack.workers} workers,"
          " two SFTP servers …", flush=True)  # fmt: skip
    with stack:
        print(f"\n  {stack.url}\n  user {USER}, password {stack.password}\n", flush=True)
        if arguments.demo:
            return demo(stack)
        print("Ctrl-C stops everything.", flush=True)
        stopped.wait()
        return 0


def demo(stack: Stack) -> int:
    client = stack.client
    wait_for(lambda: DAG_ID in client.dag_ids() or client.import_errors(), 60, "the DAG files to be read")
    if errors := client.import_errors():
        print("\n".join(errors), file=sys.stderr)
        return 1
    client.set_paused(DAG_ID, False)
    print(f"{DAG_ID} runs for {', '.join(DATES)} …", flush=True)
    runs = wait_for(
        lambda: (
            [run for run in client.runs(DAG_ID) if run["state"] in ("success", "failed")][len(DATES) - 1 :]
            and client.runs(DAG_ID)
        ),
        300,
        "three runs",
    )
    for run in sorted(runs, key=lambda run: str(run["logical_date"])):
        copied = client.xcom(DAG_ID, run["dag_run_id"], "copy_day.finish", "return_value")["value"]
        print(f"  {run['logical_date'][:10]}: {run['state']}, {copied['files_copied']} files,"
              f" {copied['bytes_copied']} bytes in {copied['batches']} batches")  # fmt: skip
    print("\nThe target server now holds:")
    show_tree(stack.target_root)
    return 0 if all(run["state"] == "success" for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
