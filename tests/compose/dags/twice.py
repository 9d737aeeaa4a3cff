"""Each batch of a plan in two mapped tasks at once."""

from datetime import datetime, timezone

from airflow.sdk import DAG
from checkvalve import JobOptions
from checkvalve.airflow import CheckvalveBatchOperator, CheckvalveFinishOperator, CheckvalvePlanOperator

ENDS = {"source_conn_id": "checkvalve_source", "target_conn_id": "checkvalve_target"}
FOLDER = "{{ dag_run.conf['folder'] }}"

with DAG("twice", schedule=None, start_date=datetime(2024, 3, 1, tzinfo=timezone.utc)):
    plan = CheckvalvePlanOperator(
        task_id="plan", source_path=FOLDER, target_path=FOLDER, options=JobOptions(batch_files=20), **ENDS
    )
    copy = CheckvalveBatchOperator.partial(
        task_id="copy", options=JobOptions(bwlimit="1MB/s", lease_ttl="4s"), **ENDS
    ).expand(batch=plan.output.concat(plan.output))
    copy >> CheckvalveFinishOperator(task_id="finish", plan_task_id="plan")
