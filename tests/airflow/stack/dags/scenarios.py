"""DAGs of the scenarios. Paths and connections come with the run's conf, so that each test has folders of its own."""

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, Asset
from checkvalve import JobOptions, python_transform
from checkvalve.airflow import CheckvalveSyncOperator, checkvalve_task_group

QUICK_RETRIES = {"retries": 2, "retry_delay": timedelta(seconds=1), "retry_exponential_backoff": False}
START = datetime(2024, 3, 1, tzinfo=timezone.utc)
ENDS = {
    "source_conn_id": "{{ dag_run.conf.get('source_conn_id', 'checkvalve_source') }}",
    "source_path": "{{ dag_run.conf['folder'] }}",
    "target_conn_id": "{{ dag_run.conf.get('target_conn_id', 'checkvalve_target') }}",
    "target_path": "{{ dag_run.conf['folder'] }}",
}

with DAG(
    "dates", schedule="@daily", start_date=START, end_date=datetime(2024, 3, 3, tzinfo=timezone.utc), catchup=True
):
    checkvalve_task_group(
        "copy",
        source_conn_id="checkvalve_source",
        source_path="source/{{ ds }}/",
        target_conn_id="checkvalve_target",
        target_path="target/{{ ds }}/",
        options=JobOptions(include=["*.txt"], batch_files=50),
        outlets=[Asset("checkvalve://target/dates")],
        default_args=QUICK_RETRIES,
    )

# Slow enough to be killed in the middle of a batch.
with DAG("slow", schedule=None, start_date=START):
    options = JobOptions(max_batches=2, batch_files=20, bwlimit="1MB/s", lease_ttl="4s")
    checkvalve_task_group("copy", options=options, default_args=QUICK_RETRIES, **ENDS)

with DAG("large", schedule=None, start_date=START):
    options = JobOptions(max_batches=16, batch_files=1000)
    checkvalve_task_group("copy", options=options, default_args=QUICK_RETRIES, **ENDS)

with DAG("balanced", schedule=None, start_date=START):
    options = JobOptions(batch_files=15, bwlimit="1500KB/s")
    checkvalve_task_group("copy", options=options, default_args=QUICK_RETRIES, **ENDS)

with DAG("single", schedule=None, start_date=START):
    CheckvalveSyncOperator(
        task_id="sync",
        options=JobOptions(retries=0, connect_timeout="5s"),
        **ENDS,
        **{**QUICK_RETRIES, "retries": 10},
    )

with DAG("per_file", schedule=None, start_date=START):
    checkvalve_task_group("copy", strategy="file", file_limit=5, default_args=QUICK_RETRIES, **ENDS)

with DAG("transformed", schedule=None, start_date=START):
    checkvalve_task_group(
        "copy",
        options=JobOptions(
            batch_files=3,
            transforms=[
                python_transform("house_filters:numbered", separator="{{ dag_run.conf['separator'] }}"),
                "gzip",
            ],
        ),
        compare="size",
        default_args=QUICK_RETRIES,
        **ENDS,
    )
