"""A dated folder every day: planned, cut into batches, copied by as many workers as there are."""

from datetime import datetime, timezone

from airflow.sdk import DAG, Asset

from checkvalve.airflow import checkvalve_task_group

# At midnight UTC of a day the run of that day starts. For a folder that fills up all day long use
# schedule=CronDataIntervalTimetable("@daily", "UTC"), which runs a day's folder once the day is over.
with DAG(
    "checkvalve_daily",
    schedule="@daily",
    start_date=datetime(2024, 3, 1, tzinfo=timezone.utc),
    end_date=datetime(2024, 3, 3, tzinfo=timezone.utc),  # of the sample data; without it the DAG goes on for ever
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
        include=["*.txt"],
        batch_files=40,  # for the small sample; for real folders rather target_seconds=20
        outlets=[Asset("checkvalve://target/daily")],
    )
