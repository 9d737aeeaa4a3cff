"""One task per file: for a few large files whose progress and retries should be visible one by one."""

from datetime import datetime, timezone

from airflow.sdk import DAG

from checkvalve import JobOptions
from checkvalve.airflow import checkvalve_task_group

with DAG(
    "checkvalve_per_file",
    schedule=None,
    start_date=datetime(2024, 3, 1, tzinfo=timezone.utc),
    catchup=False,
    tags=["checkvalve"],
):
    checkvalve_task_group(
        "copy_files",
        strategy="file",
        file_limit=50,
        source_conn_id="checkvalve_source",
        source_path="source/{{ ds }}/",
        target_conn_id="checkvalve_target",
        target_path="files/{{ ds }}/",
        options=JobOptions(include=["*.txt"]),
    )
