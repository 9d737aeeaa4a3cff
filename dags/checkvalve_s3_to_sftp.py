"""From the bucket that checkvalve_sftp_to_s3 fills to an SFTP server, decompressed on the way."""

from datetime import datetime, timezone

from airflow.sdk import DAG

from checkvalve import JobOptions
from checkvalve.airflow import checkvalve_task_group

with DAG(
    "checkvalve_s3_to_sftp",
    schedule=None,
    start_date=datetime(2024, 3, 1, tzinfo=timezone.utc),
    catchup=False,
    tags=["checkvalve"],
):
    checkvalve_task_group(
        "restore_day",
        source_conn_id="checkvalve_s3",
        source_path="checkvalve/archive/{{ ds }}/",
        target_conn_id="checkvalve_target",
        target_path="restored/{{ ds }}/",
        options=JobOptions(transforms=["gunzip"], batch_files=40),
    )
