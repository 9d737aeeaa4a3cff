"""A Python function from beside the DAG file in the chain of mapped batches."""

from __future__ import annotations

import gzip

from airflow_stack.client import AirflowClient
from airflow_stack.stack import Stack


def test_a_function_of_the_dag_folder(stack: Stack, client: AirflowClient) -> None:
    source, target = stack.source_root / "transformed", stack.target_root / "transformed"
    source.mkdir()
    for number in range(7):
        (source / f"{number}.csv").write_bytes(b"a\nb\n" * number)
    run_id = client.trigger("transformed", conf={"folder": "transformed", "separator": " | "})
    assert client.wait_for_run("transformed", run_id, 120) == "success"
    made = {path.name: gzip.decompress(path.read_bytes()).decode() for path in target.iterdir()}
    assert made == {
        f"{number}.csv.gz": "".join(f"{line + 1} | {'ab'[line % 2]}\n" for line in range(2 * number))
        for number in range(7)
    }
    client.clear("transformed", run_id)
    assert client.wait_for_run("transformed", run_id, 120) == "success"
    counts = client.xcom("transformed", run_id, "copy.finish", "return_value")["value"]
    assert (counts["files_copied"], counts["files_skipped"]) == (0, 7)
