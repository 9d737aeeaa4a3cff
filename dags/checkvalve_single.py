"""One task per directory: for small ones, where a plan and mapped tasks would cost more than the copying."""

from datetime import datetime, timezone

from airflow.sdk import DAG

from checkvalve import JobOptions
from checkvalve.airflow import CheckvalveSyncOperator

with DAG(
    "checkvalve_single",
    schedule=None,
    start_date=datetime(2024, 3, 1, tzinfo=timezone.utc),
    catchup=False,
    tags=["checkvalve"],
):
    CheckvalveSyncOperator(
        task_id="sync",
        source_conn_id="checkvalve_source",
        source_path="source/{{ ds }}/",
        target_conn_id="checkvalve_target",
        target_path="single/{{ ds }}/",
        options=JobOptions(include=["*.txt"]),
        retries=3,
        retry_exponential_backoff=True,
    )
