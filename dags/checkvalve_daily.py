"""A dated directory every day: planned, cut into batches, copied by as many workers as there are."""

from datetime import datetime, timezone

from airflow.sdk import DAG, Asset

from checkvalve import JobOptions
from checkvalve.airflow import checkvalve_task_group

# The run of a day starts at its midnight UTC. For a directory that fills up during the day use
# schedule=CronDataIntervalTimetable("@daily", "UTC"), which runs a day once it is over.
with DAG(
    "checkvalve_daily",
    schedule="@daily",
    start_date=datetime(2024, 3, 1, tzinfo=timezone.utc),
    end_date=datetime(2024, 3, 3, tzinfo=timezone.utc),  # the sample data ends here
    catchup=True,
    max_active_runs=2,
    tags=["checkvalve"],
):
    checkvalve_task_group(
        "copy_day",
        source_conn_id="checkvalve_source",
        source_path="source/{{ ds }}/",
        target_conn_id="checkvalve_target",
        target_path="target/{{ ds }}/",
        # Batches for the small sample; for real directories rather target_seconds=20.
        options=JobOptions(include=["*.txt"], batch_files=40),
        outlets=[Asset("checkvalve://target/daily")],
    )
