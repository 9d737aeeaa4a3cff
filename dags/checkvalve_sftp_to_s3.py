"""A dated directory of an SFTP server into a bucket, compressed on the way.

The connection `checkvalve_s3` is of type `aws`: access key as login, secret key as password, and for a service other
than AWS the extras `endpoint_url` and `region_name`. Its paths are BUCKET/PREFIX.
"""

from datetime import datetime, timezone

from airflow.sdk import DAG, Asset

from checkvalve import JobOptions
from checkvalve.airflow import checkvalve_task_group

with DAG(
    "checkvalve_sftp_to_s3",
    schedule=None,
    start_date=datetime(2024, 3, 1, tzinfo=timezone.utc),
    catchup=False,
    tags=["checkvalve"],
):
    checkvalve_task_group(
        "archive_day",
        source_conn_id="checkvalve_source",
        source_path="source/{{ ds }}/",
        target_conn_id="checkvalve_s3",
        target_path="checkvalve/archive/{{ ds }}/",
        # Batches for the small sample; for real directories rather target_seconds=20.
        options=JobOptions(include=["*.txt"], transforms=["gzip level=6"], batch_files=40),
        outlets=[Asset("s3://checkvalve/archive/")],
    )
