"""As "slow", with the retries of a task group that says nothing about them."""

from datetime import datetime, timezone

from airflow.sdk import DAG
from checkvalve import JobOptions
from checkvalve.airflow import checkvalve_task_group

with DAG("outage", schedule=None, start_date=datetime(2024, 3, 1, tzinfo=timezone.utc)):
    checkvalve_task_group(
        "copy",
        source_conn_id="checkvalve_source",
        source_path="{{ dag_run.conf['folder'] }}",
        target_conn_id="checkvalve_target",
        target_path="{{ dag_run.conf['folder'] }}",
        options=JobOptions(max_batches=2, batch_files=20, bwlimit="1MB/s", lease_ttl="4s"),
    )
