"""A dated folder of an SFTP server into a bucket, compressed on its way.

The connection `checkvalve_s3` is of type `aws`: access key as login, secret key as password, and for a service that is
not AWS's the extras `endpoint_url` and `region_name`. Paths on it are BUCKET/PREFIX.
"""

from datetime import datetime, timezone

from airflow.sdk import DAG, Asset

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
        include=["*.txt"],
        transforms=["gzip level=6"],
        batch_files=40,  # for the small sample; for real folders rather target_seconds=20
        outlets=[Asset("s3://checkvalve/archive/")],
    )
