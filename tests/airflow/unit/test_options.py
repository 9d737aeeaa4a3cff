"""The option objects and event classes: made from the program's own tables, and how Airflow handles them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from airflow.sdk import DAG, task
from checkvalve import JobOptions
from checkvalve.airflow import CheckvalveSyncOperator, checkvalve_task_group

ROOT = Path(__file__).resolve().parents[3]


def test_the_made_sources_are_up_to_date() -> None:
    script = ROOT / "tools" / "dev" / "python_sources.py"
    command = [sys.executable, script, os.environ["CHECKVALVE_PROGRAM"], "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_each_command_gets_the_options_that_it_takes() -> None:
    options = JobOptions(
        include="*.txt",  # a single pattern is not a list of characters
        exclude=["a", "b"],
        max_size=10,
        checksum=True,
        durable=False,
        on_conflict="skip",
        transforms=[{"name": "gzip", "level": 9}],
        retries=0,
        extra_arguments=["--source-option", "chunk=1"],
    )
    selection = ["--exclude", "a", "--exclude", "b", "--include", "*.txt", "--max-size", "10", "--checksum"]
    publishing, transform = ["--on-conflict", "skip", "--no-durable"], ["--transform", 'gzip level="9"']
    extra = ["--source-option", "chunk=1"]
    assert options.arguments("sync") == [*selection, *publishing, *transform, "--retries", "0", *extra]
    assert options.arguments("verify") == [*selection, *transform, "--retries", "0", *extra]
    assert options.arguments("run") == ["--retries", "0"]
    assert repr(JobOptions(max_size=10)) == "JobOptions(max_size=10)"


def test_a_dag_with_options_is_serialized() -> None:
    """Airflow stores a DAG as JSON, without addresses, which would make each parse a new version."""
    from airflow.serialization.serialized_objects import SerializedDAG

    def dump() -> str:
        with DAG("d", schedule=None) as dag:
            options = JobOptions(include=["{{ ds }}/*"], bwlimit="1MiB/s")
            checkvalve_task_group(source_conn_id="s", target_conn_id="t", options=options)
        try:
            from airflow.serialization.serialized_objects import DagSerialization
        except ImportError:
            return json.dumps(SerializedDAG.to_dict(dag))
        return json.dumps(DagSerialization.to_dict(dag))

    text = dump()
    assert "{{ ds }}/*" in text
    assert "0x" not in text
    assert text == dump()


def test_an_output_of_another_task_is_upstream() -> None:
    with DAG("d", schedule=None) as dag:

        @task
        def choose() -> list[str]:
            return ["*.txt"]

        @task
        def name() -> str:
            return "a.txt"

        CheckvalveSyncOperator(task_id="sync", options=JobOptions(include=choose()), files=name())
    assert dag.get_task("sync").upstream_task_ids == {"choose", "name"}
